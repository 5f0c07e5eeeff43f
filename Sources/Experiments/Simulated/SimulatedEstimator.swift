import Vocabulary
import CheckedNumbers
public import DeviceModel
public import Diagnosis
import Planning
import Resimulation
import Scheduling
import Simulation
import TimeBase
import Workload

/// Gains by re-simulation: every change is made to the variant's own world, which is then run again with the same random seed.
public final class SimulatedEstimator: GainEstimator {
  private let variant: Variant
  private let plan: Plan
  private let rate: Double
  private let p99GoalMilliseconds: Double
  private let seeds: [UInt64]
  /// How far the world is from the run that it stands for; nil where the run was this world's own.
  public let reproductionError: Figure?
  /// On a processor: batch times of the model without redundant work.
  private let rewrittenDurations: BatchDurations?
  /// Whether latencies of this world are worth saying.
  private let tellsLatency: Bool
  private let findsEvidence: ([Change]) throws(GainRefusal) -> RunEvidence?
  private var runs: [[Change]: [SimulationResult]] = [:]
  private var capacities: [[Change]: CapacitySearch.Outcome] = [:]
  private var plans: [[String]: Plan] = [:]

  /// For a variant and its plan.
  ///
  /// - Parameters:
  ///   - rate: requests per second it answers as it is: sets how long the runs are.
  ///   - p99GoalMilliseconds: the goal at which capacity is stated.
  ///   - seeds: one pair of runs each; the interval is from the smallest to the largest paired change.
  ///   - reproductionError: of the simulation fitted to a measured run: relative, the larger of span and busy.
  ///   - rewrittenDurations: of a variant on a processor: batch times of its model without redundant work; nil: they are not known.
  ///   - tellsLatency: false leaves gains of latency, and of capacity at a latency, out: a fitted simulation may pass as many requests as its run and
  ///     make them wait otherwise.
  ///   - evidence: what a run with changes made would show; asked for the steps of the cumulative improvement plan.
  public init(
    variant: Variant, plan: Plan, rate: Double, p99GoalMilliseconds: Double, seeds: [UInt64] = [11, 12],
    reproductionError: Figure? = nil, rewrittenDurations: BatchDurations? = nil, tellsLatency: Bool = true,
    evidence: @escaping ([Change]) throws(GainRefusal) -> RunEvidence? = { _ in nil }
  ) {
    self.variant = variant
    self.plan = plan
    self.rate = rate
    self.p99GoalMilliseconds = p99GoalMilliseconds
    self.seeds = seeds
    self.reproductionError = reproductionError
    self.rewrittenDurations = rewrittenDurations
    self.tellsLatency = tellsLatency
    self.findsEvidence = evidence
  }

  /// What a run with these changes made would show.
  public func evidence(_ changes: [Change]) throws(GainRefusal) -> RunEvidence? { try findsEvidence(changes) }

  /// The variant's world with changes made, its run short.
  public func world(_ changes: [Change], seed: UInt64) throws(GainRefusal) -> SimulationConfiguration {
    var changed = variant
    for change in changes {
      if case .maximumBatchRows(let rows) = change { changed.scheduler.maximumBatchRows = rows }
    }
    if changed.processor != nil { return try processorWorld(changed, changes, seed: seed) }
    var rewrites: [String] = []
    if changes.contains(.removeRedundantWork) { rewrites = ["sink-broadcast"] }
    var plan = self.plan
    if !rewrites.isEmpty || changed.scheduler.maximumBatchRows > variant.scheduler.maximumBatchRows {
      let key = rewrites + ["\(changed.scheduler.maximumBatchRows)"]
      if let known = plans[key] {
        plan = known
      } else {
        do throws(ExperimentError) { plan = try changed.plan(adding: rewrites) } catch { throw .failed(error.description) }
        plans[key] = plan
      }
    }
    var world = changed.world(plan, seed: seed).shortened(rate: rate)
    for change in changes { try world.apply(change) }
    return world
  }

  /// On a processor batch times are measured, not planned: what was not measured cannot be told.
  private func processorWorld(_ variant: Variant, _ changes: [Change], seed: UInt64) throws(GainRefusal) -> SimulationConfiguration {
    var changed = variant
    for change in changes {
      guard change.appliesToMeasuredBatches else { throw .unsupported(change) }
      if change == .removeRedundantWork {
        guard let rewrittenDurations else { throw .unsupported(change) }
        changed.processor?.durations = rewrittenDurations
      }
      if case .maximumBatchRows(let rows) = change {
        guard let largest = changed.processor?.durations.points.last?.rows, rows <= largest else { throw .unsupported(change) }
      }
    }
    var world = changed.world(plan, seed: seed).shortened(rate: rate)
    for change in changes { try world.apply(change) }
    return world
  }

  private func results(_ changes: [Change]) throws(GainRefusal) -> [SimulationResult] {
    if let known = runs[changes] { return known }
    var results: [SimulationResult] = []
    for seed in seeds {
      results.append(try Self.run(try world(changes, seed: seed)))
    }
    runs[changes] = results
    return results
  }

  private static func run(_ world: SimulationConfiguration) throws(GainRefusal) -> SimulationResult {
    do throws(ExperimentError) { return try world.result("the changed run could not be simulated") } catch {
      throw .failed(error.description)
    }
  }

  /// The highest request rate that keeps the p99 goal with changes made. From the capacity found without changes, which saves trials.
  private func capacity(_ changes: [Change]) throws(GainRefusal) -> CapacitySearch.Outcome {
    if let known = capacities[changes] { return known }
    let start = changes.isEmpty ? max(8, rate) : try capacity([]).rate.lowerBound
    let search = CapacitySearch(try world(changes, seed: seeds[0]), p99Milliseconds: p99GoalMilliseconds)
    do throws(PlanError) {
      let outcome = try search.run(from: start)
      capacities[changes] = outcome
      return outcome
    } catch { throw .failed("the highest rate could not be searched for: \(error)") }
  }

  /// How much more the run as it is can take, by the same search that states what changes buy.
  ///
  /// - Parameters:
  ///   - today: requests per second answered.
  ///   - kind: simulated, or estimated for a world that was fitted to a measured run.
  ///   - condition: what has to be so for the rate to hold; empty for nothing.
  func headroom(today: Figure?, goal: LatencyGoal, kind: Figure.Kind, condition: String = "") -> Headroom {
    guard tellsLatency else {
      return Headroom(
        goal: goal, today: today, unknownBecause: "the simulation fitted to this run does not reproduce its median latency")
    }
    if let error = reproductionError, !(error.value.magnitude <= Assessment.largestReproductionError) {
      return Headroom(
        goal: goal, today: today, unknownBecause: "the simulation fitted to this run reproduces it only to within \(error.text)")
    }
    do throws(GainRefusal) {
      let outcome = try capacity([])
      return Headroom(
        goal: goal, today: today,
        maximumRate: Figure(
          outcome.rate.lowerBound, .requestsPerSecond, kind,
          source: "simulation: open loop, Poisson arrivals, load generator without cost, \(goal.text), \(outcome.trials) short runs",
          interval: outcome.rate), isLowerBound: outcome.isLowerBound, condition: condition)
    } catch { return Headroom(goal: goal, today: today, unknownBecause: error.text.text) }
  }

  /// The four gains of `changes`, all together.
  public func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    let runs = PairedRuns(
      before: try results([]), after: try results(changes), kind: .simulated,
      source: "re-simulation, \(seeds.count) pairs of runs with the same random seed")
    var capacityGain: Gain?
    if tellsLatency {
      capacityGain = PairedRuns.maximumRate(
        before: try capacity([]).rate, after: try capacity(changes).rate, kind: .simulated,
        source: "re-simulation, open loop, generator without limits, p99 at most \(p99GoalMilliseconds) ms")
    }
    return runs.estimate(tellsLatency: tellsLatency, maximumRateAtGoal: capacityGain)
  }
}

extension SimulationConfiguration {
  /// The same world in a shorter run, its length by its rate: some 10,000 requests are enough for a ratio of two runs with common draws.
  ///
  /// - Parameters:
  ///   - rate: requests per second the world is known to answer.
  ///   - requests: how many are to be looked at.
  func shortened(rate: Double, requests: Double = 10_000) -> SimulationConfiguration {
    var copy = self
    let window = min(max(requests / max(rate, 0.01), 0.2), 1200)
    if case .closed(let users, _, let think) = workload.load {
      // All users are there after a short ramp; the wave it makes must have spread out before the window: ten cycles of every user, and
      // several of its thinking.
      let cycle = Double(users) / max(rate, 0.01)
      let ramp = min(2, max(cycle, 0.05))
      copy.workload.load = .closed(users: users, spawnRate: Double(users) / ramp, think: think)
      copy.workload.warmUp = TimeSpan(clampingSeconds: ramp + min(60, max(8 * cycle, 4 * think.mean.seconds)))
    } else {
      copy.workload.warmUp = TimeSpan(clampingSeconds: min(workload.warmUp.seconds, window / 4))
    }
    copy.workload.duration = TimeSpan(clampingSeconds: window)
    copy.keepsTrace = false
    return copy
  }
}
