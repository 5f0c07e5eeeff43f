import CheckedNumbers
public import Diagnosis
import Glibc

/// A hardware or driver counter, as a trace predicts it. Never the counter itself: it is printed as "DCGM 1004, predicted".
public struct PredictedCounter: Sendable, Hashable {
  /// Which counter.
  public enum Counter: String, Sendable, Hashable, CaseIterable {
    /// NVML utilization.gpu, nvidia-smi's figure.
    case nvidiaSMI
    /// Graphics engine active.
    case graphicsActive
    /// SM active.
    case smActive
    /// Tensor pipe active.
    case tensorActive
    /// Device memory active.
    case memoryActive

    /// As printed.
    public var text: String {
      switch self {
      case .nvidiaSMI: "nvidia-smi GPU-Util, predicted"
      case .graphicsActive: "DCGM 1001 / GPM graphics, predicted"
      case .smActive: "DCGM 1002 / GPM SM, predicted"
      case .tensorActive: "DCGM 1004 / GPM tensor, predicted"
      case .memoryActive: "DCGM 1005 / GPM DRAM, predicted"
      }
    }

    /// One sentence.
    public var explanation: String {
      switch self {
      case .nvidiaSMI: "Share of time in which any kernel ran, and a fifth of the time of long copies: temporal, whatever its name."
      case .graphicsActive:
        "Share of time in which the compute engine was active: kernels, and about 1.3 us more for each that starts on an idle GPU."
      case .smActive: "Share of SMs holding at least one warp, averaged over SMs and time."
      case .tensorActive: "Share of cycles in which the tensor pipe was active."
      case .memoryActive: "Share of cycles in which device memory moved data; a trace without byte counts bounds it only."
      }
    }
  }

  /// Which.
  public var counter: Counter
  /// 0...1, estimated, with its interval; nil where the trace does not say enough.
  public var figure: Figure?
  /// What it rests on.
  public var note: String
}

/// What nvidia-smi, DCGM and GPM would have shown while a trace was recorded or, where the rate without the profiler is known, without it.
public struct PredictedCounters: Sendable {
  /// In the order of `PredictedCounter.Counter`.
  public private(set) var counters: [PredictedCounter] = []
  /// Kernels' share of time, without the profiler where the rate is known, else in the trace.
  public private(set) var gpuBusy: Figure
  /// The rate that was used; nil for the trace as it is.
  public private(set) var rate: StepRate?
  /// What the figures are of, in a sentence.
  public private(set) var basis: String
  /// The largest share kernels may have without the profiler, where launches limit and no rate is known; nil otherwise.
  public private(set) var upperBound: Double?

  /// One counter.
  public subscript(counter: PredictedCounter.Counter) -> Figure? { counters.first { $0.counter == counter }?.figure }

  /// From busy times, kernels and a rate. `launchBound`: the device mostly waits for launches, so that the profiler's cost per launch is
  /// in the idle time. `launches`: calls that launched work.
  public init(
    busy: BusyTime, kernels: KernelUse, wall: Int64, rate: StepRate?, launchBound: Bool, launches: Int, vendor: DeviceVendor = .nvidia,
    bandwidth: Double?, copyBytes: Double
  ) {
    // What a nanosecond of the trace is of the time without the profiler.
    let known = rate.flatMap { rate in rate.unprofiledPerSecond.map { (rate, $0) } }
    let wallNanoseconds = Double(max(1, wall))
    let scale: Double
    if let (rate, perSecond) = known, rate.stepsInTrace > 0 {
      scale = perSecond / rate.stepsInTrace / 1e9
      self.rate = rate
      basis =
        "kernel time per step x \(Self.short(perSecond)) steps/s without the profiler (\(Self.short(rate.stepsInTrace)) steps in the trace: \(rate.stepsSource))"
    } else {
      scale = 1 / wallNanoseconds
      self.rate = nil
      basis =
        launchBound
        ? "the trace as recorded; the profiler slows launches, so busy is a lower bound: give the unprofiled rate with --rate"
        : "the trace as recorded"
    }
    let source = known == nil ? "trace" : "trace and unprofiled rate"
    func clamp(_ value: Double) -> Double { min(1, max(0, value)) }
    let busyShare = clamp(Double(busy.kernel) * scale)
    // Where kernels overlap the profiler also keeps them from overlapping: between the trace's own share and time per step x rate.
    let traceShare = Double(busy.kernel) / wallNanoseconds
    let overlaps = busy.kernelsOverlap && known != nil && busyShare > traceShare
    let busyPoint = overlaps ? (busyShare + traceShare) / 2 : busyShare
    gpuBusy = Figure(
      busyPoint, .share, known == nil ? .measured : .estimated, source: source,
      interval: overlaps ? traceShare...busyShare : nil)
    if known == nil, launchBound, launches > 0 {
      let cost = CounterConstants.profilerNanosecondsPerLaunch.upperBound * Double(launches)
      let left = max(wallNanoseconds - cost, Double(busy.device))
      upperBound = clamp(Double(busy.kernel) / max(1, left))
    }

    if vendor != .nvidia {
      // Every constant below was measured on NVIDIA's boards.
      counters = PredictedCounter.Counter.allCases.map {
        PredictedCounter(counter: $0, figure: nil, note: "the device is not NVIDIA's: it has no such counter")
      }
      return
    }
    // What CUDA graphs hide cannot be weighed: which SMs, which pipes.
    let isHidden = Double(busy.graphSum) > DeviceExplanation.largestHiddenShare * Double(max(1, busy.kernelSum))
    // The engine stays on across short gaps and for its own time around each start.
    let engine = Double(busy.shortGapSum) * scale
    let graphics = clamp(busyPoint + engine)
    let graphicsLow = overlaps ? clamp(traceShare) : clamp(busyShare + 0.85 * engine)
    let graphicsHigh = clamp(max(busyShare, busyPoint) + 1.3 * engine)
    add(.graphicsActive, graphics, graphicsLow - 0.01, graphicsHigh + 0.01, source, "GPU busy time and 1.3 us per start on an idle GPU")
    let nonOverlappedMemcpy = max(0, min(1 - graphics, Double(busy.nonOverlappedMemcpy) * scale))
    let smi = clamp(
      graphics + min(CounterConstants.smiOverGraphics, 0.1 * graphics) + CounterConstants.smiShareOfCopyTime * nonOverlappedMemcpy)
    add(
      .nvidiaSMI, smi, graphicsLow - 0.01 + 0.1 * nonOverlappedMemcpy, clamp(graphicsHigh * 1.2 + 0.28 * nonOverlappedMemcpy) + 0.01,
      source,
      "graphics active, and about a fifth of the time in which only copies run")
    let hidden = "CUDA graphs are recorded as one event each: nsys profile --cuda-graph-trace=node shows their kernels"
    if isHidden {
      for counter in [PredictedCounter.Counter.smActive, .tensorActive, .memoryActive] {
        counters.append(PredictedCounter(counter: counter, figure: nil, note: hidden))
      }
      counters.sort { Self.rank($0.counter) < Self.rank($1.counter) }
      return
    }
    if let sm = kernels.smTime {
      let point = clamp(sm * scale)
      // Fit of the constants: 12 % of the value over twelve situations; where kernels overlap, between sharing SMs and not.
      let high = clamp((kernels.smTimeUncapped ?? sm) * scale * 1.12)
      add(
        .smActive, point, point * (busy.kernelsOverlap ? 0.8 : 0.88), max(high, point), source,
        "SMs with a resident block x (record - 1.1 us), tails of long grids off")
    } else {
      counters.append(PredictedCounter(counter: .smActive, figure: nil, note: "the device's SMs or the kernels' grids are unknown"))
    }
    if let tensor = kernels.tensor {
      add(
        .tensorActive, clamp(tensor.estimate * scale), tensor.interval.lowerBound * scale, tensor.interval.upperBound * scale, source,
        "tiles from kernel names, steps from durations")
    } else {
      counters.append(PredictedCounter(counter: .tensorActive, figure: nil, note: "the device is unknown"))
    }
    // Copies move their bytes through device memory once. Long kernels that are no products run at up to memory speed; how much of their
    // traffic L2 serves is not in a trace.
    if let bandwidth, bandwidth > 0 {
      let copies = copyBytes / bandwidth * 1e9
      let streaming = Double(kernels.streaming)
      let rest = kernels.otherFilled
      add(
        .memoryActive, clamp((copies + 0.7 * streaming + 0.1 * rest) * scale), copies * scale,
        (copies + 0.95 * streaming + 0.5 * rest) * scale, source,
        "copies' bytes; 0.7 of the time of long kernels that are no products, 0.1 of the rest as far as it fills the SMs: L2's part is unknown"
      )
    } else {
      counters.append(PredictedCounter(counter: .memoryActive, figure: nil, note: "the device's memory bandwidth is unknown"))
    }
    counters.sort { Self.rank($0.counter) < Self.rank($1.counter) }
  }

  private static func rank(_ counter: PredictedCounter.Counter) -> Int { PredictedCounter.Counter.allCases.firstIndex(of: counter) ?? 0 }

  private mutating func add(
    _ counter: PredictedCounter.Counter, _ value: Double, _ low: Double, _ high: Double, _ source: String, _ note: String
  ) {
    let low = min(max(0, low), value)
    let high = max(min(1, high), value)
    counters.append(
      PredictedCounter(
        counter: counter, figure: Figure(value, .share, .estimated, source: source, interval: low...high), note: note))
  }

  private static func short(_ value: Double) -> String {
    value >= 100 || value == value.rounded() ? "\(Int(saturating: value.rounded()))" : "\((value * 10).rounded() / 10)"
  }
}
