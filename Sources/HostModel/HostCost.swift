/// The entries of a host profile.
public enum HostCost: String, Sendable, Hashable, CaseIterable {
  /// Cores the load generator may use; one for a Python process.
  case clientCores
  /// Generator CPU time per request, all visits together.
  case clientPerRequest
  /// Generator CPU time per byte sent.
  case clientPerByte
  /// How often a request enters the generator's run queue.
  case clientVisits
  /// How many of those visits lie inside the client-side latency.
  case clientVisitsInsideLatency
  /// One way, beside the transfer itself.
  case networkLatency
  /// Transfer time per byte.
  case networkPerByte
  /// Cores (threads) of the server's front end.
  case frontEndCores
  /// Front-end CPU time to receive and parse a request.
  case frontEndPerRequest
  /// Front-end CPU time per byte received.
  case frontEndPerByte
  /// Front-end CPU time to send a response.
  case responsePerRequest
  /// From a batch's forming to the start of its gathering: permit, batcher wake-up, payload set-up.
  case batchHandOff
  /// Putting a batch's inputs together, per batch.
  case gatherPerBatch
  /// Putting a batch's inputs together, per byte.
  case gatherPerByte
  /// Putting a batch's inputs together, per request: what a back end in an interpreted language does for each.
  case gatherPerRequest
  /// A copy between host and device, whatever its size.
  case copyLatency
  /// Copying a byte from or to page-locked memory.
  case copyPerByte
  /// Copying a byte from or to pageable memory.
  case copyPerBytePageable
  /// Launch thread's time for an operation beside its launch call: interpreter, dispatcher, allocator. 0 for compiled loops.
  case operation
  /// Launch thread's time per forward pass of a model library, beside its operators: checks of inputs, masks, outputs. Counts where a loop
  /// runs such a model.
  case forwardPass
  /// Launch thread's time per call of a compiled function, beside launching its graph: looking it up, guards, copying inputs into the
  /// graph's buffers. Counts where a loop calls one.
  case compiledCall
  /// Launch thread's time for a launch call.
  case launch
  /// Launch thread's time for launching a whole CUDA graph.
  case graphLaunch
  /// From the return of a launch call to the kernel's start on an idle device.
  case launchLatency
  /// From the return of a graph launch to the start of its first kernel on an idle device.
  case graphLatency
  /// From a kernel's end to the start of the next one on its stream, launched one by one and queued in time.
  case kernelGap
  /// The same between the kernels of a CUDA graph.
  case graphKernelGap
  /// The same with programmatic dependent launch, inside a graph: the successor's blocks are resident before the kernel ends.
  case dependentKernelGap
  /// From an event on the device to the waiting thread's running, where it blocks.
  case eventWakeUp
  /// From an event on the device to the waiting thread's running, where it spins.
  case spinWakeUp
  /// Response thread's time per batch.
  case responsePerBatch
  /// What a profiler adds to the launch thread's time for a launch call.
  case profilerPerLaunch
  /// What a profiler adds to the launch thread's time for launching a whole CUDA graph.
  case profilerPerGraphLaunch
  /// Time for which the graphics engine counts as active beyond the kernel's own, for each kernel that starts on an idle GPU.
  case engineStart

  /// Whether an undisturbed run spends it. The rest belongs to observers: what a profiler adds, what a counter counts.
  public var isOfTheRun: Bool {
    switch self {
    case .profilerPerLaunch, .profilerPerGraphLaunch, .engineStart: false
    default: true
    }
  }

  /// What a value counts.
  public enum Unit: String, Sendable, Hashable {
    /// Whole number.
    case count
    /// Microseconds.
    case microseconds
    /// Nanoseconds a byte.
    case nanosecondsPerByte
  }

  /// What its value counts.
  public var unit: Unit {
    switch self {
    case .clientCores, .clientVisits, .clientVisitsInsideLatency, .frontEndCores: .count
    case .clientPerByte, .networkPerByte, .frontEndPerByte, .gatherPerByte, .copyPerByte, .copyPerBytePageable: .nanosecondsPerByte
    default: .microseconds
    }
  }

  /// Values outside are refused: they are slips of units, not hosts.
  public var range: ClosedRange<Double> {
    switch unit {
    case .count: self == .clientVisitsInsideLatency ? 0...64 : 1...4096
    case .microseconds: 0...10_000_000
    case .nanosecondsPerByte: 0...10_000
    }
  }

  /// A value of the usual size, for profiles that do not name the entry.
  public var usual: Double {
    switch self {
    case .clientCores: 1
    case .clientPerRequest: 50
    case .clientPerByte: 0
    case .clientVisits: 2
    case .clientVisitsInsideLatency: 2
    case .networkLatency: 30
    case .networkPerByte: 0.1
    case .frontEndCores: 8
    case .frontEndPerRequest: 40
    case .frontEndPerByte: 0.1
    case .responsePerRequest: 20
    case .batchHandOff: 20
    case .gatherPerBatch: 10
    case .gatherPerByte: 0.1
    case .gatherPerRequest: 0
    case .copyLatency: 5
    case .copyPerByte: 0.02
    case .copyPerBytePageable: 0.15
    case .operation: 0
    case .forwardPass: 0
    case .compiledCall: 0
    case .launch: 4.5
    case .graphLaunch: 10
    case .launchLatency: 3
    case .graphLatency: 6
    case .kernelGap: 1
    case .graphKernelGap: 0.5
    case .dependentKernelGap: 0.2
    case .eventWakeUp: 20
    case .spinWakeUp: 3
    case .responsePerBatch: 20
    case .profilerPerLaunch: 1
    case .profilerPerGraphLaunch: 10
    case .engineStart: 1.3
    }
  }

  /// One sentence.
  public var explanation: String {
    switch self {
    case .clientCores: "cores the load generator may use"
    case .clientPerRequest: "generator CPU time per request, all visits together"
    case .clientPerByte: "generator CPU time per byte sent"
    case .clientVisits: "how often a request enters the generator's run queue"
    case .clientVisitsInsideLatency: "visits inside the client-side latency"
    case .networkLatency: "network, one way, beside the transfer"
    case .networkPerByte: "network transfer time per byte"
    case .frontEndCores: "threads of the server's front end"
    case .frontEndPerRequest: "front-end time to receive and parse a request"
    case .frontEndPerByte: "front-end time per byte received"
    case .responsePerRequest: "front-end time to send a response"
    case .batchHandOff: "from a batch's forming to the start of its gathering"
    case .gatherPerBatch: "gathering, per batch"
    case .gatherPerByte: "gathering, per byte"
    case .gatherPerRequest: "gathering, per request"
    case .copyLatency: "a copy between host and device, whatever its size"
    case .copyPerByte: "copying a byte, page-locked memory"
    case .copyPerBytePageable: "copying a byte, pageable memory"
    case .operation: "launch thread's time for an operation beside its launch call"
    case .forwardPass: "launch thread's time per forward pass of a model library, beside its operators"
    case .compiledCall: "launch thread's time per call of a compiled function, beside launching its graph"
    case .launch: "launch thread's time for a launch call"
    case .graphLaunch: "launch thread's time for a CUDA-graph launch"
    case .launchLatency: "from a launch call's return to the kernel's start on an idle device"
    case .graphLatency: "from a graph launch's return to its first kernel's start on an idle device"
    case .kernelGap: "from a kernel's end to the next one's start, both queued, launched one by one"
    case .graphKernelGap: "from a kernel's end to the next one's start inside a CUDA graph"
    case .dependentKernelGap: "the same in a graph with programmatic dependent launch"
    case .eventWakeUp: "from a device event to the waiting thread's running, blocking"
    case .spinWakeUp: "from a device event to the waiting thread's running, spinning"
    case .responsePerBatch: "response thread's time per batch"
    case .profilerPerLaunch: "added to a launch call by a profiler"
    case .profilerPerGraphLaunch: "added to a CUDA-graph launch by a profiler"
    case .engineStart: "graphics engine active beyond the kernel, per kernel that starts on an idle GPU"
    }
  }
}
