import CheckedNumbers
import Diagnosis
import Serving
import Simulation

/// How much more a running model can take, from a simulation fitted to its last seconds. No request is sent. Pure; some ten short runs in
/// virtual time.
enum LiveHeadroom {
  /// Requests of a trial: twenty above the 99th percentile.
  static let requests = 2000.0
  /// Fewer batches than this show no time of a batch.
  static let minimumBatches = 20

  static func headroom(
    of diagnosis: LiveDiagnosis, events: LiveTrace.Events, serverContext: LiveDiagnosis.ServerContext, goal: LatencyGoal
  ) -> Headroom {
    find(of: diagnosis, events: events, serverContext: serverContext, goal: goal).headroom
  }

  /// The headroom, and what tries changes on the same simulation; nil where nothing could be fitted.
  ///
  /// - Parameters:
  ///   - isPatient: whether changes are worked out later, by the estimator's `work()`.
  ///   - earlier: the estimator of the window before.
  static func find(
    of diagnosis: LiveDiagnosis, events: LiveTrace.Events, serverContext: LiveDiagnosis.ServerContext, goal: LatencyGoal,
    isPatient: Bool = false, earlier: LiveEstimator? = nil
  ) -> (headroom: Headroom, estimator: LiveEstimator?) {
    let today = diagnosis.answered > 0 ? diagnosis.figures.requestsPerSecond : nil
    func unknown(_ reason: String) -> (Headroom, LiveEstimator?) { (Headroom(goal: goal, today: today, unknownBecause: reason), nil) }
    guard let today else { return unknown("no request was answered in the last \(LiveDiagnosis.seconds(diagnosis.window)) s") }
    guard events.batches.count >= minimumBatches else {
      return unknown("\(events.batches.count) batches in the window are too few to fit a simulation to: \(minimumBatches) are needed")
    }
    do {
      guard let fitted = try LiveSimulation(diagnosis, events, serverContext) else {
        return unknown("no batch in the window shows how long it took")
      }
      let outcome = try search(fitted.configuration, goal).run(from: max(8, today.value))
      let source = "simulation fitted to the last \(LiveDiagnosis.seconds(diagnosis.window)) s: open loop, Poisson arrivals, \(goal.text)"
      let headroom = Headroom(
        goal: goal, today: today,
        maximumRate: Figure(outcome.rate.lowerBound, .requestsPerSecond, .estimated, source: source, interval: outcome.rate),
        isLowerBound: outcome.isLowerBound || fitted.isLowerBound)
      return (headroom, LiveEstimator(fitted, goal: goal, today: today, maximumRate: outcome.rate, isPatient: isPatient, earlier: earlier))
    } catch { return unknown("the simulation fitted to the window failed: \(error)") }
  }

  /// A fast server's trials stay short: this runs beside it.
  static func search(_ configuration: SimulationConfiguration, _ goal: LatencyGoal) -> CapacitySearch {
    var search = CapacitySearch(configuration, p99Milliseconds: goal.p99Milliseconds, requests: requests)
    search.goalsPerTrial = 3
    return search
  }
}
