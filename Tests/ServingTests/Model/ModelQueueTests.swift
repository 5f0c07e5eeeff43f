import KServe
import ModelConfiguration
import NIOCore
import NIOEmbedded
import Scheduling
import Synchronization
import Testing
import Threads
import TimeBase

@testable import Serving

/// The queue without threads of its own: what its instances and its timer do, the test does.
@Suite struct ModelQueueTests {
  private final class World: Sendable {
    let counters = ModelCounters(model: "m", version: "1")
    let queue: ModelQueue
    let loop = NIOAsyncTestingEventLoop()
    private let answers = Mutex<[String: Result<InferenceResponse, KServeError>]>([:])

    init(rows: Int = 4, _ batching: DynamicBatchingPolicy? = DynamicBatchingPolicy(), comparesShapes: Bool = false) {
      queue = ModelQueue(
        model: "m", configuration: SchedulerConfiguration(maximumBatchRows: rows, batching: batching, comparesShapes: comparesShapes),
        executionLimit: .zero, counters: counters)
    }

    @discardableResult
    func submit(_ id: String, rows: Int = 1, shape: [Int] = [4], inputs: [Int] = [0]) -> InferenceHandle {
      let request = InferenceRequest(modelName: "m", id: id, inputs: [], received: .zero, parsed: .zero)
      let checked = CheckedRequest(rows: rows, inputs: inputs, shapes: [[rows] + shape], outputs: [], logTag: "")
      return queue.submit(
        PendingInference(request: request, checked: checked, loop: loop, accepted: .zero) { answer, _ in
          self.answers.withLock { $0[id] = answer }
        }, fallback: { nil })
    }

    /// What the one instance does; nil where nothing is there for it.
    func begin() -> ModelQueue.Work? {
      guard queue.hand(0, generation: 0, finished: nil) else { return nil }
      return queue.take(0, generation: 0)
    }

    /// Whether another batch is there.
    @discardableResult
    func end(_ work: ModelQueue.Work, _ error: KServeError? = nil) -> Bool {
      let results = work.requests.map { request -> Result<InferenceResponse, KServeError> in
        if let error { return .failure(error) }
        return .success(
          InferenceResponse(modelName: "m", modelVersion: "1", id: request.request.id, outputs: [], isSimulated: false))
      }
      return queue.hand(0, generation: 0, finished: ModelQueue.Finished(batch: work.batch, results: results))
    }

    func answer(_ id: String) async -> Result<InferenceResponse, KServeError>? {
      await loop.run()
      return answers.withLock { $0[id] }
    }

    var pending: Int { counters.pendingRequests }
  }

  private static func ids(_ work: ModelQueue.Work?) -> [String] { (work?.requests ?? []).map(\.request.id) }

  /// triton-inference-server/core `src/infer_request.cc`, SetState: from the scheduler's acceptance to the start of execution.
  @Test func thePendingCountIsWhatIsAcceptedAndDoesNotExecute() async throws {
    let world = World(rows: 2)
    for id in ["a", "b", "c", "d", "e"] { world.submit(id) }
    #expect(world.pending == 5, "those in formed batches too")
    let work = try #require(world.begin())
    #expect(Self.ids(work) == ["a", "b"])
    #expect(world.pending == 5, "the instance waits for its turn")
    world.queue.executionBegins(0, generation: 0, work)
    #expect(world.pending == 3)
    world.end(work)
    #expect(world.pending == 3)
    let next = try #require(world.queue.take(0, generation: 0))
    world.queue.executionBegins(0, generation: 0, next)
    #expect(world.pending == 1)
  }

  @Test func thePendingCountFallsWithCancellationsAndExpiries() async throws {
    var policy = DynamicBatchingPolicy()
    policy.defaultQueuePolicy.defaultTimeout = .milliseconds(60_000)
    let world = World(policy)
    let handle = world.submit("a")
    world.submit("b")
    #expect(world.pending == 2)
    handle.cancel()
    handle.cancel()
    #expect(world.pending == 1)
    world.queue.advance(to: Instant(nanoseconds: Int64.max / 2))
    #expect(world.pending == 0)
    #expect(await world.answer("a")?.problem?.status == .cancelled)
    #expect(await world.answer("b")?.problem?.message == "Request timeout expired")
    #expect(world.queue.unansweredRequests == 0)
  }

  /// What an instance's thread does between two batches, and at the end.
  @Test(.timeLimit(.minutes(1))) func aThreadThatWaitsIsGivenTheNextBatchAndEndsWithTheModel() async throws {
    let world = World(rows: 2)
    let waits = Signals(), gets = Signals(), ends = Signals()
    DetachedThread.start(named: "instance") {
      waits.send("")
      let work = world.queue.next(0, generation: 0, finished: nil)
      gets.send(Self.ids(work).joined(separator: ","))
      let finished = work.map { ModelQueue.Finished(batch: $0.batch, results: []) }
      ends.send(Self.ids(world.queue.next(0, generation: 0, finished: finished)).joined(separator: ","))
    }
    _ = waits.next()
    // Whether it waits by now or comes later, it has nothing before this.
    world.submit("a")
    #expect(gets.next() == "a")
    world.queue.close {}
    #expect(ends.next() == "", "no batch: the thread is to end")
  }

  /// Texts from one thread to another.
  private final class Signals: Sendable {
    private let monitor = Monitor()
    private let texts = Mutex<[String]>([])

    func send(_ text: String) {
      monitor.withLock { texts.withLock { $0.append(text) } }
      monitor.signal()
    }

    func next() -> String {
      monitor.withLock {
        while texts.withLock({ $0.isEmpty }) { monitor.wait() }
        return texts.withLock { $0.removeFirst() }
      }
    }
  }

  @Test func aRefusedRequestIsNotPending() async {
    var policy = DynamicBatchingPolicy()
    policy.defaultQueuePolicy.maximumQueueSize = 1
    let world = World(policy)
    for id in ["a", "b"] { world.submit(id) }
    world.submit("c", rows: 5)
    #expect(world.pending == 1)
    world.queue.close {}
    world.submit("d")
    #expect(world.pending == 1)
  }

  @Test func requestsOfOneBatchHaveOneShapeAndOneSetOfInputs() async throws {
    let world = World(rows: 8, comparesShapes: true)
    world.submit("a", shape: [1, 1, 229_162])
    world.submit("b", rows: 2, shape: [1, 1, 229_162])
    world.submit("c", shape: [2, 873, 1])
    world.submit("d", shape: [2, 873, 1])
    world.submit("e", shape: [2, 873, 1], inputs: [-1])
    world.submit("f", shape: [1, 2, 873], inputs: [-1])
    var batches: [[String]] = []
    var next = world.begin()
    while let work = next {
      batches.append(Self.ids(work))
      world.queue.executionBegins(0, generation: 0, work)
      next = world.end(work) ? world.queue.take(0, generation: 0) : nil
    }
    #expect(batches.flatMap { $0 } == ["a", "b", "c", "d", "e", "f"])
    for batch in batches { #expect([["a", "b"], ["c", "d"], ["e"], ["f"]].contains { Set(batch).isSubset(of: $0) }, "\(batch)") }
  }

  @Test func aBatchThatFailsAnswersItsOwnRequestsAlone() async throws {
    let world = World(rows: 1)
    for id in ["a", "b"] { world.submit(id) }
    let work = try #require(world.begin())
    world.queue.executionBegins(0, generation: 0, work)
    world.end(work, KServeError(.internalError, "lost"))
    #expect(await world.answer("a")?.problem?.message == "lost")
    #expect(await world.answer("b") == nil)
    let next = try #require(world.queue.take(0, generation: 0))
    #expect(Self.ids(next) == ["b"])
    world.end(next)
    #expect(await world.answer("b")?.problem == nil)
  }
}
