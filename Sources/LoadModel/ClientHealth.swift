public import TimeBase

/// How the generator itself fared: whether the figures are the server's or its own.
public struct ClientHealth: Sendable, Equatable {
  /// Threads that send and receive.
  public var threads = 1
  /// CPU time of these threads in the window.
  public var cpuSeconds = 0.0
  /// The busiest thread's share of a core.
  public var busiestThreadShare = 0.0
  /// How late a thread's loop was at instants 10 ms apart: what a core that others use does to it, and its own long turns. Instants missed in
  /// one go are each counted with their own lag, so that a share of these is a share of the time.
  public var schedulingLag = Histogram()
  /// How long after its due instant a request was written: the thread's own delays, and waits for a connection.
  public var sendLag = Histogram()
  /// Requests sent later than `lateAfter`.
  public var lateCount: Int64 = 0
  /// From which lag on a request is late.
  public var lateAfter = TimeSpan.milliseconds(1)
  /// Connections opened, over the whole run.
  public var connectionsOpened = 0
  /// Connections that failed or broke, in the window.
  public var connectionErrors: Int64 = 0
  /// Whether an open loop had to wait because all connections it may open were busy.
  public var reachedConnectionLimit = false
  /// Requests that were due and still unsent at the end.
  public var unsentAtEnd = 0
  /// Mean think time of a closed loop.
  public var thinkSeconds: Double?

  /// Nothing known yet.
  public init() {}

  /// Share of the time in which the threads' loops were later than that; nil without a look.
  public func lagShare(above limit: TimeSpan) -> Double? {
    schedulingLag.count > 0 ? Double(schedulingLag.count(above: limit.nanoseconds)) / Double(schedulingLag.count) : nil
  }
}

/// A closed loop's users by Little's law: where they were on average.
public struct UserBalance: Sendable, Hashable {
  /// How many there were.
  public var users: Double
  /// Waiting for an answer: throughput times mean latency.
  public var inFlight: Double
  /// Thinking: throughput times mean think time.
  public var thinking: Double
  /// Neither: between an answer's end and the next request's start there was something else, the generator.
  public var outside: Double { max(0, users - inFlight - thinking) }
  /// Time of a user's cycle that no latency measurement covers, seconds.
  public var outsideSeconds: Double

  init?(users: Int, throughput: Double, meanLatencySeconds: Double, thinkSeconds: Double) {
    guard throughput > 0, users > 0 else { return nil }
    self.users = Double(users)
    // An answer's whole time counts where it ends, also what lies before the window: never more than there are users.
    inFlight = min(self.users, throughput * meanLatencySeconds)
    thinking = throughput * thinkSeconds
    outsideSeconds = max(0, Double(users) / throughput - meanLatencySeconds - thinkSeconds)
  }
}
