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
      return .cannotTell(
        MissingEvidence(["throughput over the window"], measure: "answers counted in eight or more equal slices of the window"))
    }
    guard !steadiness.isSteady else { return .clear }
    let seen: [Prose] = steadiness.defects.map { defect in
      switch defect {
      case .ramp(let share): "Users were still being added during \(share) of the window."
      case .warmUp(let share): "Warm-up and kernel tuning take \(share) of the window."
      case .trend(let change): "Throughput drifts by \(change) from the window's start to its end."
      }
    }
    return .found(
      Observation(
        .certain, seen: seen,
        whyBad: "An average over it describes no state the server was ever in, so no verdict and no gain holds for this window.",
        fixes: [Fix("Cut ramp and warm-up from the window, or run longer than the drift")]))
  }
}
