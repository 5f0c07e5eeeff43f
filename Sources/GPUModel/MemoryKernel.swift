/// A kernel whose time is its bytes: normalization, softmax, elementwise work, gathers and layout changes.
public struct MemoryKernel: Sendable, Hashable {
  /// What such kernels are in the frameworks; each has costs of its own beside its bytes.
  public enum Kind: Int, Sendable, Hashable, CaseIterable {
    /// One value in, one out, a few instructions: additions, ReLU, casts, gathers.
    case elementwise
    /// The same with exponentials or error functions: GELU, sigmoid, tanh.
    case transcendental
    /// A bias or another operand that is repeated, in a framework's kernel with computed addresses.
    case broadcast
    /// A framework's own LayerNorm: one block for each row, two passes.
    case layerNormalization
    /// A framework's own softmax: a row per warp.
    case softmax
    /// The runtime's copy.
    case copy
    /// A kernel generated for what an engine or compiler fused: normalization and activation in one pass.
    case fusedRow

    /// Whether a block works off a row by itself; others spread their values over all SMs, however they are shaped.
    public var worksByRow: Bool {
      switch self {
      case .layerNormalization, .softmax, .fusedRow: true
      case .elementwise, .transcendental, .broadcast, .copy: false
      }
    }
  }

  /// Bytes read that the kernel before has just written (activations).
  public var warmReadBytes: Double
  /// Bytes read that nothing touched since the last batch (tables, parameters).
  public var coldReadBytes: Double
  /// Bytes written.
  public var writtenBytes: Double
  /// What it is.
  public var kind: Kind
  /// Rows that are reduced or normalized each by itself; 1 where there are none.
  public var rows: Double
  /// Values in each row.
  public var columns: Double
  /// Bytes of one value.
  public var elementBytes: Int

  /// A kernel that moves these bytes once.
  public init(
    warmReadBytes: Double, coldReadBytes: Double = 0, writtenBytes: Double, kind: Kind = .elementwise, rows: Double = 1,
    columns: Double? = nil,
    elementBytes: Int = 2
  ) {
    self.warmReadBytes = warmReadBytes
    self.coldReadBytes = coldReadBytes
    self.writtenBytes = writtenBytes
    self.kind = kind
    self.rows = max(1, rows)
    self.elementBytes = elementBytes
    self.columns = columns ?? writtenBytes / Double(max(1, elementBytes)) / max(1, rows)
  }

  /// All bytes moved.
  public var bytes: Double { warmReadBytes + coldReadBytes + writtenBytes }
}

/// A memory-bound kernel's predicted time.
public struct MemoryKernelPrediction: Sendable, Hashable {
  /// Fixed cost plus transfer, as a profiler records it; the gap to the next kernel is not in it.
  public var microseconds: Double
  /// Half-width of the 80 % band as a share of the time.
  public var relativeErrorBand: Double
  /// The least time that the device's roofs allow: what device memory delivers at its rated bandwidth, or what L2 serves at L2's. Never more
  /// than `microseconds`.
  public var roofMicroseconds: Double
  /// Share of the bytes served by L2.
  public var residentShare: Double
  /// `.latency` where the fixed cost is the larger part, else `.l2` or `.memory` by where most of the transfer time goes, or `.math` where
  /// its instructions take longer than its bytes.
  public var bound: Bound
}

extension KernelModel {
  /// Threads a block of the kernels assumed here.
  public static let memoryKernelThreads = 256

  /// Share of L2 that survives between a producer and its consumer where no such kernel was measured. Fitted to the one figure the source
  /// document gives: 134 MB through a fused LayerNorm in 42 us on 128 MB of L2, above what memory alone can deliver (75 us).
  static let survivingShareOfL2 = 0.7

  /// Fixed cost + the longer of bytes / bandwidth and instructions, joined by a norm. What passes through L2 between producer and consumer
  /// is served at L2 speed as far as it fits.
  ///
  /// Where records of such kernels were fitted, the cache misses over a range of working sets, as for products. Elsewhere the constants of
  /// Hopper's records stand in, in clocks, with the product's memory share and one surviving share of L2: replacement is close enough to
  /// random that a working set twice the cache still hits half the time.
  public func predict(_ kernel: MemoryKernel) -> MemoryKernelPrediction {
    let constants = calibration.memory ?? KernelCalibrations.borrowedMemory
    let isOwn = calibration.memory != nil
    let taken = constants.taken(kernel.kind, rows: kernel.rows)
    let kind = constants.costs(taken)
    let clock = gpu.modelGigahertz * 1e3
    let sms = Double(max(1, gpu.smCount))
    let memory = gpu.memoryGigabytesPerSecond * 1e3 * (isOwn ? constants.memoryShare : calibration.constants[.memoryShare])
    let warm =
      isOwn ? constants.l2BytesPerClockPerSM * sms * clock : max(memory, memory * (1 + calibration.constants[.warmSpeedup]))
    let passing = kernel.warmReadBytes + kernel.writtenBytes
    let l2 = max(1, gpu.l2Megabytes * 1e6)
    let missing: Double =
      if passing <= 0 { 0 } else if isOwn { min(max((passing / l2 - constants.missStart) / constants.missSpan, 0), 1) } else {
        1 - min(1, l2 * Self.survivingShareOfL2 / passing)
      }
    let fast = passing * (1 - missing) / warm
    let slow = (passing * missing + kernel.coldReadBytes) / memory
    let elements = kernel.rows * kernel.columns
    let (rows, columns) = taken.worksByRow ? (kernel.rows, kernel.columns) : (0, 0)
    let work = (rows * kind.clocksPerRow + elements * kind.clocksPerElement(bytes: kernel.elementBytes)) / (sms * clock)
    let extra = kind.extraMicroseconds(taken, bytes: kernel.elementBytes)
    let fixed = constants.fixedMicroseconds + extra + kind.clocksPerColumn * columns / clock
    let transfer = fast + slow
    let top = max(work, transfer)
    let body =
      top <= 0
      ? 0
      : top * power(power(work / top, constants.joinExponent) + power(transfer / top, constants.joinExponent), 1 / constants.joinExponent)
    let bound: Bound = fixed >= body ? .latency : work > transfer ? .math : fast >= slow ? .l2 : .memory
    let band = constants.errorBand(microseconds: fixed + body)
    return MemoryKernelPrediction(
      microseconds: fixed + body, relativeErrorBand: isOwn ? band : max(0.2, min(0.5, 2 * band)),
      roofMicroseconds: max(fast, min(slow, (passing * missing + kernel.coldReadBytes) / (gpu.memoryGigabytesPerSecond * 1e3))),
      residentShare: kernel.bytes <= 0 ? 0 : passing * (1 - missing) / kernel.bytes, bound: bound)
  }
}
