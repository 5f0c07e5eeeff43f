public import HostModel
public import Planning
public import TimeBase

/// A program that repeats a step on one GPU: what its host thread does, in order. No requests, no batcher: what a training loop, a
/// benchmark, or a back end's inner loop is.
public struct DeviceLoop: Sendable {
  /// One thing that the host thread does.
  public enum Work: Sendable {
    /// Kernels launched one by one, after the thread's work for each operator, which has one or more kernels.
    case kernels([Launch], perOperator: Int = 1, stream: Int = 0)
    /// Kernels launched by one call, as a CUDA graph.
    case graph([Launch], stream: Int = 0)
    /// A copy to the device. Page-locked: queued, the thread goes on. Pageable: the call returns when the copy is done.
    case upload(bytes: Double, isPinned: Bool, stream: Int = 0)
    /// A copy from the device to pageable memory, as reading a result back is: the thread waits for everything before it on the stream.
    case download(bytes: Double, stream: Int = 0)
    /// The thread waits for all streams.
    case synchronize
    /// The thread's own work, microseconds: operators without a kernel, other calls.
    case host(microseconds: Double)
  }

  /// What a step does.
  public var work: [Work]
  /// Streams it uses.
  public var streams: Int
  /// What the host costs.
  public var host: HostProfile
  /// From one step's start to the next one's; nil: at once.
  public var period: TimeSpan?
  /// Kernels of graphs are linked by programmatic dependent launch.
  public var usesDependentLaunch = false
  /// A profiler records every launch.
  public var isProfiled = false

  /// A loop.
  public init(_ work: [Work], streams: Int = 1, host: HostProfile, period: TimeSpan? = nil) {
    self.work = work
    self.streams = streams
    self.host = host
    self.period = period
  }
}

/// What came of a loop, after its first steps.
public struct DeviceLoopResult: Sendable {
  /// A kernel that ran.
  public struct Kernel: Sendable {
    /// Start, nanoseconds.
    public var start: Int64
    /// End, nanoseconds.
    public var end: Int64
    /// What it was.
    public var launch: Launch
    /// Whether it follows another kernel of its graph: the front end of the GPU has nothing to do between them.
    public var followsInGraph = false
  }

  /// Steps counted.
  public var steps: Int
  /// How long they took.
  public var span: TimeSpan
  /// Kernels in them, by start.
  public var kernels: [Kernel]
  /// Copies in them: start and end, nanoseconds.
  public var copies: [(start: Int64, end: Int64)]
  /// Bytes to the device.
  public var uploadedBytes: Double
  /// Bytes from the device.
  public var downloadedBytes: Double

  /// Steps per second.
  public var stepsPerSecond: Double { span.seconds > 0 ? Double(steps) / span.seconds : 0 }
  /// Share of time in which at least one kernel ran.
  public var gpuBusyShare: Double {
    var (busy, end) = (0.0, Int64.min)
    for kernel in kernels where kernel.end > end {
      busy += Double(kernel.end - max(kernel.start, end))
      end = kernel.end
    }
    return span.nanoseconds > 0 ? busy / Double(span.nanoseconds) : 0
  }
  /// Share of time in which a copy ran and no kernel.
  public var nonOverlappedMemcpyShare: Double {
    // Both lists are in order; a copy's part under kernels is taken off.
    var (only, index) = (0.0, 0)
    for copy in copies.sorted(by: { $0.start < $1.start }) {
      var left = Double(copy.end - copy.start)
      while index < kernels.count, kernels[index].end <= copy.start { index += 1 }
      var place = index
      while place < kernels.count, kernels[place].start < copy.end {
        left -= Double(min(copy.end, kernels[place].end) - max(copy.start, kernels[place].start))
        place += 1
      }
      only += max(0, left)
    }
    return span.nanoseconds > 0 ? only / Double(span.nanoseconds) : 0
  }
}
