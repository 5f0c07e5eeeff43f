public import GPUModel

/// One kernel a device runs for a batch: what it computes, how much, and what it is predicted to cost.
public struct Launch: Sendable, Hashable {
  /// Step of the plan that this launch belongs to.
  public var step: Int
  /// The model's layer (node names joined by "+" where nodes were fused).
  public var layer: String
  /// Kernel name as a profiler would print it, tile included.
  public var kernelName: String
  /// The product it computes; nil for a kernel that is no GEMM.
  public var gemm: GEMM?
  /// The kernel bound by memory that it is; nil for a product.
  public var memoryKernel: MemoryKernel?
  /// Whether `gemm` multiplies by parameters: the rest multiplies activations by each other, as attention does.
  public var isWeighted = false
  /// Floating-point operations executed, padding excluded.
  public var floatingPointOperations: Double
  /// Bytes that must move at least once between the SMs and memory: operands in, result out.
  public var bytes: Double
  /// Part of `floatingPointOperations` spent on rows that are copies of other rows.
  public var redundantFloatingPointOperations: Double
  /// Predicted duration on the device as a profiler records it, nanoseconds; the gap to the next kernel is not in it.
  public var predictedNanoseconds: Double
  /// The least time that the device's roofs allow (`GEMMPrediction.roofMicroseconds`), nanoseconds; nil where no roof is known.
  public var roofNanoseconds: Double?
  /// Half-width of the 80 % error band as a share of the prediction (0.1: +-10 %).
  public var relativeErrorBand: Double
  /// What holds it up; nil where the ranking of limits is not stable over an ensemble of fits.
  public var bound: Bound?
  /// Geometry.
  public var shape: LaunchShape
  /// Why its operations are not known; nil where they are. Such a launch counts what it must move, and one operation an element.
  public var unplanned: String?
  /// The clock that the board's power allows while it runs, GHz; nil where it runs at the usual one.
  public var powerLimitedGigahertz: Double?
  /// What padding would buy, where rows that are not 16-byte aligned leave the product to a slower class of kernels.
  public var misalignment: Misalignment?

  /// Rows that are not 16-byte aligned.
  public struct Misalignment: Sendable, Hashable {
    /// n after padding.
    public var paddedN: Int
    /// k after padding.
    public var paddedK: Int
    /// Predicted duration after padding, nanoseconds.
    public var paddedNanoseconds: Double

    /// Whether padding makes the kernel shorter by enough to be said: 2 % of `nanoseconds`.
    public func isWorthPadding(_ nanoseconds: Double) -> Bool { paddedNanoseconds < 0.98 * nanoseconds }

    /// Every field stated.
    public init(paddedN: Int, paddedK: Int, paddedNanoseconds: Double) {
      self.paddedN = paddedN
      self.paddedK = paddedK
      self.paddedNanoseconds = paddedNanoseconds
    }
  }

  /// A launch with every field stated.
  public init(
    step: Int, layer: String, kernelName: String, gemm: GEMM? = nil, floatingPointOperations: Double, bytes: Double,
    redundantFloatingPointOperations: Double, predictedNanoseconds: Double, relativeErrorBand: Double, bound: Bound?, shape: LaunchShape,
    unplanned: String? = nil, misalignment: Misalignment? = nil
  ) {
    self.step = step
    self.layer = layer
    self.kernelName = kernelName
    self.gemm = gemm
    self.floatingPointOperations = floatingPointOperations
    self.bytes = bytes
    self.redundantFloatingPointOperations = redundantFloatingPointOperations
    self.predictedNanoseconds = predictedNanoseconds
    self.relativeErrorBand = relativeErrorBand
    self.bound = bound
    self.shape = shape
    self.unplanned = unplanned
    self.misalignment = misalignment
  }
}

/// How a launch is spread over its device.
public enum LaunchShape: Sendable, Hashable {
  case gpu(GPULaunchShape)
  case cpu(CPULaunchShape)
}

/// Geometry of a GPU kernel.
public struct GPULaunchShape: Sendable, Hashable {
  /// Rows of one CTA's output tile; nil for a kernel that is not a GEMM.
  public var tileM: Int?
  /// Columns of that tile.
  public var tileN: Int?
  /// Parts the k dimension is cut into; 1 for none.
  public var splitK: Int
  /// Thread blocks (CTAs); tiles for a persistent kernel.
  public var grid: [Int]
  /// Whether as many blocks as SMs run and each computes tile after tile: a profiler then shows a grid of at most the SMs.
  public var isPersistent = false
  /// Threads a block, by dimension.
  public var block: [Int]
  /// Registers a thread.
  public var registersPerThread: Int
  /// Shared memory a block, bytes.
  public var sharedMemoryBytes: Int
  /// Blocks resident on one SM at a time.
  public var blocksPerSM: Int
  /// grid / (SMs * blocksPerSM); not rounded.
  public var waves: Double
  /// SMs holding at least one CTA / SMs, averaged over the kernel's duration, tail included.
  public var residentSMShare: Double
  /// waves / ceil(waves).
  public var slotEfficiency: Double

  /// Every field stated.
  public init(
    tileM: Int?, tileN: Int?, splitK: Int, grid: [Int], block: [Int], registersPerThread: Int, sharedMemoryBytes: Int, blocksPerSM: Int,
    waves: Double, residentSMShare: Double, slotEfficiency: Double
  ) {
    self.tileM = tileM
    self.tileN = tileN
    self.splitK = splitK
    self.grid = grid
    self.block = block
    self.registersPerThread = registersPerThread
    self.sharedMemoryBytes = sharedMemoryBytes
    self.blocksPerSM = blocksPerSM
    self.waves = waves
    self.residentSMShare = residentSMShare
    self.slotEfficiency = slotEfficiency
  }

  /// Blocks in the grid.
  public var blockCount: Int { grid.reduce(1, *) }
}

/// Geometry of a CPU kernel.
public struct CPULaunchShape: Sendable, Hashable {
  /// Cache blocking in rows, columns and depth.
  public var blocking: [Int]
  /// Independent pieces of work.
  public var tasks: Int
  /// Threads that may run them.
  public var threads: Int
  /// Share of the threads that have work, averaged over the kernel.
  public var coreFill: Double

  /// Every field stated.
  public init(blocking: [Int], tasks: Int, threads: Int, coreFill: Double) {
    self.blocking = blocking
    self.tasks = tasks
    self.threads = threads
    self.coreFill = coreFill
  }
}

/// A plan at a certain number of rows: what a device executes, the simulator times and the diagnosis explains.
public struct BatchPlan: Sendable {
  /// Rows in the batch.
  public var rows: Int
  /// How often the launches run for these rows: once, but for a graph that was made for fewer rows.
  public var runs: Int
  /// Rows that all runs compute: more than `rows` where a graph of fixed shapes is not filled.
  public var computedRows: Int
  /// Kernels of one run, in launch order.
  public var launches: [Launch]
  /// Bytes copied to the device before the first launch, for all runs.
  public var inputBytes: Int
  /// Bytes copied back after the last, for all runs.
  public var outputBytes: Int
  /// What is worth saying about these rows: products of size 0, which launch nothing.
  public var notes: [String]

  /// A batch of `rows`.
  public init(
    rows: Int, runs: Int = 1, computedRows: Int? = nil, launches: [Launch], inputBytes: Int, outputBytes: Int, notes: [String] = []
  ) {
    self.rows = rows
    self.runs = runs
    self.computedRows = computedRows ?? rows
    self.launches = launches
    self.inputBytes = inputBytes
    self.outputBytes = outputBytes
    self.notes = notes
  }

  /// The launches of all runs, as a device gets them.
  public var issued: [Launch] { runs == 1 ? launches : Array((0..<runs).map { _ in launches }.joined()) }

  /// Sum of the launches' predicted times, nanoseconds: kernel time. Gaps between them come on top (`elapsedNanoseconds`).
  public var predictedNanoseconds: Double { Double(runs) * launches.reduce(0) { $0 + $1.predictedNanoseconds } }
}
