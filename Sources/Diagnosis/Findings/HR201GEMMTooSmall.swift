import CheckedNumbers

/// GEMMs too small for the device.
public enum HR201GEMMTooSmall: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR201
  /// The short name.
  public static let name = "gemm-too-small"
  /// A run that shows it.
  public static let example =
    "[256, 1024] x [1024, 1024] in 64 x 64 tiles is 64 blocks: on 188 SMs two thirds of the device have nothing to do."

  /// SMs with a resident block below one half: twice the rows would cost no more time.
  public static let fillThreshold = 0.5

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let fill = run.kernels.residentSMShare else {
      return .inconclusive(
        MissingEvidence(
          ["SMs with a resident block while GEMMs run"],
          measure: "the kernels' grids (a trace with kernel records), or the model, so that its launches are planned"))
    }
    guard fill.value < fillThreshold else { return .clear }
    var seen: [Sentence] = ["While a GEMM runs, \(fill) of the SMs hold a block, weighted by time."]
    if let share = run.kernels.gemmTimeShare { seen.append("GEMMs take \(share) of the kernels' time.") }
    if let busy = run.device.gpuBusy {
      seen.append("Kernels run for \(busy) of the time; a utilization meter that counts time shows that share, whatever the fill.")
    }
    var fixes: [Fix] = []
    if let maximum = run.batching.maximumRows {
      let more = maximum.multipliedClamping(by: 2)
      fixes.append(Fix("More rows per batch: max_batch_size \(more)", [.maximumBatchRows(more)]))
    }
    let parts = max(2, min(8, Int(saturating: (1 / max(fill.value, 0.125)).rounded(.down))))
    fixes.append(Fix("Cut k into \(parts) parts (split-K)", [.splitK(parts)], in: .engineCode))
    let instances = max(1, run.batching.instances ?? 1)
    fixes.append(Fix("Run batches beside each other: \(instances + 1) instances", [.instances(instances + 1), .issuingThreadPerInstance]))
    fixes.append(Fix("Stack several heads into one batched GEMM (headroom export --rewrite stack-heads)", in: .model))
    return .found(
      Observation(
        .high, seen: seen,
        whyBad: "The device is paid for whole and used in part while it is busy. It is worth throughput only where the device limits.",
        fixes: fixes))
  }
}

extension HR201GEMMTooSmall {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "GEMMs leave more than half of the SMs empty",
    gainsComputedBy: "larger batches: re-simulation; split-K: not computed",
    summary: #"""
      GEMMs leave more than half of the SMs empty.
      """#,
    says: #"""
      While a GEMM runs, fewer than half of the SMs hold a block, weighted by time.
      """#,
    whyBad: #"""
      Empty SMs do nothing, whatever a utilization meter that counts time says. Filling them makes a kernel cheaper per row; it raises throughput only where the
      kernels limit.
      """#,
    evidence: #"""
      SMs with a resident block in the GEMMs, averaged by time, below 0.5: SMs holding at least one block, averaged over a kernel's duration, tail included.
      """#,
    example: #"""
      64 tiles of 64 x 64 on 188 SMs: 34 %.
      """#,
    fix: #"""
      More rows per batch, stacked heads (one batched GEMM in place of several), split-K, or batches side by side on several streams.
      """#,
    wouldChange: #"""
      `headroom plan MODEL --sweep-batch 1:1024` draws fill and time against rows.
      """#)
}

extension FindingCode {
  /// `HR201GEMMTooSmall`.
  public static let HR201 = FindingCode(201)
}
