import KServe
import NIOCore
import NIOEmbedded
import Scheduling
import Synchronization
import Testing
import TimeBase

@testable import Serving

/// What the queue does when: its clock is the test's, and its timer thread is the test, too.
@Suite struct ModelQueueTimeTests {
  private final class Clock: Sendable { let now = Mutex(Instant.zero) }

  private final class World: Sendable {
    let counters = ModelCounters(model: "m", version: "1")
    let queue: ModelQueue
    let loop = NIOAsyncTestingEventLoop()
    let hung = Mutex<[Int]>([])
    private let time = Clock()
    private let answers = Mutex<[String: Result<InferenceResponse, KServeError>]>([:])

    init(_ batching: DynamicBatchingPolicy?, rows: Int = 4, executionLimit: TimeSpan = .zero) {
      let time = time
      queue = ModelQueue(
        model: "m", configuration: SchedulerConfiguration(maximumBatchRows: rows, batching: batching), executionLimit: executionLimit,
        counters: counters, clock: { time.now.withLock { $0 } })
    }

    /// The clock says so from now on, and the timer thread would wake.
    func pass(to milliseconds: Double) {
      let instant = Self.instant(milliseconds)
      time.now.withLock { $0 = instant }
      queue.advance(to: instant) { instance in self.hung.withLock { $0.append(instance) } }
    }

    static func instant(_ milliseconds: Double) -> Instant { Instant(nanoseconds: Int64(milliseconds * 1e6)) }

    @discardableResult
    func submit(_ id: String, priority: UInt64 = 0, timeoutMicroseconds: UInt64 = 0) -> InferenceHandle {
      var request = InferenceRequest(modelName: "m", id: id, inputs: [], received: .zero, parsed: .zero)
      (request.priority, request.timeoutMicroseconds) = (priority, timeoutMicroseconds)
      let checked = CheckedRequest(rows: 1, inputs: [0], shapes: [[1, 4]], outputs: [], logTag: "")
      return queue.submit(
        PendingInference(request: request, checked: checked, loop: loop, accepted: time.now.withLock { $0 }) { answer, _ in
          self.answers.withLock { $0[id] = answer }
        }, fallback: { nil })
    }

    /// The instance says that it has nothing to do.
    func isReady(generation: Int = 0) { _ = queue.hand(0, generation: generation, finished: nil) }

    /// The batch that waits for the instance; nil where none does: `take` would wait for one.
    func take(generation: Int = 0) -> ModelQueue.Work? {
      queue.depth.readyInstances == 0 ? queue.take(0, generation: generation) : nil
    }

    func finish(_ work: ModelQueue.Work, generation: Int = 0) {
      let results = work.requests.map { request in
        Result<InferenceResponse, KServeError>.success(
          InferenceResponse(modelName: "m", modelVersion: "1", id: request.request.id, outputs: [], isSimulated: false))
      }
      _ = queue.hand(0, generation: generation, finished: ModelQueue.Finished(batch: work.batch, results: results))
    }

    /// "right", an error's text, or nil for none yet.
    func answer(_ id: String) async -> String? {
      await loop.run()
      return answers.withLock { $0[id] }.map { answer in
        switch answer {
        case .success: "right"
        case .failure(let error): error.message
        }
      }
    }
  }

  private static func ids(_ work: ModelQueue.Work?) -> [String] { (work?.requests ?? []).map(\.request.id) }

  @Test func aBatchWaitsForCompanyAsLongAsItMay() async throws {
    let world = World(DynamicBatchingPolicy(maximumQueueDelay: .milliseconds(10)))
    world.isReady()
    world.submit("a")
    world.pass(to: 4)
    world.submit("b")
    world.pass(to: 9.999)
    #expect(world.take() == nil && world.queue.depth.requests == 2)
    // Of the oldest, not of the latest.
    world.pass(to: 10)
    let work = try #require(world.take())
    #expect(Self.ids(work) == ["a", "b"])
    #expect(work.formed == World.instant(10) && work.oldest == World.instant(0))
    world.finish(work)
    #expect(await world.answer("b") == "right")
    // The largest batch waits for nothing.
    for id in ["c", "d", "e", "f"] { world.submit(id) }
    #expect(Self.ids(world.take()) == ["c", "d", "e", "f"])
  }

  /// An instance is idle because nothing came, or because a batch is waited for; while it holds one it is not idle.
  @Test func idleTimeIsChargedToItsCause() throws {
    let world = World(DynamicBatchingPolicy(maximumQueueDelay: .milliseconds(10)))
    func idle() -> [Double] {
      let times = world.queue.idleTimes
      return [Double(times.noRequestsNanoseconds) / 1e6, Double(times.batchingDelayNanoseconds) / 1e6]
    }
    world.pass(to: 3)
    #expect(idle() == [0, 0], "no instance is ready yet")
    world.isReady()
    world.pass(to: 8)
    #expect(idle() == [5, 0])
    world.submit("a")
    world.pass(to: 12)
    #expect(idle() == [5, 4])
    world.pass(to: 18)
    let work = try #require(world.take())
    world.pass(to: 25)
    #expect(idle() == [5, 10], "busy from 18 on")
    world.finish(work)
    world.pass(to: 27)
    #expect(idle() == [7, 10])
  }

  @Test func aRequestIsRefusedWhenItIsDueAndNotBefore() async {
    var policy = DynamicBatchingPolicy()
    policy.defaultQueuePolicy.defaultTimeout = .milliseconds(200)
    policy.defaultQueuePolicy.allowsTimeoutOverride = true
    let world = World(policy)
    world.submit("a")
    world.submit("b", timeoutMicroseconds: 50_000)
    // In time to the last nanosecond.
    world.pass(to: 50)
    #expect(await world.answer("b") == nil)
    world.pass(to: 51)
    #expect(await world.answer("b") == "Request timeout expired")
    world.pass(to: 200)
    #expect(await world.answer("a") == nil)
    world.pass(to: 201)
    #expect(await world.answer("a") == "Request timeout expired")
    let failures = world.counters.current
    #expect(failures.failures[.rejected] == 2)
    #expect(failures.statistics.fail.nanoseconds == 252_000_000, "each counts from its acceptance")
  }

  /// A request that is late under DELAY lets the others go first, and is served.
  @Test func aLateRequestMayWaitBehindTheOthers() async throws {
    var policy = DynamicBatchingPolicy()
    policy.defaultQueuePolicy.defaultTimeout = .milliseconds(100)
    policy.defaultQueuePolicy.timeoutAction = .delay
    let world = World(policy, rows: 1)
    world.submit("late")
    world.pass(to: 150)
    world.submit("new")
    world.isReady()
    let first = try #require(world.take())
    #expect(Self.ids(first) == ["new"])
    world.finish(first)
    #expect(Self.ids(world.take()) == ["late"])
    #expect(await world.answer("late") == nil)
  }

  @Test func higherLevelsGoFirst() throws {
    // With a limit no batch is formed before an instance asks for it.
    var policy = DynamicBatchingPolicy(priorityLevels: 3, defaultPriorityLevel: 2)
    policy.defaultQueuePolicy.maximumQueueSize = 3
    let world = World(policy, rows: 1)
    for (id, level) in [("low", 3), ("middle", 0), ("high", 1)] as [(String, UInt64)] { world.submit(id, priority: level) }
    var order: [String] = []
    world.isReady()
    while let work = world.take() {
      order += Self.ids(work)
      world.finish(work)
    }
    #expect(order == ["high", "middle", "low"])
  }

  /// Time counts from the execution: waiting for a turn is no hanging.
  @Test func anInstanceIsGivenUpAfterItsLimit() async throws {
    let world = World(DynamicBatchingPolicy(), rows: 1, executionLimit: .milliseconds(5_000))
    world.submit("a")
    world.submit("b")
    world.isReady()
    let work = try #require(world.take())
    world.pass(to: 60_000)
    #expect(world.hung.withLock { $0 } == [])
    world.queue.executionBegins(0, generation: 0, work)
    world.pass(to: 64_999)
    #expect(world.hung.withLock { $0 } == [] && world.queue.isServing(0, generation: 0))
    world.pass(to: 65_000)
    #expect(world.hung.withLock { $0 } == [0])
    #expect(await world.answer("a") == "instance 0 of model 'm' did not finish the batch within 5.0 s; it is being restarted")
    #expect(world.counters.current.failures[.backend] == 1)
    // Said once.
    world.pass(to: 70_000)
    #expect(world.hung.withLock { $0 } == [0])
    // What the old thread brings is dropped, and it is told to end; another serves on.
    #expect(!world.queue.isServing(0, generation: 0))
    world.finish(work)
    #expect(await world.answer("b") == nil)
    let generation = world.queue.currentGeneration(0)
    #expect(generation == 1)
    world.isReady(generation: generation)
    let next = try #require(world.take(generation: generation))
    #expect(Self.ids(next) == ["b"])
    world.finish(next, generation: generation)
    #expect(await world.answer("b") == "right")
  }

  @Test func aRoomThatIsFreeAgainIsTaken() async {
    var policy = DynamicBatchingPolicy()
    policy.defaultQueuePolicy.maximumQueueSize = 2
    let world = World(policy)
    let first = world.submit("a")
    world.submit("b")
    world.submit("c")
    #expect(await world.answer("c") == "Exceeds maximum queue size")
    first.cancel()
    world.submit("d")
    #expect(await world.answer("a") == "The request was cancelled")
    #expect(await world.answer("d") == nil)
    #expect(world.queue.depth.requests == 2 && world.queue.unansweredRequests == 2)
  }

  @Test func aQueueIsDrainedWhenTheLastIsAnswered() async throws {
    let world = World(DynamicBatchingPolicy(), rows: 2)
    let drained = Tally()
    world.submit("a")
    world.submit("b")
    world.isReady()
    let work = try #require(world.take())
    world.queue.close { drained.add() }
    #expect(drained.value == 0)
    world.submit("late")
    #expect(await world.answer("late")?.contains("stopped accepting new inference requests") == true)
    world.finish(work)
    #expect(drained.value == 1)
    #expect(await world.answer("a") == "right")
    // And at once where nothing is there.
    world.queue.close { drained.add() }
    #expect(drained.value == 2)
  }
}
