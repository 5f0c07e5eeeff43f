import Diagnosis
import Testing

/// Says of each change what it is told to.
private final class ScriptedEstimator: GainEstimator {
  var throughput: [Change: Double] = [:]
  var p99: [Change: Double] = [:]
  var gpuSeconds: [Change: Double] = [:]

  func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    func gain(_ table: [Change: Double], _ unit: Figure.Unit) -> Gain {
      let factor = changes.reduce(1) { $0 * (1 + (table[$1] ?? 0)) }
      return Gain(before: Runs.simulated(100, unit), after: Runs.simulated(100 * factor, unit))
    }
    return GainEstimate(
      throughput: gain(throughput, .requestsPerSecond), medianLatency: gain(p99, .milliseconds), p99Latency: gain(p99, .milliseconds),
      maximumRateAtGoal: gain(throughput, .requestsPerSecond), gpuSecondsPerMillionInferences: gain(gpuSeconds, .seconds))
  }
}

@Suite struct DirectionTests {
  /// Batches that leave by delay, far from full, on four instances; copies between kernels ask for a fifth.
  static var diluted: RunEvidence {
    var run = Runs.healthy
    run.batching.meanRows = Runs.measured(20, .rows)
    run.batching.dispatchReasons = [.delay: 600, .full: 400]
    run.batching.instances = 4
    run.copies.copyOnlyWhileWorkWaits = Runs.measured(0.2)
    return run
  }

  @Test func ofADelayTheDirectionThatHelpsIsKept() {
    for (longer, none) in [(0.1, -0.1), (-0.1, 0.1)] {
      let estimator = ScriptedEstimator()
      estimator.throughput = [.batchDelay(microseconds: 2000): longer, .batchDelay(microseconds: 0): none]
      let fixes = Assessment(of: Self.diluted, codes: [.HR121], estimator: estimator).ranked.flatMap(\.fixes).map(\.fix.changes)
      #expect(fixes.contains([.batchDelay(microseconds: 2000)]) == (longer > 0))
      #expect(fixes.contains([.batchDelay(microseconds: 0)]) == (none > 0))
    }
  }

  @Test func ofADelayThatIsBestLeftAloneNeitherIsAdvised() {
    let estimator = ScriptedEstimator()
    estimator.throughput = [.batchDelay(microseconds: 2000): -0.1, .batchDelay(microseconds: 0): -0.2]
    estimator.p99 = [.batchDelay(microseconds: 2000): 0.1, .batchDelay(microseconds: 0): 0.1]
    let fixes = Assessment(of: Self.diluted, codes: [.HR121], estimator: estimator).ranked.flatMap(\.fixes).map(\.fix.changes)
    #expect(!fixes.flatMap { $0 }.contains { if case .batchDelay = $0 { true } else { false } })
  }

  /// One finding wants one instance, another five.
  @Test func twoFindingsDoNotAskForMoreAndForLess() {
    for (fewer, more) in [(0.2, 0.05), (0.05, 0.2)] {
      let estimator = ScriptedEstimator()
      estimator.throughput = [.instances(1): fewer, .instances(5): more]
      let changes = Assessment(of: Self.diluted, estimator: estimator).ranked.flatMap(\.fixes).flatMap(\.fix.changes)
      let counts = changes.compactMap { change in if case .instances(let count) = change { count } else { nil } }
      #expect(!counts.isEmpty)
      #expect(counts.allSatisfy { ($0 < 4) == (fewer > more) }, "\(counts)")
    }
    let counts = Assessment(of: Self.diluted, estimator: nil).ranked.flatMap(\.fixes).flatMap(\.fix.changes)
      .compactMap { change in if case .instances(let count) = change { count } else { nil } }
    #expect(Set(counts.map { $0 < 4 }).count == 1)
  }

  @Test func aStepThatCostsIsTakenOnlyForAGoalThatWasAskedFor() throws {
    let estimator = ScriptedEstimator()
    estimator.p99 = [.batchDelay(microseconds: 0): -0.23]
    estimator.gpuSeconds = [.batchDelay(microseconds: 0): 0.55]
    var run = Self.diluted
    run.load.loop = .open(arrivalRate: Runs.measured(1000, .requestsPerSecond))
    let standard = Assessment(of: run, codes: [.HR121], estimator: estimator)
    #expect(standard.goal == .latency && standard.improvementPlan.isEmpty)
    let wanted = Assessment(of: run, goal: .latency, codes: [.HR121], estimator: estimator)
    let step = try #require(wanted.improvementPlan.first)
    #expect(step.costs.map(\.quantity) == [.gpuSecondsPerMillionInferences])
    #expect((try #require(step.costs.first).change.value - 0.55).magnitude < 1e-9)
  }

  @Test func idleTimeIsNamedAsTheVerdictNamesItsCause() throws {
    var time = [Waterfall.Step: Double]()
    let run = Runs.linear
    var waterfall = Waterfall(bars: [])
    for (step, share) in [(Waterfall.Step.noRequestsIdle, 0.07), (.batchingDelayIdle, 0.87), (.hostOverheadIdle, 0.03)] {
      waterfall.bars.append(Waterfall.Bar(step: step, ofWall: Runs.simulated(share), ofBusy: nil, isEstimated: false))
    }
    waterfall = waterfall.attributed(to: run.verdict)
    for bar in waterfall.bars { time[bar.step] = bar.ofWall.value }
    #expect(time[.noRequestsIdle] == nil && time[.batchingDelayIdle] == nil)
    #expect((try #require(time[.generatorIdle]) - 0.94).magnitude < 1e-9)
    #expect(waterfall[.generatorIdle]?.step.text == "idle: waiting for the load generator")
    // A device that limits changes no name.
    let bars = Waterfall(bars: [Waterfall.Bar(step: .batchingDelayIdle, ofWall: Runs.simulated(0.1), ofBusy: nil, isEstimated: false)])
    #expect(bars.attributed(to: Runs.seqlen.verdict) == bars)
  }

  /// A server at a steady 200 requests/s: no stage above a third, no request that waited beyond the delay and one batch.
  @Test func aServerThatKeepsUpIsLoadLimited() throws {
    var run = RunEvidence()
    for stage in [PipelineStage.frontEnd, .gatherAndUpload, .launchThread, .gpu, .downloadAndResponse] {
      run.stages[stage] = StageLoad(stage, utilization: Runs.measured(0.3))
    }
    run.batching.maximumQueueDelayMicroseconds = 2000
    run.batching.longestBatch = Runs.measured(4, .milliseconds)
    run.batching.p99Wait = Runs.measured(5.9, .milliseconds)
    run.device.batchingDelayIdle = Runs.measured(0.4)
    #expect(run.verdict.claims.map(\.regime) == [.loadLimited])
    #expect(run.verdict.sentence.text == "load-limited: the server keeps up with the offered load (high confidence)")
    #expect(Findings(of: run).found.contains { $0.code == .HR102 })
    for edit in [
      { $0.batching.p99Wait = Runs.measured(6.1, .milliseconds) },
      { $0.stages[.gpu] = StageLoad(.gpu, utilization: Runs.measured(0.7)) },
      { $0.load.loop = .closed(users: 100) },
    ] as [(inout RunEvidence) -> Void] {
      var other = run
      edit(&other)
      #expect(other.verdict.claims.map(\.regime) != [.loadLimited])
    }
    // Of a closed loop the generator must have been watched and have room.
    run.load.loop = .closed(users: 100)
    run.client.busiestThreadShare = Runs.measured(0.2)
    #expect(run.verdict.claims.map(\.regime) == [.loadLimited])
    run.client.busiestThreadShare = Runs.measured(0.85)
    #expect(run.verdict.claims.map(\.regime) != [.loadLimited])
  }
}

@Suite struct HeadroomTests {
  @Test(arguments: [
    ("p99<100ms", 100.0), ("p99 <= 0.1s", 100), ("P99<250us", 0.25), ("p99<1.5s", 1500),
  ]) func goalsAreRead(text: String, milliseconds: Double) throws {
    let goal = try #require(LatencyGoal(text: text))
    #expect((goal.p99Milliseconds - milliseconds).magnitude < 1e-9 && !goal.isAssumed)
  }

  @Test(arguments: ["", "p99", "p99<", "p95<100ms", "p99<100", "p99<-1ms", "p99<nanms", "p99<infs", "p99<99999999s", "100ms", "p99>100ms"])
  func whatIsNoGoalIsRefused(text: String) { #expect(LatencyGoal(text: text) == nil) }

  @Test(arguments: [(0.934, "0.93x"), (1, "1.0x"), (5.24, "5.2x"), (9.94, "9.9x"), (22.2, "22x"), (366.7, "367x"), (12_345.6, "12,346x")])
  func factorsAreSaid(factor: Double, text: String) { #expect(Figure.timesText(factor) == text) }

  @Test(arguments: [(0.32, "+32 %"), (-0.231, "-23 %"), (0, "0 %"), (0.0149, "+1.5 %"), (365.72, "367x"), (8, "+800 %"), (-0.0001, "0 %")])
  func changesAreSaid(share: Double, text: String) { #expect(Figure.changeText(share) == text) }

  @Test func absoluteStandsBesideRelative() {
    let today = Runs.measured(900, .requestsPerSecond)
    let rate = Figure(20_000, .requestsPerSecond, .estimated, source: "test", interval: 20_000...20_500)
    var headroom = Headroom(goal: .assumed, today: today, maximumRate: rate)
    #expect(headroom.text == "22x: 20,000 requests/s at p99 <= 100 ms (assumed goal)")
    #expect(headroom.kindText == "estimated" && headroom.times?.kind == .estimated)
    headroom.isLowerBound = true
    headroom.goal = LatencyGoal(p99Milliseconds: 25)
    #expect(headroom.text == "at least 22x: 20,000 requests/s at p99 <= 25 ms")
    let unknown = Headroom(goal: .assumed, today: today, unknownBecause: "no batch was seen")
    #expect(unknown.text == "unknown, because no batch was seen" && unknown.times == nil && unknown.kindText == "unknown")
    let none = Headroom(goal: .assumed, today: nil, maximumRate: Figure(0, .requestsPerSecond, .simulated, source: "test"))
    #expect(none.text == "none: no request rate keeps p99 <= 100 ms (assumed goal)")
  }
}
