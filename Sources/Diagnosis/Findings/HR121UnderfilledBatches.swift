/// Batches are dispatched by delay, far from full.
public enum HR121UnderfilledBatches: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR121
  /// The short name.
  public static let name = "underfilled-batches"
  /// A run that shows it.
  public static let example =
    "Four instances share 400 requests per second of one row: each forms its own batch of 3 rows of 64, and three quarters are dispatched because max_queue_delay_microseconds is reached."

  /// Below half of the largest batch one of two batches could be saved.
  public static let fillThreshold = 0.5
  /// More batches than not leave because the delay was over.
  public static let delayThreshold = 0.5

  /// Rule of three: below 60 batches the share that was dispatched for a reason is known no better than to a twentieth.
  public static let minimumBatches = 60

  /// From this utilization on of the launch thread or the device, fuller batches are worth their wait; below it a batch that waits only
  /// lengthens latency.
  public static let busyThreshold = 0.7

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    let batching = run.batching
    guard let rows = batching.meanRows, let maximum = batching.maximumRows else {
      return .inconclusive(
        MissingEvidence(
          ["rows per batch", "max_batch_size"],
          measure: "the model's statistics (inference count over execution count) and its config.pbtxt")
      )
    }
    guard maximum > 1, rows.value < fillThreshold * Double(maximum) else { return .clear }
    guard let byDelay = batching.share(dispatchedBy: .delay, kind: rows.kind) else {
      return .inconclusive(MissingEvidence(["dispatch reasons"], measure: "a trace with batch events"))
    }
    guard batching.recordedBatches >= minimumBatches else {
      return .inconclusive(
        MissingEvidence(["dispatch reasons of at least \(minimumBatches) batches"], measure: "a longer window under the same load"))
    }
    if let unbatched = batching.share(dispatchedBy: .unbatched, kind: rows.kind), unbatched.value > 1 - delayThreshold {
      return .found(
        Observation(
          .high,
          seen: [
            "A batch holds \(rows) of \(setting: maximum).", "There is no dynamic batching: every request is a batch of its own.",
          ],
          whyBad: "A kernel costs nearly the same for few rows as for many, and requests that wait could be one batch.",
          fixes: [Fix("dynamic_batching { }: requests that wait are dispatched together, and none waits for others", [.dynamicBatching])]))
    }
    let instances = max(1, batching.instances ?? 1)
    guard byDelay.value >= delayThreshold else { return .clear }
    var seen: [Sentence] = [
      "A batch holds \(rows) of \(setting: maximum).",
      "\(byDelay) of the batches were dispatched because max_queue_delay_microseconds was reached.",
    ]
    var fixes: [Fix] = []
    if instances > 1 {
      seen.append("\(setting: instances) instances divide the arrivals among them.")
      fixes.append(Fix("instance_group { count: 1 }: the same requests fill one batch in place of \(instances)", [.instances(1)]))
    }
    if let delay = batching.maximumQueueDelayMicroseconds, delay > 0 {
      let longer = Fix(
        "max_queue_delay_microseconds: \(delay.multipliedClamping(by: 2)): twice the delay holds up to twice the rows",
        [.batchDelay(microseconds: delay.multipliedClamping(by: 2))])
      let none = Fix(
        "max_queue_delay_microseconds: 0: the delay adds latency and does not fill the batch", [.batchDelay(microseconds: 0)])
      // Both are put to an estimator, which leaves one. Without one the first is kept: a full device wants fuller batches, an idle one none.
      let utilization = [PipelineStage.launchThread, .gpu].compactMap { run.stages[$0]?.utilization?.value }.max() ?? 0
      fixes += utilization >= busyThreshold ? [longer, none] : [none, longer]
    }
    return .found(
      Observation(
        .high, seen: seen,
        whyBad:
          "A kernel costs nearly the same for few rows as for many, so each row pays for the unused batch slots; the delay added latency without filling the batch.",
        fixes: fixes))
  }
}

extension HR121UnderfilledBatches {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Batches are dispatched by their delay with far fewer rows than max_batch_size",
    gainsComputedBy: "the real scheduler on the same arrivals",
    summary: #"""
      Batches are dispatched because max_queue_delay_microseconds is reached, with far fewer rows than they may hold.
      """#,
    says: #"""
      A batch holds less than half of the rows it may hold, and at least half of the batches were dispatched because the delay was reached; or the model
      has no dynamic batching, so that every request is a batch of its own.
      """#,
    whyBad: #"""
      A kernel takes nearly as long for few rows as for many. Every row pays for the unused batch slots, and the delay added latency without filling the batch.
      """#,
    evidence: #"""
      Mean rows per batch below 0.5 x max_batch_size, and dispatches by delay at least 0.5 of all, over at least 60 batches (rule of three: fewer show a share
      no better than to a twentieth).
      """#,
    example: #"""
      Four instances and 400 one-row requests per second: each instance forms batches of 3 rows of 64.
      """#,
    fix: #"""
      Fewer instances; and of the delay one direction: the one whose effect on the goal is positive in the simulation. Without a simulation: a longer delay where
      the launch thread or the device is at least 70 % utilized, else none.

          dynamic_batching { max_queue_delay_microseconds: 0 }

      Without dynamic batching: switch it on. It adds no wait: only requests that wait anyhow are dispatched together.

          dynamic_batching { }
      """#,
    wouldChange: #"""
      Rows per batch against delay: if doubling the delay does not raise the rows, requests are too rare for it.
      """#)
}

extension FindingCode {
  /// `HR121UnderfilledBatches`.
  public static let HR121 = FindingCode(121)
}
