/// The server's threads outside the issuing loop are full.
public enum HR111FrontEndSaturated: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR111
  /// The short name.
  public static let name = "front-end-saturated"
  /// A run that shows it.
  public static let example = "200 KB bodies as JSON text: the HTTP threads parse on every core they have while batcher and device wait."

  /// At 0.9 of its cores a queue in front of the work is nine jobs long on average (rho / (1 - rho), M/M/1).
  public static let coreThreshold = 0.9
  /// From half on, what grows with the bytes is the larger part and is attacked first.
  public static let perByteThreshold = 0.5

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let share = run.frontEnd.coreShare ?? run.stages[.frontEnd]?.utilization else {
      return .inconclusive(
        MissingEvidence(["the server threads' CPU share"], measure: "`pidstat -t -p PID 5 1` on the server during the run"))
    }
    guard share.value >= coreThreshold else { return .clear }
    var seen: [Sentence] = ["The front end uses \(share) of its cores."]
    if let capacity = run.stages[.frontEnd]?.capacity { seen.append("It can pass \(capacity) by itself.") }
    let cores = max(1, run.frontEnd.cores ?? 1)
    var fixes: [Fix] = []
    if let perByte = run.frontEnd.perByteShare {
      seen.append("\(perByte) of its time grows with the bytes of a request.")
      if perByte.value >= perByteThreshold {
        fixes.append(
          Fix(
            "Send tensors as binary over gRPC or shared memory, so that nothing is parsed per byte",
            [.frontEndTimeScale(max(0, 1 - perByte.value))]))
      }
    }
    fixes.append(Fix("Give the front end \(2 * cores) cores in place of \(cores)", [.frontEndCores(2 * cores)]))
    return .found(
      Observation(
        share.kind == .measured || share.kind == .simulated ? .high : .medium, seen: seen,
        whyBad: "Requests wait before the batcher sees them: neither batching nor the device can help what has not arrived.", fixes: fixes))
  }
}

extension HR111FrontEndSaturated {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "The server's threads in front of the batcher use all their cores",
    gainsComputedBy: "re-simulation",
    summary: #"""
      The server's threads in front of the batcher use all their cores.
      """#,
    says: #"""
      HTTP or gRPC threads (receiving, parsing, copying, sending) use at least 90 % of the cores they may use.
      """#,
    whyBad: #"""
      Batcher and device wait for requests that are already there. The GPU looks idle for want of load.
      """#,
    evidence: #"""
      Front-end cores used: 90 % or more, from thread CPU time or from the simulation. Where more than half of that time grows with the bytes of a
      request, the encoding is named as the first thing to change.
      """#,
    example: #"""
      Requests of 50 x 1,024 fp32 values as JSON text are a megabyte each; parsing them takes milliseconds of a core.
      """#,
    fix: #"""
      Send tensors in binary (the binary_tensor_data extension), use gRPC, or shared memory on the same machine. Then more front-end threads:

          tritonserver --http-thread-count=16 ...
      """#,
    wouldChange: #"""
      `pidstat -t -p PID 5 1` on the server: no thread of the front end near 100 % refutes it.
      """#)
}

extension FindingCode {
  /// `HR111FrontEndSaturated`.
  public static let HR111 = FindingCode(111)
}
