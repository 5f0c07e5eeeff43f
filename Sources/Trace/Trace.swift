import CheckedNumbers

/// What happened in a run, as columns. Written by the simulation, by a capture or by an importer; read by the diagnosis.
///
/// Times are nanoseconds on one clock. SQL's NULL is `Trace.unknown` in 64-bit columns, `Trace.unknown32` in 32-bit ones and
/// `NameID.unknown` in names: a sentinel no clock, id or size takes, and half the space of an optional.
public struct Trace: Sendable, Hashable {
  /// Not recorded, in a 64-bit column.
  @inlinable public static var unknown: Int64 { .min }
  /// Not recorded, in a 32-bit column.
  @inlinable public static var unknown32: Int32 { .min }
  /// The value, or nil where it was not recorded.
  @inlinable public static func known(_ value: Int64) -> Int64? { value == unknown ? nil : value }
  /// The value, or nil where it was not recorded.
  @inlinable public static func known(_ value: Int32) -> Int32? { value == unknown32 ? nil : value }

  /// Every text, once.
  public var names = NameTable()
  /// What is known of the run as a whole (HEADROOM_RUN), by key.
  public var run: [String: String] = [:]
  /// What ran: names and geometry, each once.
  public private(set) var kernelDescriptions: [KernelDescription] = []
  /// Where it ran, each once.
  public private(set) var streams: [StreamDescription] = []
  /// Devices of the machine.
  public var gpus: [GPUDescription] = []
  /// What processes call them.
  public var cudaDevices: [CUDADeviceMapping] = []
  /// Threads that have names.
  public var threads: [ThreadDescription] = []
  /// Processes whose programs are known.
  public var processes: [ProcessDescription] = []

  /// When the capture began, nanoseconds on the run's clock; `unknown` where not recorded. Events may lie outside.
  public var captureStart: Int64 = Trace.unknown
  /// When the capture ended; as `captureStart`.
  public var captureEnd: Int64 = Trace.unknown
  /// Nanoseconds since 1970 (UTC) when the run's clock showed 0; `unknown` where not recorded. What joins traces of several machines.
  public var clockOrigin: Int64 = Trace.unknown

  /// Kernels that ran.
  public var kernels = KernelTable()
  /// Memory copies.
  public var copies = CopyTable()
  /// Memory fills.
  public var memsets = MemsetTable()
  /// Synchronizations as the driver saw them.
  public var synchronizations = SynchronizationTable()
  /// CUDA calls of host threads.
  public var apiCalls = APICallTable()
  /// Operating-system calls of host threads.
  public var osCalls = OSCallTable()
  /// What programs annotated.
  public var ranges = RangeTable()
  /// Batches executed.
  public var batches = BatchTable()
  /// Requests as the server saw them.
  public var requests = RequestTable()
  /// Requests as the client saw them.
  public var clientRequests = ClientRequestTable()
  /// Which launch belongs to which batch.
  public var launches = LaunchTable()
  /// Sampled counters.
  public var counters = CounterTable()
  /// Calls of a framework's operators and of Python functions.
  public var operators = OperatorTable()
  /// What the driver or the profiler itself took.
  public var overheads = OverheadTable()
  /// When threads ran on no processor.
  public var offCPU = OffCPUTable()
  /// CUDA graphs that ran and whose nodes were not recorded.
  public var graphExecutions = GraphExecutionTable()
  /// CUDA events recorded on streams.
  public var eventRecords = EventRecordTable()
  /// What the capture says about itself.
  public var diagnostics = DiagnosticTable()

  private var kernelPositions: [KernelDescription: Int32] = [:]
  private var streamPositions: [StreamDescription: Int32] = [:]

  /// Nothing happened.
  public init() {}

  /// The id of a kernel description, new or known.
  public mutating func intern(_ description: KernelDescription) -> KernelID {
    if let position = kernelPositions[description] { return KernelID(rawValue: position) }
    let position = Int32(clamping: kernelDescriptions.count)
    kernelDescriptions.append(description)
    kernelPositions[description] = position
    return KernelID(rawValue: position)
  }

  /// The id of a stream, new or known.
  public mutating func intern(_ stream: StreamDescription) -> StreamID {
    if let position = streamPositions[stream] { return StreamID(rawValue: position) }
    let position = Int32(clamping: streams.count)
    streams.append(stream)
    streamPositions[stream] = position
    return StreamID(rawValue: position)
  }

  /// Takes over all device work, its kernels and its streams, of a trace that began as a copy of this one.
  public mutating func adoptDeviceWork(of other: Trace) {
    (kernelDescriptions, kernelPositions) = (other.kernelDescriptions, other.kernelPositions)
    (streams, streamPositions) = (other.streams, other.streamPositions)
    (kernels, copies, memsets, synchronizations) = (other.kernels, other.copies, other.memsets, other.synchronizations)
    (graphExecutions, eventRecords) = (other.graphExecutions, other.eventRecords)
  }

  /// The description behind an id of this trace.
  public subscript(id: KernelID) -> KernelDescription { kernelDescriptions[Int(id.rawValue)] }
  /// The stream behind an id of this trace.
  public subscript(id: StreamID) -> StreamDescription { streams[Int(id.rawValue)] }

  /// Rows in all tables.
  public var rowCount: Int {
    kernels.count + copies.count + memsets.count + synchronizations.count + apiCalls.count + osCalls.count + ranges.count + batches.count
      + requests.count + clientRequests.count + launches.count + counters.count + diagnostics.count + operators.count + overheads.count
      + offCPU.count
      + graphExecutions.count + eventRecords.count
  }

  /// The GPU a stream's device ordinal means: by the process's own mapping, else by `cudaDevice`. Never by `id`, which is Nsight's own
  /// count and differs from the ordinal on real machines. nil where the trace does not say.
  public func gpu(of stream: StreamDescription) -> GPUDescription? {
    let number = GlobalID.processNumber(stream.process)
    let mapping = cudaDevices.first {
      $0.cudaDevice == stream.device && ($0.process == Trace.unknown || stream.process == Trace.unknown || $0.process == number)
    }
    if let mapping { return gpus.first { $0.id == mapping.gpu } }
    if let described = gpus.first(where: { $0.cudaDevice == stream.device }) { return described }
    // One device described, and no ordinal on either side that would tell it from another.
    guard gpus.count == 1, let only = gpus.first, only.cudaDevice == Trace.unknown || stream.device == Trace.unknown else { return nil }
    return only
  }
}
