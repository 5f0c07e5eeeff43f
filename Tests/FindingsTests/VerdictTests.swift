import Vocabulary
import Diagnosis
import GPUModel
import TimeBase
import Testing

/// What limits, how sure, and the words for it.
@Suite struct VerdictTests {
  static func edited(_ run: RunEvidence, _ edit: (inout RunEvidence) -> Void) -> RunEvidence {
    var run = run
    edit(&run)
    return run
  }

  @Test func theDocumentsThreeRuns() {
    #expect(Runs.linear.verdict.sentence.text == "upstream of the GPU (high confidence), probably the load generator (medium)")
    #expect(Runs.stacked.verdict.sentence.text == "upstream of the GPU (high confidence), probably the load generator (medium)")
    #expect(Runs.seqlen.verdict.sentence.text == "compute-bound, 127/128 of it redundant work (high confidence)")
    #expect(Runs.seqlen.verdict.sideConfidence == .high)
  }

  @Test func eightClientCoresMakeTheLoadTheLimit() {
    let run = Self.edited(Runs.linear) {
      $0.elasticities = Runs.elasticities([.thinkTime: 0.9, .clientWork: 0.02, .kernels: 0.03, .wakeUp: 0.05])
    }
    #expect(run.verdict.sentence.text == "load-limited: the server keeps up with the offered load (high confidence)")
    #expect(run.verdict.claims.map(\.regime) == [.loadLimited])
  }

  @Test func withoutTheCopiesTheClientLimitsSeqLenToo() {
    let run = Self.edited(Runs.seqlen) {
      $0.kernels.redundantShare = Figure(0, .share, .estimated, source: "test")
      $0.elasticities = Runs.linear.elasticities
    }
    #expect(run.verdict.sentence.text == "upstream of the GPU (high confidence), probably the load generator (medium)")
  }

  @Test func oneRowRequestsLoadTheFrontEnd() {
    let run = Self.edited(Runs.linear) { $0.elasticities = Runs.elasticities([.frontEndWork: 0.95, .kernels: 0.05]) }
    #expect(run.verdict.sentence.text == "upstream of the GPU (high confidence), the front end (high)")
    #expect(run.verdict.claims.first?.regime == .frontEndBound)
  }

  @Test func aHalvedDeviceSharesTheLimit() {
    let run = Self.edited(Runs.seqlen) { $0.elasticities = Runs.elasticities([.kernels: 0.6, .clientWork: 0.38, .thinkTime: 0.02]) }
    let verdict = run.verdict
    #expect(verdict.isCoLimited)
    #expect(verdict.side == .both)
    #expect(
      verdict.sentence.text
        == "co-limited: compute-bound, 127/128 of it redundant work (high confidence) and client-bound (medium confidence)")
  }

  /// As of the simulation fitted to a measured run: fitted, whatever the run says.
  @Test func whatWasVariedInAFittedSimulationIsLikelyAtMost() {
    let run = Self.edited(Runs.linear) {
      $0.elasticities = Elasticities(
        [TimeTerm.thinkTime: 0.95, .kernels: 0.05].mapValues { Figure($0, .ratio, .fitted, source: "test") })
    }
    #expect(run.verdict.sentence.text == "load-limited: the server keeps up with the offered load (medium confidence)")
    #expect(run.verdict.sideConfidence == .medium)
  }

  @Test func onlyAWitnessedGeneratorMakesTheClientCertain() {
    let witnessed = Self.edited(Runs.linear) { $0.client.coreShare = Runs.measured(0.98) }
    #expect(witnessed.verdict.claims.first?.confidence == .high)
    #expect(witnessed.verdict.missing == nil)
    for kind in Figure.Kind.allCases where kind != .measured {
      let run = Self.edited(Runs.linear) { $0.client.coreShare = Figure(0.98, .share, kind, source: "test") }
      #expect(run.verdict.claims.first?.confidence == .medium, "\(kind)")
      #expect(run.verdict.missing?.cheapestMeasurement.isEmpty == false)
    }
  }

  @Test func unattributedTimeCapsSideAndPlace() {
    let run = Self.edited(Runs.linear) {
      $0.device.unattributed = Runs.measured(0.21)
      $0.client.coreShare = Runs.measured(0.98)
    }
    #expect(run.verdict.sentence.text == "upstream of the GPU (medium confidence), probably the load generator (medium)")
  }

  @Test func anUnsteadyWindowHasNoVerdict() {
    let run = Self.edited(Runs.linear) { $0.steadiness = Steadiness(defects: [.ramp(share: Runs.measured(0.25))]) }
    #expect(run.verdict.claims.map(\.regime) == [.notSteady])
    #expect(run.verdict.sentence.text.hasPrefix("not steady"))
  }

  /// Each time alone limits: its regime is named, and no other.
  @Test(arguments: [
    (TimeTerm.thinkTime, Regime.loadLimited), (.interArrival, .loadLimited), (.clientWork, .clientBound), (.network, .frontEndBound),
    (.frontEndWork, .frontEndBound), (.batchingDelay, .batchingBound), (.gather, .noBatchPipelining), (.upload, .transferBound),
    (.launch, .launchBound), (.wakeUp, .noBatchPipelining), (.kernels, .computeBound), (.dispatch, .interKernelGaps),
    (.download, .transferBound), (.response, .noBatchPipelining),
  ])
  func everyTimeHasItsRegime(term: TimeTerm, regime: Regime) {
    var values = Dictionary(uniqueKeysWithValues: TimeTerm.allCases.map { ($0, 0.005) })
    values[term] = 1 - 0.005 * Double(TimeTerm.allCases.count - 1)
    let run = Self.edited(Runs.healthy) { $0.elasticities = Runs.elasticities(values) }
    #expect(run.verdict.claims.map(\.regime) == [regime])
    #expect(run.verdict.side == (term.isUpstreamOfQueue ? .upstream : .device))
    #expect(run.verdict.sideConfidence == .high)
  }

  @Test(
    arguments: [
      ([Bound.math: 0.7, .memory: 0.3], 0.9, "compute-bound"), ([.power: 0.6, .memory: 0.4], 0.9, "compute-bound"),
      ([.memory: 0.4, .l2: 0.2, .math: 0.4], 0.9, "memory-bandwidth-bound"),
      ([.latency: 0.6, .math: 0.4], 0.9, "GEMMs too small to fill the GPU"),
      ([.math: 0.9], 0.3, "GEMMs too small to fill the GPU"), ([.math: 0.5, .memory: 0.5], 0.9, "GPU-bound"), ([:], 0.9, "GPU-bound"),
    ] as [([Bound: Double], Double, String)])
  func kernelsSayWhichRoof(shares: [Bound: Double], fill: Double, expected: String) {
    let run = Self.edited(Runs.healthy) {
      $0.kernels.boundShares = shares.mapValues { Runs.measured($0) }
      $0.kernels.residentSMShare = Runs.measured(fill)
    }
    #expect(run.verdict.sentence.text == expected + " (high confidence)")
  }

  @Test func aLoopSpreadOverStagesIsStillALoop() {
    let run = Self.edited(Runs.healthy) {
      $0.elasticities = Runs.elasticities([
        .gather: 0.15, .wakeUp: 0.18, .response: 0.12, .kernels: 0.15, .thinkTime: 0.15, .clientWork: 0.13, .frontEndWork: 0.12,
      ])
    }
    #expect(run.verdict.claims.map(\.regime) == [.noBatchPipelining])
  }

  @Test func aSideIsCertainOnlyWhenTheOtherCannotReachTheLine() {
    let near = Self.edited(Runs.linear) { $0.elasticities = Runs.elasticities([.clientWork: 0.84, .kernels: 0.16]) }
    #expect(near.verdict.sideConfidence == .medium)
    let far = Self.edited(Runs.linear) { $0.elasticities = Runs.elasticities([.clientWork: 0.86, .kernels: 0.14]) }
    #expect(far.verdict.sideConfidence == .high)
  }

  @Test func anIntervalAcrossTheLineIsLikely() {
    var values = Runs.healthy.elasticities
    values?.values[.kernels] = Figure(0.96, .ratio, .simulated, source: "test", interval: 0.1...1.8)
    let run = Self.edited(Runs.healthy) { $0.elasticities = values }
    #expect(run.verdict.claims.first?.confidence == .medium)
  }

  @Test(arguments: [0.9, 0.949, 1.051, 1.2]) func elasticitiesThatDoNotAddUpAreNotBelieved(sum: Double) {
    let elasticities = Runs.elasticities([.clientWork: sum])
    #expect(!elasticities.isConsistent)
    let run = Self.edited(Runs.linear) {
      $0.elasticities = elasticities
      $0.stages[.gpu] = StageLoad(.gpu, utilization: Runs.measured(0.97))
    }
    // The GPU's utilization is all that is left to go by.
    #expect(run.verdict.claims.map(\.stage) == [.gpu])
    #expect(run.verdict.claims.first?.confidence == .medium)
  }

  @Test(arguments: [0.95, 1, 1.05]) func elasticitiesThatAddUpAre(sum: Double) {
    #expect(Runs.elasticities([.clientWork: sum - 0.3, .kernels: 0.3]).isConsistent)
  }

  @Test func nothingKnownIsAVerdictToo() {
    let verdict = RunEvidence().verdict
    #expect(verdict.sentence.text == "inconclusive: what limits cannot be told")
    #expect(verdict.claims.isEmpty)
    #expect(verdict.side == nil)
    #expect(verdict.missing?.cheapestMeasurement.contains("two generator processes") == true)
  }

  /// A trace alone, of a server whose generator nobody saw: the side can be told, the place cannot.
  @Test func aTraceAloneTellsTheSide() {
    let run = Self.edited(RunEvidence()) {
      for stage in [PipelineStage.gatherAndUpload, .launchThread, .gpu, .downloadAndResponse] {
        $0.stages[stage] = StageLoad(stage, utilization: Runs.measured(0.2))
      }
      $0.device.noRequestsIdle = Runs.measured(0.9)
      $0.device.hostOverheadIdle = Runs.measured(0.05)
    }
    #expect(run.verdict.sentence.text == "upstream of the GPU (high confidence); where is inconclusive")
    let half = Self.edited(run) { $0.device.noRequestsIdle = nil }
    #expect(half.verdict.sideConfidence == .medium)
    let busy = Self.edited(run) {
      $0.stages[.gpu] = StageLoad(.gpu, utilization: Runs.measured(0.6)); $0.device.noRequestsIdle = Runs.measured(0.3)
    }
    #expect(busy.verdict.side == nil)
  }

  @Test func aBusyIssuingThreadIsNamedByItsLateLaunches() {
    let run = Self.edited(RunEvidence()) { $0.stages[.launchThread] = StageLoad(.launchThread, utilization: Runs.measured(0.98)) }
    #expect(run.verdict.claims.map(\.regime) == [.noBatchPipelining])
    let late = Self.edited(run) { $0.launches.lateShare = Runs.measured(0.8) }
    #expect(late.verdict.claims.map(\.regime) == [.launchBound])
    // A device that is busy keeps its thread waiting: that is the device's limit.
    let busy = Self.edited(run) { $0.stages[.gpu] = StageLoad(.gpu, utilization: Runs.measured(0.95)) }
    #expect(busy.verdict.claims.map(\.stage) == [.gpu])
  }

  /// Whatever the elasticities: claims pass the line, are distinct, heaviest first, and never surer than the rules allow.
  @Test func rulesHoldForRandomElasticities() {
    var random = SplitMix64(seed: 7)
    for _ in 0..<2000 {
      var weights = TimeTerm.allCases.map { _ -> Double in
        let u = Double(random.next() >> 11) / 0x1p53
        return u * u * u * u
      }
      let sum = weights.reduce(0, +)
      weights = weights.map { $0 / sum }
      let run = Self.edited(Runs.linear) {
        $0.elasticities = Runs.elasticities(Dictionary(uniqueKeysWithValues: zip(TimeTerm.allCases, weights)))
      }
      let verdict = run.verdict
      let claimed = verdict.claims.map { $0.weight?.value ?? 0 }
      #expect(claimed.allSatisfy { $0 > 0.2 })
      #expect(claimed == claimed.sorted(by: >))
      #expect(Set(verdict.claims.map(\.regime)).count == verdict.claims.count)
      #expect(verdict.claims.allSatisfy { $0.regime != .clientBound || $0.confidence <= .medium })
      #expect(!verdict.sentence.text.isEmpty)
      if verdict.side == .upstream, verdict.sideConfidence == .high {
        let below = zip(TimeTerm.allCases, weights).reduce(0) { $0 + ($1.0.isUpstreamOfQueue ? 0 : $1.1) }
        #expect(below < 0.15)
      }
    }
  }

  @Test(arguments: [(127.0 / 128, "127/128"), (0.5, "1/2"), (0.99218749, "127/128"), (0.9, "9/10")])
  func redundancyIsSaidAsAFraction(share: Double, text: String) {
    let run = Self.edited(Runs.healthy) { $0.kernels.redundantShare = Figure(share, .share, .estimated, source: "test") }
    #expect(run.verdict.sentence.text == "compute-bound, \(text) of it redundant work (high confidence)")
  }

  @Test func redundancyThatIsNoFractionIsSaidInPercent() {
    let run = Self.edited(Runs.healthy) { $0.kernels.redundantShare = Figure(0.3, .share, .estimated, source: "test") }
    #expect(run.verdict.sentence.figures.map(\.value) == [0.3])
  }
}

/// Little's law, the utilization law, trends.
@Suite struct EvidenceTests {
  @Test(arguments: [(1151.22, 440.97, 428.0, 508.0), (1195.51, 419.26, 417.0, 501.0), (1004.73, 683.84, 311.0, 687.0)])
  func littlesLawOnTheDocumentsTable(throughput: Double, mean: Double, outside: Double, inFlight: Double) throws {
    var load = LoadEvidence()
    load.loop = .closed(users: 1000)
    load.throughput = Runs.measured(throughput, .requestsPerSecond)
    load.meanLatency = Runs.measured(mean / 1000, .seconds)
    #expect((try #require(load.thinkAndClientQueueTime).value - outside).magnitude < 1)
    #expect((try #require(load.meanInFlight).value - inFlight).magnitude < 1)
    load.loop = .open(arrivalRate: Runs.measured(1000, .requestsPerSecond))
    #expect(load.thinkAndClientQueueTime == nil)
  }

  @Test func theUtilizationLaw() throws {
    let load = StageLoad.derived(
      .client, serviceTime: Figure(0.85, .milliseconds, .fitted, source: "test"), servers: 1,
      throughput: Runs.measured(1151.22, .requestsPerSecond))
    #expect((try #require(load.utilization).value - 0.9785).magnitude < 0.001)
    #expect((try #require(load.capacity).value - 1176.5).magnitude < 0.1)
    #expect(load.utilization?.kind == .fitted)
    let none = StageLoad.derived(
      .client, serviceTime: Runs.measured(0, .milliseconds), servers: 1, throughput: Runs.measured(1, .requestsPerSecond))
    #expect(none.utilization == nil)
  }

  @Test func stagesKeepTheirOrder() {
    var stages = PipelineStages([StageLoad(.gpu, capacity: Runs.measured(5)), StageLoad(.client, capacity: Runs.measured(3), )])
    #expect(stages.loads.map(\.stage) == [.client, .gpu])
    #expect(stages.smallestCapacity?.stage == .client)
    stages[.client] = nil
    #expect(stages.smallestCapacity?.stage == .gpu)
    #expect(stages.busiest == nil)
  }

  @Test func driftIsFoundAndNoiseIsNot() throws {
    var random = SplitMix64(seed: 11)
    var alarms = 0
    for _ in 0..<200 {
      let noise = (0..<24).map { _ in 1000 + Int(clamping: random.next() % 61) - 30 }
      if try !#require(Steadiness(answersPerSlice: noise, kind: .measured)).isSteady { alarms += 1 }
      let drift = noise.enumerated().map { $0.element + 8 * $0.offset }
      let steadiness = try #require(Steadiness(answersPerSlice: drift, kind: .measured))
      guard case .trend(let change)? = steadiness.defects.first else {
        Issue.record("a drift of 17 % was missed")
        continue
      }
      #expect((change.value - 8 * 23 / 1092.0).magnitude < 0.04)
    }
    // 1 % of 200 by chance, less because the change must also pass 5 %.
    #expect(alarms <= 4)
  }

  @Test func oneSlowSliceIsNoTrend() throws {
    var counts = [Int](repeating: 1000, count: 20)
    counts[0] = 100
    #expect(try #require(Steadiness(answersPerSlice: counts, kind: .measured)).isSteady)
    #expect(try #require(Steadiness(answersPerSlice: [Int](repeating: 0, count: 20), kind: .measured)).isSteady)
    #expect(Steadiness(answersPerSlice: [1, 2, 3], kind: .measured) == nil)
    #expect(try #require(Steadiness(answersPerSlice: (0..<100_000).map { 1000 + $0 / 500 }, kind: .measured)).isSteady == false)
  }

  @Test func sentencesHoldFiguresNotNumbers() {
    let figure = Runs.measured(0.5)
    let sentence: Sentence = "The \("device") of \(setting: 3) is \(figure) busy."
    #expect(sentence.figures == [figure])
    #expect(sentence.parts.count == 7 || sentence.parts.count == 5)
    #expect(sentence.text.hasPrefix("The device of 3 is 50"))
  }
}

@Suite struct FigureTextTests {
  @Test(arguments: [
    (0.037, Figure.Unit.share, "3.7 %"), (0.34, .share, "34 %"), (127.0 / 128, .share, "99.2 %"), (1, .share, "100 %"), (0, .share, "0 %"),
    (-0.05, .share, "-5 %"), (1151.22, .requestsPerSecond, "1,151 requests/s"), (6.2, .microseconds, "6.20 us"),
    (0.124, .milliseconds, "0.124 ms"),
    (199e6, .bytes, "199 MB"), (999.9e3, .bytes, "1.00 MB"), (1.28e12, .bytesPerSecond, "1.28 TB/s"), (4.7, .count, "4.70"),
    (29833, .count, "29,833"), (1_234_567, .count, "1,234,567"), (250, .rows, "250 rows"), (99.97, .ratio, "100"),
    (-0.0001, .ratio, "-0.000100"),
    (.infinity, .ratio, "unknown"), (.nan, .share, "unknown"), (650, .nanoseconds, "650 ns"), (0, .seconds, "0 s"),
  ])
  func figuresInWords(value: Double, unit: Figure.Unit, text: String) {
    #expect(Figure(value, unit, .measured, source: "test").text == text)
  }
}
