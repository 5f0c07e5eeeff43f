import Scheduling
import Testing
import TimeBase

/// The behaviours that triton-inference-server/server `qa/L0_model_queue/model_queue_test.py` asks of queues. Times are milliseconds.
@Suite struct QueuePolicyTests {
  static func configuration(
    _ policy: QueuePolicy, preferred: [Int] = [4, 8], levels: UInt64 = 0, defaultLevel: UInt64 = 0, policies: [UInt64: QueuePolicy] = [:]
  ) -> SchedulerConfiguration {
    SchedulerConfiguration(
      maximumBatchRows: 8,
      batching: DynamicBatchingPolicy(
        preferredSizes: preferred, maximumQueueDelay: .milliseconds(10_000), priorityLevels: levels, defaultPriorityLevel: defaultLevel,
        defaultQueuePolicy: policy, priorityQueuePolicies: policies))
  }

  @Test func aFullQueueRefusesAtOnceAndCountsRequests() {
    // 8 rows execute, then ten one-row requests against room for eight.
    var timeline = Timeline(Self.configuration(QueuePolicy(maximumQueueSize: 8))) { _ in 1000 }
    timeline.send(100, rows: 8, at: 0)
    for id in 0..<10 { timeline.send(Int64(id), rows: 1, at: 500) }
    #expect(timeline.refused.map(\.id) == [8, 9])
    #expect(timeline.refused.allSatisfy { $0.refusal == .queueFull })
    timeline.run(until: 3000)
    #expect(timeline.dispatchReasons.map { $0.rows.reduce(0, +) } == [8, 8])
  }

  @Test func delayPutsTheLateOneBehind() {
    let policy = QueuePolicy(timeoutAction: .delay, defaultTimeout: .milliseconds(100))
    var timeline = Timeline(Self.configuration(policy))
    timeline.send(0, rows: 1, at: 0)
    timeline.send(1, rows: 2, at: 200)
    timeline.send(2, rows: 2, at: 200)
    timeline.run(until: 20_000)
    #expect(timeline.dispatchReasons.map(\.rows) == [[2, 2], [1]])
    #expect(timeline.dispatchReasons.map(\.milliseconds) == [200, 10_000])
    #expect(timeline.timedOut.isEmpty)
  }

  @Test func rejectAnswersOnTime() {
    var timeline = Timeline(Self.configuration(QueuePolicy(defaultTimeout: .milliseconds(100))))
    timeline.send(0, rows: 1, at: 0)
    timeline.run(until: 150)
    // Expired means now > deadline: one tick after it, with nothing else happening.
    #expect(timeline.timedOut.map(\.id) == [0])
    #expect(timeline.timedOut.map(\.milliseconds) == [100.000001])
    timeline.send(1, rows: 2, at: 200)
    timeline.send(2, rows: 2, at: 200)
    #expect(timeline.dispatchReasons.map(\.rows) == [[2, 2]])
  }

  @Test func rejectActsWhileAllInstancesAreBusy() {
    var timeline = Timeline(Self.configuration(QueuePolicy(defaultTimeout: .milliseconds(100)))) { _ in 10_000 }
    timeline.send(0, rows: 8, at: 0)
    timeline.send(1, rows: 1, at: 1)
    timeline.run(until: 200)
    #expect(timeline.timedOut.map(\.milliseconds) == [101.000001])
  }

  @Test func anOverrideMayShortenAndNeverLengthen() {
    let policy = QueuePolicy(defaultTimeout: .milliseconds(1000), allowsTimeoutOverride: true)
    var timeline = Timeline(Self.configuration(policy))
    timeline.send(0, rows: 1, at: 0, timeoutMilliseconds: 100)
    timeline.send(1, rows: 1, at: 0, timeoutMilliseconds: 10_000)
    timeline.send(2, rows: 1, at: 0)
    timeline.run(until: 5000)
    #expect(timeline.timedOut.map(\.id).sorted() == [0, 1, 2])
    #expect(timeline.timedOut.first?.id == 0)
    #expect(timeline.timedOut.map(\.milliseconds) == [100.000001, 1000.000001, 1000.000001])
    // Not allowed: no effect.
    timeline = Timeline(Self.configuration(QueuePolicy(defaultTimeout: .milliseconds(1000))))
    timeline.send(0, rows: 1, at: 0, timeoutMilliseconds: 100)
    timeline.run(until: 5000)
    #expect(timeline.timedOut.map(\.milliseconds) == [1000.000001])
    // No default timeout: an override has no effect either.
    timeline = Timeline(Self.configuration(QueuePolicy(allowsTimeoutOverride: true)))
    timeline.send(0, rows: 1, at: 0, timeoutMilliseconds: 100)
    timeline.run(until: 20_000)
    #expect(timeline.timedOut.isEmpty)
    #expect(timeline.dispatchReasons.map(\.milliseconds) == [10_000])
  }

  @Test(arguments: [2, UInt64(UInt32.max) + 1, .max]) func aHigherLevelGoesFirst(levels: UInt64) {
    var timeline = Timeline(Self.configuration(QueuePolicy(), levels: levels, defaultLevel: levels))
    timeline.send(0, rows: 2, at: 0)
    timeline.send(1, rows: 1, at: 100, priority: levels)
    timeline.send(2, rows: 2, at: 300, priority: 1)
    timeline.run(until: 20_000)
    #expect(timeline.dispatchReasons.map(\.rows) == [[2, 2], [1]])
    #expect(timeline.dispatchReasons.map(\.milliseconds) == [300, 10_100])
    #expect(timeline.answered == [2, 0, 1])
  }

  @Test func levelsThatAreNamedAndLeftCostNothing() {
    var timeline = Timeline(Self.configuration(QueuePolicy(), preferred: [1], levels: .max, defaultLevel: 1))
    for id in 0..<10_000 { timeline.send(Int64(id), rows: 1, at: Double(id), priority: UInt64(clamping: id) &* 1_000_003 + 1) }
    timeline.run(until: 100_000)
    #expect(timeline.answered.count == 10_000)
  }

  @Test func levelsHaveTheirOwnPolicies() {
    // Level 1 delays, level 2 rejects; the instance is busy until 1,300 ms.
    let policies: [UInt64: QueuePolicy] = [
      1: QueuePolicy(timeoutAction: .delay, defaultTimeout: .milliseconds(5000), allowsTimeoutOverride: true),
      2: QueuePolicy(timeoutAction: .reject, defaultTimeout: .milliseconds(60_000), allowsTimeoutOverride: true),
    ]
    var timeline = Timeline(
      Self.configuration(QueuePolicy(), preferred: [4], levels: 2, defaultLevel: 2, policies: policies), ready: false)
    timeline.send(0, rows: 2, at: 0, priority: 1)
    timeline.send(1, rows: 1, at: 200, priority: 1, timeoutMilliseconds: 500)
    timeline.send(2, rows: 2, at: 400, priority: 1)
    timeline.send(3, rows: 2, at: 600, priority: 2, timeoutMilliseconds: 500)
    timeline.send(4, rows: 3, at: 800, priority: 2)
    timeline.send(5, rows: 6, at: 1000, priority: 2)
    timeline.ready(0, at: 1300)
    timeline.run(until: 30_000)
    #expect(timeline.timedOut.map(\.id) == [3])
    #expect(timeline.dispatchReasons.map(\.rows) == [[2, 2], [1, 3], [6]])
  }

  @Test func aCancelledRequestIsNeitherExecutedNorAnswered() throws {
    var timeline = Timeline(Self.configuration(QueuePolicy(maximumQueueSize: 3)))
    let sent = timeline.send(0, rows: 1, at: 0)
    let handle = try #require(sent)
    timeline.send(1, rows: 1, at: 1)
    let first = timeline.scheduler.cancel(handle, at: timeline.now)
    let second = timeline.scheduler.cancel(handle, at: timeline.now)
    #expect(first && !second)
    timeline.send(2, rows: 3, at: 2)
    timeline.run(until: 20_000)
    #expect(timeline.dispatchReasons.map(\.rows) == [[1, 3]])
    #expect(timeline.answered == [1, 2])
  }

  @Test func aStoppedSchedulerServesWhatItHas() {
    var timeline = Timeline(Self.configuration(QueuePolicy()))
    timeline.send(0, rows: 1, at: 0)
    timeline.stop()
    timeline.send(1, rows: 1, at: 1)
    #expect(timeline.refused.map(\.refusal) == [.stopping])
    timeline.run(until: 20_000)
    #expect(timeline.answered == [0])
  }

  /// A delay of any length ends with the scheduler: nobody comes any more.
  @Test func aStoppedSchedulerDoesNotWaitForMore() {
    var timeline = Timeline(
      SchedulerConfiguration(
        maximumBatchRows: 8, batching: DynamicBatchingPolicy(preferredSizes: [4], maximumQueueDelay: .microseconds(.max))))
    for id in 0..<6 { timeline.send(Int64(id), rows: 1, at: 1) }
    timeline.run(until: 1e9)
    #expect(timeline.answered == [0, 1, 2, 3])
    timeline.stop()
    timeline.run(until: 2e9)
    #expect(timeline.answered == [0, 1, 2, 3, 4, 5])
  }

  @Test func tooManyRowsAreRefused() {
    var timeline = Timeline(Self.configuration(QueuePolicy()))
    timeline.send(0, rows: 9, at: 0)
    #expect(timeline.refused.map(\.refusal) == [.tooManyRows])
  }
}
