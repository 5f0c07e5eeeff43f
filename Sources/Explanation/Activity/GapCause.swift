/// Why a device had nothing to do, as far as its trace shows it. What cannot be seen is not named.
public enum GapCause: String, Sendable, Hashable, CaseIterable {
  /// The launch thread had not launched yet: host code between two launches.
  case launchLate
  /// Inside the launch call, and from it to the kernel's start.
  case launchCall
  /// The call that launches a graph, and from it to the first node's start.
  case graphLaunch
  /// Between nodes of one graph launch.
  case graphNodes
  /// The launch call had returned before the device fell idle: what the device takes between two queued kernels.
  case dispatch
  /// Queued for longer than dispatch takes: an event, another stream, a stopped queue.
  case dependency
  /// The launch thread was returning from a synchronization.
  case synchronize
  /// Host code after a synchronization and before the next launch.
  case hostAfterSynchronize
  /// In a copy or fill call.
  case copyCall
  /// Host code for much longer than between this thread's launches: waiting for requests or data, or computing.
  case hostOutsideCUDA
  /// The launch thread was in an operating-system call that waits; who was to wake it is not recorded.
  case blocked
  /// The same, and the scheduler's records say that the thread ran: the host computed.
  case hostComputing
  /// The launch thread ran on no processor: it waited, or another thread had its processor.
  case offCPU
  /// Allocating or freeing memory.
  case memoryManagement
  /// Loading code or instantiating a graph.
  case moduleLoad
  /// Another CUDA call.
  case otherCall
  /// The profiler or the driver's own work, as recorded.
  case profiler
  /// The launch that ends the gap is not in the trace.
  case launchNotRecorded

  /// Place among all causes.
  var position: Int {
    switch self {
    case .launchLate: 0
    case .launchCall: 1
    case .graphLaunch: 2
    case .graphNodes: 3
    case .dispatch: 4
    case .dependency: 5
    case .synchronize: 6
    case .hostAfterSynchronize: 7
    case .copyCall: 8
    case .hostOutsideCUDA: 9
    case .blocked: 10
    case .hostComputing: 11
    case .offCPU: 12
    case .memoryManagement: 13
    case .moduleLoad: 14
    case .otherCall: 15
    case .profiler: 16
    case .launchNotRecorded: 17
    }
  }

  /// As printed.
  public var text: String {
    switch self {
    case .launchLate: "launch-bound: host code between launches"
    case .launchCall: "launch-bound: in the launch call until the kernel starts"
    case .graphLaunch: "in the graph launch until its first node starts"
    case .graphNodes: "between nodes of a CUDA graph"
    case .dispatch: "between kernels that were already queued"
    case .dependency: "queued, waiting for another stream or an event"
    case .synchronize: "host returning from a synchronize call"
    case .hostAfterSynchronize: "host code after a synchronize call"
    case .copyCall: "host in a memory copy call"
    case .hostOutsideCUDA: "host outside CUDA (requests, data or computing)"
    case .blocked: "launch thread blocked in an OS call, waker unrecorded"
    case .hostComputing: "host computing outside CUDA"
    case .offCPU: "launch thread off the CPU: waiting, or preempted"
    case .memoryManagement: "host allocating or freeing memory"
    case .moduleLoad: "loading a module or instantiating a graph"
    case .otherCall: "host in another CUDA call"
    case .profiler: "profiler or driver overhead"
    case .launchNotRecorded: "the next work's launch is not recorded"
    }
  }

  /// What the gap would need to be explained further; nil where the cause is enough.
  public var nextMeasurement: String? {
    switch self {
    case .hostOutsideCUDA, .hostAfterSynchronize:
      "headroom profile --os -- COMMAND, or the server's request times (--triton-trace, --load)"
    case .blocked: "nsys profile --trace=cuda,osrt --cpuctxsw=process-tree -- COMMAND"
    case .offCPU: "nsys profile --trace=cuda,osrt --cpuctxsw=process-tree -- COMMAND: which call the thread waits in"
    case .hostComputing: "py-spy record -p PID, or perf record -g -p PID: what the launch thread computes"
    case .launchNotRecorded: "start the capture before the work: nsys without --capture-range, torch.profiler with a longer warm-up"
    case .dependency: "record CUDA events: nsys profile --cuda-event-trace=true -- COMMAND"
    default: nil
    }
  }

  /// The regime a device idle for this cause is in.
  public var family: Family {
    switch self {
    case .launchLate, .launchCall, .graphLaunch: .launch
    case .graphNodes, .dispatch: .device
    case .dependency: .dependency
    case .synchronize, .hostAfterSynchronize: .loop
    case .copyCall: .transfer
    case .hostOutsideCUDA, .hostComputing, .offCPU, .blocked: .upstream
    case .memoryManagement, .moduleLoad, .otherCall: .calls
    case .profiler: .overhead
    case .launchNotRecorded: .unknown
    }
  }

  /// Causes that one kind of change removes.
  public enum Family: String, Sendable, Hashable, CaseIterable {
    /// The host launches too slowly.
    case launch
    /// The device itself takes time between kernels.
    case device
    /// Work waits for other work.
    case dependency
    /// One batch after the other: the device waits while the host ends one and begins the next.
    case loop
    /// Copies between host and device.
    case transfer
    /// Nothing to launch: requests, data, or the host's own computing.
    case upstream
    /// Calls that should not be in a serving loop.
    case calls
    /// The profiler's or the driver's own work.
    case overhead
    /// Not to be told from the trace.
    case unknown
  }
}
