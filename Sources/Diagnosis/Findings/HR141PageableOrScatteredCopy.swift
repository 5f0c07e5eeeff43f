/// Copies from pageable memory, or one per request.
public enum HR141PageableOrScatteredCopy: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR141
  /// The short name.
  public static let name = "pageable-or-scattered-copy"
  /// A run that shows it.
  public static let example =
    "Five requests per batch and five cudaMemcpyAsync from plain malloc memory: each is staged through a driver buffer, and none overlaps."

  /// A tenth of the bytes: a stray scalar does not count.
  public static let pageableThreshold = 0.1
  /// Copies per batch over requests per batch: at four fifths nearly every request is copied by itself.
  public static let scatterThreshold = 0.8

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    let pageable = run.copies.pageableByteShare
    let uploads = run.copies.uploadsPerBatch
    let requests = run.batching.meanRequests
    var seen: [Sentence] = []
    var fixes: [Fix] = []
    if let pageable, pageable.value >= pageableThreshold {
      seen.append("\(pageable) of the bytes are copied from or to pageable memory.")
      fixes.append(Fix("Copy from page-locked memory", [.pinnedTransfers]))
    }
    // One request per batch cannot be scattered; below one and a half the difference to a single copy is less than half a copy.
    if let uploads, let requests, requests.value >= 1.5, uploads.value >= scatterThreshold * requests.value {
      seen.append("\(uploads) copies reach the device for the \(requests) requests of a batch.")
      fixes.append(Fix("Gather a batch's rows on the host and copy once", [.gatheredCopies], in: .backEnd))
    }
    guard !seen.isEmpty else {
      if pageable == nil && uploads == nil {
        return .inconclusive(MissingEvidence(["copies and their memory kinds"], measure: "a trace with memory-copy records"))
      }
      return .clear
    }
    return .found(
      Observation(
        .high, seen: seen,
        whyBad:
          "A pageable copy is staged through a small driver buffer and holds its thread; each further copy costs its own call and set-up on the link.",
        fixes: fixes))
  }
}

extension HR141PageableOrScatteredCopy {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Copies from pageable memory, or one per request",
    gainsComputedBy: "re-simulation",
    summary: #"""
      Copies from pageable memory, or one per request.
      """#,
    says: #"""
      At least 10 % of the bytes between host and device come from or go to pageable memory; or nearly as many uploads as requests reach the device.
      """#,
    whyBad: #"""
      A pageable copy is staged through a page-locked buffer by the CPU, at a fraction of the link's rate, and blocks. Many small copies pay their fixed cost
      each.
      """#,
    evidence: #"""
      Bytes with srcKind or dstKind pageable over all host copies: 0.1 or more; uploads a batch at least 0.8 x requests per batch, with more than one request.
      """#,
    example: #"""
      16 requests per batch, copied one by one at 6 us each before any byte moves: 0.1 ms.
      """#,
    fix: #"""
      Page-locked input buffers (Triton's default), and gathering on the host:

          optimization { input_pinned_memory { enable: true } }
      """#,
    wouldChange: #"""
      srcKind in the copy records, and GB/s of the copies against the link.
      """#)
}

extension FindingCode {
  /// `HR141PageableOrScatteredCopy`.
  public static let HR141 = FindingCode(141)
}
