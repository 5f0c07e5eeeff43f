import Diagnosis
import Resimulation
import Simulation
import Synchronization

/// What changes would buy a running model: the window's own requests come again to a simulation of it, as it is and with the change made,
/// and the highest rate is searched for on both. No request is sent. Every answer is kept: a page that asks each second costs no more.
final class LiveEstimator: GainEstimator, Sendable {
  /// How far the simulation is from the window; more than 3 % and nothing is quantified.
  let reproductionError: Figure?
  private let simulation: LiveSimulation
  private let replay: LiveSimulation.Replay
  private let goal: LatencyGoal
  private let today: Figure
  /// Highest rate that keeps the goal as the model is.
  private let maximumRate: ClosedRange<Double>
  /// An answer that is not there yet is refused and worked out by `work()`, so that nobody waits for it.
  private let isPatient: Bool
  private let state: Mutex<State>
  private struct State: Sendable {
    var known: [[Change]: Result<GainEstimate, GainRefusal>] = [:]
    /// Of the simulation before this one, some ten seconds older: better than nothing until the new answer is there.
    var earlier: [[Change]: Result<GainEstimate, GainRefusal>] = [:]
    var wanted: [[Change]] = []
  }

  /// One pair of runs each.
  private static let seeds: [UInt64] = [1, 2]
  /// With less to spare than this the requests may have come as slowly as they were answered, in a closed loop: what a change would do to
  /// their number is then not seen from the server.
  private static let spareFactor = 1.25

  /// nil where the window's requests are too few to compare anything by.
  ///
  /// - Parameters:
  ///   - isPatient: whether `estimate` answers at once with what is known, and `work()` finds the rest.
  ///   - earlier: the estimator of the window before.
  init?(
    _ simulation: LiveSimulation, goal: LatencyGoal, today: Figure, maximumRate: ClosedRange<Double>, isPatient: Bool,
    earlier: LiveEstimator?
  ) {
    guard let replay = simulation.replay else { return nil }
    self.simulation = simulation
    self.replay = replay
    self.goal = goal
    self.today = today
    self.maximumRate = maximumRate
    self.isPatient = isPatient
    reproductionError = replay.error
    var state = State()
    if let earlier { state.earlier = earlier.state.withLock { $0.earlier.merging($0.known) { $1 } } }
    self.state = Mutex(state)
  }

  func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    if !isPatient { return try found(changes) }
    let answer = state.withLock { state -> Result<GainEstimate, GainRefusal> in
      if let known = state.known[changes] { return known }
      if !state.wanted.contains(changes) { state.wanted.append(changes) }
      return state.earlier[changes] ?? .failure(.failed("its runs are still to come"))
    }
    return try answer.get()
  }

  /// Works out what was asked for, one change after the other.
  func work() {
    while let changes = state.withLock({ $0.wanted.first }) {
      let answer: Result<GainEstimate, GainRefusal>
      do throws(GainRefusal) { answer = .success(try found(changes)) } catch { answer = .failure(error) }
      state.withLock { state in
        state.known[changes] = answer
        state.wanted.removeAll { $0 == changes }
      }
    }
  }

  private func found(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    let runs = PairedRuns(
      before: try runs([]), after: try runs(changes), kind: .estimated,
      source: "the window's requests again, in the simulation fitted to it, \(Self.seeds.count) pairs of runs with the same random seed")
    var rate: Gain?
    if replay.tellsLatency {
      let changed = try configured(simulation.configuration, changes)
      let outcome: CapacitySearch.Outcome
      do { outcome = try LiveHeadroom.search(changed, goal).run(from: max(8, maximumRate.lowerBound)) } catch {
        throw .failed("the highest rate could not be searched for: \(error)")
      }
      rate = PairedRuns.maximumRate(
        before: maximumRate, after: outcome.rate, kind: .estimated,
        source: "simulation fitted to the window: open loop, Poisson arrivals, \(goal.text)")
    }
    var estimate = runs.estimate(tellsLatency: replay.tellsLatency, maximumRateAtGoal: rate)
    if maximumRate.lowerBound < Self.spareFactor * today.value { estimate.throughput = nil }
    return estimate
  }

  private func runs(_ changes: [Change]) throws(GainRefusal) -> [SimulationResult] {
    var results: [SimulationResult] = []
    for seed in Self.seeds {
      var configuration = try configured(replay.configuration, changes)
      configuration.seed = seed
      do {
        guard let result = try Simulation.run(configuration) else { throw GainRefusal.failed("the simulation was stopped") }
        results.append(result)
      } catch let refusal as GainRefusal { throw refusal } catch { throw .failed("the changed run could not be simulated: \(error)") }
    }
    return results
  }

  /// Only times of whole batches are known, and nothing of the clients.
  private func configured(_ base: SimulationConfiguration, _ changes: [Change]) throws(GainRefusal) -> SimulationConfiguration {
    var configuration = base
    for change in changes {
      guard change.appliesToMeasuredBatches else { throw .unsupported(change) }
      switch change {
      case .clientCores, .removeRedundantWork: throw .unsupported(change)
      case .maximumBatchRows(let rows):
        guard rows <= simulation.largestRows else { throw .unsupported(change) }
        configuration.scheduler.maximumBatchRows = rows
      default: try configuration.apply(change)
      }
    }
    return configuration
  }
}
