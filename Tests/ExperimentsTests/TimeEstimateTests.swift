import Diagnosis
import ModelGraph
import Planning
import Reporting
import Simulation
import Testing
import TimeBase
import Workload

@testable import Experiments

/// How long a command takes is said before it begins. Work is counted in events here: a test of this machine's speed would fail on the next one.
@Suite struct TimeEstimateTests {
  /// A run's events in place of its time.
  @Sendable private static func events(_ system: SimulationConfiguration) throws -> (result: SimulationResult?, cost: Double) {
    let result = try Simulation.run(system)
    return (result, Double(result?.events ?? 0))
  }

  private static func encoder(rate: Double) throws -> Experiment {
    var settings = Experiment.ModelSettings()
    settings.rate = rate
    return try Experiment.ofModel("encoder", device: "sim:l40s", settings)
  }

  /// Loops that a generator limits, one that a GPU limits, one that is served easily; built-in ones and one of a user's own.
  private static let experiments: [(name: String, make: @Sendable () throws -> Experiment)] = [
    ("case study", { try Experiment.builtIn("case-study", seconds: 2) }), ("parts", { try Experiment.builtIn("parts", seconds: 2) }),
    ("iso-m", { try Experiment.builtIn("iso-m", seconds: 2) }), ("encoder at 900/s", { try encoder(rate: 900) }),
    ("encoder at 20/s", { try encoder(rate: 20) }),
  ]

  /// Shorter runs by a hundredth, so that a test takes seconds: every cost but the experiment's own runs goes with them.
  private static let lengths = RunLengths(change: 100, sensitivity: 300, search: 100)

  /// Most events are kernels: fewer layers, on a device as much slower, are the same loop in fewer events.
  private static func makeShallow(_ variant: inout Variant) {
    guard case .builtIn(let head) = variant.model else { return }
    let (shallow, layers, fewer): (BuiltInHead, Int, Int)
    switch head {
    case .linear(let all, let hidden): (shallow, layers, fewer) = (.linear(layers: min(3, all), hidden: hidden), all, 3)
    case .stacked(let all, let hidden, let heads):
      (shallow, layers, fewer) = (.stacked(layers: min(3, all), hidden: hidden, heads: heads), all, 3)
    case .seqlen(let all, let hidden, let sequence):
      (shallow, layers, fewer) = (.seqlen(layers: min(4, all), hidden: hidden, sequence: sequence), all, 4)
    case .encoder(let all, let hidden, let heads, let sequence):
      (shallow, layers, fewer) = (.encoder(layers: 1, hidden: hidden, heads: heads, sequence: sequence), all, 1)
    }
    variant.model = .builtIn(shallow)
    variant.deviceTimeScale *= Double(max(layers, fewer)) / Double(fewer)
  }

  @Test(
    "the work said beforehand and the work done differ by less than a factor of two",
    arguments: [(0, true), (1, false), (2, false), (3, true), (4, false)])
  func counted(_ index: Int, explains: Bool) throws {
    var experiment = try Self.experiments[index].make()
    experiment.repetitions = 1
    // A trial lasts ten goals at least, and a closed loop settles for eight cycles of its users.
    experiment.latencyGoal = LatencyGoal(p99Milliseconds: 2)
    experiment.variants = Array(experiment.variants.prefix(1)) + experiment.variants.dropFirst().suffix(1)
    for variant in experiment.variants.indices {
      Self.makeShallow(&experiment.variants[variant])
      if case .closed(let users, let spawnRate, let think) = experiment.variants[variant].workload.load {
        experiment.variants[variant].workload.load = .closed(users: max(10, users / 50), spawnRate: spawnRate, think: think)
      }
      experiment.variants[variant].workload.warmUp = .milliseconds(100)
      experiment.variants[variant].workload.duration = .milliseconds(300)
    }
    let plans = try ExperimentRunner.plans(of: experiment)
    let costs = try zip(experiment.variants, plans).map { variant, plan in
      var cost = try #require(SimulationCost.measured(of: variant, plan: plan, cost: Self.events))
      cost.tracedRun = 0
      return cost
    }
    // The trace is read, not simulated: no event counts that.
    let said = experiment.estimate(costs, explains: explains, cores: 1, lengths: Self.lengths).seconds
    let meter = SimulationMeter()
    var runner = ExperimentRunner()
    runner.explains = explains
    runner.lengths = Self.lengths
    runner.meter = meter
    _ = try runner.run(experiment, plans: plans)
    let done = Double(meter.events)
    #expect(said < TimeEstimate.factor * done && said > done / TimeEstimate.factor, "\(Self.experiments[index].name): \(said) of \(done)")
  }

  @Test func requestsTimesWhatTheyCost() throws {
    // 3 s for 100 s of virtual time, three times, and twice more for the trace.
    let cost = SimulationCost(rate: 1000, perSecond: 0.03, maximumRate: 1000, perSecondAtMaximum: 0)
    var one = try Self.encoder(rate: 1000)
    one.repetitions = 3
    one.variants[0].workload.warmUp = .zero
    one.variants[0].workload.duration = .milliseconds(100_000)
    #expect((one.estimate([cost], explains: false, cores: 1).seconds - 15).magnitude < 0.01)
    // Runs wait for each other: more cores do not help one variant, and four variants are done in the time of two on two cores.
    #expect((one.estimate([cost], explains: false, cores: 8).seconds - 15).magnitude < 0.01)
    one.variants = Array(repeating: one.variants[0], count: 4)
    #expect((one.estimate(Array(repeating: cost, count: 4), explains: false, cores: 2).seconds - 30).magnitude < 0.01)
    #expect(
      one.estimate(Array(repeating: cost, count: 4), explains: false, cores: 2).line
        == "about 30 s: 4 variants, 3 runs each in virtual time; 2 idle cores assumed")
    // What changes would buy is done side by side.
    let alone = one.estimate(Array(repeating: cost, count: 4), explains: true, cores: 2).seconds
    #expect(alone > 31)
    #expect(one.estimate(Array(repeating: cost, count: 4), explains: true, cores: 4).seconds < 0.6 * alone)
  }

  /// A trial of the search for the highest rate lasts ten latency goals at that rate.
  @Test func aServerThatCanTakeMuchTakesLonger() throws {
    let cost = SimulationCost(rate: 10, perSecond: 1e-6, maximumRate: 100_000, perSecondAtMaximum: 0.1)
    var one = try Self.encoder(rate: 10)
    let at100 = one.estimate([cost], explains: true, cores: 1).seconds
    one.latencyGoal = LatencyGoal(p99Milliseconds: 1000)
    #expect(one.estimate([cost], explains: true, cores: 1).seconds > 5 * at100)
  }

  @Test func realRunsTakeTheirTime() throws {
    var one = try Self.encoder(rate: 10)
    one.variants[0].workload.warmUp = .zero
    one.variants[0].workload.duration = .milliseconds(20_000)
    #expect(one.measuredEstimate(explains: false).seconds == 23)
    one.variants = Array(repeating: one.variants[0], count: 3)
    // Each 3 + 20 s, 9 s at equal rows per second, 12 s for the fit.
    #expect(one.measuredEstimate(explains: true).line == "about 2 min: 3 variants for real, and a simulation fitted to each")
    #expect(MeasuredSuite.estimate("isolate", seconds: nil).line == "about 45 s: 5 runs for real")
  }

  @Test func shortCommandsSayNothing() {
    #expect(TimeEstimate(seconds: 2.9, work: "w").line == nil)
    #expect(TimeEstimate(seconds: .infinity, work: "w").line == nil)
    #expect(TimeEstimate(seconds: 8.4, work: "w").line == "about 8 s: w")
    #expect(TimeEstimate(seconds: 43, work: "w").line == "about 45 s: w")
    #expect(TimeEstimate(seconds: 200, work: "w").line == "about 3 min: w")
    #expect(TimeEstimate(seconds: 9000, work: "w").line == "about 3 h: w")
  }

  @Test("the share done never falls and is whole at the end alone, however many batches of work come, and however their threads are mixed")
  func progress() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<500 {
      var (share, last) = (StagedShare(first: random.nextUnitDouble()), 0)
      for _ in 0..<Int(1 + 6 * random.nextUnitDouble()) {
        let all = Int(40 * random.nextUnitDouble())
        // Two threads may tell their counts the other way round.
        var told = Array(0...max(0, all))
        for index in told.indices.dropFirst().dropLast() where random.nextUnitDouble() < 0.3 { told.swapAt(index, index + 1) }
        for done in told {
          share.update(done: done, all: all)
          #expect(share.percent >= last && share.percent <= 99)
          last = share.percent
        }
      }
      #expect(share.share <= 1)
    }
    // One batch alone is all there is: half of it is half.
    var one = StagedShare(first: 1)
    one.update(done: 0, all: 10)
    one.update(done: 5, all: 10)
    #expect(one.percent == 50)
  }
}
