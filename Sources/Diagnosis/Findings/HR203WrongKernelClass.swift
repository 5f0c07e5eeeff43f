/// Products that an older, slower class of kernels runs, because their rows are not 16-byte aligned.
public enum HR203WrongKernelClass: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR203
  /// The short name.
  public static let name = "wrong-kernel-class"
  /// A run that shows it.
  public static let example = "A vocabulary of 30,522 is no multiple of 8: on an H200 the product takes three times as long as with 30,528."

  /// Misaligned products must take at least this share of kernel time to matter.
  public static let timeThreshold = 0.1
  /// Padding must buy at least this share of kernel time: less is within the predictions' error.
  public static let gainThreshold = 0.05

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let share = run.kernels.misalignedTimeShare, let scale = run.kernels.paddedTimeScale else {
      return .cannotTell(
        MissingEvidence(["shapes of the products"], measure: "the model, so that its launches are planned: `headroom plan MODEL`"))
    }
    guard share.value >= timeThreshold, scale.value <= 1 - gainThreshold else { return .clear }
    var seen: [Prose] = ["Products whose n or k is no multiple of 16 bytes take \(share) of the kernels' time."]
    if let product = run.kernels.misalignedProduct { seen.append(Prose(stringLiteral: "Most of it: \(product).")) }
    seen.append("With n and k padded the kernels would take \(scale) of today's time.")
    return .found(
      Observation(
        .certain, seen: seen,
        whyBad:
          "Without rows of 16-byte multiples there are no tensor maps and no vectorized copies: libraries fall back to kernels that copy small pieces.",
        fixes: [Fix("Pad n and k to a multiple of 8 (16-bit types) or 4 (tf32) in the model", [.gpuTimeScale(scale.value)])]))
  }
}
