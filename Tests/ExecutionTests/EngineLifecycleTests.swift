import Testing
import TimeBase

@testable import Execution

/// When an engine's process is started, rests, and is given up: by the clock alone.
@Suite struct EngineLifecycleTests {
  private static let limits = EngineLifecycle.Limits(
    firstRest: .milliseconds(100), longestRest: .milliseconds(350), deaths: 6, pause: .milliseconds(60_000))

  private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000) }

  /// Started and ready at 0.
  private static var ready: EngineLifecycle {
    var life = EngineLifecycle(limits)
    #expect(life.step(at: at(0)) == .start)
    life.handle(.started, at: at(0))
    return life
  }

  @Test func itIsStartedOnceAndThenWatched() {
    var life = EngineLifecycle(Self.limits)
    #expect(life.admission(at: Self.at(0), maximumWait: .zero) == .wait(until: .distantFuture))
    #expect(life.step(at: Self.at(0)) == .start)
    #expect(life.generation == 1)
    #expect(life.step(at: Self.at(1)) == .watch)
    #expect(life.admission(at: Self.at(1), maximumWait: .zero) == .wait(until: .distantFuture))
    life.handle(.started, at: Self.at(2))
    #expect(life.step(at: Self.at(3)) == .watch)
    #expect(life.admission(at: Self.at(3), maximumWait: .zero) == .go)
  }

  @Test func batchesAreCountedWhileTheyRun() {
    var life = Self.ready
    life.handle(.batchBegan, at: Self.at(1))
    life.handle(.batchBegan, at: Self.at(1))
    #expect(life.state == .ready(batches: 2))
    life.handle(.batchEnded(isGood: true), at: Self.at(2))
    #expect(life.state == .ready(batches: 1))
  }

  /// The n-th death in a row, and how long it rests then.
  @Test(arguments: [(1, 0), (2, 100), (3, 200), (4, 350), (5, 350)] as [(Int, Int64)])
  func restsDoubleUpToTheLongest(_ deaths: Int, _ rest: Int64) {
    var life = Self.ready
    var now: Int64 = 1000
    for _ in 1..<deaths {
      life.handle(.died(.signal(8)), at: Self.at(now))
      now += 1000
      #expect(life.step(at: Self.at(now)) == .start)
      life.handle(.started, at: Self.at(now))
    }
    life.handle(.died(.signal(8)), at: Self.at(now))
    #expect(life.state == .resting(until: Self.at(now + rest)))
    if rest > 0 {
      #expect(life.step(at: Self.at(now + rest - 1)) == .wait(until: Self.at(now + rest)))
      #expect(life.admission(at: Self.at(now), maximumWait: .milliseconds(rest)) == .wait(until: Self.at(now + rest)))
      guard case .refuse(let reason) = life.admission(at: Self.at(now), maximumWait: .milliseconds(rest - 1)) else {
        return #expect(Bool(false), "a batch waited longer than it had maximumWait for")
      }
      #expect(reason.contains("signal 8"))
    }
    #expect(life.step(at: Self.at(now + rest)) == .start)
    #expect(life.generation == deaths + 1)
  }

  @Test func aGoodBatchForgivesAndABadOneDoesNot() {
    var life = Self.ready
    for _ in 0..<4 {
      life.handle(.died(.signal(11)), at: Self.at(10))
      #expect(life.step(at: Self.at(5000)) == .start)
      life.handle(.started, at: Self.at(5000))
    }
    life.handle(.batchBegan, at: Self.at(5001))
    life.handle(.batchEnded(isGood: false), at: Self.at(5002))
    #expect(life.deaths == 4)
    life.handle(.batchBegan, at: Self.at(5003))
    life.handle(.batchEnded(isGood: true), at: Self.at(5004))
    #expect(life.deaths == 0)
    life.handle(.died(.signal(11)), at: Self.at(6000))
    #expect(life.state == .resting(until: Self.at(6000)))
  }

  @Test func afterTooManyDeathsItIsLeftAloneAndTriedAgainLater() {
    var life = EngineLifecycle(Self.limits)
    var now: Int64 = 0
    // Ready or not: a process that dies while it loads counts too.
    for _ in 0..<6 {
      now += 1000
      #expect(life.step(at: Self.at(now)) == .start)
      life.handle(.died(.exit(code: 3)), at: Self.at(now))
    }
    #expect(life.state == .givenUp(until: Self.at(now + 60_000)))
    guard case .refuse(let reason) = life.admission(at: Self.at(now), maximumWait: .milliseconds(1000)) else {
      return #expect(Bool(false), "a batch was let wait for a process that is given up")
    }
    #expect(reason.contains("6 times in a row") && reason.contains("exit code 3") && reason.contains("not started again for 60 s"))
    #expect(life.outage(at: Self.at(now)) == reason)
    #expect(life.outage(at: Self.at(now + 60_000)) == nil, "its time is over: it is started")
    #expect(life.step(at: Self.at(now + 59_999)) == .wait(until: Self.at(now + 60_000)))
    #expect(life.step(at: Self.at(now + 60_000)) == .start)
    // One more chance, not six.
    life.handle(.died(.exit(code: 3)), at: Self.at(now + 60_001))
    #expect(life.state == .givenUp(until: Self.at(now + 120_001)))
  }

  @Test func nothingHappensAfterItIsClosed() {
    var life = Self.ready
    life.handle(.closed, at: Self.at(1))
    for event in [.started, .died(.unknown), .batchBegan, .batchEnded(isGood: true)] as [EngineLifecycle.Event] {
      life.handle(event, at: Self.at(2))
      #expect(life.state == .closed)
    }
    #expect(life.step(at: Self.at(3)) == .end)
    guard case .refuse = life.admission(at: Self.at(3), maximumWait: .milliseconds(9)) else {
      return #expect(Bool(false), "a batch was let in")
    }
  }

  @Test func endsOfBatchesOfAnEarlierProcessChangeNothing() {
    var life = Self.ready
    life.handle(.batchBegan, at: Self.at(1))
    life.handle(.died(.signal(9)), at: Self.at(2))
    life.handle(.batchEnded(isGood: false), at: Self.at(3))
    #expect(life.state == .resting(until: Self.at(2)))
    #expect(life.deaths == 1)
  }
}

/// How an engine's process ended: values first, words last.
@Suite struct EngineEndTests {
  @Test(
    arguments: [
      (0x0300, .exit(code: 3), "exit code 3", true), (9, .signal(9), "signal 9 (SIGKILL)", false),
      (0x8B, .signal(11), "signal 11 (SIGSEGV)", true),
      (40, .signal(40), "signal 40", true),
    ] as [(Int32, EngineEnd, String, Bool)])
  func statusesAreRead(status: Int32, end: EngineEnd, text: String, isItsOwn: Bool) {
    #expect(EngineEnd(waitStatus: status) == end)
    #expect("\(end)" == text && end.isItsOwn == isItsOwn)
    #expect(end.explanation.contains("memory runs out") == (end == .signal(9)))
  }
}
