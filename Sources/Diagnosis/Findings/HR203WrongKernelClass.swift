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
      return .inconclusive(
        MissingEvidence(["shapes of the products"], measure: "the model, so that its launches are planned: `headroom plan MODEL`"))
    }
    guard share.value >= timeThreshold, scale.value <= 1 - gainThreshold else { return .clear }
    var seen: [Sentence] = ["GEMMs whose n or k is no multiple of 16 bytes take \(share) of the kernels' time."]
    if let product = run.kernels.misalignedProduct { seen.append(Sentence(stringLiteral: "Most of it: \(product).")) }
    seen.append("With n and k padded the kernels would take \(scale) of today's time.")
    return .found(
      Observation(
        .high, seen: seen,
        whyBad:
          "Without rows of 16-byte multiples there are no tensor maps and no vectorized copies: libraries fall back to kernels that copy small pieces.",
        fixes: [Fix("Pad n and k to a multiple of 8 (16-bit types) or 4 (tf32)", [.gpuTimeScale(scale.value)], in: .model)]))
  }
}

extension HR203WrongKernelClass {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "GEMMs with misaligned rows run on an older, slower class of kernels",
    gainsComputedBy: "plan at the padded shape",
    summary: #"""
      GEMMs whose rows are not 16-byte aligned run on an older, slower class of kernels.
      """#,
    says: #"""
      n or k of these products is no multiple of 8 (fp16, bf16) or 4 (tf32). They take at least a tenth of the kernel time, and padding would save at least a
      twentieth of it.
      """#,
    whyBad: #"""
      Tensor maps and vectorized copies need rows of 16-byte multiples. Without them a library falls back to kernels that copy in pieces of 2 to 8 bytes; on
      Hopper these use sm_80 instructions. Measured on an H200: a product with n = 30,522 takes about three times as long as the model gives for 30,528.
      """#,
    evidence: #"""
      The planned launches' shapes. At least 0.1 of kernel time in misaligned products, and at most 0.95 of today's kernel time after padding: less lies within
      the predictions' error. Sizes below one tile (a projection to 2 classes) are misaligned too, and rarely worth anything.
      """#,
    example: #"""
      BERT's vocabulary of 30,522, a classifier of 1,001 classes, a hidden size of 300.
      """#,
    fix: #"""
      Pad the weight (and the bias with a value that never wins), and cut the result: `headroom plan` prints what it would buy for each layer.
      """#,
    wouldChange: #"""
      `headroom plan MODEL --batch ROWS`: its notes give both times. On GPUs without measured misaligned products they are assumed, and the band says so.
      """#)
}

extension FindingCode {
  /// `HR203WrongKernelClass`.
  public static let HR203 = FindingCode(203)
}
