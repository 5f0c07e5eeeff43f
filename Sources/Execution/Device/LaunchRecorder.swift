import CheckedNumbers
public import TimeBase
public import Trace

/// Takes note of what a device and its driver do for a batch: kernels, copies, calls into the driver, and waiting for the device.
///
/// Calls for one batch come from one thread at a time, all before the batch's completion; an implementation only stores. Numbers are the
/// device's own (CUPTI's on a GPU): a correlation joins a kernel or a copy with the call that caused it, `Trace.unknown` where there is
/// none.
public protocol LaunchRecorder: AnyObject, Sendable {
  /// A kernel ran.
  func record(_ kernel: KernelRun)
  /// Bytes were copied between host and device, or on the device.
  func record(_ copy: CopyRun)
  /// The driver or its runtime was called.
  func record(_ call: DriverCall)
  /// A thread waited for the device.
  func record(_ synchronization: SynchronizationRun)
}

extension LaunchRecorder {
  /// A step of a device that has neither streams nor launches: it ran on the instance's thread.
  @inlinable public func record(step: Int, from start: Instant, to end: Instant) {
    record(KernelRun(step: Int32(truncatingIfNeeded: step), start: start, end: end))
  }
}

/// One kernel of a batch.
public struct KernelRun: Sendable, Hashable {
  /// Index into `LoadedModel.steps`.
  public var step: Int32
  /// The device's number of the stream; negative: the instance's own thread, as on a processor.
  public var stream: Int32
  /// Of the launch.
  public var correlation: Int64
  /// Node of the graph that launched it.
  public var graphNode: Int64
  /// CLOCK_MONOTONIC.
  public var start: Instant
  /// CLOCK_MONOTONIC.
  public var end: Instant

  /// A kernel; without a stream it is a processor's.
  @inlinable public init(
    step: Int32, stream: Int32 = -1, correlation: Int64 = Trace.unknown, graphNode: Int64 = Trace.unknown, start: Instant, end: Instant
  ) {
    self.step = step
    self.stream = stream
    self.correlation = correlation
    self.graphNode = graphNode
    self.start = start
    self.end = end
  }
}

/// One copy of a batch.
public struct CopyRun: Sendable, Hashable {
  /// From where to where.
  public enum Direction: Int32, Sendable, Hashable {
    /// CUPTI's numbers (CUpti_ActivityMemcpyKind), which traces carry.
    case hostToDevice = 1
    case deviceToHost = 2
    case deviceToDevice = 8
  }

  /// Memory on the host.
  public enum HostMemory: Int32, Sendable, Hashable {
    /// CUPTI's numbers (CUpti_ActivityMemoryKind), less one, as traces carry them.
    case pageable = 0
    case pinned = 1
  }

  /// From where to where.
  public var direction: Direction
  /// What the host's end is.
  public var hostMemory: HostMemory
  /// How much.
  public var bytes: Int64
  /// The device's number of the stream.
  public var stream: Int32
  /// Of the call that asked for it.
  public var correlation: Int64
  /// CLOCK_MONOTONIC.
  public var start: Instant
  /// CLOCK_MONOTONIC.
  public var end: Instant

  /// Every field stated.
  public init(
    direction: Direction, hostMemory: HostMemory, bytes: Int64, stream: Int32, correlation: Int64 = Trace.unknown, start: Instant,
    end: Instant
  ) {
    self.direction = direction
    self.hostMemory = hostMemory
    self.bytes = bytes
    self.stream = stream
    self.correlation = correlation
    self.start = start
    self.end = end
  }
}

/// One call into the device's driver or runtime.
public struct DriverCall: Sendable, Hashable {
  /// As profilers print it: "cudaLaunchKernel_v7000".
  public var name: String
  /// Of what it caused.
  public var correlation: Int64
  /// The system's number of the thread that called.
  public var thread: Int64
  /// CLOCK_MONOTONIC.
  public var start: Instant
  /// CLOCK_MONOTONIC.
  public var end: Instant
  /// 0: success.
  public var returnValue: Int32

  /// A call.
  public init(name: String, correlation: Int64 = Trace.unknown, thread: Int64, start: Instant, end: Instant, returnValue: Int32 = 0) {
    self.name = name
    self.correlation = correlation
    self.thread = thread
    self.start = start
    self.end = end
    self.returnValue = returnValue
  }
}

/// One wait for the device, as its driver saw it.
public struct SynchronizationRun: Sendable, Hashable {
  /// What was waited for.
  public enum Kind: Int32, Sendable, Hashable {
    /// CUPTI's numbers (CUpti_ActivitySynchronizationType), which traces carry.
    case event = 1
    case streamWaitsForEvent = 2
    case stream = 3
    case context = 4
  }

  /// What was waited for.
  public var kind: Kind
  /// The device's number of the stream; negative: none in particular.
  public var stream: Int32
  /// Of the call that waited.
  public var correlation: Int64
  /// CLOCK_MONOTONIC.
  public var start: Instant
  /// CLOCK_MONOTONIC.
  public var end: Instant

  /// Every field stated.
  public init(kind: Kind, stream: Int32, correlation: Int64 = Trace.unknown, start: Instant, end: Instant) {
    self.kind = kind
    self.stream = stream
    self.correlation = correlation
    self.start = start
    self.end = end
  }
}
