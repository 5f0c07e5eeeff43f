import CheckedNumbers
public import TimeBase
public import Vocabulary

/// Whose figures these are: what was found, in figures. Sentences are made from it last.
public struct ClientVerdict: Sendable, Hashable {
  /// What was found.
  public typealias Kind = ClientVerdictKind

  /// What says so.
  public enum Cause: Sendable, Hashable {
    /// A thread used this share of a core.
    case busyThread(share: Double)
    /// For this share of the time the threads' loops were later than the limit, though the busiest used this share of a core. Of an open
    /// loop also which share of the requests was sent late.
    case schedulingLag(share: Double, limit: TimeSpan, busiestThreadShare: Double, lateShare: Double?)
    /// Every connection that may be opened waited for an answer.
    case connectionLimit(lateShare: Double)
    /// Sends waited for connections to be made.
    case slowConnections(lateShare: Double)
    /// This share of the users was neither waiting for an answer nor thinking.
    case usersOutside(share: Double)
  }

  /// What was found.
  public let kind: Kind
  /// What says so; nil where the load generator was not saturated.
  public let cause: Cause?
  /// From which lag on a request counts as late.
  public let lateAfter: TimeSpan

  /// The rule. A thread above 90 % of a core has no time left (Locust warns there too). In an open loop the loops may be later than `lateAfter`
  /// for 1 % of the time and no longer (perf_analyzer warns above 1 % delayed); in a closed one, where a late look at an answer only lengthens its
  /// latency, for 5 % of the time by more than a tenth of the mean latency. More than 5 % of the users outside both measured latency and think time are
  /// in the generator. Late sends of loops that were in time waited for connections.
  public init(_ health: ClientHealth, isClosed: Bool, balance: UserBalance?, meanLatencySeconds: Double?) {
    lateAfter = health.lateAfter
    let sent = health.sendLag.count
    let late = sent > 0 ? Double(health.lateCount) / Double(sent) : 0
    let lagLimit = isClosed ? max(health.lateAfter, TimeSpan(clampingSeconds: (meanLatencySeconds ?? 0) / 10)) : health.lateAfter
    let lag = health.lagShare(above: lagLimit) ?? 0
    if health.busiestThreadShare >= 0.9 {
      (kind, cause) = (.clientBound, .busyThread(share: health.busiestThreadShare))
    } else if lag > (isClosed ? 0.05 : 0.01) {
      (kind, cause) = (
        .clientBound,
        .schedulingLag(
          share: lag, limit: lagLimit, busiestThreadShare: health.busiestThreadShare, lateShare: isClosed ? nil : late)
      )
    } else if !isClosed, health.reachedConnectionLimit, late > 0.01 || health.unsentAtEnd > 0 {
      (kind, cause) = (.serverBehind, .connectionLimit(lateShare: late))
    } else if !isClosed, late > 0.01 {
      (kind, cause) = (.serverBehind, .slowConnections(lateShare: late))
    } else if isClosed, let balance, balance.outside > 0.05 * balance.users {
      (kind, cause) = (.clientBound, .usersOutside(share: balance.outside / balance.users))
    } else {
      (kind, cause) = (.notClientBound, nil)
    }
  }

  /// One or two sentences.
  public var words: String { clause + "." }

  /// As `words`, without the last full stop: for a list.
  public var clause: String {
    let begin = kind == .clientBound ? "client-bound" : "not client-bound"
    guard let cause else { return "not client-bound: the load generator was not saturated; the figures are the server's and the network's" }
    let (reason, advice) = text(of: cause)
    return "\(begin): \(reason). What to do: \(advice)"
  }

  private func text(of cause: Cause) -> (reason: String, advice: String) {
    func lateText(_ share: Double) -> String { "\(Self.percent(share)) of the requests were sent more than \(Self.text(lateAfter)) late" }
    func whole(_ share: Double) -> Int { Int(saturating: (share * 100).rounded()) }
    switch cause {
    case .busyThread(let share):
      return (
        "a thread of the generator used \(whole(share)) % of a core",
        "give --threads more, or split the run over processes with --share i/N; until then throughput and latency are the client's"
      )
    case .schedulingLag(let share, let limit, let busiest, let late):
      return (
        "for \(Self.percent(share)) of the time the generator's threads were more than \(Self.text(limit)) late though they used "
          + "\(whole(busiest)) % of a core" + (late.map { "; " + lateText($0) } ?? ""),
        "they waited for a core, or were stopped: give them cores of their own (taskset, chrt), or use another machine"
      )
    case .connectionLimit(let late):
      return (
        "every connection waited for an answer; \(lateText(late))",
        "the server is slower than the rate: lower --rate, or raise --max-connections"
      )
    case .slowConnections(let late):
      return (
        "\(lateText(late)), because they waited for a connection to be made, while the generator's threads were in time",
        "the server or the network was slow to accept connections; --connections opens more of them before the start"
      )
    case .usersOutside(let share):
      return (
        "\(Self.percent(share)) of the users were neither waiting for an answer nor thinking",
        "look at connection errors; otherwise give --threads more or a core of its own"
      )
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
}
