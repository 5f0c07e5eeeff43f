/// Batches leave by delay, far from full.
public enum HR121BatchDiluted: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR121
  /// The short name.
  public static let name = "batch-diluted"
  /// A run that shows it.
  public static let example =
    "Four instances share 400 requests a second of one row: each forms its own batch of 3 rows of 64, and three quarters leave because the delay is over."

  /// Below half of the largest batch one of two batches could be saved.
  public static let fillThreshold = 0.5
  /// More batches than not leave because the delay was over.
  public static let delayThreshold = 0.5

  /// Rule of three: below 60 batches the share that was dispatched for a reason is known no better than to a twentieth.
  public static let fewestBatches = 60

  /// From this utilization on of the launch thread or the device, fuller batches are worth their wait; below it a batch that waits only
  /// lengthens latency.
  public static let busyThreshold = 0.7

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    let batching = run.batching
    guard let rows = batching.meanRows, let maximum = batching.maximumRows else {
      return .cannotTell(
        MissingEvidence(
          ["rows per batch", "max_batch_size"],
          measure: "the model's statistics (inference count over execution count) and its config.pbtxt")
      )
    }
    guard maximum > 1, rows.value < fillThreshold * Double(maximum) else { return .clear }
    guard let byDelay = batching.share(leftBy: .delay, kind: rows.kind) else {
      return .cannotTell(MissingEvidence(["dispatch reasons"], measure: "a trace with batch events"))
    }
    guard batching.recordedBatches >= fewestBatches else {
      return .cannotTell(
        MissingEvidence(["dispatch reasons of at least \(fewestBatches) batches"], measure: "a longer window under the same load"))
    }
    let instances = max(1, batching.instances ?? 1)
    guard byDelay.value >= delayThreshold else { return .clear }
    var seen: [Prose] = [
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
      let utilization = [Station.issuingThread, .gpu].compactMap { run.stations[$0]?.utilization?.value }.max() ?? 0
      fixes += utilization >= busyThreshold ? [longer, none] : [none, longer]
    }
    return .found(
      Observation(
        .certain, seen: seen,
        whyBad:
          "A kernel costs nearly the same for few rows as for many, so each row pays for the unused batch slots; the delay added latency without filling the batch.",
        fixes: fixes))
  }
}
