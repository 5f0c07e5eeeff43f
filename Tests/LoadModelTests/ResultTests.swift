import LoadModel
import Testing
import TimeBase
import Workload

@Suite struct ResultTests {
  static func closed(users: Int = 100, answers: Int64 = 10_000, milliseconds: Int64 = 100, seconds: Double = 10) -> LoadResult {
    var result = LoadResult(
      name: "m", load: .closed(users: users, spawnRate: 100, think: .constant(.zero)), share: .whole, seed: 1, warmUpSeconds: 1,
      windowSeconds: seconds)
    result.latency.record(milliseconds * 1_000_000, count: answers)
    result.uncorrected = result.latency
    result.completed = answers
    result.health.sendLag.record(1000, count: answers)
    return result
  }

  static func open() -> LoadResult {
    var result = closed()
    result.load = .open(RateProfile(perSecond: 1000), isPoisson: false)
    return result
  }

  @Test func allUsersWaitingIsTheServersFigure() throws {
    // 1,000 answers a second of 100 ms each: 100 in flight.
    let result = Self.closed()
    let balance = try #require(result.balance)
    #expect((balance.inFlight - 100).magnitude < 0.1)
    #expect(balance.outside < 0.1)
    #expect(result.verdict.kind == .notClientBound)
  }

  @Test func usersThatAreNowhereAreTheGeneratorsFault() {
    // The case study's table: 1,151 a second at 0.441 s leave half of 1,000 users outside the measured latency.
    var result = Self.closed(users: 1000, answers: 11_510, milliseconds: 441)
    #expect(result.verdict.kind == .clientBound)
    // Unless they think.
    result.health.thinkSeconds = 0.427
    #expect(result.verdict.kind == .notClientBound)
  }

  @Test func aBusyThreadIsClientBound() {
    var result = Self.closed()
    result.health.busiestThreadShare = 0.95
    #expect(result.verdict.words.contains("--threads"))
    #expect(result.verdict.kind == .clientBound)
  }

  @Test func lateSendsAreTheGeneratorsOnlyWhenItsThreadsWereLate() {
    var result = Self.open()
    result.health.schedulingLag.record(100_000, count: 980)
    #expect(result.verdict.kind == .notClientBound)
    // In time itself: it waited for connections.
    result.health.lateCount = 101
    #expect(result.verdict.kind == .serverBehind)
    #expect(result.verdict.words.contains("--connections"))
    result.health.reachedConnectionLimit = true
    #expect(result.verdict.words.contains("--max-connections"))
    // Late for 2 % of the time.
    result.health.schedulingLag.record(5_000_000, count: 20)
    #expect(result.verdict.kind == .clientBound)
    #expect(result.verdict.words.contains("2 % of the time"))
  }

  @Test func aClosedLoopMayBeALittleLateWhereAnswersTakeLong() {
    var result = Self.closed()
    result.health.schedulingLag.record(5_000_000, count: 100)
    #expect(result.verdict.kind == .notClientBound)
    // More than a tenth of the mean latency, for half of the time.
    result.health.schedulingLag.record(11_000_000, count: 100)
    #expect(result.verdict.kind == .clientBound)
  }

  @Test func littlesLawAndTheServersCountersSpeakOfAnswersThatCame() throws {
    var result = Self.closed()
    result.intervals = [
      IntervalSummary(
        startSeconds: 0, lengthSeconds: 10, answers: 10_000, errors: 0, latencySeconds: 900, sinceSendSeconds: 800, users: 100)
    ]
    #expect(try (#require(result.inFlight) - 90).magnitude < 1e-6)
    #expect(try (#require(result.meanCompletedSinceSendSeconds) - 0.08).magnitude < 1e-9)
  }

  @Test func aShareHasItsUsers() throws {
    var result = Self.closed(users: 10)
    result.share = try #require(RunShare(text: "0/4"))
    #expect(result.users == 3)
    result.share = try #require(RunShare(text: "3/4"))
    #expect(result.users == 2)
  }

  @Test func theRemainderIsWhatTheServerDoesNotExplain() throws {
    var result = Self.closed()
    result.server = ServerPhases(
      requests: 10, rows: 40, batches: 5, totalSeconds: 0.075, queueSeconds: 0.07, inputSeconds: 0, inferSeconds: 0.005, outputSeconds: 0)
    #expect(try (#require(result.remainderSeconds) - 0.025).magnitude < 1e-4)
    #expect(result.server?.meanBatch == 8)
  }

  @Test(arguments: [
    ("p99>50ms", true), ("p99>100.2ms", false), ("p50>=99ms", true), ("mean<200ms", true), ("max>1s", false), ("errors>0", false),
    ("errors>1%", false), ("late>1%", false), ("late<=0%", true), ("rps<1001", true), ("rps<999", false), ("cpu>90%", false),
    (" p99.9 > 1us ", true),
  ])
  func conditionsCompare(text: String, isMet: Bool) throws {
    let condition = try #require(FailCondition(text: text))
    #expect(condition.isMet(by: Self.closed()) == isMet)
  }

  @Test(arguments: [
    "", "p99", "p99>", "p99>50", "p99>50%", "p0>1ms", "p101>1ms", "errors>x", "late>1", "rps<1ms", "foo>1", "p99=1ms", "p99>1e3ms",
  ])
  func badConditionsAreRefused(text: String) { #expect(FailCondition(text: text) == nil) }

  @Test func aRunWithoutAnAnswerMeetsEveryLatencyCondition() throws {
    let empty = Self.closed(answers: 0)
    #expect(try #require(FailCondition(text: "p99>50ms")).isMet(by: empty))
    #expect(empty.errorShare == nil)
  }

  @Test func intervalsHoldTheMean() throws {
    var random = SplitMix64(seed: 21)
    var covered = 0
    for _ in 0..<400 {
      let values = (0..<60).map { _ in 10 + random.nextUnitDouble() }
      let interval = try #require(BatchMeans.interval(values))
      if (interval.mean - 10.5).magnitude <= interval.halfWidth { covered += 1 }
    }
    // 95 % of 400 is 380; four standard deviations of the count are 17.
    #expect((363...397).contains(covered))
    #expect(BatchMeans.interval([1, 2, 3, 4]) == nil)
  }

  @Test func driftIsSaidAndNoiseIsNot() {
    let flat = [Double](repeating: 100, count: 12)
    #expect(Stability(throughput: flat, latency: flat) == .stable)
    #expect(Stability(throughput: [1, 2, 3], latency: [1, 2, 3]) == .tooShort)
    let growing: [Double] = (0..<12).map { (second: Int) -> Double in 1 + Double(second) / 10 }
    #expect(Stability(throughput: flat, latency: growing).words.contains("latency rose"))
    // From 950 to 257 answers per second in mid-run, and back: the first third is as the last.
    let dip: [Double] = (0..<30).map { (second: Int) -> Double in
      if (12..<18).contains(second) { return 257 + Double(second % 3) }
      return 950 + Double(second % 5)
    }
    guard case .drifting(.throughput, let factor, let stretch) = Stability(throughput: dip, latency: Array(repeating: 1, count: 30)) else {
      Issue.record("a dip in mid-run was missed")
      return
    }
    #expect((factor - 258.0 / 952).magnitude < 0.01 && stretch == 0.4...0.6)
    let step: [Double] = (0..<30).map { (second: Int) -> Double in second < 20 ? 950 : 257 }
    #expect(Stability(throughput: step, latency: []).words.contains("fell by 73 % in the last 33 % of the window"))
    let trend: [Double] = (0..<60).map { (second: Int) -> Double in 1000 - 5 * Double(second) }
    #expect(Stability(throughput: trend, latency: []).kind == .drifting)
    var random = SplitMix64(seed: 5)
    let alarms = (0..<200).count { _ in
      let values: [Double] = (0..<60).map { _ in 950 + 200 * random.nextUnitDouble() }
      return Stability(throughput: values, latency: []).kind == .drifting
    }
    #expect(alarms <= 2)
    let noisy: [Double] = (0..<12).map { (second: Int) -> Double in second.isMultiple(of: 2) ? 50 : 150 }
    #expect(Stability(throughput: noisy, latency: flat) == .stable)
  }
}
