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
      return .inconclusive(
        MissingEvidence(
          ["the generator's CPU share", "send lag"],
          measure: "`pidstat -t -w -p PID 5 1` on the load generator during the run: its share of a core and involuntary context switches"))
    }
    guard holds(run) else { return .clear }
    return .found(
      Observation(
        .high,
        seen: [
          "One request in a hundred leaves \(lag) or more after it was due; the median latency is \(median).",
          "The generator's busiest thread used only \(share) of a core: it was ready to run and had no core.",
        ],
        whyBad:
          "Latency from the due instant contains the generator's wait for a core, which no server caused; throughput need not be the generator's.",
        fixes: [Fix("Give the generator a core that nobody else uses (taskset, chrt), or a machine of its own", in: .generator)]))
  }
}

extension HR104DescheduledGenerator {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "The load generator was late although it had little to do",
    gainsComputedBy: "not computed: advice",
    summary: #"""
      The load generator was late although it had little to do: it waited for a core.
      """#,
    says: #"""
      One request in a hundred leaves late by more than a tenth of the median latency, and by a millisecond at least, while the generator's busiest thread uses
      less than half of a core. It was ready to run and had no core.
      """#,
    whyBad: #"""
      Latency from the due instant contains the generator's wait for a core, which no server caused. Throughput need not be the generator's.
      """#,
    evidence: #"""
      - p99 of sent - intended: at least 1 ms, and more than a tenth of the median latency.
      - CPU time of the busiest generator thread (or process, where each has one thread): below half of a core. Above it the generator's own work may be what
        makes it late: [HR101](HR101-client-saturated.md).

      Both must be measured: a simulated generator has cores of its own. The two findings are never claimed together.
      """#,
    example: #"""
      Server and generator share two cores: the generator's busiest thread uses 11 % of a core, and one request in a hundred leaves 14 ms late.
      """#,
    fix: #"""
      Give the generator a core that nobody else uses, or a machine of its own:

          taskset -c 1 chrt -f 10 headroom load ...

      More generator processes on the same cores would wait for them too.
      """#,
    wouldChange: #"""
      `pidstat -t -w -p PID 5 1` on the generator: hardly any involuntary context switches refute it.
      """#)
}

extension FindingCode {
  /// `HR104DescheduledGenerator`.
  public static let HR104 = FindingCode(104)
}
