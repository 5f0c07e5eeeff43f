/// Kernels wait for their launch calls.
public enum HR132LaunchBound: FindingRule {
  /// The registered code.
  public static let code = FindingCode.HR132
  /// The short name.
  public static let name = "launch-bound"
  /// A run that shows it.
  public static let example =
    "3 us kernels launched every 7 us from Python: inside every batch the device is idle more than half of the time, with its queue empty at each launch."

  /// Half of a batch's kernels find the queue empty: the launches, not single hiccups, set the pace.
  public static let lateThreshold = 0.5
  /// A tenth of the bursts' time: less is within what a trace's own overhead per launch (about a microsecond) may add.
  public static let idleThreshold = 0.1

  /// Examines a run.
  public static func examine(_ run: RunEvidence) -> Examination {
    // Late launches only. The share of API time spent in launch calls says nothing: the same calls are free while the device is busy.
    guard let late = run.launches.lateShare, let idle = run.launches.lateIdleShare else {
      return .inconclusive(
        MissingEvidence(["queue depth at each launch"], measure: "a trace with kernel and runtime-API records joined by correlation id"))
    }
    guard late.value >= lateThreshold, idle.value >= idleThreshold else { return .clear }
    var seen: [Sentence] = [
      "\(late) of the kernels found the device's queue empty at their launch.", "That leaves the device idle for \(idle) of its bursts.",
    ]
    if let launch = run.launches.launchTime, let kernel = run.launches.kernelTime {
      seen.append("A launch costs the launch thread \(launch); a kernel runs for \(kernel).")
    }
    return .found(
      Observation(
        .high, seen: seen,
        whyBad: "The device finishes each kernel before the host has asked for the next one, so it runs at the host's pace.",
        fixes: [
          Fix("Capture the batch as a CUDA graph: one launch in place of all", [.cudaGraphs]),
          Fix("Fuse kernels, so that fewer and longer ones are launched", in: .engineBuild),
        ]))
  }
}

extension HR132LaunchBound {
  /// What its page says.
  public static let explanation = FindingExplanation(
    inOneLine: "Kernels wait for their launch calls",
    gainsComputedBy: "replay, with one measured graph launch; here re-simulation",
    summary: #"""
      Kernels wait for their launch calls.
      """#,
    says: #"""
      At least half of the kernels inside batches found the device idle when their launch returned: queue depth 0.
      """#,
    whyBad: #"""
      The device runs at the host's pace. Faster kernels would change nothing.
      """#,
    evidence: #"""
      Late kernels (launch returned after the previous kernel had ended): 0.5 or more, and the idle time before them at least a tenth of the bursts. First
      kernels of batches are left out: their lateness belongs to the loop (HR131). Never from the share of API time spent launching.
      """#,
    example: #"""
      3 us kernels launched every 7 us from Python. Not the case study's Linear head: 4.5 us per launch against 6.3 us kernels leaves the burst GPU-paced.
      """#,
    fix: #"""
      Capture the batch as a CUDA graph, or fuse kernels:

          optimization { cuda { graphs: true } }
      """#,
    wouldChange: #"""
      A trace with kernel and runtime-API records joined by correlation id shows each launch's return beside the previous kernel's end.
      """#)
}

extension FindingCode {
  /// `HR132LaunchBound`.
  public static let HR132 = FindingCode(132)
}
