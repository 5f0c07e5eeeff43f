import CheckedNumbers
public import Planning
public import Reporting
import Simulation
import TimeBase
import Workload

/// What simulating costs. The standard figures are of a release build on a core of a virtual machine (EPYC 9555): `bench --no-gains` and
/// `bench` of the case study's variants, their CPU time over the requests of their runs.
public struct SimulationSpeed: Sendable, Hashable {
  /// CPU seconds per simulated request.
  public var secondsPerRequest: Double
  /// Requests of the short runs behind one variant's sensitivities and changes.
  public var requestsForChanges: Double
  /// Runs at the highest rate that are worth a search with all its changes; each lasts ten times the latency goal, so that a server that can take
  /// much costs more.
  public var runsAtMaximumRate: Double
  /// Cores that variants run on beside each other.
  public var cores: Int

  /// A speed with every field stated.
  public init(secondsPerRequest: Double = 2.5e-6, requestsForChanges: Double = 5.8e6, runsAtMaximumRate: Double = 40, cores: Int) {
    self.secondsPerRequest = secondsPerRequest
    self.requestsForChanges = requestsForChanges
    self.runsAtMaximumRate = runsAtMaximumRate
    self.cores = cores
  }
}

extension Experiment {
  /// In virtual time. Requests per second of a closed loop are bounded by its users' think time and by what the device computes at best.
  ///
  /// - Parameter plans: of the variants, in their order: how much each can take at best. Without them the search for that is left out.
  public func estimate(_ speed: SimulationSpeed, explains: Bool, plans: [Plan] = []) -> TimeEstimate {
    var perVariant: [Double] = []
    for (index, variant) in variants.enumerated() {
      let length = variant.workload.ramp.seconds + variant.workload.warmUp.seconds + variant.workload.duration.seconds
      var requests = length * Self.rate(of: variant) * Double(repetitions)
      // Short runs are made side by side.
      var sideBySide = explains ? speed.requestsForChanges : 0
      if plans.indices.contains(index) {
        let each = Self.maximumRate(of: variant, plans[index]) * 10 * latencyGoal.p99Milliseconds / 1000
        // Without changes there is one search, whose trials wait for each other.
        if explains { sideBySide += max(0, each - 10_000) * speed.runsAtMaximumRate } else { requests += max(0, each - 10_000) * 10 }
      }
      perVariant.append((requests + sideBySide / Double(max(1, speed.cores / variants.count))) * speed.secondsPerRequest)
    }
    // Variants run beside each other; the longest of them is not cut.
    let seconds = max(perVariant.max() ?? 0, perVariant.reduce(0, +) / Double(max(1, min(speed.cores, variants.count))))
    return TimeEstimate(
      seconds: seconds, work: runs + " in virtual time" + (explains ? ", and what changes would buy (--no-gains leaves that out)" : ""))
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

  /// Requests per second that a variant could take, from above: full batches one after the other, and a front end that does nothing else.
  private static func maximumRate(of variant: Variant, _ plan: Plan) -> Double {
    let frontEnd = variant.host[.frontEndPerRequest].value
    let bound = frontEnd > 0 ? variant.host[.frontEndCores].value * 1e6 / frontEnd : CapacitySearch.largestRate
    let rows = max(1, variant.scheduler.maximumBatchRows)
    guard variant.processor == nil, let batch = try? plan.at(rows: rows) else { return 0 }
    let nanoseconds = batch.elapsedNanoseconds(.eager, host: variant.host)
    guard nanoseconds > 0 else { return bound }
    return min(bound, Double(rows) / max(1, variant.workload.rows.mean) / nanoseconds * 1e9, CapacitySearch.largestRate)
  }

  /// Requests per second, from above.
  private static func rate(of variant: Variant) -> Double {
    switch variant.workload.load {
    case .open(let arrivals): return arrivals.perSecond(over: variant.workload.duration)
    case .closed(let users, _, let think):
      // An answer takes ten milliseconds at best, with network, batching and kernels; one process of a load generator passes no more.
      return min(Double(users) / (think.mean.seconds + 0.01), 20_000)
    }
  }
}
