import Execution
import KServe
import ModelConfiguration
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Threads
import TimeBase
import Trace

@testable import Serving

/// Which batch carried a request is known from the batch itself: with priorities, cancellations, timeouts and failures, in the answer, in the
/// live events and in the recorded trace.
@Suite struct BatchLinkTests {
  /// Rows of one number in, the number of the run out: requests with the same answer were in the same batch, whatever anybody noted.
  private final class RunCounter: LoadedModel, Sendable {
    let signature = ModelSignature(
      inputs: [.init(name: "x", dataType: .float32, dims: [4])], outputs: [.init(name: "y", dataType: .float32, dims: [4])])
    let hasRowDimension = true
    let weightBytes = 0
    /// Runs so far; a run whose number is a multiple of this fails.
    let runs = Mutex<Float>(0)
    let failsEvery: Float

    init(failsEvery: Float = .infinity) { self.failsEvery = failsEvery }

    func steps(rows: Int) -> [DeviceStep] { [] }
    func makeInstance() throws(DeviceError) -> any ModelInstance { Instance(self) }

    private final class Instance: ModelInstance, @unchecked Sendable {
      private let model: RunCounter
      private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
      private let slot = BatchSlot()

      init(_ model: RunCounter) { self.model = model }
      deinit { memory.deallocate() }

      func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot {
        let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[..<shapes[0].reduce(4, *)])
        slot.inputs = [BatchSlot.Tensor(shape: shapes[0], memory: bytes)]
        slot.outputs = slot.inputs
        return slot
      }

      func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void)
      {
        let number = model.runs.withLock { runs in
          runs += 1
          return runs
        }
        if number.truncatingRemainder(dividingBy: model.failsEvery) == 0 {
          return completion(.failure(DeviceError(.batchFailed, "run \(number)")))
        }
        for value in slot.outputs[0].memory.bindMemory(to: Float.self).indices {
          slot.outputs[0].memory.storeBytes(of: number, toByteOffset: value * 4, as: Float.self)
        }
        let now = MonotonicClock.now
        completion(.success(BatchTimes(inputsReady: now, computeEnd: now, outputsReady: now)))
      }

      func close() {}
    }
  }

  private static func world(_ loaded: any LoadedModel, _ batching: String) throws -> (model: ServedModel, live: LiveRecorder) {
    let configuration = try ModelConfiguration.parse(
      """
      name: "m" max_batch_size: 4
      input [ { name: "x" data_type: TYPE_FP32 dims: [4] } ] output [ { name: "y" data_type: TYPE_FP32 dims: [4] } ]
      \(batching)
      """, file: "config.pbtxt"
    ).configuration.normalized()
    let live = LiveRecorder(capacity: 1 << 14)
    let model = try ServedModel(
      name: "m", version: 1, configuration: configuration, loaded: loaded,
      device: DeviceDescription(name: "cpu", deviceClass: .processor, hardware: "", computeUnits: 1, memoryBytes: 0), labels: [:],
      regions: SharedMemoryRegions(isAllowed: false), live: live, number: 7, executionLimit: .zero, gate: nil)
    model.start([])
    return (model, live)
  }

  private struct Answer {
    var result: Result<InferenceResponse, KServeError>
    var passage: RequestPassage
  }

  /// Requests with shuffled priorities and row counts from several loops at once; every seventh is cancelled, every eleventh has no time.
  private static func answers(_ model: ServedModel, live: LiveRecorder, count: Int, seed: UInt64) async -> [Answer] {
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 3)
    defer { loops.shutdownGracefully { _ in } }
    var random = SplitMix64(seed: seed)
    return await withTaskGroup(of: Answer.self) { group in
      for index in 0..<count {
        let rows = 1 + Int(clamping: random.next() % 2)
        var request = ServerFixture.request("m", [Float](repeating: Float(index), count: 4 * rows))
        request.priority = random.next() % 4
        if index % 11 == 0 { request.timeoutMicroseconds = 1 }
        let cancels = index % 7 == 0
        let loop = loops.next()
        group.addTask { [request] in
          await completion { done in
            loop.execute {
              let handle = model.infer(request, on: loop, fallback: { nil }) { result, passage in
                // What the server records of every request.
                live.record(
                  LiveRecorder.Request(
                    model: model.number, rows: Int32(clamping: rows), batch: passage.batch, bytesIn: 0, bytesOut: 0,
                    received: request.received,
                    parsed: request.parsed, enqueued: passage.enqueued, responseStart: MonotonicClock.now, responseEnd: MonotonicClock.now,
                    failed: result.problem != nil))
                done(Answer(result: result, passage: passage))
              }
              if cancels { handle.cancel() }
            }
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
  func everyAnswerNamesTheBatchThatCarriedIt(seed: UInt64) async throws {
    let device = RunCounter()
    let (model, live) = try Self.world(
      device,
      """
      dynamic_batching { max_queue_delay_microseconds: 200 priority_levels: 3 default_priority_level: 2
        default_queue_policy { allow_timeout_override: true } }
      instance_group [ { kind: KIND_CPU count: 2 } ]
      """)
    let answers = await Self.answers(model, live: live, count: 400, seed: seed)
    #expect(answers.count == 400)
    // By the run that the device says, the batch that the answer says, and the other way round.
    var batchOfRun: [Float: Set<Int64>] = [:]
    var runsOfBatch: [Int64: Set<Float>] = [:]
    var answered = 0
    for answer in answers {
      switch answer.result {
      case .failure:
        #expect(answer.passage.batch == -1 && answer.passage.departed == .distantFuture, "cancelled or timed out in the queue")
      case .success(let response):
        answered += 1
        let run = try #require(answer.result.values?.first)
        let execution = try #require(response.execution)
        #expect(execution.batch == answer.passage.batch)
        batchOfRun[run, default: []].insert(execution.batch)
        runsOfBatch[execution.batch, default: []].insert(run)
        let order = [
          execution.accepted, execution.enqueued, execution.departed, execution.computeStart, execution.inputsReady, execution.computeEnd,
          execution.outputsReady,
        ]
        #expect(order == order.sorted(), "\(order)")
      }
    }
    #expect(answered > 200 && answered < 400)
    #expect(batchOfRun.values.allSatisfy { $0.count == 1 } && runsOfBatch.values.allSatisfy { $0.count == 1 })
    #expect(batchOfRun.count == Int(device.runs.withLock { $0 }), "no batch is left out")

    // The same in the recorded trace: every request's batch is there, and every batch has as many requests as it says.
    let kept = live.events(since: .zero)
    let events = LiveTrace.Events(requests: kept.requests, batches: kept.batches, kernels: kept.kernels)
    let trace = LiveTrace(events, of: LiveModelState(model), window: 0..<Int64.max / 2).trace
    var carried: [Int64: Int32] = [:]
    for (batch, status) in zip(trace.requests.batch, trace.requests.status) {
      #expect((batch == Trace.unknown) == (status == .failed))
      if batch != Trace.unknown { carried[batch, default: 0] += 1 }
    }
    #expect(trace.batches.count == batchOfRun.count)
    for (id, requests) in zip(trace.batches.id, trace.batches.requests) { #expect(carried[id] == requests, "batch \(id)") }
    model.queue.close {}
  }

  @Test func aRequestWhoseBatchFailedSaysWhichItWas() async throws {
    let (model, live) = try Self.world(RunCounter(failsEvery: 3), "dynamic_batching { max_queue_delay_microseconds: 200 }")
    let answers = await Self.answers(model, live: live, count: 60, seed: 9)
    let failed = answers.filter { $0.result.problem?.message.contains("run ") == true }
    let good = Set(answers.filter { $0.result.problem == nil }.map(\.passage.batch))
    #expect(!failed.isEmpty && failed.allSatisfy { $0.passage.batch >= 0 && $0.passage.enqueued <= $0.passage.departed })
    #expect(good.isDisjoint(with: failed.map(\.passage.batch)))
    model.queue.close {}
  }

  @Test func aRequestThatIsRefusedWasNeverQueued() async throws {
    let (model, live) = try Self.world(RunCounter(), "")
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer { loops.shutdownGracefully { _ in } }
    let passage = await completion { done in
      _ = model.infer(ServerFixture.request("m", [1, 2, 3]), on: loops.next(), fallback: { nil }) { _, passage in done(passage) }
    }
    #expect(passage.enqueued == .distantFuture && passage.departed == .distantFuture && passage.batch == -1)
    #expect(live.events(since: .zero).requests.isEmpty)
    model.queue.close {}
  }
}
