/// Requests are rejected at the queue.
public enum HR124QueueRejections: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR124
  /// The short name.
  public static let name = "queue-rejections"
  /// A run that shows it.
  public static let example =
    "max_queue_size 100 with 1,000 users: in a burst one request in twelve is answered 503, and the latency table shows only the others."

  /// One in a thousand is where a p99.9 begins to leave out what failed.
  public static let shareThreshold = 0.001

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let rejections = run.batching.rejections else {
      return .inconclusive(
        MissingEvidence(["rejections by reason"], measure: "the generator's errors by status, or the server's failure counters"))
    }
    let turnedAway = RejectionReason.allCases.filter { $0 != .cancelled }.reduce(0) { $0.addingClamping(rejections[$1] ?? 0) }
    guard turnedAway > 0 else { return .clear }
    guard let offered = run.batching.offeredRequests, offered > 0 else {
      return .inconclusive(MissingEvidence(["requests offered"], measure: "the generator's request count"))
    }
    let kind = run.load.throughput?.kind ?? .measured
    let share = Figure(Double(turnedAway) / Double(offered), .share, kind, source: "rejected over offered requests")
    guard share.value >= shareThreshold else { return .clear }
    var seen: [Sentence] = ["\(share) of the requests were rejected."]
    for reason in RejectionReason.allCases where reason != .cancelled {
      guard let number = rejections[reason], number > 0 else { continue }
      let count = Figure(Double(number), .count, kind, source: "rejections by reason")
      seen.append("\(count): \(reason.text).")
    }
    if let queued = run.batching.meanQueuedRequests { seen.append("\(queued) requests wait in the queue on average.") }
    var fixes: [Fix] = []
    if (rejections[.queueFull] ?? 0) > 0, let size = run.batching.maximumQueueSize, size > 0 {
      fixes.append(
        Fix(
          "Let twice as many requests wait: helps a burst, and only lengthens the wait where load exceeds capacity",
          [
            .maximumQueueSize(size.multipliedClamping(by: 2))
          ]))
    }
    if (rejections[.timeout] ?? 0) > 0, let timeout = run.batching.timeoutMicroseconds, timeout > 0 {
      fixes.append(Fix("Twice the queue timeout", [.queueTimeout(microseconds: timeout.multipliedClamping(by: 2))]))
    }
    fixes.append(Fix("More capacity: one more instance", [.instances(max(1, run.batching.instances ?? 1) + 1)]))
    return .found(
      Observation(
        .high, seen: seen,
        whyBad: "Users got errors, and every latency in the report leaves them out: it is the latency of those who got in.", fixes: fixes))
  }
}

extension HR124QueueRejections {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Requests are rejected",
    gainsComputedBy: "re-simulation",
    summary: #"""
      Requests are rejected.
      """#,
    says: #"""
      At least one request in a thousand was answered with an error because the queue was full or its time in the queue was over.
      """#,
    whyBad: #"""
      Clients see failures, and latency percentiles leave them out: the best figures come from the worst overload.
      """#,
    evidence: #"""
      Rejections over offered requests: 0.001 or more, by reason (queue full, timeout, cancelled).
      """#,
    example: #"""
      max_queue_size 20 in front of a SeqLen head that takes 4.9 ms per batch: at 2,000 requests/s half of them get 503.
      """#,
    fix: #"""
      A longer queue or deadline helps against bursts only. Against lasting overload: capacity (the finding's gains say what an instance brings), or less load.
      """#,
    wouldChange: #"""
      Queue depth over time: always at the limit is overload, now and then is bursts.
      """#)
}

extension FindingCode {
  /// `HR124QueueRejections`.
  public static let HR124 = FindingCode(124)
}
