import CheckedNumbers
import Glibc
public import GPUModel

/// How long a kernel's tensor pipe is active, from its record alone: duration, tile and grid. The depth of a product need not be known
/// where each block computes one tile, as duration and the time of a step give the number of steps.
public struct TensorTime: Sendable, Hashable {
  /// Nanoseconds of the whole device's tensor pipe.
  public var estimate: Double
  /// Where the true value lies.
  public var interval: ClosedRange<Double>

  /// None.
  public static let none = TensorTime(estimate: 0, interval: 0...0)

  /// A value with its interval.
  public init(estimate: Double, interval: ClosedRange<Double>) {
    self.estimate = estimate
    self.interval = interval
  }

  /// Depth of a persistent product that a record does not show: products of serving models have 512 to 8,192, and long kernels deep ones.
  /// 1,024 at 0.1 ms and 8,192 from 1 ms on.
  static func assumedDepth(microseconds: Double) -> Double { min(8192, max(512, 1024 * pow(microseconds / 100, 0.9))) }

  /// Of one run of a kernel.
  ///
  /// - Parameters:
  ///   - operations: FLOPs executed, where the shape is known; the estimate is then their time at the dense peak.
  ///   - nanoseconds: duration of its record.
  public init(_ name: KernelName, blocks: Int64, nanoseconds: Double, operations: Double? = nil, on gpu: GPU) {
    self = .none
    guard name.role == .tensorGEMM || name.role == .attention, nanoseconds > 0 else { return }
    let type = name.type ?? .fp16
    let rate = Self.operationsPerMicrosecond(type, of: gpu)
    guard rate > 0 else { return }
    if let operations, operations > 0 {
      // Blocks at the edges compute whole tiles: up to a quarter more than the product asks for.
      let value = min(operations / rate * 1e3, nanoseconds)
      self = TensorTime(estimate: value, interval: value...min(value * 1.25, nanoseconds))
      return
    }
    let microseconds = nanoseconds / 1e3
    // The duration is that of the SM with most blocks; the others wait for it at the end: as `GridFit` counts.
    let perSM = Double(max(0, blocks)) / Double(max(1, gpu.smCount))
    let fill = perSM > 0 ? perSM / perSM.rounded(.up) : 0
    let clock = 1.98 / max(0.2, gpu.modelGigahertz)
    let start = ProductConstants.start
    if name.role == .attention {
      // Two products with a softmax between: 0.6 of the pipe at best, approached by long kernels (8.9 us kernels reach a tenth).
      let share = 0.6 * max(0, microseconds - start) / (microseconds + 20)
      let value = share * nanoseconds * fill
      self = TensorTime(estimate: value, interval: value / 3...min(value * 2, nanoseconds))
      return
    }
    guard let tile = name.tile else {
      let value = 0.3 * max(0.1 * nanoseconds, nanoseconds - start * 1e3) * fill
      self = TensorTime(estimate: value, interval: 0...min(3 * value, nanoseconds))
      return
    }
    let depth = Double(name.stepK > 0 ? name.stepK : 32)
    let bytes = Double(type.bytesPerElement)
    let (m, n) = (Double(tile.m), Double(tile.n))
    // One step on one SM: its products at the dense peak, its operands from L2, and its latency; joined as `KernelModel` does.
    let math = 2 * m * n * depth * Double(max(1, gpu.smCount)) / rate
    func shared(_ count: Int) -> Double { 1 + ProductConstants.multicast * Double(count - 1) }
    let cluster = name.cluster
    let operands = min(m / shared(cluster.y) + n / shared(cluster.x), m / shared(cluster.x) + n / shared(cluster.y))
    let traffic = operands * depth * bytes / 1e3 / ProductConstants.l2Rate * clock
    let latency = ProductConstants.step * depth / 64 * clock
    func step(_ mathScale: Double) -> Double {
      let limits = [latency, math * mathScale / ProductConstants.mathShare, traffic]
      let top = max(limits.max() ?? 0, 1e-9)
      return top * pow(limits.reduce(0) { $0 + pow($1 / top, ProductConstants.exponent) }, 1 / ProductConstants.exponent)
    }
    let epilogue = ProductConstants.epilogue * m * n / 1e4 * clock
    // Waves of a grid wider than the device: each has its epilogue.
    let waves = max(1, (Double(blocks) / Double(max(1, gpu.smCount))).rounded(.up))
    func share(start: Double, depthOfProduct: Double?, mathScale: Double) -> Double {
      let time = step(mathScale)
      if let depthOfProduct {
        let steps = depthOfProduct / depth
        let work = max(0.1 * microseconds, microseconds - start)
        return work / microseconds * steps * math * mathScale / (epilogue + steps * time)
      }
      return max(0.1 * microseconds, microseconds - start - epilogue * waves) / microseconds * math * mathScale / time
    }
    let isPersistent = name.isPersistent && microseconds > 20
    let assumed = isPersistent ? Self.assumedDepth(microseconds: microseconds) : nil
    var value = share(start: start, depthOfProduct: assumed, mathScale: 1) * fill
    // What the board's power allows: a product that would need more runs at a lower clock, at which L2 keeps its pace and the pipe's
    // share of cycles rises.
    let watts = gpu.boardPowerWatts
    let constants = KernelCalibrations.calibration(for: gpu).constants
    let sustained = watts / (constants[.picojoulesPerFLOP] * 1e-12) / 1e6
    let demanded = value * rate
    if microseconds > constants[.powerMicroseconds], sustained > 0, demanded > sustained {
      value = share(start: start, depthOfProduct: assumed, mathScale: min(2, demanded / sustained)) * fill
    }
    let low: Double
    let high: Double
    if isPersistent {
      low = share(start: start, depthOfProduct: 512, mathScale: 1) * fill
      high = share(start: start * 0.85, depthOfProduct: 8192, mathScale: 1.5) * fill
    } else {
      // 0.5 us of start more or less, and 15 % of the step: the spread of the fit.
      low = share(start: start + 0.5, depthOfProduct: nil, mathScale: 1) * fill * 0.75
      high = share(start: start - 0.5, depthOfProduct: nil, mathScale: 1) * fill * 1.15
    }
    value = min(value, 1)
    estimate = value * nanoseconds
    interval = min(low, value) * nanoseconds...min(1, max(high, value)) * nanoseconds
  }

  /// Dense tensor FLOPs per microsecond of the whole device at its boost clock. Vendors rate some boards at a lower clock than they reach;
  /// an SM's FLOPs per clock are a power of two, so the rated figure is rounded to the next one.
  public static func operationsPerMicrosecond(_ type: ComputeType, of gpu: GPU) -> Double {
    guard let peak = gpu.peakFLOPs(type) else { return 0 }
    let clock = gpu.modelGigahertz * 1e9
    let perClock = peak / (clock * Double(max(1, gpu.smCount)))
    guard perClock > 1, perClock.isFinite else { return peak / 1e6 }
    let power = exp2((log2(perClock) - 0.05).rounded(.up))
    // Far from a power of two is a board whose clock is not the rated one; then the rated figure stands.
    let rounded = power / perClock < 1.25 ? power : perClock
    return rounded * clock * Double(max(1, gpu.smCount)) / 1e6
  }
}
