/// Kernels at the memory roof, reading weights.
public enum HR202MemoryBandwidthBoundWeights: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR202
  /// The short name.
  public static let name = "memory-bandwidth-bound-weights"
  /// A run that shows it.
  public static let example =
    "Five stacked heads read 10.5 MB of weights per launch in 12 us: 1.3 TB/s, three quarters of the memory's bandwidth, for 256 rows."

  /// From 60 % of peak bandwidth a kernel is at its roof for practical purposes: streaming kernels reach 80 to 92 % at best.
  public static let bandwidthThreshold = 0.6

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let intensity = run.kernels.intensity, let ridge = run.kernels.ridge, let used = run.kernels.memoryBandwidthUtilization else {
      return .inconclusive(
        MissingEvidence(["FLOPs per byte", "memory bandwidth used"], measure: "the model, so that its launches are planned"))
    }
    // More than all of it cannot come from memory: then the weights are in L2.
    guard intensity.value < ridge.value, used.value > bandwidthThreshold, used.value <= 1 else { return .clear }
    var seen: [Sentence] = [
      "Arithmetic intensity is \(intensity) FLOP/B; the ridge point is \(ridge).",
      "They use \(used) of the memory's bandwidth while they run.",
    ]
    if let weights = run.kernels.weightBytes { seen.append("A batch reads \(weights) of weights.") }
    var fixes: [Fix] = []
    if let maximum = run.batching.maximumRows {
      let more = maximum.multipliedClamping(by: 2)
      fixes.append(Fix("More rows for the same weights: max_batch_size \(more)", [.maximumBatchRows(more)]))
    }
    fixes.append(Fix("Weights in 8 bits", [.weightBytesScale(0.5)], in: .model))
    fixes.append(Fix("Weights in 4 bits", [.weightBytesScale(0.25)], in: .model))
    return .found(
      Observation(
        // Bytes that must move are a bound on bytes that did: a hit in L2 needs none of the memory's bandwidth.
        run.kernels.weightBytes.map { weights in (run.kernels.l2Bytes?.value ?? .infinity) < weights.value } == true ? .high : .medium,
        seen: seen,
        whyBad: "Time goes into fetching weights, not into arithmetic: each further row of the batch would be nearly free.", fixes: fixes,
        missing: MissingEvidence(
          ["bytes read from device memory"], measure: "hardware counters of one batch, or the time of the same kernel with cold and warm L2"
        )))
  }
}

extension HR202MemoryBandwidthBoundWeights {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Weights limit: kernels run at the memory-bandwidth roof, below the ridge point",
    gainsComputedBy: "larger batches: re-simulation; fewer weight bytes: not computed",
    summary: #"""
      Weights limit: kernels run at the memory-bandwidth roof, below the ridge point.
      """#,
    says: #"""
      The kernels' FLOPs per byte lie below the ridge of the device, and they use more than 60 % of its memory bandwidth.
      """#,
    whyBad: #"""
      Time goes into fetching weights. Each further row of the batch would be nearly free.
      """#,
    evidence: #"""
      FLOPs over bytes that must move below peak FLOP/s over bandwidth, and bytes over (kernel time x bandwidth) above 0.6.
      """#,
    example: #"""
      The case study's Stacked head: 199 MB of weights per batch, 167 FLOP per byte against a ridge of 281, 62 % of the bandwidth.
      """#,
    fix: #"""
      Larger batches, 8-bit weights, or fewer layers a pass so that weights stay in L2.
      """#,
    wouldChange: #"""
      Hardware counters of one batch, or the same kernel with cold and warm L2.
      """#)
}

extension FindingCode {
  /// `HR202MemoryBandwidthBoundWeights`.
  public static let HR202 = FindingCode(202)
}
