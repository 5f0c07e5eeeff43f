/// Nothing limits: no more work was offered.
public enum HR102LoadLimited: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR102
  /// The short name.
  public static let name = "load-limited"
  /// A run that shows it.
  public static let example =
    "50 users who think 300 ms: the server answers in 3 ms, its queue is empty, and the device is idle because nobody asks."

  /// Of the idle time, the share in which no work existed: four fifths leave no stall that could be worth more than a quarter of it.
  public static let noRequestsShareOfIdle = 0.8
  /// A stage above this could be felt before the load is (waiting exceeds service beyond rho = 0.5, M/M/1; two thirds leave room for bursts).
  public static let stationThreshold = 0.67
  /// Fewer waiting requests than this mean that an arriving one finds the queue empty nearly always.
  public static let queueThreshold = 1.0

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    if let elasticities = run.elasticities, elasticities.isConsistent,
      let load = elasticities.total("think time and inter-arrival", where: { $0.stage == nil })
    {
      guard load.value > 1 - RunEvidence.limitingElasticity else { return .clear }
      return found(
        run,
        seen: ["Throughput sensitivity to think time and inter-arrival time: \(load) % per 1 % less time; the load itself is what limits."])
    }
    if run.keepsUpWithLoad, let busiest = run.stages.busiest, let utilization = busiest.utilization {
      var seen: [Sentence] = [
        "The busiest pipeline stage, \(busiest.stage.text(on: run.deviceClass)), has a utilization of \(utilization)."
      ]
      if let wait = run.batching.p99Wait {
        seen.append("99 % of the requests waited no longer than \(wait): within max_queue_delay_microseconds and one batch's service time.")
      }
      return found(run, seen: seen)
    }
    guard let noRequests = run.device.noRequestsIdle, let hostOverhead = run.device.hostOverheadIdle else {
      return .inconclusive(
        MissingEvidence(["idle without requests and idle between batches"], measure: "a trace with request and batch events"))
    }
    let idle = noRequests.value + hostOverhead.value
    guard idle > 0, noRequests.value >= noRequestsShareOfIdle * idle else { return .clear }
    if let queued = run.batching.meanQueuedRequests, queued.value >= queueThreshold + (run.batching.meanRequests?.value ?? 0) {
      return .clear
    }
    if let busiest = run.stages.busiest, let utilization = busiest.utilization, utilization.value >= stationThreshold { return .clear }
    if let share = run.client.fullestShare, share.value >= stationThreshold { return .clear }
    var seen: [Sentence] = [
      "The device is idle without requests for \(noRequests) of the time, and for host overhead between batches for \(hostOverhead)."
    ]
    // An empty queue alone cannot tell a saturated generator or front end from a small load.
    switch run.load.isOpenBelowSaturation {
    case true?: seen.append("Everything that arrived was served.")
    case false?: return .clear
    case nil:
      guard run.client.fullestShare != nil || run.stages[.client]?.utilization != nil,
        run.frontEnd.coreShare != nil || run.stages[.frontEnd]?.utilization != nil
      else {
        return .inconclusive(
          MissingEvidence(
            ["the generator's and the front end's CPU share"],
            measure: "the same users from two generator processes: throughput stays if the load is all there is"))
      }
    }
    if let busiest = run.stages.busiest, let utilization = busiest.utilization {
      seen.append("The busiest pipeline stage, \(busiest.stage.text(on: run.deviceClass)), has a utilization of \(utilization).")
    }
    return found(run, seen: seen)
  }

  /// A fifth of the time: what the batcher's delay must keep the device waiting to be worth a word.
  public static let delayThreshold = 0.2

  private static func found(_ run: RunEvidence, seen: [Sentence]) -> Examination {
    var seen = seen
    var fixes: [Fix] = []
    // Also where batches fill before their delay is over: requests wait for their batch to fill while the device could run them.
    if let delay = run.batching.maximumQueueDelayMicroseconds, delay > 0, let held = run.device.batchingDelayIdle,
      held.value >= delayThreshold
    {
      seen.append("The device is idle while requests wait for their batch to fill for \(held) of the time.")
      fixes.append(
        Fix("max_queue_delay_microseconds: 0: at this load the delay adds latency and buys nothing", [.batchDelay(microseconds: 0)]))
    }
    return .found(
      Observation(
        .high, seen: seen,
        whyBad: "The idle time is paid for. It is no defect of the server: nothing done to it can raise the throughput of this load.",
        fixes: fixes + [
          Fix("Consolidate: a device half as fast serves this load as well", [.gpuTimeScale(2)]),
          Fix("Put further models on the device, or offer it more load", in: .repository),
        ]))
  }
}

extension HR102LoadLimited {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Nothing limits: no more work was offered",
    gainsComputedBy: "re-simulation",
    summary: #"""
      Nothing limits: no more work was offered.
      """#,
    says: #"""
      The idle time is time in which nobody asked. The server serves what arrives; its stages and the generator all have room.
      """#,
    whyBad: #"""
      It is no defect of the server, and that is the point: no change to it can raise the throughput of this load. The idle accelerator is paid for.
      """#,
    evidence: #"""
      - with elasticities: think time and inter-arrival time together are worth more than 0.8 percent of throughput a percent;
      - without: at least four fifths of the idle time is idle time without requests, the queue is empty nearly always, and no stage uses more than two thirds of itself.
      """#,
    example: #"""
      50 users who think 280 ms on average: 178 requests/s come, the batcher waits out its delay for rows that do not come, and the GPU is busy under 1 %.
      """#,
    fix: #"""
      Put more models on the device, take a smaller one, or offer more load. If latency matters, lower the batcher's delay: at this load it buys nothing.
      """#,
    wouldChange: #"""
      Twice the users: throughput doubles. If it does not, something else was near its limit.
      """#)
}

extension FindingCode {
  /// `HR102LoadLimited`.
  public static let HR102 = FindingCode(102)
}
