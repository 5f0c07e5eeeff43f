/// The load generator was late although it had little to do: it waited for a core.
public enum HR104DescheduledGenerator: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR104
  /// The short name.
  public static let name = "descheduled-generator"
  /// A run that shows it.
  public static let example =
    "Server and generator share two cores: the generator's busiest thread uses 11 % of a core, and one request in a hundred leaves 14 ms late."

  /// A lag beyond a tenth of the median latency makes every latency wrong by as much (coordinated omission).
  public static let lagThreshold = HR101ClientSaturated.lagThreshold
  /// A thread that is late and busy for less than half of its time was not late for its own work: at 0.5 a request waits one service time
  /// on average (rho / (1 - rho), M/M/1), which for a generator is microseconds.
  public static let spareThreshold = 0.5

  /// Whether it holds: only a measured generator waits for a core; a simulated one has its own.
  static func holds(_ run: RunEvidence) -> Bool {
    guard let lag = run.client.sendLagP99, lag.kind == .measured, lag.inMilliseconds >= ClientEvidence.promptMilliseconds,
      let median = run.load.medianLatency, median.value > 0, let share = run.client.fullestShare, share.kind == .measured
    else { return false }
    return lag.inMilliseconds > lagThreshold * median.inMilliseconds && share.value < spareThreshold
  }

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let lag = run.client.sendLagP99, let share = run.client.fullestShare, let median = run.load.medianLatency else {
      return .cannotTell(
        MissingEvidence(
          ["the generator's CPU share", "send lag"],
          measure: "`pidstat -t -w -p PID 5 1` on the load generator during the run: its share of a core and involuntary context switches"))
    }
    guard holds(run) else { return .clear }
    return .found(
      Observation(
        .certain,
        seen: [
          "One request in a hundred leaves \(lag) or more after it was due; the median latency is \(median).",
          "The generator's busiest thread used only \(share) of a core: it was ready to run and had no core.",
        ],
        whyBad:
          "Latency from the due instant contains the generator's wait for a core, which no server caused; throughput need not be the generator's.",
        fixes: [Fix("Give the generator a core that nobody else uses (taskset, chrt), or a machine of its own")]))
  }
}
