/// Gaps between kernels that were queued in time.
public enum HR133InterKernelGaps: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR133
  /// The short name.
  public static let name = "inter-kernel-gaps"
  /// A run that shows it.
  public static let example =
    "22 dependent kernels of 6 us, all queued before the first ends, with 1 us between each two: a seventh of every batch is dispatch."

  /// A twentieth of the bursts' time: below it removing every gap gains less than the kernels' own spread from batch to batch.
  public static let gapShareThreshold = 0.05
  /// Dependent kernels start 0.5 to 2 us after their predecessor's end when both are queued; a longer gap has another cause.
  public static let gapMicroseconds = 0.3...3.0

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let gap = run.launches.queuedGap, let share = run.launches.queuedGapShare else {
      return .inconclusive(
        MissingEvidence(["gaps before queued kernels"], measure: "a trace with kernel and runtime-API records joined by correlation id"))
    }
    guard share.value >= gapShareThreshold, gapMicroseconds.contains(gap.inMilliseconds * 1000) else { return .clear }
    return .found(
      Observation(
        .high,
        seen: [
          "Kernels that were queued before their predecessor ended start \(gap) after it.", "Such gaps take \(share) of the bursts' time.",
        ],
        whyBad:
          "Each kernel waits for the last block of the one before it, for the memory flush and for its own set-up, with all SMs empty.",
        fixes: [
          Fix(
            "Programmatic dependent launch: the next kernel's set-up overlaps the tail of the one before", [.dispatchGapScale(0.5)],
            in: .engineCode),
          Fix("One persistent kernel, or fusion: no gap is left", [.dispatchGapScale(0)], in: .engineBuild),
        ]))
  }
}

extension HR133InterKernelGaps {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Gaps between kernels that were already queued",
    gainsComputedBy: "re-simulation",
    summary: #"""
      Gaps between kernels that were already queued.
      """#,
    says: #"""
      Kernels whose launch had arrived before their predecessor ended still start 0.3 to 3 us after it, and those gaps take at least 5 % of the bursts.
      """#,
    whyBad: #"""
      Between dependent kernels the device waits for the last block, flushes and sets up the next, with all SMs empty. Short kernels lose a large part of their time.
      """#,
    evidence: #"""
      Mean gap before queued kernels 0.3 to 3 us; sum of such gaps at least 0.05 of the bursts' time.
      """#,
    example: #"""
      20 kernels of 6.3 us with 1 us between them: 13 % of the burst.
      """#,
    fix: #"""
      Programmatic dependent launch (sm_90 and later), fusion, or one persistent kernel for several layers.
      """#,
    wouldChange: #"""
      The same burst with programmatic dependent launch: the gap shrinks or it does not.
      """#)
}

extension FindingCode {
  /// `HR133InterKernelGaps`.
  public static let HR133 = FindingCode(133)
}
