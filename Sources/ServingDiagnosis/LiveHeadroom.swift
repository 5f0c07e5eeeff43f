import CheckedNumbers
import Diagnosis
import Serving
import Simulation

/// How much more a running model can take, from a simulation fitted to its last seconds. No request is sent. Pure; some ten short runs in
/// virtual time, thrice where batches larger than any seen have to be guessed.
enum LiveHeadroom {
  /// Requests of a trial: twenty above the 99th percentile.
  static let requests = 2000.0
  /// A range whose ends are further apart than this tells its lower end alone.
  static let widest = 3.0
  /// Fewer batches than this show no time of a batch.
  static let minimumBatches = 20

  static func headroom(
    of diagnosis: LiveDiagnosis, events: LiveTrace.Events, serverContext: LiveDiagnosis.ServerContext, goal: LatencyGoal
  ) -> Headroom {
    find(of: diagnosis, events: events, serverContext: serverContext, goal: goal).headroom
  }

  /// What is known of a model after a window.
  struct Found: Sendable {
    var headroom: Headroom
    /// Tries changes on the same simulation; nil where nothing could be fitted.
    var estimator: LiveEstimator?
    /// Of this window and those before it; nil where too few batches ran.
    var batchTimes: LiveBatchTimes?
  }

  /// The headroom, and what tries changes on the same simulation.
  ///
  /// - Parameters:
  ///   - isPatient: whether changes are worked out later, by the estimator's `work()`.
  ///   - earlier: what was known after the window before.
  ///   - requests: of a trial.
  static func find(
    of diagnosis: LiveDiagnosis, events: LiveTrace.Events, serverContext: LiveDiagnosis.ServerContext, goal: LatencyGoal,
    isPatient: Bool = false, earlier: Found? = nil, requests: Double = requests
  ) -> Found {
    let today = diagnosis.answered > 0 ? diagnosis.figures.requestsPerSecond : nil
    func unknown(_ reason: String) -> Found {
      Found(headroom: Headroom(goal: goal, today: today, unknownBecause: reason), batchTimes: earlier?.batchTimes)
    }
    guard let today else { return unknown("no request was answered in the last \(LiveDiagnosis.seconds(diagnosis.window)) s") }
    if let reason = diagnosis.evidence.steadiness?.unsteadyBecause { return unknown(reason) }
    guard events.batches.count >= minimumBatches else {
      return unknown("\(events.batches.count) batches in the window are too few to fit a simulation to: \(minimumBatches) are needed")
    }
    do {
      guard let fitted = try LiveSimulation(diagnosis, events, serverContext, earlier: earlier?.batchTimes) else {
        return unknown("no batch in the window shows how long it took")
      }
      let outcome = try search(fitted.configuration, goal, requests: requests).run(from: max(8, today.value))
      var (interval, isLowerBound) = (outcome.rate, outcome.isLowerBound || fitted.isLowerBound)
      var value = outcome.rate.lowerBound
      if let bounds = fitted.bounds {
        let start = CapacitySearch.Start.near(max(8, outcome.rate.lowerBound))
        let slowest = try search(bounds.slowest, goal, requests: requests).run(from: start)
        let fastest = try search(bounds.fastest, goal, requests: requests).run(from: start)
        interval = min(slowest.rate.lowerBound, value)...max(fastest.rate.upperBound, outcome.rate.upperBound)
        if interval.upperBound > widest * interval.lowerBound || slowest.isLowerBound || fastest.isLowerBound {
          // What was seen does not tell: only the lower end is sure.
          (value, isLowerBound, interval) = (interval.lowerBound, true, slowest.rate)
        }
      }
      let source = "simulation fitted to the last \(LiveDiagnosis.seconds(diagnosis.window)) s: open loop, Poisson arrivals, \(goal.text)"
      let headroom = Headroom(
        goal: goal, today: today,
        maximumRate: Figure(value, .requestsPerSecond, .estimated, source: source, interval: interval), isLowerBound: isLowerBound,
        condition: outcome.startMisses ? Headroom.startMisses : Headroom.noneBecause(idleP99Milliseconds: outcome.idleP99Milliseconds))
      return Found(
        headroom: headroom,
        estimator: LiveEstimator(
          fitted, goal: goal, today: today, maximumRate: outcome.rate, isPatient: isPatient, earlier: earlier?.estimator),
        batchTimes: fitted.times)
    } catch { return unknown("the simulation fitted to the window failed: \(error)") }
  }

  /// A fast server's trials stay short: this runs beside it.
  static func search(_ configuration: SimulationConfiguration, _ goal: LatencyGoal, requests: Double = requests) -> CapacitySearch {
    var search = CapacitySearch(configuration, p99Milliseconds: goal.p99Milliseconds, requests: requests)
    search.goalsPerTrial = 3
    return search
  }
}
