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
      return .inconclusive(MissingEvidence(["the graph"], measure: "give the model: a trace alone never shows which rows are copies"))
    }
    guard share.value >= shareThreshold else { return .clear }
    var seen: [Sentence] = ["\(share) of the floating-point operations are done on rows that are copies of other rows."]
    if let fraction = share.asFractionOfWhole { seen.append("That is \(fraction) of the work.") }
    if let busy = run.device.gpuBusy { seen.append("The kernels that do it run for \(busy) of the time.") }
    return .found(
      Observation(
        .high, seen: seen, whyBad: "The device is full of work that changes no answer, and every utilization figure counts it.",
        fixes: [Fix("Expand after the row-wise layers, or not at all (headroom export --rewrite sink-broadcast)", [.removeRedundantWork])]))
  }
}

extension HR211RedundantWork {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Work on rows that are copies of other rows",
    gainsComputedBy: "the rewritten plan, then re-simulation",
    summary: #"""
      Work on rows that are copies of other rows.
      """#,
    says: #"""
      The graph proves that rows are copies: a broadcast (expand) in front of row-wise layers, of which one row is read.
      """#,
    whyBad: #"""
      The device is full of work that changes no answer. Utilization, SMs with a resident block and tensor throughput all count it.
      """#,
    evidence: #"""
      Redundant FLOPs over all FLOPs at least 0.01, by proof on the graph, never by guess; without a graph the finding is *unknown*, not absent.
      """#,
    example: #"""
      SeqLen: `x.expand(-1, 128, -1)`, every layer row-wise, `h[:, 0, :]` read: 127 of 128 rows. Its tensor throughput is 52 %, of which 0.4 % is in the answer.
      """#,
    fix: #"""
      Expand after the row-wise layers, or not at all:

          headroom plan seqlen --gpu rtx-pro-6000 --batch 256 --rewrite sink-broadcast    # what it would take
          headroom export seqlen --rewrite sink-broadcast -o lean.onnx                    # the model to serve

      On a processor the gain is computed too: batches of the rewritten model are timed on it (`headroom bench --device cpu`). Made and measured on two cores: 80.5 to 222 requests/s.
      """#,
    wouldChange: #"""
      The outputs of both graphs on the same inputs are equal to rounding; `headroom export` writes both, with `--rewrite sink-broadcast` and without.
      """#)
}

extension FindingCode {
  /// `HR211RedundantWork`.
  public static let HR211 = FindingCode(211)
}
