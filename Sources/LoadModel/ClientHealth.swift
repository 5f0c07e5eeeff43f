public import TimeBase

/// How the generator itself fared: whether the figures are the server's or its own.
public struct ClientHealth: Sendable {
  /// Threads that send and receive.
  public var threads = 1
  /// CPU time of these threads in the window.
  public var cpuSeconds = 0.0
  /// The busiest thread's share of a core.
  public var busiestThreadShare = 0.0
  /// How long answers lay unread because their thread waited for a core: of all of them together; 0 where the kernel does not say.
  public var unreadSeconds = 0.0
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
    inFlight = throughput * meanLatencySeconds
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

  /// The rule. A thread above 90 % of a core has no time left (Locust warns there too). In an open loop more than 1 % late sends while
  /// connections were free mean that the thread did not get to run (perf_analyzer warns above 1 % delayed). In a closed loop more than 5 % of the
  /// users outside both stopwatch and think time are in the generator. In both, what answers lay unread while a thread waited for a core is part of their
  /// latency; more than a tenth of it is the generator's machine, not the server.
  public init(_ health: ClientHealth, isClosed: Bool, balance: UserBalance?, unreadShare: Double?) {
    let busy = Int((health.busiestThreadShare * 100).rounded())
    let sent = health.sendLag.count
    let late = sent > 0 ? Double(health.lateCount) / Double(sent) : 0
    let lateText = "\(Int((late * 100).rounded())) % of the requests were sent more than \(health.lateAfter.milliseconds) ms late"
    if health.busiestThreadShare >= 0.9 {
      self = .clientBound(
        reason: "a thread of the generator used \(busy) % of a core",
        advice: "give --threads more, or split the run over processes with --share i/N; until then throughput and latency are the client's")
    } else if !isClosed, health.reachedConnectionLimit, late > 0.01 || health.unsentAtEnd > 0 {
      self = .serverBehind(
        reason: "every connection waited for an answer; \(lateText)",
        advice: "the server is slower than the rate: lower --rate, or raise --max-connections")
    } else if !isClosed, late > 0.01 {
      self = .clientBound(
        reason: "\(lateText) though connections were free (CPU \(busy) % of a core)",
        advice: "the generator's thread waited for a core: give it one of its own, or use another machine")
    } else if isClosed, let balance, balance.outside > 0.05 * balance.users {
      self = .clientBound(
        reason: "\(Int((balance.outside / balance.users * 100).rounded())) % of the users were neither waiting for an answer nor thinking",
        advice: "look at connection errors; otherwise give --threads more or a core of its own")
    } else if let unreadShare, unreadShare > 0.1 {
      self = .clientBound(
        reason: "answers lay unread for \(Int((unreadShare * 100).rounded())) % of their latency, while the generator's threads waited for a core",
        advice: "give it cores of its own, or use another machine; until then latencies are too long by that")
    } else {
      self = .notClientBound
    }
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
