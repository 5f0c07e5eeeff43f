import CheckedNumbers
import Diagnosis
import Glibc
public import Planning
public import Simulation
import TimeBase
import Workload

/// What simulating one variant costs here and now, by two very short runs of it: at its own load, and at more than it can answer. A cost is
/// processor time, or whatever is measured of a run.
public struct SimulationCost: Sendable, Hashable {
  /// Requests per second answered at the variant's own load.
  public var rate: Double
  /// Of a second of virtual time at that load.
  public var perSecond: Double
  /// Requests per second answered where more are sent: about the highest rate.
  public var maximumRate: Double
  /// Of a second of virtual time at that rate.
  public var perSecondAtMaximum: Double
  /// Keeping and reading the trace of the first run, in runs.
  public var tracedRun = 2.0

  /// A cost with every field stated.
  public init(rate: Double, perSecond: Double, maximumRate: Double, perSecondAtMaximum: Double) {
    self.rate = rate
    self.perSecond = perSecond
    self.maximumRate = maximumRate
    self.perSecondAtMaximum = perSecondAtMaximum
  }

  /// Work in order, and work that is done side by side.
  struct Work: Sendable, Hashable {
    var inOrder: Double
    var sideBySide: Double
  }

  // Counted on the built-in experiments and an encoder at 900 requests/s (TimeEstimateTests counts again).
  /// Changes of a variant whose highest rate is searched for.
  static let changes = 7.0
  /// Further sets of changes that are tried at this load alone, for the improvement plan.
  static let combinations = 8.0
  /// Systems whose sensitivities are found for the improvement plan, with one seed.
  static let steps = 1.0
  /// Trials of a search from afar and of one near its answer, in whole trials: one whose goal is lost ends early.
  static let trials = (far: 9.0, near: 6.0)
  func work(of variant: Variant, repetitions: Int, goal: LatencyGoal, explains: Bool, lengths: RunLengths) -> Work {
    let load = variant.workload
    // While users come, there are half of them.
    let run = (load.ramp.seconds / 2 + load.warmUp.seconds + load.duration.seconds) * perSecond
    func short(_ requests: Double) -> Double {
      let workload = load.shortened(rate: rate, requests: requests)
      return (workload.warmUp.seconds + workload.duration.seconds) * perSecond
    }
    let seconds = CapacitySearch.seconds(
      at: max(1, maximumRate), requests: lengths.search, goals: CapacitySearch.standardGoalsPerTrial, p99Milliseconds: goal.p99Milliseconds)
    let trial = 1.25 * seconds * perSecondAtMaximum
    var work = Work(inOrder: (Double(repetitions) + tracedRun) * run + Self.trials.far * trial, sideBySide: 0)
    guard explains else { return work }
    // Two seeds, longer and shorter.
    let sensitivities = Double(ElasticityProbe.times(of: load).count) * 4 * short(lengths.sensitivity)
    work.sideBySide =
      sensitivities * (1 + Self.steps / 2) + (Self.changes + Self.combinations) * 2 * short(lengths.change)
      + Self.changes * Self.trials.near * trial
    return work
  }

  /// By two short runs.
  ///
  /// - Parameter cost: runs a system and says what that cost; the processor time of this thread where not given.
  public static func measured(
    of variant: Variant, plan: Plan, cost: (SimulationConfiguration) throws -> (result: SimulationResult?, cost: Double) = processorTime
  ) -> SimulationCost? {
    var own = variant.system(plan, seed: 1).shortened(rate: variant.offeredRate, requests: 1000)
    own.keepsTrace = false
    guard let now = try? cost(own), let result = now.result, result.throughput > 0 else { return nil }
    let length = own.workload.warmUp.seconds + own.workload.duration.seconds
    var full = own
    let offered = min(max(variant.maximumRate(plan), 2 * result.throughput), CapacitySearch.largestRate)
    full.host = full.host.with(.clientPerRequest, 0).with(.clientPerByte, 0)
    full.workload.load = .open(.poisson(perSecond: offered))
    full.workload.warmUp = TimeSpan(clampingSeconds: 1000 / offered)
    full.workload.duration = TimeSpan(clampingSeconds: 3000 / offered)
    guard let most = try? cost(full), let answered = most.result?.throughput else { return nil }
    // Of the 4,000 that are sent: what is not answered waits, and costs its arrival.
    let maximumRate = max(answered, result.throughput)
    return SimulationCost(
      rate: result.throughput, perSecond: now.cost / max(1e-9, length), maximumRate: maximumRate,
      perSecondAtMaximum: most.cost / 4000 * maximumRate)
  }

  /// Runs a system and takes the processor time of the calling thread.
  public static func processorTime(_ system: SimulationConfiguration) throws -> (result: SimulationResult?, cost: Double) {
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let start = now()
    let result = try Simulation.run(system)
    return (result, now() - start)
  }
}

extension Variant {
  /// Requests per second that its clients send at most.
  fileprivate var offeredRate: Double {
    switch workload.load {
    case .open(let arrivals): return arrivals.perSecond(over: workload.duration)
    case .closed(let users, _, let think):
      // An answer takes ten milliseconds at best, with network, batching and kernels; one process of a load generator passes no more.
      return min(Double(users) / (think.mean.seconds + 0.01), 20_000)
    }
  }

  /// Requests per second that it could take, from above: full batches one after the other, and a front end that does nothing else.
  fileprivate func maximumRate(_ plan: Plan) -> Double {
    let frontEnd = host[.frontEndPerRequest].value
    let bound = frontEnd > 0 ? host[.frontEndCores].value * 1e6 / frontEnd : CapacitySearch.largestRate
    let rows = max(1, scheduler.maximumBatchRows)
    guard processor == nil, let batch = try? plan.at(rows: rows) else { return bound }
    let nanoseconds = batch.elapsedNanoseconds(.eager, host: host)
    guard nanoseconds > 0 else { return bound }
    return min(bound, 1.2 * Double(rows) / max(1, workload.rows.mean) / nanoseconds * 1e9, CapacitySearch.largestRate)
  }
}
