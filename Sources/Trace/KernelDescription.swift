import CheckedNumbers

/// Position of a `KernelDescription` in its trace.
@frozen public struct KernelID: Sendable, Hashable {
  /// Position in `Trace.kernelDescriptions`.
  public let rawValue: Int32
  /// The description at a position.
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// What a kernel row says beside when and where it ran. A run launches millions of kernels and a few hundred different ones, so this
/// is kept once for each: a kernel row is 44 bytes instead of 130, and a summary by name compares numbers.
public struct KernelDescription: Sendable, Hashable {
  /// Function name with its template arguments, as profilers print it.
  public var demangledName: NameID
  /// Function name alone.
  public var shortName: NameID
  /// The C++ symbol; `.unknown` where not recorded.
  public var mangledName: NameID
  /// Blocks by dimension.
  public var gridX: Int32
  /// As `gridX`.
  public var gridY: Int32
  /// As `gridX`.
  public var gridZ: Int32
  /// Threads a block by dimension.
  public var blockX: Int32
  /// As `blockX`.
  public var blockY: Int32
  /// As `blockX`.
  public var blockZ: Int32
  /// Registers a thread.
  public var registersPerThread: Int32
  /// Shared memory a block declared when it was compiled, bytes.
  public var staticSharedMemoryBytes: Int32
  /// Shared memory a block was given at launch, bytes.
  public var dynamicSharedMemoryBytes: Int32
  /// Local memory a thread, bytes.
  public var localMemoryBytesPerThread: Int32
  /// ENUM_CUDA_KERNEL_LAUNCH_TYPE; `Trace.unknown32` where not recorded.
  public var launchType: Int32

  /// Blocks of a thread block cluster by dimension; `Trace.unknown32` where not recorded, 0 or 1 for none.
  public var clusterX: Int32 = Trace.unknown32
  /// As `clusterX`.
  public var clusterY: Int32 = Trace.unknown32
  /// As `clusterX`.
  public var clusterZ: Int32 = Trace.unknown32

  /// A kernel of that name and geometry.
  public init(
    demangledName: NameID, shortName: NameID, mangledName: NameID = .unknown, grid: (Int32, Int32, Int32), block: (Int32, Int32, Int32),
    registersPerThread: Int32 = 0, staticSharedMemoryBytes: Int32 = 0, dynamicSharedMemoryBytes: Int32 = 0,
    localMemoryBytesPerThread: Int32 = 0, launchType: Int32 = Trace.unknown32
  ) {
    self.demangledName = demangledName
    self.shortName = shortName
    self.mangledName = mangledName
    (self.gridX, self.gridY, self.gridZ) = grid
    (self.blockX, self.blockY, self.blockZ) = block
    self.registersPerThread = registersPerThread
    self.staticSharedMemoryBytes = staticSharedMemoryBytes
    self.dynamicSharedMemoryBytes = dynamicSharedMemoryBytes
    self.localMemoryBytesPerThread = localMemoryBytesPerThread
    self.launchType = launchType
  }

  /// Blocks in the grid; nil when a dimension is not positive or the product does not fit.
  public var blockCount: Int64? { Self.product(gridX, gridY, gridZ) }
  /// Threads in a block; nil when a dimension is not positive or the product does not fit.
  public var threadsPerBlock: Int64? { Self.product(blockX, blockY, blockZ) }

  private static func product(_ x: Int32, _ y: Int32, _ z: Int32) -> Int64? {
    if x <= 0 || y <= 0 || z <= 0 { return nil }
    let (product, overflow) = (Int64(x) * Int64(y)).multipliedReportingOverflow(by: Int64(z))
    return overflow ? nil : product
  }
}
