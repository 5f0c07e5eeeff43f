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

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    let batching = run.batching
    guard let rows = batching.meanRows, let maximum = batching.maximumRows else {
      return .cannotTell(
        MissingEvidence(
          ["rows a batch", "max_batch_size"], measure: "the model's statistics (inference count over execution count) and its config.pbtxt")
      )
    }
    guard maximum > 1, rows.value < fillThreshold * Double(maximum) else { return .clear }
    guard let byDelay = batching.share(leftBy: .delay, kind: rows.kind) else {
      return .cannotTell(MissingEvidence(["why batches left"], measure: "a trace with batch events"))
    }
    let instances = max(1, batching.instances ?? 1)
    guard byDelay.value >= delayThreshold else { return .clear }
    var seen: [Prose] = ["A batch holds \(rows) of \(setting: maximum).", "\(byDelay) of the batches left because the delay was over."]
    var fixes: [Fix] = []
    if instances > 1 {
      seen.append("\(setting: instances) instances divide the arrivals among them.")
      fixes.append(Fix("One instance: the same requests fill one batch in place of \(instances)", [.instances(1)]))
    }
    if let delay = batching.maximumQueueDelayMicroseconds, delay > 0 {
      fixes.append(
        Fix("Wait longer: twice the delay holds up to twice the rows", [.batchDelay(microseconds: delay.multipliedClamping(by: 2))]))
      fixes.append(Fix("Do not wait: the delay costs latency and does not fill the batch", [.batchDelay(microseconds: 0)]))
    }
    return .found(
      Observation(
        .certain, seen: seen,
        whyBad:
          "A kernel costs nearly the same for few rows as for many, so each row pays for the empty places beside it; the delay was waited for in vain.",
        fixes: fixes))
  }
}
