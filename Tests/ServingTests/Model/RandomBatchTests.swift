import Foundation
import KServe
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Threads
import TimeBase

@testable import Serving

/// Whatever is mixed in whatever order, every answer is its request's own, in every value, or an error with a reason.
///
/// `HEADROOM_PROPERTY_BATCHES` batches (10,000), from `HEADROOM_PROPERTY_SEED`, which is printed.
@Suite(.serialized) struct RandomBatchTests {
  /// Takes the answers to a burst of requests, from event loops.
  private final class Burst: Sendable {
    private let answers: Mutex<[Result<InferenceResponse, KServeError>?]>
    private let second = Tally()
    private let left: Mutex<Int>
    private let monitor = Monitor()

    init(_ count: Int) {
      answers = Mutex(Array(repeating: nil, count: count))
      left = Mutex(count)
    }

    func set(_ place: Int, _ answer: Result<InferenceResponse, KServeError>) {
      answers.withLock {
        if $0[place] != nil { second.add() }
        $0[place] = answer
      }
      monitor.lock()
      left.withLock { $0 -= 1 }
      monitor.unlock()
      monitor.broadcast()
    }

    /// Every answer; nil where one did not come in a minute, or came twice.
    func wait() -> [Result<InferenceResponse, KServeError>]? {
      let end = MonotonicClock.now + .milliseconds(60_000)
      monitor.lock()
      while left.withLock({ $0 > 0 }), MonotonicClock.now < end { monitor.wait(until: end) }
      monitor.unlock()
      let all = answers.withLock { $0.compactMap { $0 } }
      return all.count == answers.withLock({ $0.count }) && second.value == 0 ? all : nil
    }
  }

  /// What is wrong with an answer; nil for nothing.
  private static func fault(
    _ attempt: RandomBatchModel.Attempt, _ answer: Result<InferenceResponse, KServeError>, wasCancelled: Bool
  ) -> String? {
    switch answer {
    case .failure(let error):
      if error.status == .cancelled { return wasCancelled ? nil : "cancelled by nobody" }
      if error.status == .unavailable { return nil }
      if attempt.expected == nil, error.status == .invalidArgument { return nil }
      return "\(error.status): \(error.message)"
    case .success(let response):
      guard let expected = attempt.expected else { return "a request that does not fit was answered" }
      let got = response.outputs.map {
        RandomBatchModel.Output(name: $0.name, type: $0.dataType, shape: $0.shape, bytes: Array($0.data.readableBytesView))
      }
      if got == expected { return nil }
      func text(_ outputs: [RandomBatchModel.Output]) -> String {
        outputs.map { "\($0.name) \($0.type) \($0.shape) \($0.bytes.prefix(32))" }.joined(separator: "; ")
      }
      return "got \(text(got)) instead of \(text(expected))"
    }
  }

  /// Bursts of requests of all models in turn until so many batches have run.
  private static func drive(
    _ models: [RandomBatchModel], _ loops: MultiThreadedEventLoopGroup, seed: UInt64, isOver: () -> Bool
  ) -> (answers: Int, faults: [String]) {
    var random = SplitMix64(seed: seed)
    var faults: [String] = []
    var answers = 0
    while !isOver(), faults.count < 5 {
      let count = 1 + RandomBatchModel.pick(48, &random)
      let burst = Burst(count)
      var attempts: [(model: String, attempt: RandomBatchModel.Attempt, cancelled: Bool)] = []
      var handles: [InferenceHandle] = []
      // Mostly of one model and shape, so that batches are large.
      let favourite = RandomBatchModel.pick(models.count, &random)
      let shape = random.next()
      for place in 0..<count {
        let model = models[RandomBatchModel.pick(4, &random) > 0 ? favourite : RandomBatchModel.pick(models.count, &random)]
        var shapes = SplitMix64(seed: RandomBatchModel.pick(4, &random) > 0 ? shape : random.next())
        let attempt = model.make(&shapes, &random)
        let handle = model.served.infer(attempt.request, on: loops.next(), fallback: { nil }) { answer, _ in burst.set(place, answer) }
        let cancelled = RandomBatchModel.pick(12, &random) == 0
        if cancelled { if random.next() & 1 == 0 { handle.cancel() } else { handles.append(handle) } }
        attempts.append((model.served.name, attempt, cancelled))
      }
      for handle in handles { handle.cancel() }
      guard let results = burst.wait() else {
        faults.append("seed \(seed): a request was not answered, or twice")
        break
      }
      answers += count
      for (attempt, result) in zip(attempts, results) {
        if let fault = fault(attempt.attempt, result, wasCancelled: attempt.cancelled) {
          faults.append("seed \(seed), \(attempt.model): \(fault)")
        }
      }
    }
    return (answers, faults)
  }

  @Test func everyAnswerIsItsRequestsOwn() async throws {
    let environment = ProcessInfo.processInfo.environment
    let wanted = environment["HEADROOM_PROPERTY_BATCHES"].flatMap { UInt64($0) } ?? 10_000
    let seed = environment["HEADROOM_PROPERTY_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1 << 32)
    print("random batches: HEADROOM_PROPERTY_SEED=\(seed)")
    let models = try RandomBatchModel.all()
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    @Sendable func batches() -> UInt64 { models.reduce(0) { $0 + $1.served.counters.current.statistics.executionCount } }
    // Two clients at a time: batches hold requests of both.
    let found = await withTaskGroup(of: (answers: Int, faults: [String]).self) { group in
      for client in 0..<2 {
        group.addTask {
          await completion { done in
            DetachedThread.start(named: "client \(client)") {
              done(Self.drive(models, loops, seed: seed &+ UInt64(clamping: client)) { batches() >= wanted })
            }
          }
        }
      }
      return await group.reduce(into: (answers: 0, faults: [String]())) {
        $0.answers += $1.answers
        $0.faults += $1.faults
      }
    }
    #expect(found.faults == [])
    #expect(batches() >= wanted || !found.faults.isEmpty)
    print("random batches: \(found.answers) answers in \(batches()) batches")
    for model in models {
      #expect(model.served.counters.pendingRequests == 0)
      let statistics = model.served.counters.current.statistics
      if model.served.takesRows {
        #expect(statistics.executionCount < statistics.success.count, "requests of '\(model.served.name)' share batches")
      }
      await withCheckedContinuation { continuation in model.served.queue.close { continuation.resume() } }
    }
    try await loops.shutdownGracefully()
  }
}
