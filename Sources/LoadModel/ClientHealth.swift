import CheckedNumbers
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
  /// Time of a user's cycle that no stopwatch saw, seconds.
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

/// Whose figures these are.
public enum ClientVerdict: Sendable, Hashable {
  /// The generator was the limit; why, and what to do.
  case clientBound(reason: String, advice: String)
  /// The server could not take what was offered: every connection was waiting for it.
  case serverBehind(reason: String, advice: String)
  /// The generator had room.
  case notClientBound

  /// One word for files.
  public var code: String {
    switch self {
    case .clientBound: "client-bound"
    case .serverBehind: "server-behind"
    case .notClientBound: "not-client-bound"
    }
  }

  /// The rule. A thread above 90 % of a core has no time left (Locust warns there too). In an open loop the loops may be later than `lateAfter`
  /// for 1 % of the time and no longer (perf_analyzer warns above 1 % delayed); in a closed one, where a late look at an answer only lengthens its
  /// latency, for 5 % of the time by more than a tenth of the mean latency. More than 5 % of the users outside both stopwatch and think time are
  /// in the generator. Late sends of loops that were in time waited for connections.
  public init(_ health: ClientHealth, isClosed: Bool, balance: UserBalance?, meanLatencySeconds: Double?) {
    let busy = Int(saturating: (health.busiestThreadShare * 100).rounded())
    let sent = health.sendLag.count
    let late = sent > 0 ? Double(health.lateCount) / Double(sent) : 0
    let lateText = "\(Self.percent(late)) of the requests were sent more than \(Self.text(health.lateAfter)) late"
    let lagLimit = isClosed ? max(health.lateAfter, TimeSpan(clampingSeconds: (meanLatencySeconds ?? 0) / 10)) : health.lateAfter
    let lag = health.lagShare(above: lagLimit) ?? 0
    if health.busiestThreadShare >= 0.9 {
      self = .clientBound(
        reason: "a thread of the generator used \(busy) % of a core",
        advice: "give --threads more, or split the run over processes with --share i/N; until then throughput and latency are the client's")
    } else if lag > (isClosed ? 0.05 : 0.01) {
      self = .clientBound(
        reason: "for \(Self.percent(lag)) of the time the generator's threads were more than \(Self.text(lagLimit)) late though they used "
          + "\(busy) % of a core" + (isClosed ? "" : "; \(lateText)"),
        advice: "they waited for a core, or were stopped: give them cores of their own (taskset, chrt), or use another machine")
    } else if !isClosed, health.reachedConnectionLimit, late > 0.01 || health.unsentAtEnd > 0 {
      self = .serverBehind(
        reason: "every connection waited for an answer; \(lateText)",
        advice: "the server is slower than the rate: lower --rate, or raise --max-connections")
    } else if !isClosed, late > 0.01 {
      self = .serverBehind(
        reason: "\(lateText), because they waited for a connection to be made, while the generator's threads were in time",
        advice: "the server or the network was slow to accept connections; --connections opens more of them before the start")
    } else if isClosed, let balance, balance.outside > 0.05 * balance.users {
      self = .clientBound(
        reason: "\(Self.percent(balance.outside / balance.users)) of the users were neither waiting for an answer nor thinking",
        advice: "look at connection errors; otherwise give --threads more or a core of its own")
    } else {
      self = .notClientBound
    }
  }

  private static func percent(_ share: Double) -> String {
    let tenths = (share * 1000).rounded() / 10
    return tenths < 10 && tenths != tenths.rounded() ? "\(tenths) %" : "\(Int(saturating: tenths.rounded())) %"
  }

  private static func text(_ span: TimeSpan) -> String {
    let milliseconds = (span.seconds * 1e5).rounded() / 100
    return milliseconds == milliseconds.rounded() ? "\(Int(saturating: milliseconds)) ms" : "\(milliseconds) ms"
  }

  /// One or two sentences.
  public var words: String {
    switch self {
    case .clientBound(let reason, let advice): "client-bound: \(reason). What to do: \(advice)."
    case .serverBehind(let reason, let advice): "not client-bound: \(reason). What to do: \(advice)."
    case .notClientBound: "not client-bound: the generator had room; the figures are the server's and the network's."
    }
  }
}
