import CheckedNumbers
public import Reporting
import TimeBase
import Workload

extension Experiment {
  /// In virtual time: what the experiment's runs and the short runs behind sensitivities, changes and headroom cost by `costs`, of the variants
  /// in their order; on cores that have nothing else to do.
  ///
  /// How many changes will be tried is not known before the verdicts are: the number is that of the built-in experiments, so that the
  /// estimate is right to a factor of two (`TimeEstimate.factor`).
  public func estimate(_ costs: [SimulationCost], explains: Bool, cores: Int, lengths: RunLengths = .standard) -> TimeEstimate {
    let work = zip(variants, costs).map { variant, cost in
      cost.work(of: variant, repetitions: repetitions, goal: latencyGoal, explains: explains, lengths: lengths)
    }
    let cores = Double(max(1, cores))
    // Runs of one variant, and the trials of its search, wait for each other; all else is done side by side.
    let seconds = max(work.map(\.inOrder).max() ?? 0, work.reduce(0) { $0 + $1.inOrder + $1.sideBySide } / cores)
    return TimeEstimate(
      seconds: seconds,
      work: "\(runs) in virtual time" + (explains ? ", and what changes would buy (--no-gains leaves that out)" : "")
        + "; \(Int(saturating: cores)) idle core\(cores == 1 ? "" : "s") assumed")
  }

  /// For real: starting the servers, every variant's run, one more of each at equal rows per second where several are compared, and a
  /// simulation fitted to each.
  public func measuredEstimate(explains: Bool) -> TimeEstimate {
    var seconds = 0.0
    for variant in variants {
      let load = variant.workload
      seconds += Self.secondsPerServer + load.ramp.seconds + load.warmUp.seconds + load.duration.seconds
      if variants.count > 1 { seconds += 1 + max(2, load.duration.seconds / 2.5) }
      if explains { seconds += Self.secondsPerFit }
    }
    let count = "\(variants.count) variant\(variants.count == 1 ? "" : "s")"
    return TimeEstimate(seconds: seconds, work: count + " for real" + (explains ? ", and a simulation fitted to each" : ""))
  }

  /// Start, readiness and end of a server, reading its trace.
  private static let secondsPerServer = 3.0
  /// Batch times on the quiet machine, the fit, sensitivities and changes.
  private static let secondsPerFit = 12.0

  private var runs: String {
    let count = variants.count
    return "\(count) variant\(count == 1 ? "" : "s"), \(repetitions) run\(repetitions == 1 ? "" : "s")\(count == 1 ? "" : " each")"
  }
}
