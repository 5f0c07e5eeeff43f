import Diagnosis
import Explanation
import Testing

/// Says of each change what it is told to.
struct ScriptedGains: GainEstimator {
  var throughput: [Change: Double] = [:]
  var p99: [Change: Double] = [:]
  var gpuSeconds: [Change: Double] = [:]

  func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate {
    func gain(_ table: [Change: Double], _ base: Double, _ unit: Figure.Unit) -> Gain {
      let factor = changes.reduce(1) { $0 * (1 + (table[$1] ?? 0)) }
      func figure(_ value: Double) -> Figure { Figure(value, unit, .simulated, source: "test") }
      return Gain(before: figure(base), after: figure(base * factor))
    }
    return GainEstimate(
      throughput: gain(throughput, 1000, .requestsPerSecond), medianLatency: gain(p99, 5, .milliseconds),
      p99Latency: gain(p99, 10, .milliseconds), maximumRateAtGoal: gain(throughput, 5000, .requestsPerSecond),
      gpuSecondsPerMillionInferences: gain(gpuSeconds, 2, .seconds))
  }
}

@Suite struct RunAnswerTests {
  /// An open loop that is served, on batches that leave by delay, far from full.
  static var run: RunEvidence {
    func measured(_ value: Double, _ unit: Figure.Unit) -> Figure { Figure(value, unit, .measured, source: "test") }
    var run = RunEvidence()
    run.load.loop = .open(arrivalRate: measured(900, .requestsPerSecond))
    run.load.throughput = measured(899, .requestsPerSecond)
    run.load.p99Latency = measured(3.1, .milliseconds)
    run.batching.meanRows = measured(1.4, .rows)
    run.batching.maximumRows = 64
    run.batching.dispatchReasons = [.delay: 6000]
    run.batching.maximumQueueDelayMicroseconds = 2000
    run.batching.instances = 2
    run.batching.p99Wait = measured(2, .milliseconds)
    run.batching.longestBatch = measured(1, .milliseconds)
    run.device.gpuBusy = measured(0.08, .share)
    run.stages[.gpu] = StageLoad(.gpu, utilization: measured(0.08, .share))
    run.stages[.frontEnd] = StageLoad(.frontEnd, utilization: measured(0.1, .share))
    return run
  }

  static func answer(_ gains: ScriptedGains?) -> RunAnswer {
    let rate = Figure(20_000, .requestsPerSecond, .estimated, source: "test")
    let headroom = Headroom(goal: .assumed, today: Self.run.load.throughput, maximumRate: rate)
    return RunAnswer(
      name: "encoder", setting: "sim:L40S, host profile triton-26.02", run: Self.run,
      assessment: Assessment(of: Self.run, estimator: gains), waterfall: nil, headroom: headroom, kind: .simulated)
  }

  static func answer(of run: RunEvidence, _ assessment: Assessment, _ waterfall: Waterfall? = nil) -> RunAnswer {
    RunAnswer(
      name: "m", setting: "", run: run, assessment: assessment, waterfall: waterfall,
      headroom: Headroom(goal: LatencyGoal(p99Milliseconds: 100), today: nil, unknownBecause: "test"), kind: .simulated)
  }

  @Test func bottleneckAndHeadroomStandFirst() {
    let lines = Self.answer(nil).lines
    #expect(lines[0] == "Load-limited: the server keeps up with the offered load (high confidence)")
    #expect(lines[1] == "Headroom   22x: 20,000 requests/s at p99 <= 100 ms (assumed goal)    [estimated]")
    #expect(lines[2] == "Now        900 requests/s offered, 899 answered, p99 3.10 ms         [simulated]")
    #expect(lines[3] == "Batches    1.40 of 64 rows on average; 100 % dispatched: max queue delay reached")
    #expect(lines.last == "Confirm    offer twice the load: throughput should double")
    #expect(lines.allSatisfy { $0.count <= AnswerLines.width })
  }

  @Test func aChangeIsSomethingToTypeWithItsGainAndItsCost() throws {
    let delay = Change.batchDelay(microseconds: 0)
    let answer = Self.answer(ScriptedGains(p99: [delay: -0.23], gpuSeconds: [delay: 0.55]))
    let first = try #require(answer.changes.first)
    #expect(first.setting == "max_queue_delay_microseconds: 0" && first.effect == .p99)
    #expect(first.gain == "10.0 -> 7.70 ms p99, -23 %" && first.costs == ["GPU time +55 %"])
    #expect(
      first.diff == [
        "- dynamic_batching { max_queue_delay_microseconds: 2000 }", "+ dynamic_batching { max_queue_delay_microseconds: 0 }",
      ])
    #expect(answer.lines.contains { $0.contains("costs GPU time +55 %") })
    // More instances or fewer move nothing here: said once, and not recommended.
    #expect(answer.noEffect == ["1 instance"])
    #expect(!answer.changes.contains { $0.setting.contains("instance_group") })
    #expect(answer.lines.allSatisfy { $0.count <= AnswerLines.width })
  }

  @Test func aSmallerDeviceThatKeepsTheGoalIsACostThatCanGo() {
    let half = Change.gpuTimeScale(2)
    let kept = Self.answer(ScriptedGains(p99: [half: 0.01], gpuSeconds: [half: 1])).changes
    #expect(
      kept.contains {
        $0.effect == .cost && $0.setting == "half this GPU" && $0.gain == "is enough: p99 10.0 -> 10.1 ms, +1 %" && $0.costs.isEmpty
      })
    let missed = Self.answer(ScriptedGains(p99: [half: 20])).changes
    #expect(!missed.contains { $0.setting == "half this GPU" })
  }

  @Test("where more is offered than answered, latency says how long it was watched: changes are what they do to throughput")
  func overload() throws {
    var run = Self.run
    run.load.loop = .open(arrivalRate: Figure(20_000, .requestsPerSecond, .measured, source: "test"))
    run.load.throughput = Figure(1_010, .requestsPerSecond, .measured, source: "test")
    run.load.p99Latency = Figure(13_088, .milliseconds, .measured, source: "test")
    run.batching.p99Wait = Figure(9_000, .milliseconds, .measured, source: "test")
    let (one, three) = (Change.instances(1), Change.instances(3))
    let gains = ScriptedGains(throughput: [one: 0.5], p99: [one: -0.4, three: -0.4, .batchDelay(microseconds: 0): -0.5])
    let assessment = Assessment(of: run, estimator: gains)
    #expect(assessment.goal == .throughput)
    let answer = Self.answer(of: run, assessment)
    #expect(answer.now == "20,000 requests/s offered, 1,010 answered, p99 13,088 ms and growing: misses the goal")
    // From the run's own figure, by what the pairs of short runs say.
    #expect(answer.changes.map(\.gain) == ["1,010 -> 1,515 req/s, +50 %"])
    #expect(answer.changes.allSatisfy { $0.effect != .p99 && $0.costs.isEmpty })
  }

  @Test("a load-limited server that misses the goal says so, in its first line and in what is now")
  func missedGoal() {
    var run = Self.run
    run.load.p99Latency = Figure(250, .milliseconds, .measured, source: "test")
    let answer = Self.answer(of: run, Assessment(of: run, estimator: nil))
    #expect(
      answer.bottleneck == "Load-limited: the server keeps up with the offered load (high confidence), but misses p99 <= 100 ms")
    #expect(answer.now.hasSuffix("p99 250 ms: misses the goal"))
    #expect(answer.confirm == "offer twice the load: throughput should double")
    // A device that answers too late is not to be halved or shared, whether or not that was quantified.
    #expect(!answer.lines.contains { $0.contains("may be enough") || $0.contains("further models") })
  }

  @Test("what arrived at random is not the rate to the request, and no less is served for it")
  func arrivalsAtRandom() {
    var run = Self.run
    run.load.throughput = Figure(873, .requestsPerSecond, .simulated, source: "test")
    #expect(run.load.isOpenBelowSaturation == false)
    // 3 % fewer of 4,500 are two standard errors; of 90,000 nine.
    run.load.answers = 4365
    #expect(run.load.isOpenBelowSaturation == true)
    let answer = Self.answer(of: run, Assessment(of: run, estimator: nil))
    #expect(answer.now.hasPrefix("900 requests/s offered on average, 873 answered"), "\(answer.now)")
    run.load.answers = 87_300
    #expect(run.load.isOpenBelowSaturation == false)
    // However few they were, a tenth is too much.
    (run.load.answers, run.load.throughput) = (80, Figure(800, .requestsPerSecond, .simulated, source: "test"))
    #expect(run.load.isOpenBelowSaturation == false)
  }

  @Test("of a window that was not steady nothing is advised")
  func notSteady() {
    var run = Self.run
    run.steadiness = Steadiness(defects: [.trend(change: Figure(-0.5, .share, .measured, source: "test"))])
    let answer = Self.answer(of: run, Assessment(of: run, estimator: nil))
    #expect(answer.bottleneck.hasPrefix("Not steady") && answer.changes.isEmpty && answer.noEffect.isEmpty)
  }

  @Test("a generator that is full while its requests are answered: said in the first line, and confirmed at the generator")
  func saturatedGeneratorOfAnOpenLoop() throws {
    var run = Self.run
    run.stages[.client] = StageLoad(.client, utilization: Figure(0.69, .share, .simulated, source: "test"))
    run.client.coreShare = Figure(0.95, .share, .simulated, source: "test")
    run.client.cores = 1
    run.elasticities = Elasticities([
      .interArrival: Figure(0.99, .ratio, .simulated, source: "test"), .kernels: Figure(0.01, .ratio, .simulated, source: "test"),
    ])
    let more = Change.clientCores(8)
    let assessment = Assessment(of: run, estimator: ScriptedGains(p99: [more: -0.9]))
    let answer = Self.answer(of: run, assessment)
    #expect(
      answer.bottleneck
        == "Load-limited: the server keeps up with the offered load (high confidence), but the load generator is saturated (medium): latencies contain its own queue"
    )
    #expect(answer.changes.first?.setting == "8 generator processes (locust --processes 8)")
    #expect(answer.confirm.hasPrefix("pidstat -t -p PID 5 1 on the load generator"))
  }

  @Test("without a queue delay none is advised away; a smaller device still is")
  func loadLimitedWithoutDelay() {
    var run = Self.run
    run.batching.maximumQueueDelayMicroseconds = 0
    run.batching.dispatchReasons = [.zeroDelay: 6000]
    run.batching.p99Wait = Figure(0.5, .milliseconds, .measured, source: "test")
    let half = Change.gpuTimeScale(2)
    let answer = Self.answer(of: run, Assessment(of: run, estimator: ScriptedGains(p99: [half: 0.1], gpuSeconds: [half: 1])))
    #expect(answer.changes.map(\.setting) == ["half this GPU"])
    #expect(!answer.lines.contains { $0.contains("max_queue_delay_microseconds") })
  }

  @Test("requests that are never batched together: the batcher is to be switched on")
  func noDynamicBatching() throws {
    var run = Self.run
    run.batching.maximumQueueDelayMicroseconds = nil
    run.batching.meanRows = Figure(1, .rows, .measured, source: "test")
    run.batching.dispatchReasons = [.unbatched: 6000]
    let answer = Self.answer(of: run, Assessment(of: run, estimator: ScriptedGains(p99: [.dynamicBatching: -0.3])))
    let first = try #require(answer.changes.first)
    #expect(first.setting == "dynamic_batching { }" && first.diff == ["+ dynamic_batching { }"])
    #expect(answer.batches == "1.00 of 64 rows on average; 100 % dispatched: no dynamic batching")
    // Models that cannot batch have nothing to switch on.
    run.batching.maximumRows = 1
    #expect(Self.answer(of: run, Assessment(of: run, estimator: ScriptedGains())).changes.isEmpty)
  }

  @Test("a command names the model, and the busy share is said however small")
  func namesAndShares() {
    #expect(
      Change.removeRedundantWork.typed(on: .gpu, model: "models/a.onnx")
        == "headroom export models/a.onnx --rewrite sink-broadcast -o FILE.onnx")
    var run = Self.run
    run.device.gpuBusy = Figure(0.002, .share, .measured, source: "test")
    let bars = Waterfall(bars: [
      Waterfall.Bar(step: .noRequestsIdle, ofWall: Figure(0.998, .share, .measured, source: "test"), ofBusy: nil, isEstimated: false)
    ])
    let answer = Self.answer(of: run, Assessment(of: run, estimator: nil), bars)
    #expect(answer.time == "99.8 % idle: no requests, 0.2 % busy")
  }

  @Test func nothingNamedSaysHowBusyTheBusiestStageIs() {
    var run = Self.run
    run.load.loop = .closed(users: 4)
    run.device.noRequestsIdle = Figure(0.01, .share, .measured, source: "test")
    run.stages[.gpu] = StageLoad(.gpu, utilization: Figure(0.86, .share, .measured, source: "test"))
    let answer = Self.answer(of: run, Assessment(of: run, estimator: nil))
    #expect(answer.bottleneck == "Inconclusive: no stage is saturated; the busiest, the GPU, is at 86 %")
  }

  @Test func manyAnswersBeginWithEachOnesHeadroom() {
    let lines = AnswerList([Self.answer(nil), Self.answer(nil)], footer: "SIMULATED").lines(isWhole: true)
    #expect(lines[0] == "encoder  headroom 22x: 20,000 requests/s at p99 <= 100 ms (assumed goal)")
    #expect(lines[1].hasSuffix("[estimated]") && lines[2] == lines[0])
    #expect(lines.count { $0 == "encoder: sim:L40S, host profile triton-26.02" } == 2 && lines.last == "SIMULATED")
    #expect(lines.allSatisfy { $0.count <= AnswerLines.width })
  }
}
