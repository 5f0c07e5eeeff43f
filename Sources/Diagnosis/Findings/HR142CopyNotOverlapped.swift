/// The device copies and computes in turns while work waits.
public enum HR142CopyNotOverlapped: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR142
  /// The short name.
  public static let name = "copy-not-overlapped"
  /// A run that shows it.
  public static let example =
    "A mid-size encoder: 6 ms of kernels, 2 ms of copies before them, the next batch already formed. A second instance fills the copies' time."

  /// A twentieth of the wall: overlapping gains at most that share.
  public static let shareThreshold = 0.05

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let waiting = run.copies.copyOnlyWhileWorkWaits else {
      if let copyOnly = run.copies.copyOnly, copyOnly.value < shareThreshold { return .clear }
      return .cannotTell(MissingEvidence(["copy-only time while work waits"], measure: "a trace with copies and batch events"))
    }
    guard waiting.value >= shareThreshold else { return .clear }
    let instances = max(1, run.batching.instances ?? 1)
    return .found(
      Observation(
        .certain, seen: ["For \(waiting) of the time only copies run while another batch waits."],
        whyBad: "Copy engines and SMs are separate: a copy beside kernels is free, a copy between them is idle time of the SMs.",
        fixes: [
          Fix("Copy on a stream of its own into a second buffer", [.overlappedCopies]),
          Fix("\(instances + 1) instances: one copies while another computes", [.instances(instances + 1)]),
        ]))
  }
}
