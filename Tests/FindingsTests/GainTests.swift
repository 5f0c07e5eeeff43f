import Diagnosis
import Testing

/// A server as stages in series with a closed or open load on it: throughput is the least capacity or what the load asks (the asymptotic
/// bounds of operational analysis). Simple enough to check by hand, and real enough that fixes unlock one another.
final class BottleneckModel: GainEstimator {
  var client = 1176.0
  var frontEnd = 5000.0
  var loop = 6072.0
  var device = 36_000.0
  /// What the load would ask of an infinitely fast server.
  var serviceTime = 3300.0
  var reproductionError: Figure?
  var unsupported: Set<Change> = []
  var noise = 0.0
  private(set) var estimates = 0
  /// Estimates that left the highest rate out.
  private(set) var short: Set<[Change]> = []
  private(set) var prepared: Set<[Change]> = []

  func throughput(_ changes: [Change]) -> Double {
    var (client, frontEnd, loop, device) = (self.client, self.frontEnd, self.loop, self.device)
    for change in changes {
      switch change {
      case .clientCores(let cores): client = self.client * Double(cores)
      case .frontEndCores(let cores): frontEnd = self.frontEnd * Double(cores)
      case .instances(let count): loop = self.loop * Double(count)
      case .eagerBatching: loop = device
      case .removeRedundantWork: device *= 20
      case .gpuTimeScale(let factor): device /= factor
      default: break
      }
    }
    return min(client, frontEnd, loop, device)
  }

  func estimateAtThisLoad(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    short.insert(changes)
    var estimate = try estimate(changes)
    estimate.maximumRateAtGoal = nil
    return estimate
  }

  func prepare(_ lists: [[Change]], forMaximumRate: Bool) { prepared.formUnion(lists) }

  func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    estimates += 1
    for change in changes where unsupported.contains(change) { throw .unsupported(change) }
    func figure(_ value: Double, _ unit: Figure.Unit = .requestsPerSecond) -> Figure { Runs.simulated(value, unit) }
    let (before, after) = (throughput([]), throughput(changes))
    let (servedBefore, servedAfter) = (min(before, serviceTime), min(after, serviceTime) * (1 + noise))
    let cost = changes.contains(.removeRedundantWork) ? 0.05 : 1.0
    return GainEstimate(
      throughput: Gain(before: figure(servedBefore), after: figure(servedAfter)),
      medianLatency: Gain(before: figure(1e6 / before, .milliseconds), after: figure(1e6 / after, .milliseconds)),
      p99Latency: Gain(before: figure(2e6 / before, .milliseconds), after: figure(2e6 / after, .milliseconds)),
      maximumRateAtGoal: Gain(before: figure(before), after: figure(after)),
      gpuSecondsPerMillionInferences: Gain(before: figure(10, .seconds), after: figure(10 * cost, .seconds)))
  }
}

@Suite struct GainTests {
  @Test func theDocumentsLinearUnlocksClientFirstThenTheLoop() throws {
    let model = BottleneckModel()
    model.serviceTime = 100_000
    var run = Runs.linear
    run.frontEnd.coreShare = Runs.simulated(0.2)
    let assessment = Assessment(of: run, estimator: model)
    #expect(assessment.goal == .throughput)
    #expect(assessment.ranked.first?.finding.code == .HR101)
    // Eight cores: the front end's 5,000 limits then, 4.25 times as much; what the loop could add is not reachable by these findings.
    let first = try #require(assessment.improvementPlan.first)
    #expect(first.codes == [.HR101])
    #expect(first.fixes.map(\.changes) == [[.clientCores(8)]])
    #expect((try #require(first.stepRatio).value - 5000 / 1176).magnitude < 1e-9)
    // The loop alone gains nothing in throughput here, and its finding says nothing else.
    let loop = try #require(assessment.ranked.first { $0.finding.code == .HR131 })
    #expect(loop.bestGains?.throughput?.change.value == 0)
  }

  @Test func aStepUnlocksTheNext() throws {
    let model = BottleneckModel()
    (model.client, model.frontEnd, model.loop, model.serviceTime) = (1000, 50_000, 2000, 100_000)
    let assessment = Assessment(of: Runs.linear, estimator: model)
    // Two cores reach the loop; beyond it only more cores and a second loop together.
    #expect(assessment.improvementPlan.map(\.codes) == [[.HR101], [.HR101, .HR131]])
    #expect(try #require(assessment.improvementPlan.first?.total.throughput).change.value == 1)
    #expect(try #require(assessment.improvementPlan.last?.total.throughput).change.value == 7)
    #expect(try #require(assessment.improvementPlan.last?.stepRatio).value == 4)
  }

  /// The highest rate is a search of its own: only what is printed is worth it.
  @Test func aPlanChoosesWithoutTheHighestRateAndStatesItForWhatItChose() throws {
    let model = BottleneckModel()
    (model.client, model.frontEnd, model.loop, model.serviceTime) = (1000, 50_000, 2000, 100_000)
    let assessment = Assessment(of: Runs.linear, estimator: model)
    #expect(!model.short.isEmpty)
    for step in assessment.improvementPlan { #expect(step.total.maximumRateAtGoal != nil) }
    for ranked in assessment.ranked { #expect(ranked.bestGains.map { $0.maximumRateAtGoal != nil } ?? true) }
    // What is asked one by one was named beforehand, so that it can be worked out side by side.
    let fixes = Set(assessment.ranked.flatMap(\.fixes).map(\.fix.changes)).subtracting([[]])
    #expect(fixes.isSubset(of: model.prepared))
  }

  @Test func twoFixesWorthNothingAloneAreTriedTogether() throws {
    let model = BottleneckModel()
    (model.client, model.frontEnd, model.loop, model.serviceTime) = (1000, 50_000, 1000, 100_000)
    let assessment = Assessment(of: Runs.linear, estimator: model)
    let first = try #require(assessment.improvementPlan.first)
    #expect(Set(first.codes) == [.HR101, .HR131])
    #expect(try #require(first.total.throughput).change.value >= 1)
    for ranked in assessment.ranked { #expect(ranked.bestGains?.throughput.map { $0.change.value <= 0 } ?? true) }
    let none = Assessment(of: Runs.linear, estimator: model, pairs: 0)
    #expect(none.improvementPlan.isEmpty)
  }

  @Test func belowSaturationInAnOpenLoopEveryThroughputGainIsZero() throws {
    let model = BottleneckModel()
    model.serviceTime = 500
    // An estimator's noise must not become a gain.
    model.noise = 0.004
    var run = Runs.linear
    run.load.loop = .open(arrivalRate: Runs.measured(500, .requestsPerSecond))
    run.load.throughput = Runs.measured(500, .requestsPerSecond)
    let assessment = Assessment(of: run, estimator: model)
    #expect(assessment.goal == .latency)
    var seen = 0
    for case .success(let estimate) in assessment.ranked.flatMap(\.fixes).map(\.gains) {
      seen += 1
      #expect(try #require(estimate.throughput).change.value == 0)
      #expect(try #require(estimate.throughput).change.interval == 0...0)
    }
    #expect(seen > 3)
    // Capacity may still rise.
    let client = try #require(assessment.ranked.first { $0.finding.code == .HR101 })
    #expect(try #require(client.bestGains?.maximumRateAtGoal).change.value > 1)
  }

  @Test func anOpenLoopAboveSaturationMayGain() throws {
    let model = BottleneckModel()
    var run = Runs.linear
    run.load.loop = .open(arrivalRate: Runs.measured(3300, .requestsPerSecond))
    let estimate = try model.estimate([.clientCores(2)]).consistent(with: run.load)
    #expect(try #require(estimate.throughput).change.value > 0.9)
  }

  @Test func aChangeThatCannotKeepUpMayLoseInAnOpenLoop() throws {
    let model = BottleneckModel()
    model.serviceTime = 500
    var run = Runs.linear
    run.load.loop = .open(arrivalRate: Runs.measured(500, .requestsPerSecond))
    run.load.throughput = Runs.measured(500, .requestsPerSecond)
    let estimate = try model.estimate([.gpuTimeScale(144)]).consistent(with: run.load)
    #expect(try #require(estimate.throughput).change.value == -0.5)
  }

  @Test func removingRedundantWorkFreesTheDeviceEvenWhereThroughputStays() throws {
    let model = BottleneckModel()
    model.serviceTime = 100_000
    let assessment = Assessment(of: Runs.seqlen, goal: .cost, estimator: model)
    let best = try #require(assessment.ranked.first)
    #expect(best.finding.code == .HR211)
    #expect(try #require(best.bestGains?.throughput).change.value == 0)
    #expect((try #require(best.bestGains?.gpuSecondsPerMillionInferences).change.value + 0.95).magnitude < 1e-9)
  }

  @Test func goalsRankDifferently() {
    let model = BottleneckModel()
    (model.device, model.client, model.serviceTime) = (1000, 1200, 100_000)
    let byThroughput = Assessment(of: Runs.seqlen, goal: .throughput, estimator: model).ranked.map(\.finding.code)
    let byCost = Assessment(of: Runs.seqlen, goal: .cost, estimator: model).ranked.map(\.finding.code)
    #expect(byThroughput.first == .HR211)
    #expect(byCost.first == .HR211)
    #expect(Set(byThroughput) == Set(byCost))
    let linear = BottleneckModel()
    linear.serviceTime = 100_000
    #expect(Assessment(of: Runs.linear, goal: .throughput, estimator: linear).ranked.first?.finding.code == .HR101)
    #expect(Assessment(of: Runs.linear, goal: .latency, estimator: linear).ranked.first?.finding.code == .HR101)
  }

  @Test(arguments: [(0.03, true), (0.031, false), (-0.04, false), (Double.nan, false)])
  func aRunThatIsNotReproducedHasNoGains(error: Double, allowed: Bool) {
    let model = BottleneckModel()
    model.reproductionError = Runs.measured(error)
    let assessment = Assessment(of: Runs.linear, estimator: model)
    #expect((model.estimates > 0) == allowed)
    #expect(assessment.improvementPlan.isEmpty != allowed)
    for fix in assessment.ranked.flatMap(\.fixes) where !fix.fix.changes.isEmpty {
      if case .failure(.reproductionOff) = fix.gains { #expect(!allowed) } else { #expect(allowed) }
    }
  }

  @Test func anUnsteadyWindowBlocksAllGains() {
    let model = BottleneckModel()
    var run = Runs.linear
    run.steadiness = Steadiness(defects: [.trend(change: Runs.measured(0.1))])
    let assessment = Assessment(of: run, estimator: model)
    #expect(model.estimates == 0)
    #expect(assessment.improvementPlan.isEmpty)
    #expect(assessment.ranked.contains { $0.finding.code == .HR103 })
    for fix in assessment.ranked.flatMap(\.fixes) where !fix.fix.changes.isEmpty { #expect(fix.gains == .failure(.notSteady)) }
  }

  @Test func whatCannotBeComputedIsSaidAndComesLast() throws {
    let model = BottleneckModel()
    model.unsupported = [.clientCores(2), .clientCores(8)]
    let assessment = Assessment(of: Runs.linear, estimator: model)
    let last = try #require(assessment.ranked.last)
    #expect(last.finding.code == .HR101)
    #expect(last.fixes.map(\.gains) == [.failure(.unsupported(.clientCores(2))), .failure(.unsupported(.clientCores(8)))])
    #expect(Assessment(of: Runs.linear, estimator: nil).ranked.allSatisfy { $0.bestGains == nil })
  }

  @Test func noEstimateIsMadeTwice() {
    let model = BottleneckModel()
    model.serviceTime = 100_000
    let assessment = Assessment(of: Runs.linear, estimator: model)
    let fixes = Set(assessment.ranked.flatMap(\.fixes).map(\.fix.changes)).subtracting([[]])
    #expect(model.estimates >= fixes.count)
    let first = model.estimates
    _ = Assessment(of: Runs.linear, estimator: model)
    #expect(model.estimates == 2 * first)
  }

  @Test func aGainWhoseIntervalHoldsZeroIsNone() {
    let before = Runs.simulated(100)
    #expect(Gain(before: before, after: Runs.simulated(110), changeInterval: -0.01...0.21).sureChange == 0)
    #expect(Gain(before: before, after: Runs.simulated(110), changeInterval: 0.05...0.15).sureChange == 0.05)
    #expect(Gain(before: before, after: Runs.simulated(90), changeInterval: -0.15...(-0.05)).sureChange == -0.05)
    #expect((Gain(before: before, after: Runs.simulated(110)).sureChange - 0.1).magnitude < 1e-9)
  }

  @Test func withoutAPairedIntervalTheEndsAreTaken() throws {
    let before = Figure(100, .requestsPerSecond, .simulated, source: "test", interval: 95...105)
    let after = Figure(120, .requestsPerSecond, .fitted, source: "test", interval: 114...126)
    let gain = Gain(before: before, after: after)
    let interval = try #require(gain.change.interval)
    #expect((interval.lowerBound - (114.0 / 105 - 1)).magnitude < 1e-9)
    #expect((interval.upperBound - (126.0 / 95 - 1)).magnitude < 1e-9)
    #expect(gain.change.kind == .fitted)
  }
}
