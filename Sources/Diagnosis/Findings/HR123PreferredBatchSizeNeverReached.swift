import Vocabulary

/// No batch ever leaves by reaching a preferred size.
public enum HR123PreferredBatchSizeNeverReached: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR123
  /// The short name.
  public static let name = "preferred-batch-size-never-reached"
  /// A run that shows it.
  public static let example =
    "preferred_batch_size [128, 256] with requests of 50 rows: batches of 250 leave because a sixth request would exceed 256, never at 128 or 256."

  /// Rule of three: none among n puts the true share below 3/n with 95 % confidence; 60 put it below 5 %.
  public static let minimumBatches = 60
  /// See `minimumBatches`.
  public static let hitThreshold = 0.05

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    let batching = run.batching
    guard let preferred = batching.preferredSizes else {
      return .inconclusive(MissingEvidence(["preferred sizes"], measure: "the model's config.pbtxt"))
    }
    // Triton reads no preferred sizes as [max_batch_size]: nothing was preferred.
    guard !preferred.isEmpty, preferred != batching.maximumRows.map({ [$0] }) else { return .clear }
    let recorded = batching.dispatchReasons.values.reduce(0) { $0.addingClamping($1) }
    let rows = run.load.fixedRowsPerRequest
    let reachable = rows.map { rows in preferred.filter { rows > 0 && $0 % rows == 0 } }
    let hits = batching.dispatchReasons[.preferredSize] ?? 0
    guard recorded >= minimumBatches else {
      return .inconclusive(
        MissingEvidence(["dispatch reasons of at least \(minimumBatches) batches"], measure: "a trace with batch events"))
    }
    guard Double(hits) <= hitThreshold * Double(recorded) else { return .clear }
    let kind = batching.meanRows?.kind ?? .measured
    let share = Figure(Double(hits) / Double(recorded), .share, kind, source: "batches by dispatch reason")
    let count = Figure(Double(recorded), .count, kind, source: "batches in the window")
    var seen: [Sentence] = ["Of \(count) batches, \(share) were dispatched because a preferred size was reached (\(settings: preferred))."]
    if let rows, reachable?.isEmpty == true {
      seen.append("Requests of \(setting: rows) rows cannot add up to any of them: none is a multiple.")
    }
    if let (reason, number) = DispatchReason.allCases.map({ ($0, batching.dispatchReasons[$0] ?? 0) }).max(by: { $0.1 < $1.1 }), number > 0
    {
      let largestShare = Figure(Double(number) / Double(recorded), .share, kind, source: "batches by dispatch reason")
      seen.append("Most were dispatched for another reason: \(reason.text) (\(largestShare)).")
    }
    var fixes = [Fix("Drop the preferred sizes", [.preferredSizes([])])]
    if let rows, rows > 0, let maximum = batching.maximumRows, maximum / rows >= 1 {
      let multiple = maximum / rows * rows
      if multiple != maximum || !preferred.contains(multiple) {
        fixes.append(Fix("Prefer \(multiple), the largest multiple of \(rows) rows", [.preferredSizes([multiple])]))
      }
    }
    return .found(
      Observation(
        .high, seen: seen,
        whyBad:
          "A size that is never reached sends nothing early. Under light load every batch waits out its whole delay for a size that cannot come.",
        fixes: fixes))
  }
}

extension HR123PreferredBatchSizeNeverReached {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "No batch were dispatched because a preferred size was reached",
    gainsComputedBy: "the real scheduler on the same arrivals",
    summary: #"""
      No batch were dispatched because a preferred size was reached.
      """#,
    says: #"""
      Preferred batch sizes are configured and (nearly) no batch reached one.
      """#,
    whyBad: #"""
      A size that is never reached sends nothing early. Under light load every batch waits out its whole delay; under heavy load it leaves only when the next
      request does not fit, one request later than it could.
      """#,
    evidence: #"""
      At least 60 batches, of which at most 5 % were dispatched at a preferred size (rule of three: none among 60 puts the true share below 5 %).
      """#,
    example: #"""
      preferred_batch_size [128, 256] with requests of 50 rows: 50, 100, 150, 200, 250; none is 128 or 256. In `headroom bench` 99.6 % of the batches left because a
      sixth request would have exceeded 256.
      """#,
    fix: #"""
      Drop the preferred sizes (the batcher then waits for a full batch or the delay), or prefer a multiple of the rows that requests carry:

          dynamic_batching { preferred_batch_size: [ 250 ] }
      """#,
    wouldChange: #"""
      Batches by dispatch reason, over a minute: any that were dispatched at a preferred size.
      """#)
}

extension FindingCode {
  /// `HR123PreferredBatchSizeNeverReached`.
  public static let HR123 = FindingCode(123)
}
