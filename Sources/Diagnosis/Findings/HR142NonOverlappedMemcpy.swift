/// The device copies and computes in turns while work waits.
public enum HR142NonOverlappedMemcpy: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR142
  /// The short name.
  public static let name = "non-overlapped-memcpy"
  /// A run that shows it.
  public static let example =
    "A mid-size encoder: 6 ms of kernels, 2 ms of copies before them, the next batch already formed. A second instance fills the copies' time."

  /// A twentieth of the wall: overlapping gains at most that share.
  public static let shareThreshold = 0.05

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let waiting = run.copies.copyOnlyWhileWorkWaits else {
      if let nonOverlappedMemcpy = run.copies.nonOverlappedMemcpy, nonOverlappedMemcpy.value < shareThreshold { return .clear }
      return .inconclusive(MissingEvidence(["copy-only time while work waits"], measure: "a trace with copies and batch events"))
    }
    guard waiting.value >= shareThreshold else { return .clear }
    let instances = max(1, run.batching.instances ?? 1)
    return .found(
      Observation(
        .high, seen: ["For \(waiting) of the time only copies run while another batch waits."],
        whyBad: "Copy engines and SMs are separate: a copy beside kernels is free, a copy between them is idle time of the SMs.",
        fixes: [
          Fix("Copy on a stream of its own into a second buffer", [.overlappedCopies], in: .backEnd),
          Fix("\(instances + 1) instances: one copies while another computes", [.instances(instances + 1)]),
        ]))
  }
}

extension HR142NonOverlappedMemcpy {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Only copies run while another batch waits",
    gainsComputedBy: "re-simulation",
    summary: #"""
      Only copies run while another batch waits.
      """#,
    says: #"""
      For at least 5 % of wall time only copies run although the next batch is already due.
      """#,
    whyBad: #"""
      Copy engines and SMs can work at the same time. Here they take turns.
      """#,
    evidence: #"""
      Copy-only time while another batch is due: 0.05 of wall time or more.
      """#,
    example: #"""
      A mid-size encoder whose inputs take a third as long to copy as to compute: with one stream a quarter of the time is non-overlapped memcpy.
      """#,
    fix: #"""
      A copy stream with two buffers, or a second instance that computes while the first copies.
      """#,
    wouldChange: #"""
      The same load with two instances: copy-only time falls.
      """#)
}

extension FindingCode {
  /// `HR142NonOverlappedMemcpy`.
  public static let HR142 = FindingCode(142)
}
