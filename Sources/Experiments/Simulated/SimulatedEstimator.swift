import Vocabulary
import CheckedNumbers
public import DeviceModel
public import Diagnosis
import Dispatch
import Planning
import Resimulation
import Scheduling
import Simulation
import Synchronization
import TimeBase
import Workload

/// Gains by re-simulation: every change is made to the variant's own system, which is then run again with the same random seed.
public final class SimulatedEstimator: GainEstimator {
  private let variant: Variant
  private let plan: Plan
  private let rate: Double
  private let p99GoalMilliseconds: Double
  private let seeds: [UInt64]
  /// How far the system is from the run that it stands for; nil where the run was this system's own.
  public let reproductionError: Figure?
  /// On a processor: batch times of the model without redundant work.
  private let rewrittenDurations: BatchDurations?
  /// Whether latencies of this system are worth saying.
  private let tellsLatency: Bool
  private let lengths: RunLengths
  private let meter: SimulationMeter?
  /// Told how many of the runs and searches that are to be made are done, with 0 when more of them begin.
  private let progress: @Sendable (_ done: Int, _ all: Int) -> Void
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
  ///   - lengths: of the runs.
  ///   - meter: counts their events.
  ///   - progress: told how many of the runs that are made side by side are done, with 0 when they begin; from any of their threads.
  ///   - evidence: what a run with changes made would show; asked for the steps of the cumulative improvement plan.
  public init(
    variant: Variant, plan: Plan, rate: Double, p99GoalMilliseconds: Double, seeds: [UInt64] = [11, 12],
    reproductionError: Figure? = nil, rewrittenDurations: BatchDurations? = nil, tellsLatency: Bool = true,
    lengths: RunLengths = .standard, meter: SimulationMeter? = nil,
    progress: @escaping @Sendable (_ done: Int, _ all: Int) -> Void = { _, _ in },
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
    self.lengths = lengths
    self.meter = meter
    self.progress = progress
    self.findsEvidence = evidence
  }

  /// What a run with these changes made would show.
  public func evidence(_ changes: [Change]) throws(GainRefusal) -> RunEvidence? { try findsEvidence(changes) }

  /// The variant's system with changes made, its run short.
  public func system(_ changes: [Change], seed: UInt64) throws(GainRefusal) -> SimulationConfiguration {
    var changed = variant
    for change in changes {
      if case .maximumBatchRows(let rows) = change { changed.scheduler.maximumBatchRows = rows }
    }
    if changed.processor != nil { return try processorSystem(changed, changes, seed: seed) }
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
    return try shortened(changed.system(plan, seed: seed), changes)
  }

  private func shortened(_ system: SimulationConfiguration, _ changes: [Change]) throws(GainRefusal) -> SimulationConfiguration {
    var system = system.shortened(rate: rate, requests: lengths.change)
    system.meter = meter
    for change in changes { try system.apply(change) }
    return system
  }

  /// On a processor batch times are measured, not planned: what was not measured cannot be told.
  private func processorSystem(_ variant: Variant, _ changes: [Change], seed: UInt64) throws(GainRefusal) -> SimulationConfiguration {
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
    return try shortened(changed.system(plan, seed: seed), changes)
  }

  private func results(_ changes: [Change]) throws(GainRefusal) -> [SimulationResult] {
    if let known = runs[changes] { return known }
    try work(Task(changes: changes, system: try system(changes, seed: seeds[0]), search: nil))
    return runs[changes] ?? []
  }

  /// The highest request rate that keeps the p99 goal with changes made. From the capacity found without changes, which saves trials.
  private func capacity(_ changes: [Change]) throws(GainRefusal) -> CapacitySearch.Outcome {
    if let known = capacities[changes] { return known }
    let task = Task(changes: changes, system: try system(changes, seed: seeds[0]), search: try start(changes))
    guard let found = try work(task).capacity else { throw .failed("the highest rate was not searched for") }
    return found
  }

  private func start(_ changes: [Change]) throws(GainRefusal) -> CapacitySearch.Start {
    changes.isEmpty ? .far(max(8, rate)) : .near(try capacity([]).rate.lowerBound)
  }

  /// Runs of each seed, or a search, that are still to be made. A value, so that several can be worked on side by side.
  private struct Task: Sendable {
    var changes: [Change]
    /// With the first seed.
    var system: SimulationConfiguration
    /// Where to start; nil for the runs.
    var search: CapacitySearch.Start?
  }

  private struct Found: Sendable {
    var runs: [SimulationResult]?
    var capacity: CapacitySearch.Outcome?
  }

  @discardableResult private func work(_ task: Task) throws(GainRefusal) -> Found {
    let found = try Self.found(task, seeds: seeds, p99GoalMilliseconds: p99GoalMilliseconds, requests: lengths.search)
    keep(found, of: task)
    return found
  }

  private func keep(_ found: Found, of task: Task) {
    if let results = found.runs { runs[task.changes] = results }
    if let capacity = found.capacity { capacities[task.changes] = capacity }
  }

  private static func found(
    _ task: Task, seeds: [UInt64], p99GoalMilliseconds: Double, requests: Double
  ) throws(GainRefusal) -> Found {
    if let start = task.search {
      do throws(PlanError) {
        return Found(capacity: try CapacitySearch(task.system, p99Milliseconds: p99GoalMilliseconds, requests: requests).run(from: start))
      } catch { throw .failed("the highest rate could not be searched for: \(error)") }
    }
    var results: [SimulationResult] = []
    for seed in seeds {
      var system = task.system
      system.seed = seed
      do throws(ExperimentError) { results.append(try system.result("the changed run could not be simulated")) } catch {
        throw .failed(error.description)
      }
    }
    return Found(runs: results)
  }

  /// Works out what will be asked, on all cores. What cannot be simulated is left, and said when it is asked for.
  public func prepare(_ lists: [[Change]], forMaximumRate: Bool) {
    var tasks: [Task] = []
    var seen: Set<[Change]> = []
    for changes in [[]] + lists where seen.insert(changes).inserted {
      guard let system = try? self.system(changes, seed: seeds[0]) else { continue }
      if forMaximumRate, tellsLatency, capacities[changes] == nil, let start = try? start(changes) {
        tasks.append(Task(changes: changes, system: system, search: start))
      }
      if runs[changes] == nil { tasks.append(Task(changes: changes, system: system, search: nil)) }
    }
    let (all, seeds, goal, requests, progress) = (tasks, seeds, p99GoalMilliseconds, lengths.search, progress)
    if !all.isEmpty { progress(0, all.count) }
    let slots = Mutex<(found: [Found?], done: Int)>((Array(repeating: nil, count: all.count), 0))
    DispatchQueue.concurrentPerform(iterations: all.count) { index in
      let found = try? Self.found(all[index], seeds: seeds, p99GoalMilliseconds: goal, requests: requests)
      let done = slots.withLock { slots in
        slots.found[index] = found
        slots.done += 1
        return slots.done
      }
      progress(done, all.count)
    }
    for (task, found) in zip(all, slots.withLock { $0.found }) { if let found { keep(found, of: task) } }
  }

  /// How much more the run as it is can take, by the same search that states what changes buy.
  ///
  /// - Parameters:
  ///   - today: requests per second answered.
  ///   - kind: simulated, or estimated for a system that was fitted to a measured run.
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
      let none = Headroom.noneBecause(idleP99Milliseconds: outcome.idleP99Milliseconds)
      return Headroom(
        goal: goal, today: today,
        maximumRate: Figure(
          outcome.rate.lowerBound, .requestsPerSecond, kind,
          source: "simulation: open loop, Poisson arrivals, load generator without cost, \(goal.text), \(outcome.trials) short runs",
          interval: outcome.rate), isLowerBound: outcome.isLowerBound,
        condition: none.isEmpty ? outcome.startMisses ? Headroom.startMisses : condition : none)
    } catch { return Headroom(goal: goal, today: today, unknownBecause: error.text.text) }
  }

  private func pairs(_ changes: [Change]) throws(GainRefusal) -> PairedRuns {
    PairedRuns(
      before: try results([]), after: try results(changes), kind: .simulated,
      source: "re-simulation, \(seeds.count) pairs of runs with the same random seed")
  }

  /// Throughput, latencies and GPU time at this load: two short runs, where the highest rate is a dozen longer ones.
  public func estimateAtThisLoad(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    try pairs(changes).estimate(tellsLatency: tellsLatency, maximumRateAtGoal: nil)
  }

  /// The four gains of `changes`, all together.
  public func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    let runs = try pairs(changes)
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
  /// The same system in a shorter run, its length by its rate: some 10,000 requests are enough for a ratio of two runs with the same random seed.
  ///
  /// - Parameters:
  ///   - rate: requests per second the system is known to answer.
  ///   - requests: how many are to be looked at.
  func shortened(rate: Double, requests: Double = RunLengths.standard.change) -> SimulationConfiguration {
    var copy = self
    copy.workload = workload.shortened(rate: rate, requests: requests)
    copy.keepsTrace = false
    return copy
  }
}

extension Workload {
  /// The same load in a shorter run, its length by its rate.
  func shortened(rate: Double, requests: Double) -> Workload {
    var copy = self
    let window = min(max(requests / max(rate, 0.01), 0.2), 1200)
    if case .closed(let users, _, let think) = load {
      // All users are there after a short ramp; the wave it makes must have spread out before the window: ten cycles of every user, and
      // several of its thinking.
      let cycle = Double(users) / max(rate, 0.01)
      let ramp = min(2, max(cycle, 0.05))
      copy.load = .closed(users: users, spawnRate: Double(users) / ramp, think: think)
      copy.warmUp = TimeSpan(clampingSeconds: ramp + min(60, max(8 * cycle, 4 * think.mean.seconds)))
    } else {
      copy.warmUp = TimeSpan(clampingSeconds: min(warmUp.seconds, window / 4))
    }
    copy.duration = TimeSpan(clampingSeconds: window)
    return copy
  }
}
