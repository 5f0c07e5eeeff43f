/// The load generator cannot send more than it does.
public enum HR101ClientSaturated: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR101
  /// The short name.
  public static let name = "client-saturated"
  /// A run that shows it.
  public static let example =
    "1,000 users on one Python process: 1,151 requests per second at 441 ms, although the users would ask for 2,268 if no time passed outside the measured latency; two processes serve more from the same server."

  /// At 0.9 of a core a queue in front of that thread's work is nine jobs long on average (rho / (1 - rho), M/M/1). Of the busiest thread
  /// where that is known: one thread of Python at 0.92 of a core is full on a machine of 16.
  public static let coreThreshold = 0.9
  /// A lag beyond a tenth of the median latency makes every latency wrong by as much (coordinated omission).
  public static let lagThreshold = 0.1
  /// Time outside the measured latency beyond the think time, or its growth between runs, in shares of itself: the mean of 1,000 users' think times
  /// over 100 cycles is known to better than 1 %, so a tenth is no noise.
  public static let outsideThreshold = 0.1

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    var seen: [Sentence] = []
    var strongest = Confidence.inconclusive
    var known = false

    // A generator that was watched, has room and sends on time limits nothing, whatever else is unexplained.
    if run.client.hasRoom { return .clear }
    if let share = run.client.fullestShare {
      known = true
      if share.value >= coreThreshold {
        seen.append(
          run.client.busiestThreadShare == share
            ? "The generator's busiest thread uses \(share) of a core." : "The generator uses \(share) of its cores.")
        // Only the generator's own counters can make this certain; a simulated or fitted client says what our system assumes of it.
        strongest = max(strongest, share.kind == .measured ? .high : .medium)
      }
    }
    if let lag = run.client.sendLagP99, let median = run.load.medianLatency, median.value > 0 {
      known = true
      // Late for want of a core is another finding (HR104): then it is not the generator's own work that makes it late.
      if lag.inMilliseconds > lagThreshold * median.inMilliseconds, lag.inMilliseconds >= ClientEvidence.promptMilliseconds,
        !HR104DescheduledGenerator.holds(run)
      {
        seen.append("One request in a hundred leaves \(lag) or more after it was due; the median latency is \(median).")
        strongest = max(strongest, lag.kind == .measured ? .high : .medium)
      }
    }
    if let outside = run.load.thinkAndClientQueueTime {
      if let think = run.load.meanThinkTime {
        known = true
        if outside.value > think.inMilliseconds * (1 + outsideThreshold), outside.value - think.inMilliseconds > 1 {
          let excess = Figure.combined(
            outside.value - think.inMilliseconds, .milliseconds, [outside, think], source: "N/X - R - think time")
          seen.append(
            "\(outside) per request cycle pass outside the measured latency, \(think) of them think time: \(excess) are client-side queueing, in the generator or on its connections."
          )
          strongest = max(strongest, .medium)
        }
      }
      if let (change, other) = growth(outside, run) {
        known = true
        if change.value > outsideThreshold {
          seen.append(
            "Time outside the measured latency is \(outside), \(change) more than in a run of \(setting: other.users) users with the same think time, which answered \(other.throughput): a think time does not grow."
          )
          strongest = max(strongest, .medium)
        }
      }
    }
    let decide = MissingEvidence(
      ["generator CPU share", "send lag"],
      measure: "`pidstat -t -p PID 5 1` on the load generator during the run, or the same users from two generator processes")
    guard !seen.isEmpty else { return known && hasDirect(run) ? .clear : .inconclusive(decide) }
    let cores = max(1, run.client.cores ?? 1)
    return .found(
      Observation(
        strongest, seen: seen,
        whyBad: "The server is not what was measured: throughput is the generator's, and latency contains the generator's own queue.",
        fixes: [
          Fix("Give the generator \(2 * cores) cores (processes) in place of \(cores)", [.clientCores(2 * cores)]),
          Fix("Give the generator \(8 * cores) cores (processes), or use one whose requests cost less", [.clientCores(8 * cores)]),
        ],
        missing: strongest == .high ? nil : decide))
  }

  /// True where the generator itself, or its users' think time, was known: only then is silence an acquittal.
  private static func hasDirect(_ run: RunEvidence) -> Bool {
    run.client.fullestShare != nil || (run.load.meanThinkTime != nil && run.load.thinkAndClientQueueTime != nil)
  }

  /// Relative growth of the time outside the measured latency against the other run that had least of it. One with more says something of itself,
  /// not of this run.
  private static func growth(_ outside: Figure, _ run: RunEvidence) -> (change: Figure, other: ClientEvidence.OtherRun)? {
    run.client.otherRuns.compactMap { other -> (change: Figure, other: ClientEvidence.OtherRun)? in
      let base = other.thinkAndClientQueueTime.inMilliseconds
      guard base > 0 else { return nil }
      let change = Figure.combined(
        (outside.value - base) / base, .share, [outside, other.thinkAndClientQueueTime],
        source: "N/X - R against a run of \(other.users) users")
      return (change, other)
    }.max { $0.change.value < $1.change.value }
  }
}

extension HR101ClientSaturated {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "The load generator cannot send more than it does",
    gainsComputedBy: "re-simulation",
    summary: #"""
      The load generator cannot send more than it does.
      """#,
    says: #"""
      The load generator's busiest thread uses at least 90 % of a core, or its requests leave late for its own work, or more time passes outside the measured
      latency than the users think. Throughput then is the generator's, and its latency contains its own queue. It is never said of a generator that was
      watched, whose busiest thread is below 80 % of a core and whose requests leave within 1 ms of the due instant at p99.
      """#,
    whyBad: #"""
      Every figure of the server is wrong in the same direction: throughput too low, latency too high. Comparing two models through a saturated generator
      compares nothing; both stand at the generator's rate.
      """#,
    evidence: #"""
      - the busiest thread (or process, where each has one thread): 90 % of a core or more, however many cores the machine has; where only the whole is known,
        90 % of the cores it may use. Below that a queue in front of its work is short (rho / (1 - rho), M/M/1: nine jobs at 0.9).
      - p99 of sent - intended: more than a tenth of the median latency, and at least 1 ms.
      - N/X - R, the time that passes per request cycle outside the measured latency (Little's law over the users): more than a tenth above the mean think time; or
        more than a tenth above that of another run with the same think time, whatever its number of users: a think time does not grow.

      *High confidence* only with the generator's own counters from a real machine; a simulated or fitted generator makes it *medium*.

      A generator that sends late while its busiest thread uses less than half of a core waited for one: that is [HR104](HR104-descheduled-generator.md).
      """#,
    example: #"""
      The case study's Linear run: 1,000 users, 1,151 requests/s, 441 ms mean. N/X - R = 868 - 441 = 428 ms in one run and 311 ms in another of the same
      users: a think time does not move by a quarter. In `headroom bench` one core at 0.855 ms per request limits Linear and Stacked; eight cores would treble both.
      """#,
    fix: #"""
      Run several generator processes, or a generator whose requests cost less. For Locust:

          locust --processes 4 ...
      """#,
    wouldChange: #"""
      `pidstat -t -p PID 5 1` on the generator: well below one core per process refutes it. The same users from two processes: throughput rises if the
      generator limits, and stays if the server does.
      """#)
}

extension FindingCode {
  /// `HR101ClientSaturated`.
  public static let HR101 = FindingCode(101)
}
