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
    #expect(kept.contains { $0.effect == .cost && $0.setting == "half this GPU" && $0.gain == "is enough: p99 +1 %" && $0.costs.isEmpty })
    let missed = Self.answer(ScriptedGains(p99: [half: 20])).changes
    #expect(!missed.contains { $0.setting == "half this GPU" })
  }

  @Test func manyAnswersBeginWithEachOnesHeadroom() {
    let lines = AnswerList([Self.answer(nil), Self.answer(nil)], footer: "SIMULATED").lines(isWhole: true)
    #expect(lines[0] == "encoder  headroom 22x: 20,000 requests/s at p99 <= 100 ms (assumed goal)")
    #expect(lines[1].hasSuffix("[estimated]") && lines[2] == lines[0])
    #expect(lines.count { $0 == "encoder: sim:L40S, host profile triton-26.02" } == 2 && lines.last == "SIMULATED")
    #expect(lines.allSatisfy { $0.count <= AnswerLines.width })
  }
}
