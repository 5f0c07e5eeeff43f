/// What a CUDA or HIP call does to the thread that makes it. Told from its name: the numbers that profilers store for it differ by version.
public enum APIKind: UInt8, Sendable, Hashable, CaseIterable {
  /// Enqueues one kernel.
  case launch
  /// Enqueues a whole graph.
  case graphLaunch
  /// Waits for a stream, an event or the device.
  case synchronize
  /// Copies memory; may wait.
  case copy
  /// Fills memory.
  case fill
  /// Allocates or frees memory; `cudaFree` and `cudaMalloc` may wait for the device.
  case memoryManagement
  /// Loads code or instantiates a graph.
  case moduleLoad
  /// Anything else: queries, events, attributes.
  case other

  /// The kind of a function by its name, version suffix or not.
  public init(function text: String) {
    // No function has such a name; a file's text of 100 MB would be searched twenty times.
    let name = text.utf8.count > 1024 ? String(decoding: text.utf8.prefix(1024), as: UTF8.self) : text
    // cudaLaunchKernelExC_v11060, cuLaunchKernelEx, hipExtModuleLaunchKernel, cudaLaunchCooperativeKernel.
    if name.contains("GraphLaunch") {
      self = .graphLaunch
    } else if name.contains("LaunchHostFunc") {
      self = .other
    } else if name.contains("Launch") && name.contains("Kernel") || name.hasSuffix("cuLaunch") || name.hasSuffix("cudaLaunch_v3020")
      || name == "cudaLaunch" || name.contains("cuLaunchGrid")
    {
      self = .launch
    } else if name.contains("Synchronize") {
      self = .synchronize
    } else if name.contains("Memcpy") {
      self = .copy
    } else if name.contains("Memset") {
      self = .fill
    } else if name.contains("ModuleLoad") || name.contains("LibraryLoad") || name.contains("GraphInstantiate")
      || name.contains("ModuleGetFunction") || name.contains("ModuleGetLoadingMode") || name.contains("FuncLoad")
    {
      self = .moduleLoad
    } else if name.contains("Malloc") || name.contains("MemAlloc") || name.contains("Free") || name.contains("HostAlloc")
      || name.contains("HostRegister") || name.contains("HostUnregister") || name.contains("MemMap") || name.contains("MemUnmap")
      || name.contains("MemCreate") || name.contains("MemRelease") || name.contains("AddressReserve")
    {
      self = .memoryManagement
    } else {
      self = .other
    }
  }

  /// Enqueues device work and returns without waiting for it.
  public var isLaunch: Bool { self == .launch || self == .graphLaunch }
}
