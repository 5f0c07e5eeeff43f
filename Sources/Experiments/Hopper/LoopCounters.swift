import CheckedNumbers
import Explanation
import GPUModel
import Simulation

/// What counters would show of a simulated loop: the same constants that predict them from a trace (`CounterConstants`), on planned kernels,
/// whose FLOPs and fill are known. Shares of time, 0...1.
public struct LoopCounters: Sendable, Hashable {
  /// At least one kernel runs.
  public var gpuBusy: Double
  /// DCGM 1001, GPM graphics: kernels, and the engine's own time around each that starts on an idle GPU.
  public var graphicsActive: Double
  /// DCGM 1002, GPM SM: SMs with a warp, averaged over SMs and time.
  public var smActive: Double
  /// DCGM 1004, GPM tensor: cycles of the tensor pipe.
  public var tensorActive: Double
  /// NVML utilization.gpu.
  public var utilizationGPU: Double
  /// Polled values of it lie in this range.
  public var utilizationRange: ClosedRange<Double>
  /// DCGM 1005: at most, as L2 serves a part of the bytes that kernels must move.
  public var memoryActiveAtMost: Double
  /// To and from the device, bytes per second; what a launch itself sends is not in them.
  public var uploadedBytesPerSecond: Double
  /// See `uploadedBytesPerSecond`.
  public var downloadedBytesPerSecond: Double

  /// Of a loop on a GPU.
  public init(_ run: DeviceLoopResult, on gpu: GPU) {
    let span = Double(max(1, run.span.nanoseconds))
    gpuBusy = run.gpuBusyShare
    var edges: [(time: Double, share: Double)] = []
    var (tensor, engine, end) = (0.0, 0.0, Int64.min)
    for kernel in run.kernels {
      // Between the kernels of a graph the engine rests: where a linear head ran as one, it was active for the sum of the records.
      if kernel.start > end, !kernel.followsInGraph {
        engine +=
          end == .min
          ? CounterConstants.engineNanosecondsPerStart : min(CounterConstants.engineNanosecondsPerStart, Double(kernel.start - end))
      }
      end = max(end, kernel.end)
      let record = Double(kernel.end - kernel.start)
      if case .gpu(let shape) = kernel.launch.shape {
        let isLong = shape.blockCount > gpu.smCount || shape.isPersistent || (shape.blockCount * 10 >= 9 * gpu.smCount && record > 20_000)
        // A kernel that waits for slots of others is longer and holds fewer SMs meanwhile: what it takes of them is what it takes alone.
        let resident = CounterConstants.residentNanoseconds(record)
        let alone = min(resident, CounterConstants.residentNanoseconds(kernel.launch.predictedNanoseconds))
        let share = shape.residentSMShare * (isLong ? CounterConstants.tailShare : 1) * (resident > 0 ? alone / resident : 1)
        edges.append((Double(kernel.start), share))
        edges.append((Double(kernel.start) + resident, -share))
      }
      if let gemm = kernel.launch.gemm, gemm.type != .fp32 {
        let clock = (kernel.launch.powerLimitedGigahertz ?? gpu.modelGigahertz) / gpu.modelGigahertz
        // Whole tiles are computed, padding too.
        var operations = gemm.floatingPointOperations
        if case .gpu(let shape) = kernel.launch.shape, let m = shape.tileM, let n = shape.tileN {
          operations = 2 * Double(gemm.k) * Double(m) * Double(n) * Double(shape.blockCount / max(1, shape.splitK))
        }
        tensor += operations / max(1, TensorTime.operationsPerMicrosecond(gemm.type, of: gpu) * clock) * 1e3
      }
    }
    graphicsActive = min(1, gpuBusy + engine / span)
    smActive = min(1, KernelUse.capped(&edges) / span)
    tensorActive = min(1, tensor / span)
    let nonOverlapped = max(0, min(1 - graphicsActive, run.nonOverlappedMemcpyShare))
    let reading =
      graphicsActive + min(CounterConstants.smiOverGraphics, 0.1 * graphicsActive) + CounterConstants.smiShareOfCopyTime * nonOverlapped
    utilizationGPU = min(1, reading)
    utilizationRange = CounterConstants.polledRange(graphicsActive: graphicsActive, nonOverlappedMemcpy: nonOverlapped)
    let moved = run.kernels.reduce(0) { $0 + $1.launch.bytes } + run.uploadedBytes + run.downloadedBytes
    memoryActiveAtMost = min(1, moved / max(1, gpu.memoryGigabytesPerSecond) / span)
    uploadedBytesPerSecond = run.uploadedBytes / run.span.seconds
    downloadedBytesPerSecond = run.downloadedBytes / run.span.seconds
  }
}
