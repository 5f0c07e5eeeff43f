import Execution
import Glibc
import KServe
import ModelConfiguration
import NIOCore
import NIOPosix
import StandInDevice
import Synchronization
import Testing
import Threads
import TimeBase
import Trace

@testable import Serving

/// An instance of a device with two slots gathers the next batch while one runs.
@Suite struct PipelinedInstanceTests {
  private struct World {
    let device: StandInGPU
    let model: ServedModel
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    init(
      _ options: StandInGPU.Options, _ more: String = "", rows: Int = 1, limit: TimeSpan = .zero, events: Bool = true
    ) throws {
      device = StandInGPU(options)
      let text = """
        name: "m" max_batch_size: \(rows) input [ { name: "x" data_type: TYPE_FP32 dims: [4] } ]
        output [ { name: "y" data_type: TYPE_FP32 dims: [4] } ] \(more)
        """
      let configuration = try ModelConfiguration.parse(text, file: "config.pbtxt").configuration.normalized()
      let loaded = device.load(
        ModelSignature(
          inputs: [.init(name: "x", dataType: .float32, dims: [4])], outputs: [.init(name: "y", dataType: .float32, dims: [4])]))
      model = try ServedModel(
        name: "m", version: 1, configuration: configuration, loaded: loaded, device: device.description, labels: [:],
        regions: SharedMemoryRegions(isAllowed: false), live: LiveRecorder(isRecording: events), number: 1, executionLimit: limit, gate: nil
      )
      model.start([])
    }

    func infer(_ value: Float, timeoutMicroseconds: UInt64 = 0) async -> ServerFixture.Answer {
      await completion { done in
        let request = ServerFixture.request("m", [Float](repeating: value, count: 4), timeoutMicroseconds: timeoutMicroseconds)
        _ = model.infer(request, on: loops.next(), fallback: { nil }) { answer, _ in done(answer) }
      }
    }

    /// All at once; answers by value.
    func inferAll(_ count: Int) async -> [Int: ServerFixture.Answer] {
      await withTaskGroup(of: (Int, ServerFixture.Answer).self) { group in
        for value in 1...count { group.addTask { (value, await infer(Float(value))) } }
        var answers: [Int: ServerFixture.Answer] = [:]
        for await (value, answer) in group { answers[value] = answer }
        return answers
      }
    }

    func close() async throws {
      await withCheckedContinuation { continuation in model.queue.close { continuation.resume() } }
      try await loops.shutdownGracefully()
    }

    var trace: Trace {
      var state = LiveModelState(model)
      let loaded = model.loaded
      state.steps = { loaded.steps(rows: $0) }
      let kept = model.live.events(since: .zero)
      let events = LiveTrace.Events(
        requests: kept.requests, batches: kept.batches, kernels: kept.kernels, driverEvents: kept.driverEvents)
      return LiveTrace(events, of: state, window: 0..<1).trace
    }
  }

  /// Time between a batch's last kernel and the next batch's first, in their order, nanoseconds.
  private static func gaps(_ trace: Trace) -> [Int64] {
    let batches = trace.batches.sorted { $0.computeStart < $1.computeStart }
    return zip(batches, batches.dropFirst()).map { $1.computeStart - $0.computeEnd }
  }

  @Test func withDepthTwoTheGapBetweenBatchesVanishes() async throws {
    var hidden: [Int: Int] = [:]
    for depth in [1, 2] {
      var options = StandInGPU.Options()
      (options.depth, options.kernelTime, options.copyTime) = (depth, .microseconds(2000), .microseconds(300))
      let world = try World(options)
      let answers = await world.inferAll(40)
      for (value, answer) in answers { #expect(answer.values == [Float](repeating: Float(value), count: 4)) }
      let gaps = Self.gaps(world.trace)
      #expect(gaps.count == 39 && gaps.allSatisfy { $0 >= 0 }, "one batch at a time computes")
      // Both copies lie between two batches of depth 1, and the host's work; of depth 2 nothing, where the host was in time.
      #expect(depth == 2 || gaps.allSatisfy { $0 >= 600_000 })
      hidden[depth] = gaps.count { $0 == 0 }
      #expect(world.device.misuse.isEmpty, "\(world.device.misuse)")
      try await world.close()
    }
    // A sanitizer makes the host take longer for a batch than this device does.
    #expect(try #require(hidden[2]) >= (getenv("HEADROOM_SANITIZED") == nil ? 20 : 1))
  }

  @Test func whatTheDeviceDidIsInTheTrace() async throws {
    let world = try World(StandInGPU.Options())
    _ = await world.inferAll(5)
    let trace = world.trace
    #expect(trace.deviceClass == .gpu && trace.gpus.first?.name == "Stand-in GPU" && trace.gpus.first?.smCount == 16)
    #expect(trace.kernels.count == 15 && trace.copies.count == 10 && trace.apiCalls.count == 30 && trace.synchronizations.count == 5)
    #expect(Set(trace.launches.step) == [0, 1, 2] && Set(trace.launches.batch) == Set(0..<5))
    #expect(Set(trace.copies.direction) == [1, 2] && trace.copies.bytes.allSatisfy { $0 == 16 })
    #expect(trace.kernelDescriptions.allSatisfy { $0.blockCount == 1 && $0.threadsPerBlock == 128 })
    // Every kernel finds the call that launched it, in its own process.
    var calls: [Int64: APICall] = [:]
    for call in trace.apiCalls { calls[call.correlation] = call }
    for kernel in trace.kernels {
      let call = try #require(calls[kernel.correlation])
      #expect(trace.names[call.name] == "cudaLaunchKernel_v7000" && call.start <= kernel.start)
      #expect(GlobalID.process(ofThread: call.thread) == trace[kernel.stream].process && trace[kernel.stream].stream == 7)
    }
    try await world.close()
  }

  /// Batches of several requests, some of which fail or lose the context: every request gets its own rows or its own batch's fault.
  @Test(arguments: [false, true]) func faultsAnswerTheirOwnBatches(preservesOrder: Bool) async throws {
    var options = StandInGPU.Options()
    (options.kernelTime, options.copyTime) = (.microseconds(200), .microseconds(50))
    for batch in stride(from: 3, to: 200, by: 7) { options.faults[batch] = batch % 2 == 0 ? .isLost : .fails }
    let world = try World(
      options,
      "instance_group [ { count: 2 } ] dynamic_batching { preserve_ordering: \(preservesOrder) } optimization { eager_batching: true }",
      rows: 4)
    let answers = await world.inferAll(240)
    var failed = 0
    for (value, answer) in answers {
      if let problem = answer.problem {
        failed += 1
        #expect(problem.message.contains("a kernel failed") || problem.message.contains("the context is lost"))
      } else {
        #expect(answer.values == [Float](repeating: Float(value), count: 4))
      }
    }
    #expect(answers.count == 240 && failed > 0 && failed < 240)
    #expect(world.device.misuse.isEmpty, "\(world.device.misuse)")
    #expect(world.model.counters.current.failures[.backend] ?? 0 == UInt64(clamping: failed))
    try await world.close()
  }

  /// The thread that waits for a device that does not come back is given up, and what was not taken yet is served by its successor.
  @Test func anInstanceThatHangsIsGivenUpWithWhatItHolds() async throws {
    var options = StandInGPU.Options()
    options.faults = [2: .hangs]
    let world = try World(options, limit: .milliseconds(150))
    let answers = await world.inferAll(8)
    let failed = answers.values.filter { $0.problem != nil }
    // The one that hangs and the one behind it in its instance, where there was one.
    #expect((1...2).contains(failed.count), "\(failed)")
    #expect(failed.allSatisfy { $0.problem?.message.contains("did not finish the batch within") == true })
    world.device.release()
    #expect(await world.infer(9).values == [9, 9, 9, 9])
    try await world.close()
  }

  @Test func unloadingAnswersWhatIsInBothSlotsAndWhatWaits() async throws {
    var options = StandInGPU.Options()
    options.kernelTime = .microseconds(3000)
    let world = try World(options)
    let (model, loops) = (world.model, world.loops)
    let answered = Tally()
    for value in 1...10 {
      let request = ServerFixture.request("m", [Float](repeating: Float(value), count: 4))
      _ = model.infer(request, on: loops.next(), fallback: { nil }) { answer, _ in if answer.problem == nil { answered.add() } }
    }
    try await world.close()
    #expect(answered.value == 10 && model.queue.unansweredRequests == 0)
    #expect(world.device.misuse.isEmpty, "\(world.device.misuse)")
  }

  @Test func whatWaitsBehindBothSlotsTimesOutAndIsCancelled() async throws {
    var options = StandInGPU.Options()
    options.kernelTime = .microseconds(30_000)
    let world = try World(
      options,
      "dynamic_batching { default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 60000000 allow_timeout_override: true } }"
    )
    let (model, loops) = (world.model, world.loops)
    let answers = Mutex<[Int: ServerFixture.Answer]>([:])
    var handles: [InferenceHandle] = []
    for value in 0..<6 {
      let request = ServerFixture.request(
        "m", [Float](repeating: Float(value), count: 4), timeoutMicroseconds: value == 4 ? 1000 : 0)
      handles.append(
        model.infer(request, on: loops.next(), fallback: { nil }) { answer, _ in answers.withLock { $0[value] = answer } })
    }
    handles[5].cancel()
    try await world.close()
    let all = answers.withLock { $0 }
    #expect(all.count == 6)
    for value in 0..<4 { #expect(all[value]?.values == [Float](repeating: Float(value), count: 4)) }
    #expect(all[4]?.problem?.status == .unavailable)
    #expect(all[5]?.problem?.status == .cancelled)
  }
}
