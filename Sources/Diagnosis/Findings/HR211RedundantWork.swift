/// Rows computed more than once.
public enum HR211RedundantWork: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR211
  /// The short name.
  public static let name = "redundant-work"
  /// A run that shows it.
  public static let example =
    "x.expand(-1, 128, -1) makes 128 equal rows, every layer is row-wise, and only h[:, 0, :] is read: 127 of 128 rows are copies."

  /// One percent of the FLOPs: the proof is exact, so the line only keeps trifles out.
  public static let shareThreshold = 0.01

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let share = run.kernels.redundantShare else {
      return .cannotTell(MissingEvidence(["the graph"], measure: "give the model: a trace alone never shows which rows are copies"))
    }
    guard share.value >= shareThreshold else { return .clear }
    var seen: [Prose] = ["\(share) of the floating-point operations are done on rows that are copies of other rows."]
    if let fraction = share.asFractionOfWhole { seen.append("That is \(fraction) of the work.") }
    if let busy = run.device.kernelBusy { seen.append("The kernels that do it run for \(busy) of the time.") }
    return .found(
      Observation(
        .certain, seen: seen, whyBad: "The device is full of work that changes no answer, and every utilization figure counts it.",
        fixes: [Fix("Expand after the row-wise layers, or not at all (headroom export --rewrite sink-broadcast)", [.removeRedundantWork])]))
  }
}
