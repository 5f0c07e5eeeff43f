/// Weights do not stay in L2 from batch to batch.
public enum HR206WeightsExceedL2: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR206
  /// The short name.
  public static let name = "weights-exceed-l2"
  /// A run that shows it.
  public static let example =
    "19 layers of 10.5 MB are 199 MB against 128 MB of L2: every batch reads all of them from memory again. 40 MB would stay."

  /// A cache whose partitions each keep a copy holds half of its sheet figure: between half and all of it, only a measurement tells.
  public static let usableShare = 0.5

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let weights = run.kernels.weightBytes, let l2 = run.kernels.l2Bytes, l2.value > 0 else {
      return .inconclusive(
        MissingEvidence(["weight bytes", "L2 bytes"], measure: "the model, and the device's name or `headroom calibrate`"))
    }
    let decide = MissingEvidence(
      ["the usable part of L2"],
      measure: "the same batch back to back and after 10 ms of idle or a cache flush: equal times mean that nothing stayed")
    if weights.value <= l2.value {
      // Residency also needs room for activations, but those are reused within microseconds; the sheet's figure is the doubt.
      if run.kernels.l2IsCalibrated || weights.value <= usableShare * l2.value { return .clear }
      return .inconclusive(decide)
    }
    guard let times = weights.ratio(to: l2) else { return .clear }
    return .found(
      Observation(
        .high, seen: ["A batch reads \(weights) of weights; L2 holds \(l2) at most: \(times) times as much."],
        whyBad:
          "Layers are read in the same order each batch. With least-recently-used replacement a cycle larger than the cache hits nothing, so that every batch pays device-memory bandwidth for all weights.",
        fixes: [
          Fix("Weights in 8 bits: half the bytes", [.weightBytesScale(0.5)], in: .model),
          Fix("Fewer layers a pass over several batches, or set part of L2 aside for the first layers' weights", in: .engineCode),
        ], missing: run.kernels.l2IsCalibrated ? nil : decide))
  }
}

extension HR206WeightsExceedL2 {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Weights do not stay in L2 from batch to batch",
    gainsComputedBy: "not computed: advice",
    summary: #"""
      Weights do not stay in L2 from batch to batch.
      """#,
    says: #"""
      The weights per batch reads are larger than the device's L2 (at most: partitions may keep copies of their own).
      """#,
    whyBad: #"""
      Layers are read in the same order each batch. With least-recently-used replacement a cycle larger than the cache hits nothing, so every batch reads all
      weights from device memory.
      """#,
    evidence: #"""
      Weight bytes over L2 bytes above 1. Between a half and one only a measurement tells, and the finding says *cannot tell*.
      """#,
    example: #"""
      Stacked: 19 x 10.5 MB = 199 MB against 128 MB. Linear's 40 MB fit.
      """#,
    fix: #"""
      8-bit weights, fewer layers a pass over several batches, or part of L2 set aside for the first layers' weights.
      """#,
    wouldChange: #"""
      The same batch back to back and after a cache flush: equal times mean that nothing stayed.
      """#)
}

extension FindingCode {
  /// `HR206WeightsExceedL2`.
  public static let HR206 = FindingCode(206)
}
