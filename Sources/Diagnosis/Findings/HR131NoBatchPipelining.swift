/// The device waits for its own loop: one batch at a time.
public enum HR131NoBatchPipelining: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR131
  /// The short name.
  public static let name = "no-batch-pipelining"
  /// A run that shows it.
  public static let example =
    "A 0.12 ms batch and 0.65 ms of wake-up, response, forming and gather before the next: the loop caps the server at a sixth of the device."

  /// With a tenth of wall time idle from host overhead, overlapping could be worth a ninth of throughput at saturation (1 / (1 - 0.1)).
  public static let hostOverheadThreshold = 0.1
  /// From here on the loop, not the device, is the larger part of a batch's period: it caps capacity whether or not this load feels it.
  public static let gapOverDeviceTime = 1.0
  /// A pipeline deeper than this forms a batch while another one runs.
  public static let depthThreshold = 1.2

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    guard let depth = run.device.pipelineDepth else {
      return .inconclusive(MissingEvidence(["batches in flight per launch thread"], measure: "a trace with batch events"))
    }
    guard depth.value <= depthThreshold else { return .clear }
    var seen: [Sentence] = []
    var felt = false
    if let hostOverhead = run.device.hostOverheadIdle, hostOverhead.value >= hostOverheadThreshold {
      felt = true
      seen.append("The device is idle for \(hostOverhead) of the time while work waits.")
    }
    if let gap = run.device.loopGap, let busy = run.device.deviceTimePerBatch, busy.value > 0,
      gap.inMilliseconds >= gapOverDeviceTime * busy.inMilliseconds
    {
      seen.append("A batch takes \(busy) on the device, and \(gap) pass from its end to the next batch's first launch when work waits.")
      if let requests = run.batching.meanRequests {
        let period = gap.inMilliseconds + busy.inMilliseconds
        let ceiling = Figure.combined(
          requests.value * 1000 / period, .requestsPerSecond, [requests, gap, busy],
          source: "requests per batch over (loop gap + device time)")
        seen.append("One loop can therefore pass \(ceiling), whatever the device could do.")
      }
    }
    guard !seen.isEmpty else {
      if run.device.hostOverheadIdle == nil && run.device.loopGap == nil {
        return .inconclusive(
          MissingEvidence(
            ["idle time from host overhead between batches", "the loop's gap"], measure: "a trace with request and batch events"))
      }
      return .clear
    }
    seen.append("\(depth) batches are in flight per launch thread.")
    if !felt { seen.append("This load does not reach that ceiling: here it costs capacity, not throughput.") }
    let instances = max(1, run.batching.instances ?? 1)
    return .found(
      Observation(
        run.device.hostOverheadIdle != nil ? .high : .medium, seen: seen,
        whyBad:
          "Wake-up, response, batch forming and gather happen one after another with the device empty; a synchronization while the device is busy would cost nothing.",
        fixes: [
          Fix("Form, gather and launch the next batch while the current one runs (eager batching)", [.eagerBatching]),
          Fix("\(instances + 1) instances, each launching from its own thread", [.instances(instances + 1), .issuingThreadPerInstance]),
        ]))
  }
}

extension HR131NoBatchPipelining {
  /// Nothing of it needs a GPU.
  public static let appliesToProcessors = true

  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "One batch at a time: the device waits for its own loop",
    gainsComputedBy: "re-simulation",
    summary: #"""
      One batch at a time: the device waits for its own loop.
      """#,
    says: #"""
      A batch is formed, gathered, copied, launched, waited for and answered before the next one is begun, and the device is empty meanwhile.
      """#,
    whyBad: #"""
      Event wake-up, hand-off, gathering and launching add up to the device's idle time between batches. At saturation that is lost throughput; below it, lost
      capacity. A synchronization while the device is busy costs nothing: the share of API time in cudaEventSynchronize says nothing here.
      """#,
    evidence: #"""
      Batches in flight per launch thread at most 1.2, and either idle time from host overhead between batches at least 10 % of wall time, or the gap between batches (when work waited) at
      least as long as a batch's own time on the device.
      """#,
    example: #"""
      The case study's Linear head: 0.12 ms of kernels and about 0.5 ms of loop: one loop can pass some 8,000 requests/s although the GPU alone could pass 40,000.
      """#,
    fix: #"""
      Form and launch the next batch while the current one runs, or use a second instance with its own launch thread:

          optimization { eager_batching: true }
          instance_group [ { count: 2 kind: KIND_GPU } ]      # and --backend-config=tensorrt,execution-policy=BLOCKING
      """#,
    wouldChange: #"""
      A second instance: if throughput at saturation does not rise, the loop was not the limit.
      """#)
}

extension FindingCode {
  /// `HR131NoBatchPipelining`.
  public static let HR131 = FindingCode(131)
}
