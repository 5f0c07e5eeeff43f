import CheckedNumbers

/// The last wave of blocks is mostly empty.
public enum HR205WaveQuantization: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR205
  /// The short name.
  public static let name = "wave-quantization"
  /// A run that shows it.
  public static let example = "200 blocks on 188 SMs: 188 run, then 12; the kernel takes two waves for one and a little."

  /// Below four fifths of the slots used, the wave edge is worth up to a quarter (1 / 0.8); NVIDIA's matrix-multiplication guide calls it wave quantization.
  public static let efficiencyThreshold = 0.8
  /// Kernels of more than one wave must take at least this share of kernel time to matter.
  public static let timeThreshold = 0.2

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let share = run.kernels.multiWaveTimeShare else {
      return .inconclusive(
        MissingEvidence(
          ["waves of the kernels"],
          measure: "the kernels' grids (a trace with kernel records), or the model, so that its launches are planned"))
    }
    guard share.value >= timeThreshold, let efficiency = run.kernels.slotEfficiency, efficiency.value < efficiencyThreshold else {
      return .clear
    }
    var seen: [Sentence] = [
      "Kernels of more than one wave fill \(efficiency) of their slots, weighted by time.", "They take \(share) of the kernels' time.",
    ]
    var fixes: [Fix] = []
    if let waves = run.kernels.dominantWaves, waves.value > 1 {
      seen.append("The kernel that takes most time has \(waves) waves.")
      if let maximum = run.batching.maximumRows {
        // Blocks grow with the rows, so the edge lies at the same share of the rows.
        let edge = Int(saturating: (Double(maximum) * waves.value.rounded(.down) / waves.value).rounded(.down))
        if edge >= 1, edge < maximum { fixes.append(Fix("Batches up to the wave edge: max_batch_size \(edge)", [.maximumBatchRows(edge)])) }
      }
    }
    fixes.append(Fix("Another tile or split of k, so that the blocks fill whole waves", in: .engineCode))
    return .found(
      Observation(
        .high, seen: seen,
        whyBad: "A kernel takes as long as its last wave: the SMs without a block of it wait for those that have one.", fixes: fixes))
  }
}

extension HR205WaveQuantization {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "The last wave of blocks is nearly empty",
    gainsComputedBy: "batches to the wave edge: re-simulation; another tile: advice",
    summary: #"""
      The last wave of blocks is nearly empty.
      """#,
    says: #"""
      Kernels of more than one wave take at least a fifth of the kernel time, and their blocks fill less than 80 % of the waves' slots.
      """#,
    whyBad: #"""
      The last wave takes as long as a full one. 200 blocks on 188 slots cost two waves for one and a little.
      """#,
    evidence: #"""
      waves / ceil(waves) below 0.8, weighted by time, over kernels with more than one wave that take at least 0.2 of kernel time.
      """#,
    example: #"""
      200 blocks on 188 SMs at one block an SM: 53 %.
      """#,
    fix: #"""
      A batch size at a wave edge, or another tile.
      """#,
    wouldChange: #"""
      `headroom plan MODEL --batch A,B` at both sides of an edge.
      """#)
}

extension FindingCode {
  /// `HR205WaveQuantization`.
  public static let HR205 = FindingCode(205)
}
