/// A kernel whose time is its bytes: normalization, softmax, elementwise work, gathers and layout changes.
public struct MemoryKernel: Sendable, Hashable {
  /// Bytes read that the kernel before has just written (activations).
  public var warmReadBytes: Double
  /// Bytes read that nothing touched since the last batch (tables, parameters).
  public var coldReadBytes: Double
  /// Bytes written.
  public var writtenBytes: Double

  /// A kernel that moves these bytes once.
  public init(warmReadBytes: Double, coldReadBytes: Double = 0, writtenBytes: Double) {
    self.warmReadBytes = warmReadBytes
    self.coldReadBytes = coldReadBytes
    self.writtenBytes = writtenBytes
  }

  /// All bytes moved.
  public var bytes: Double { warmReadBytes + coldReadBytes + writtenBytes }
}

/// A memory-bound kernel's predicted time.
public struct MemoryKernelPrediction: Sendable, Hashable {
  /// Fixed cost plus transfer.
  public var microseconds: Double
  /// Half-width of the 80 % band as a share of the time.
  public var relativeErrorBand: Double
  /// Share of the bytes served by L2.
  public var residentShare: Double
  /// `.latency` where the fixed cost is the larger part, else `.l2` or `.memory` by where most of the transfer time goes.
  public var bound: Bound
}

extension KernelModel {
  /// Threads a block of the kernels assumed here.
  public static let memoryKernelThreads = 256

  /// Share of L2 that survives between a producer and its consumer. Fitted to the one figure the source document gives for such a kernel:
  /// 134 MB through a fused LayerNorm in 42 us on 128 MB of L2, above what memory alone can deliver (75 us). One constant, one observation.
  static let survivingShareOfL2 = 0.7

  /// Fixed cost + bytes / bandwidth. Of what passes through L2 between producer and consumer, the part that fits is served at L2 speed
  /// and the rest at memory speed: replacement is close enough to random that a working set twice the cache still hits half the time.
  public func predict(_ kernel: MemoryKernel) -> MemoryKernelPrediction {
    let constants = calibration.constants
    let memoryBandwidth = gpu.memoryGigabytesPerSecond * 1e3 * constants[.memoryShare]
    let warmBandwidth = memoryBandwidth * (1 + constants[.warmSpeedup])
    let passing = kernel.warmReadBytes + kernel.writtenBytes
    let capacity = gpu.l2Megabytes * 1e6 * Self.survivingShareOfL2
    let resident = passing <= 0 ? 0 : min(1, capacity / passing)
    let fast = passing * resident / warmBandwidth
    let slow = (passing * (1 - resident) + kernel.coldReadBytes) / memoryBandwidth
    let fixed = constants[.fixedMicroseconds]
    let bound: Bound = fixed >= fast + slow ? .latency : fast >= slow ? .l2 : .memory
    return MemoryKernelPrediction(
      microseconds: fixed + fast + slow,
      // No measurements of such kernels are at hand beside the one above: the band is assumed, twice the GEMMs'.
      relativeErrorBand: min(0.5, 2 * calibration.errorBand(microseconds: fixed + fast + slow)),
      residentShare: kernel.bytes <= 0 ? 0 : passing * resident / kernel.bytes, bound: bound)
  }
}
