import CheckedNumbers
import Scheduling
public import TimeBase
public import Trace
public import Vocabulary

/// What came of a simulated run, in its window.
public struct SimulationResult: Sendable {
  /// Start of the window.
  public var windowStart = Instant.zero
  /// End of the window.
  public var windowEnd = Instant.zero
  /// Latencies of answered requests by the client-side latency, nanoseconds, ascending.
  public var latencies: [Int64] = []
  /// Requests answered with a result.
  public var answered = 0
  /// Rows of those.
  public var answeredRows = 0
  /// Requests rejected, by reason.
  public var refused: [Refusal: Int] = [:]
  /// Answers in each second of the window.
  public var answersPerSecond: [Int] = []
  /// Batches started.
  public var batches = 0
  /// Their rows.
  public var batchRows = 0
  /// Their requests.
  public var batchRequests = 0
  /// Batches by dispatch reason.
  public var dispatchReasons: [DispatchReason: Int] = [:]
  /// Batches by rows.
  public var batchSizes: [Int: Int] = [:]
  /// Service times given in the window, nanoseconds.
  public var busy = BusyTimes()
  /// Requests waiting in the scheduler's queue, averaged over the window.
  public var meanQueuedRequests = 0.0
  /// 99th percentile of (sent - intended), nanoseconds; what an honest generator reports of itself.
  public var sendLagP99Nanoseconds: Int64 = 0
  /// Events processed: what a simulation costs is proportional to them.
  public var events = 0
  /// The trace, where one was kept.
  public var trace: Trace?

  /// Why a request had no result.
  public enum Refusal: String, Sendable, Hashable, CaseIterable {
    /// The queue was full.
    case queueFull
    /// Its time in the queue was over.
    case timeout
    /// It could not be served at all.
    case other
  }

  /// Time each stage served in the window, summed over its cores or threads, nanoseconds.
  public struct BusyTimes: Sendable, Hashable {
    /// The generator's cores.
    public var client = 0.0
    /// The network, busier direction.
    public var wire = 0.0
    /// The front end's threads.
    public var frontEnd = 0.0
    /// Gathering and uploads.
    public var gatherAndUpload = 0.0
    /// Launch threads, gathering included.
    public var issuing = 0.0
    /// At least one kernel.
    public var kernels = 0.0
    /// Downloads and response threads.
    public var downloadAndResponse = 0.0
  }

  /// Window length.
  public var window: TimeSpan { windowEnd - windowStart }

  /// Answers per second.
  public var throughput: Double { window > .zero ? Double(answered) / window.seconds : 0 }

  /// Mean latency, milliseconds; nil without an answer.
  public var meanLatencyMilliseconds: Double? {
    latencies.isEmpty ? nil : latencies.reduce(0.0) { $0 + Double($1) } / Double(latencies.count) / 1e6
  }

  /// A percentile of the latency by nearest rank, milliseconds; nil without an answer.
  public func latencyMilliseconds(percentile: Double) -> Double? {
    NearestRank.value(percentile: percentile, ofSorted: latencies).map { Double($0) / 1e6 }
  }
}
