import Scheduling
import Testing
import TimeBase
import Vocabulary

/// The behaviours that triton-inference-server/server `qa/L0_batcher/batcher_test.py` asks of a batcher, with invented times: preferred
/// sizes {2, 6}, at most 8 rows, a delay of 10 s, unless a case says otherwise. Times are milliseconds.
@Suite struct BatcherBehaviourTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    /// Time, rows, shape.
    var sent: [(Double, Int32, UInt64)]
    /// Time, rows of the requests, reason.
    var left: [(Double, [Int], DispatchReason)]
    var preferred = [2, 6]
    var delay = 10_000.0
    var shapes = false
    /// When the only instance becomes ready: the reference holds its scheduler back until requests are queued.
    var readyAt = 0.0
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(
      name: "static, preferred: leaves at once", sent: [(0, 2, 0), (1, 6, 0)],
      left: [(0, [2], .preferredSize), (1, [6], .preferredSize)]),
    Case(name: "static, below any preferred: waits out the delay", sent: [(0, 1, 0)], left: [(10_000, [1], .delay)]),
    Case(name: "static, between preferred sizes: waits out the delay", sent: [(0, 3, 0)], left: [(10_000, [3], .delay)]),
    Case(name: "static, above the largest preferred: leaves at once", sent: [(0, 7, 0)], left: [(0, [7], .wouldExceed)]),
    Case(
      name: "different shapes, ragged inputs: one batch", sent: [(0, 1, 1), (0, 1, 2)], left: [(0, [1, 1], .preferredSize)]),
    Case(
      name: "different shapes: the first leaves when the second comes, which waits", sent: [(0, 1, 1), (1000, 1, 2)],
      left: [(1000, [1], .shapeMismatch), (11_000, [1], .delay)], shapes: true),
    Case(name: "not preferred: one batch when the oldest is due", sent: [(0, 1, 0), (1000, 3, 0)], left: [(10_000, [1, 3], .delay)]),
    Case(
      name: "not preferred, then a different shape", sent: [(0, 1, 1), (0, 3, 1), (1000, 1, 2)],
      left: [(1000, [1, 3], .shapeMismatch), (11_000, [1], .delay)], shapes: true),
    Case(
      name: "a different shape that reaches a preferred size", sent: [(0, 1, 1), (0, 3, 1), (1000, 1, 2), (1000, 5, 2)],
      left: [(1000, [1, 3], .shapeMismatch), (1000.001, [1, 5], .preferredSize)], shapes: true),
    Case(
      name: "above the largest preferred: both leave at once", sent: [(0, 3, 0), (1000, 7, 0)],
      left: [(1000, [3], .wouldExceed), (1000.001, [7], .wouldExceed)]),
    Case(
      name: "the sum is above the largest preferred: the first leaves, the second waits", sent: [(0, 3, 0), (1000, 4, 0)],
      left: [(1000, [3], .wouldExceed), (11_000, [4], .delay)]),
    Case(
      name: "the same, queued before the scheduler starts", sent: [(0, 3, 0), (1000, 4, 0)],
      left: [(1000, [3], .wouldExceed), (11_000, [4], .delay)], readyAt: 1000),
    Case(
      name: "a batch may grow to the maximum once it is due", sent: [(0, 3, 0), (1000, 4, 0)], left: [(10_500, [3, 4], .wouldExceed)],
      readyAt: 10_500),
    Case(
      name: "queued first: different shape and preferred", sent: [(0, 1, 1), (0, 3, 1), (1000, 1, 2), (1000, 5, 2)],
      left: [(1000, [1, 3], .shapeMismatch), (1000.001, [1, 5], .preferredSize)], shapes: true, readyAt: 1000),
    Case(
      name: "the biggest preferred size that is there", sent: (0..<6).map { _ in (0, 1, 0) },
      left: [(0, [1, 1, 1, 1, 1, 1], .preferredSize)],
      readyAt: 0.0001),
    Case(
      name: "the best preferred size; the rest waits", sent: [(0, 1, 0), (0, 1, 0), (1000, 1, 0)],
      left: [(1000, [1, 1], .preferredSize), (11_000, [1], .delay)], readyAt: 1000),
    Case(name: "same outputs: one batch", sent: [(0, 1, 0), (0, 1, 0)], left: [(0, [1, 1], .preferredSize)]),
    Case(
      name: "preferred only, aligned", sent: (0..<4).map { _ in (0, 1, 0) }, left: [(0.0001, [1, 1, 1, 1], .preferredSize)],
      preferred: [4, 6],
      delay: 0, readyAt: 0.0001),
    Case(
      name: "preferred only, unaligned: the rest follows at once", sent: (0..<5).map { _ in (0, 1, 0) },
      left: [(0.0001, [1, 1, 1, 1], .preferredSize), (0.0011, [1], .zeroDelay)], preferred: [4, 6], delay: 0, readyAt: 0.0001),
    Case(
      name: "preferred only, the biggest", sent: (0..<7).map { _ in (0, 1, 0) },
      left: [(0.0001, [1, 1, 1, 1, 1, 1], .preferredSize), (0.0011, [1], .zeroDelay)], preferred: [4, 6], delay: 0, readyAt: 0.0001),
    Case(
      name: "preferred only, none reached: all that is there", sent: (0..<3).map { _ in (0, 1, 0) },
      left: [(0.0001, [1, 1, 1], .zeroDelay)],
      preferred: [4, 6], delay: 0, readyAt: 0.0001),
    Case(
      name: "delay only: waits for a full batch or the delay", sent: [(0, 3, 0), (10, 4, 0)], left: [(100, [3, 4], .delay)], preferred: [],
      delay: 100),
    Case(
      name: "delay only: a full batch leaves at once", sent: [(0, 3, 0), (10, 5, 0)], left: [(10, [3, 5], .full)], preferred: [], delay: 100
    ),
    Case(name: "no delay: whatever is queued leaves at once", sent: [(0, 3, 0)], left: [(0, [3], .zeroDelay)], preferred: [], delay: 0),
  ]

  @Test(arguments: cases) func behaves(_ behaviour: Case) {
    let configuration = SchedulerConfiguration(
      maximumBatchRows: 8,
      batching: DynamicBatchingPolicy(
        preferredSizes: behaviour.preferred, maximumQueueDelay: Timeline.instant(behaviour.delay).span,
        // A size limit, so that no batch is formed before an instance asks for it.
        defaultQueuePolicy: QueuePolicy(maximumQueueSize: 1000)),
      comparesShapes: behaviour.shapes)
    var timeline = Timeline(configuration, ready: behaviour.readyAt == 0)
    for (index, request) in behaviour.sent.enumerated() {
      timeline.send(Int64(index), rows: request.1, at: request.0, shape: request.2)
    }
    if behaviour.readyAt > 0 { timeline.ready(0, at: behaviour.readyAt) }
    timeline.run(until: 100_000)
    let expected = behaviour.left.map { Timeline.Departure(milliseconds: $0.0, rows: $0.1, reason: $0.2) }
    // Six rows queued one by one reach 2 first when an instance is ready at once; the reference holds the scheduler back.
    if behaviour.readyAt == 0.0001 {
      #expect(timeline.dispatchReasons.map(\.rows) == expected.map(\.rows))
      #expect(timeline.dispatchReasons.map(\.reason) == expected.map(\.reason))
    } else {
      #expect(timeline.dispatchReasons == expected)
    }
  }

  @Test func theWorkedCasesOfTheDocumentsConfiguration() {
    let policy = DynamicBatchingPolicy(preferredSizes: [128, 256], maximumQueueDelay: .milliseconds(10))
    var busy = SchedulerConfiguration(maximumBatchRows: 256, batching: policy)
    busy.batching?.defaultQueuePolicy.maximumQueueSize = 20_480
    func leaves(_ rows: [Int32], spacing: Double = 0, readyAt: Double = 1) -> [Timeline.Departure] {
      var timeline = Timeline(busy, ready: false)
      for (index, rows) in rows.enumerated() { timeline.send(Int64(index), rows: rows, at: Double(index) * spacing) }
      timeline.ready(0, at: max(readyAt, timeline.now.span.milliseconds))
      timeline.run(until: 1000)
      return timeline.dispatchReasons
    }
    #expect(leaves([Int32](repeating: 1, count: 200)).first?.rows.count == 128)
    #expect(leaves([Int32](repeating: 1, count: 300)).first?.rows.count == 256)
    let hundred = leaves([Int32](repeating: 1, count: 100))
    #expect(hundred.map(\.milliseconds) == [10])
    #expect(hundred.map { $0.rows.count } == [100])
    let fifties = leaves([Int32](repeating: 50, count: 6))
    #expect(fifties.map { $0.rows.count } == [5, 1])
    #expect(fifties.first?.reason == .wouldExceed)
  }

  @Test func withoutAPolicyTwoBatchesAnInstanceWaitAhead() {
    let policy = DynamicBatchingPolicy(preferredSizes: [2], maximumQueueDelay: .milliseconds(10))
    var timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 2, batching: policy), ready: false)
    for id in 0..<8 { timeline.send(Int64(id), rows: 1, at: 0) }
    #expect(timeline.scheduler.waitingBatches == 2)
    #expect(timeline.scheduler.queuedRequests == 4)
    var limited = policy
    limited.defaultQueuePolicy.maximumQueueSize = 100
    timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 2, batching: limited), ready: false)
    for id in 0..<8 { timeline.send(Int64(id), rows: 1, at: 0) }
    #expect(timeline.scheduler.waitingBatches == 0)
    #expect(timeline.scheduler.queuedRequests == 8)
  }

  @Test func aBatchThatWaitsKeepsGrowing() {
    let policy = DynamicBatchingPolicy(preferredSizes: [], maximumQueueDelay: .zero)
    var timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 8, batching: policy), ready: false)
    timeline.send(0, rows: 1, at: 0)
    #expect(timeline.scheduler.waitingBatches == 1)
    timeline.send(1, rows: 2, at: 1)
    #expect(timeline.scheduler.waitingBatches == 1)
    timeline.ready(0, at: 2)
    #expect(timeline.dispatchReasons.map(\.rows) == [[1, 2]])
  }

  @Test func waitingBatchesOlderThanTheDelayAreTakenAlong() {
    let policy = DynamicBatchingPolicy(preferredSizes: [2, 8], maximumQueueDelay: .milliseconds(10))
    var timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 8, batching: policy), ready: false)
    timeline.send(0, rows: 3, at: 0)
    timeline.run(until: 11)
    timeline.send(1, rows: 2, at: 12)
    timeline.run(until: 30)
    timeline.ready(0, at: 40)
    #expect(timeline.dispatchReasons.map(\.rows) == [[3, 2]])
  }

  @Test func aModelWithoutBatchingRunsRequestsOneByOne() {
    var timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 8, batching: nil, instances: 2), ready: false)
    for id in 0..<3 { timeline.send(Int64(id), rows: 2, at: 0) }
    timeline.ready(0, at: 1)
    timeline.ready(1, at: 1)
    timeline.run(until: 10)
    #expect(timeline.dispatchReasons.map(\.rows) == [[2], [2], [2]])
    #expect(timeline.dispatchReasons.allSatisfy { $0.reason == .unbatched })
  }

  @Test func aModelWithoutRowsCountsRequests() {
    let policy = DynamicBatchingPolicy(maximumQueueDelay: .milliseconds(1))
    var timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 0, batching: policy))
    timeline.send(0, rows: 0, at: 0)
    timeline.run(until: 10)
    #expect(timeline.dispatchReasons.map(\.rows) == [[1]])
  }

  @Test func orderHoldsWithTwoInstancesOfUnequalSpeed() {
    var policy = DynamicBatchingPolicy(preferredSizes: [1], preservesOrdering: true)
    policy.defaultQueuePolicy.maximumQueueSize = 100
    let configuration = SchedulerConfiguration(maximumBatchRows: 1, batching: policy, instances: 2)
    var timeline = Timeline(configuration) { instance in instance == 0 ? 50 : 1 }
    for id in 0..<20 { timeline.send(Int64(id), rows: 1, at: Double(id) * 0.1) }
    timeline.run(until: 10_000)
    #expect(timeline.answered == Array(0..<20))
    // Without the option the fast instance overtakes.
    policy.preservesOrdering = false
    timeline = Timeline(SchedulerConfiguration(maximumBatchRows: 1, batching: policy, instances: 2)) { $0 == 0 ? 50 : 1 }
    for id in 0..<20 { timeline.send(Int64(id), rows: 1, at: Double(id) * 0.1) }
    timeline.run(until: 10_000)
    #expect(timeline.answered != Array(0..<20))
    #expect(timeline.answered.sorted() == Array(0..<20))
  }
}
