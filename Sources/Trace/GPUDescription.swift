/// A device of the machine the trace was taken on (TARGET_INFO_GPU).
public struct GPUDescription: Sendable, Hashable {
  /// Nsight's own number of the device.
  public var id: Int64
  /// The CUDA ordinal; `Trace.unknown` where not recorded. It may differ from `id`.
  public var cudaDevice: Int64
  /// Name; "NAME (simulated by headroom)" and "CPU: NAME" for devices of our own.
  public var name: String
  /// Streaming multiprocessors (threads of a CPU device). This and the rest: `Trace.unknown` where not recorded.
  public var smCount: Int64
  /// Bytes per second.
  public var memoryBandwidth: Int64
  /// Hertz.
  public var clockRate: Int64
  /// Device memory, bytes.
  public var totalMemoryBytes: Int64
  /// Second-level cache, bytes.
  public var l2CacheBytes: Int64
  /// Compute capability, major.
  public var computeMajor: Int64
  /// Compute capability, minor.
  public var computeMinor: Int64
  /// Warps resident on an SM at most.
  public var maxWarpsPerSM: Int64
  /// Blocks resident on an SM at most.
  public var maxBlocksPerSM: Int64
  /// Registers of an SM.
  public var maxRegistersPerSM: Int64
  /// Shared memory of an SM, bytes.
  public var maxSharedMemoryBytesPerSM: Int64

  /// Threads of a warp (a wavefront of AMD's).
  public var threadsPerWarp: Int64 = Trace.unknown

  /// A device; what is left out is unknown.
  public init(
    id: Int64, cudaDevice: Int64 = Trace.unknown, name: String, smCount: Int64 = Trace.unknown, memoryBandwidth: Int64 = Trace.unknown,
    clockRate: Int64 = Trace.unknown, totalMemoryBytes: Int64 = Trace.unknown, l2CacheBytes: Int64 = Trace.unknown,
    computeMajor: Int64 = Trace.unknown, computeMinor: Int64 = Trace.unknown, maxWarpsPerSM: Int64 = Trace.unknown,
    maxBlocksPerSM: Int64 = Trace.unknown, maxRegistersPerSM: Int64 = Trace.unknown, maxSharedMemoryBytesPerSM: Int64 = Trace.unknown
  ) {
    self.id = id
    self.cudaDevice = cudaDevice
    self.name = name
    self.smCount = smCount
    self.memoryBandwidth = memoryBandwidth
    self.clockRate = clockRate
    self.totalMemoryBytes = totalMemoryBytes
    self.l2CacheBytes = l2CacheBytes
    self.computeMajor = computeMajor
    self.computeMinor = computeMinor
    self.maxWarpsPerSM = maxWarpsPerSM
    self.maxBlocksPerSM = maxBlocksPerSM
    self.maxRegistersPerSM = maxRegistersPerSM
    self.maxSharedMemoryBytesPerSM = maxSharedMemoryBytesPerSM
  }
}

/// Which GPU a process means by a CUDA ordinal (TARGET_INFO_CUDA_DEVICE): CUDA_VISIBLE_DEVICES renumbers them.
public struct CUDADeviceMapping: Sendable, Hashable {
  /// `GPUDescription.id`.
  public var gpu: Int64
  /// The ordinal.
  public var cudaDevice: Int64
  /// Numeric process id; `Trace.unknown` for every process.
  public var process: Int64

  /// A mapping.
  public init(gpu: Int64, cudaDevice: Int64, process: Int64 = Trace.unknown) {
    self.gpu = gpu
    self.cudaDevice = cudaDevice
    self.process = process
  }
}
