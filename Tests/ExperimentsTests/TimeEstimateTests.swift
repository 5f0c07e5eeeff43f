import Diagnosis
import Experiments
import Reporting
import Testing
import TimeBase
import Workload

/// How long a command takes is said before it begins. The speed is given here: a test of this machine's would fail on the next one.
@Suite struct TimeEstimateTests {
  private static func experiment(_ variants: Int, rate: Double, seconds: Double, repetitions: Int) throws -> Experiment {
    var experiment = try Experiment.builtIn("case-study", seconds: seconds)
    let one = experiment.variants[0]
    experiment.variants = (0..<variants).map { index in
      var variant = one
      variant.name = "v\(index)"
      variant.workload = Workload(
        load: .open(.poisson(perSecond: rate)), rows: .fixed(1), warmUp: .zero, duration: TimeSpan(clampingSeconds: seconds))
      return variant
    }
    experiment.repetitions = repetitions
    return experiment
  }

  @Test func requestsTimesWhatTheyCost() throws {
    // 1,000 requests/s for 100 s, three times, at 10 us: 3 s.
    let speed = SimulationSpeed(secondsPerRequest: 10e-6, requestsForChanges: 1e6, cores: 2)
    let one = try Self.experiment(1, rate: 1000, seconds: 100, repetitions: 3)
    #expect((one.estimate(speed, explains: false).seconds - 3).magnitude < 0.01)
    // What changes would buy costs a million requests more, on both cores.
    #expect((one.estimate(speed, explains: true).seconds - 8).magnitude < 0.01)
    // Four variants on two cores: twice as long.
    let four = try Self.experiment(4, rate: 1000, seconds: 100, repetitions: 3)
    #expect((four.estimate(speed, explains: false).seconds - 6).magnitude < 0.01)
    #expect(
      four.estimate(speed, explains: true).line
        == "about 25 s: 4 variants, 3 runs each in virtual time, and what changes would buy (--no-gains leaves that out)")
  }

  /// A search for the highest rate lasts ten latency goals at that rate.
  @Test func aServerThatCanTakeMuchTakesLonger() throws {
    let speed = SimulationSpeed(secondsPerRequest: 10e-6, requestsForChanges: 0, runsAtMaximumRate: 10, cores: 1)
    var one = try Self.experiment(1, rate: 10, seconds: 1, repetitions: 1)
    let plans = try ExperimentRunner.plans(of: one)
    let at100 = one.estimate(speed, explains: true, plans: plans).seconds
    one.latencyGoal = LatencyGoal(p99Milliseconds: 1000)
    let at1000 = one.estimate(speed, explains: true, plans: plans).seconds
    #expect(at100 >= one.estimate(speed, explains: true).seconds && at1000 > 5 * at100, "\(at100) \(at1000)")
    // On four cores a quarter of it, as its runs are made side by side.
    var four = speed
    four.cores = 4
    #expect((one.estimate(four, explains: true, plans: plans).seconds - at1000 / 4).magnitude < 0.01 * at1000)
  }

  @Test func realRunsTakeTheirTime() throws {
    let one = try Self.experiment(1, rate: 10, seconds: 20, repetitions: 3)
    #expect(one.measuredEstimate(explains: false).seconds == 23)
    let three = try Self.experiment(3, rate: 10, seconds: 20, repetitions: 3)
    // Each 3 + 20 s, 9 s at equal rows per second, 12 s for the fit.
    #expect(three.measuredEstimate(explains: true).line == "about 2 min: 3 variants for real, and a simulation fitted to each")
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
}
