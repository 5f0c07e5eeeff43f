/// The window is a ramp, a warm-up or a drift.
public enum HR103NotSteady: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR103
  /// The short name.
  public static let name = "not-steady"
  /// A run that shows it.
  public static let example =
    "A 2-minute run whose users are spawned over the first 30 seconds: a quarter of the window has fewer users than the table's header says."

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let steadiness = run.steadiness else {
      return .inconclusive(
        MissingEvidence(["throughput over the window"], measure: "answers counted in eight or more equal slices of the window"))
    }
    guard !steadiness.isSteady else { return .clear }
    let seen: [Sentence] = steadiness.defects.map { defect in
      switch defect {
      case .ramp(let share): "Users were still being added during \(share) of the window."
      case .warmUp(let share): "Warm-up and kernel tuning take \(share) of the window."
      case .trend(let change): "Throughput drifts by \(change) from the window's start to its end."
      }
    }
    return .found(
      Observation(
        .high, seen: seen,
        whyBad: "An average over it describes no state the server was ever in, so no verdict and no gain holds for this window.",
        fixes: [Fix("Cut ramp and warm-up from the window, or run longer than the drift", in: .experiment)]))
  }
}

extension HR103NotSteady {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "The window holds a ramp, a warm-up or a trend",
    gainsComputedBy: "none: it blocks gains",
    summary: #"""
      The window holds a ramp, a warm-up or a trend.
      """#,
    says: #"""
      The window that was looked at is not alike from end to end.
      """#,
    whyBad: #"""
      A mean over a ramp describes no state the server was ever in. Gains computed from it would be wrong by as much, so none is printed.
      """#,
    evidence: #"""
      - users were still being added, or kernels still being tuned, in more than 5 % of the window; or
      - throughput drifts by more than 5 % over the window, found by Mann-Kendall's test (|z| > 2.576) with a Theil-Sen slope, over at least eight slices.
      """#,
    example: #"""
      1,000 users started at 10 a second in a run of two minutes: for 100 s of the 120 the load was still growing.
      """#,
    fix: #"""
      Cut the ramp off (`warmUpSeconds` in an experiment file), or run longer than the drift.
      """#,
    wouldChange: #"""
      The same window cut to its second half: if the finding goes, the rest can be used.
      """#)
}

extension FindingCode {
  /// `HR103NotSteady`.
  public static let HR103 = FindingCode(103)
}
