import KServe
import NIOCore
import Scheduling
import Testing
import Threads
import TimeBase

@testable import Serving

@Suite struct InferenceServerTests {
  private static let batching = "dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 20000 }"

  @Test func everyRequestOfABatchGetsItsOwnRows() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", Self.batching)])
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        group.addTask {
          let rows = index % 3 + 1
          let values = (0..<rows * 4).map { Float(index * 100 + $0) }
          #expect(await fixture.infer("m", values).values == values)
        }
      }
    }
    let statistics = try fixture.server.statistics("m", version: "")[0]
    #expect(statistics.success.count == 200)
    #expect(statistics.executionCount < 200, "requests share batches")
    #expect(statistics.inferenceCount == (0..<200).reduce(0) { $0 + UInt64(clamping: $1 % 3 + 1) })
  }

  @Test func aBatchThatFailsFailsAlone() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", ServerFixture.parameter("fail_batch", "3"))])
    var problems: [Int] = []
    for index in 1...6 {
      let answer = await fixture.infer("m", [1, 2, 3, 4])
      if let problem = answer.problem {
        problems.append(index)
        #expect(problem.status == .internalError && problem.message.contains("fail_batch"))
      }
    }
    #expect(problems == [3])
  }

  @Test func aBatchThatHangsIsGivenUpAndTheNextOnesRun() async throws {
    let hang = ServerFixture.parameter("hang_batch", "3") + " " + ServerFixture.parameter("hang_ms", "3000")
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", hang)]) { $0.executionLimit = .milliseconds(200) }
    var problems: [Int] = []
    for index in 1...6 {
      let (answer, waited) = await fixture.timed(ServerFixture.request("m", [1, 2, 3, 4]))
      #expect(waited < .milliseconds(3000), "nobody waits for what hangs")
      if let problem = answer.problem {
        problems.append(index)
        #expect(problem.message.contains("did not finish the batch within 0.2 s"))
      }
    }
    // A new instance counts its batches anew and hangs at its third: the sixth request.
    #expect(problems == [3, 6])
  }

  @Test func aFullQueueAnswersAtOnceAndWhatItTookIsServed() async throws {
    let queue = """
      dynamic_batching { default_queue_policy { max_queue_size: 4 } }
      \(ServerFixture.parameter("execute_delay_ms", "30"))
      """
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", rows: 1, queue)])
    let good = Tally()
    let refused = Tally()
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<60 {
        group.addTask {
          let values = (0..<4).map { Float(index + $0) }
          let answer = await fixture.infer("m", values)
          if answer.values == values {
            good.add()
          } else if answer.problem?.status == .unavailable, answer.problem?.message.hasSuffix("Exceeds maximum queue size") == true {
            refused.add()
          }
        }
      }
    }
    #expect(good.value + refused.value == 60)
    #expect(refused.value > 0)
    #expect(good.value >= 4)
    let values = fixture.server.manager.table.allReady[0].counters.current
    #expect(Int(clamping: values.failures[.rejected] ?? 0) == refused.value)
  }

  /// The deadline of a waiting request passes while a batch runs for much longer: it is answered then, not when the batch ends.
  @Test func timeoutsActOnTime() async throws {
    let policy = """
      dynamic_batching { default_queue_policy { timeout_action: REJECT allow_timeout_override: true default_timeout_microseconds: 10000000 } }
      \(ServerFixture.parameter("execute_delay_ms", "1500"))
      """
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", rows: 1, policy)])
    // No suspension between the two: the first one runs when the second one comes.
    _ = fixture.server.infer(ServerFixture.request("m", [1, 2, 3, 4]), on: fixture.group.next()) { _ in }
    while fixture.server.manager.table.allReady[0].queue.depth.readyInstances > 0 { MonotonicClock.yield() }
    let (answer, waited) = await fixture.timed(ServerFixture.request("m", [5, 6, 7, 8], timeoutMicroseconds: 20_000))
    #expect(answer.problem?.message == "Request timeout expired")
    #expect(waited >= .milliseconds(20))
    #expect(waited < .milliseconds(1000))
    while fixture.server.unansweredRequests > 0 { await Task.yield() }
  }

  @Test func reloadsUnderTrafficLoseNothing() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", Self.batching)]) {
      $0.controlMode = .explicit
      $0.loadModels = ["*"]
    }
    let isOver = Tally()
    await withTaskGroup(of: Void.self) { group in
      for client in 0..<8 {
        group.addTask {
          var round = 0
          while isOver.value == 0 {
            round += 1
            let values = (0..<4).map { Float(client * 1000 + round % 500 + $0) }
            #expect(await fixture.infer("m", values).values == values)
          }
        }
      }
      group.addTask {
        for _ in 0..<20 {
          await withCheckedContinuation { continuation in
            fixture.server.loadModel("m", configuration: nil, files: [:], on: fixture.group.next()) { result in
              if case .failure(let error) = result { Issue.record("\(error.message)") }
              continuation.resume()
            }
          }
        }
        isOver.add()
      }
    }
    #expect(fixture.server.unansweredRequests == 0)
  }

  /// Loads and unloads from several sides at once: a request is answered, or refused because the model is not there.
  @Test func stormsOfLoadsAndUnloadsAnswerEveryone() async throws {
    let fixture = try ServerFixture(["a": ServerFixture.identity("a"), "b": ServerFixture.identity("b", Self.batching)]) {
      $0.controlMode = .explicit
      $0.loadModels = ["*"]
    }
    let isOver = Tally()
    await withTaskGroup(of: Void.self) { group in
      for client in 0..<6 {
        group.addTask {
          while isOver.value == 0 {
            let model = client % 2 == 0 ? "a" : "b"
            let answer = await fixture.infer(model, [1, 2, 3, 4])
            // A refusal comes at once, without giving the thread to others.
            await Task.yield()
            if let problem = answer.problem {
              #expect([.notFound, .unavailable, .invalidArgument].contains(problem.status), "\(problem.message)")
            } else {
              #expect(answer.values == [1, 2, 3, 4])
            }
          }
        }
      }
      await withTaskGroup(of: Void.self) { storm in
        for side in 0..<4 {
          storm.addTask {
            for round in 0..<15 {
              let model = (side + round) % 2 == 0 ? "a" : "b"
              await withCheckedContinuation { continuation in
                if (side + round) % 3 == 0 {
                  fixture.server.unloadModel(model, unloadDependents: false, on: fixture.group.next()) { _ in continuation.resume() }
                } else {
                  fixture.server.loadModel(model, configuration: nil, files: [:], on: fixture.group.next()) { _ in continuation.resume() }
                }
              }
            }
          }
        }
      }
      isOver.add()
    }
    #expect(fixture.server.unansweredRequests == 0)
  }

  @Test func whatIsQueuedWhenTheServerClosesIsAnswered() async throws {
    let fixture = try ServerFixture([
      "m": ServerFixture.identity("m", rows: 1, "dynamic_batching {} " + ServerFixture.parameter("execute_delay_ms", "5"))
    ])
    let model = fixture.server.manager.table.allReady[0]
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<30 {
        group.addTask {
          let answer = await fixture.infer("m", [1, 2, 3, 4])
          #expect(answer.values != nil || answer.problem?.status == .unavailable)
        }
      }
      group.addTask {
        // One that is accepted is in the queue or was answered: it may be answered before this task has its turn.
        while fixture.server.unansweredRequests == 0, model.counters.current.statistics.success.count == 0 { await Task.yield() }
        fixture.server.closeModels()
      }
    }
    #expect(fixture.server.unansweredRequests == 0)
    #expect(await fixture.infer("m", [1, 2, 3, 4]).problem?.message.contains("Server is stopping") == true)
  }

  /// A name is checked before anything is looked for under it; an unload only finds nothing.
  @Test(arguments: [
    ("", "Model name cannot be empty. Please enter a valid name to deploy."),
    (" \t\n\u{B}\u{C}\r ", "Model name cannot be empty. Please enter a valid name to deploy."),
    ("..", "invalid model name '..', model name must not contain path traversal characters"),
    (" .. ", "model name must not contain path traversal characters"),
    ("../x", "model name must not contain path traversal characters"), ("/etc", "model name must not contain path traversal characters"),
    ("a/b", "model name must not contain path traversal characters"), ("...", "failed to poll from model repository"),
    (".", "without control characters"), ("m\0", "without control characters"), ("m\n}", "without control characters"),
    ("..x", "failed to poll from model repository"), ("a..b", "failed to poll from model repository"),
  ])
  func namesOfLoads(name: String, reason: String) async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m")]) { $0.controlMode = .explicit }
    let problem: KServeError? = await withCheckedContinuation { continuation in
      fixture.server.loadModel(name, configuration: nil, files: [:], on: fixture.group.next()) { result in
        guard case .failure(let error) = result else { return continuation.resume(returning: nil) }
        continuation.resume(returning: error)
      }
    }
    #expect(problem?.message.contains(reason) == true, "\(problem?.message ?? "it was loaded")")
  }

  /// Of several inputs that are wrong the last is named, and a raw request's inputs are counted, as the reference server does.
  @Test func whatIsWrongIsNamedAsTheReferenceServerDoes() async throws {
    let model = """
      name: "m" backend: "identity" max_batch_size: 4
      input [ { name: "x" data_type: TYPE_STRING dims: [1] }, { name: "z" data_type: TYPE_STRING dims: [1] } ]
      output [ { name: "y" data_type: TYPE_STRING dims: [1] }, { name: "w" data_type: TYPE_STRING dims: [1] } ]
      """
    let fixture = try ServerFixture(["m": model])
    let bytes = TensorBytes.one(ByteBuffer(repeating: 0, count: 8))
    var request = InferenceRequest(
      modelName: "m",
      inputs: ["x", "z"].map { InferenceRequest.Input(name: $0, dataType: .string, shape: [1, 1], data: bytes) },
      received: MonotonicClock.now, parsed: MonotonicClock.now)
    #expect(
      await fixture.infer(request).problem?.message
        == "[request id: <id_unknown>] unexpected number of string elements 2 for inference input 'z' for model 'm', expecting 1")
    request.inputs = [InferenceRequest.Input(name: "", dataType: nil, shape: [], data: bytes, isRaw: true)]
    #expect(
      await fixture.infer(request).problem?.message.contains(
        "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'm' model configuration") == true)
  }

  /// The bytes of each tensor are copied once on their way into the batch's slot.
  @Test func tensorsAreCopiedOnce() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", Self.batching)])
    for _ in 0..<10 { _ = await fixture.infer("m", [1, 2, 3, 4, 5, 6, 7, 8]) }
    #expect(fixture.server.manager.table.allReady[0].counters.current.bytesGathered == 10 * 8 * 4)
  }

  @Test func instancesThatShareAResourceTakeTurns() async throws {
    func model(_ name: String) -> String {
      ServerFixture.identity(
        name,
        """
        instance_group [ { count: 1 kind: KIND_CPU rate_limiter { resources [ { name: "R" count: 1 } ] } } ]
        \(ServerFixture.parameter("execute_delay_ms", "40"))
        """)
    }
    let fixture = try ServerFixture(["a": model("a"), "b": model("b")]) { $0.limitsRate = true }
    async let one = fixture.infer("a", [1, 2, 3, 4])
    async let other = fixture.infer("b", [1, 2, 3, 4])
    let times = [await one, await other].compactMap { answer -> (Instant, Instant)? in
      guard case .success(let response) = answer, let execution = response.execution else { return nil }
      return (execution.computeStart, execution.outputsReady)
    }.sorted { $0.0 < $1.0 }
    #expect(times.count == 2)
    if times.count == 2 { #expect(times[0].1 <= times[1].0, "executions do not overlap") }
  }

  /// Priority 2 gets half the turns of priority 1, for as long as both have batches.
  @Test(.timeLimit(.minutes(5))) func turnsFollowPriorities() async throws {
    func model(_ name: String, _ priority: Int) -> String {
      ServerFixture.identity(
        name, rows: 1,
        """
        instance_group [ { count: 1 kind: KIND_CPU rate_limiter { resources [ { name: "R" count: 1 } ] priority: \(priority) } } ]
        \(ServerFixture.parameter("execute_delay_ms", "2"))
        """)
    }
    let fixture = try ServerFixture(["often": model("often", 1), "rarely": model("rarely", 2), "holder": model("holder", 1)]) {
      $0.limitsRate = true
    }
    // A third model has the resource until all requests wait: a turn that finds one queue empty is nobody's by right.
    let manager = fixture.server.manager
    let (holder, served) = (
      try manager.table.find("holder", version: ""), try ["often", "rarely"].map { try manager.table.find($0, version: "") }
    )
    holder.acquireResources(0)
    let starts = await withTaskGroup(of: (String, Instant)?.self) { group in
      for _ in 0..<40 {
        for name in ["often", "rarely"] {
          group.addTask {
            guard case .success(let response) = await fixture.infer(name, [1, 2, 3, 4]), let execution = response.execution else {
              return nil
            }
            return (name, execution.computeStart)
          }
        }
      }
      // One of each is with its instance, which waits for its turn.
      while served.contains(where: { $0.counters.pendingRequests < 39 }) { await Task.yield() }
      holder.endTurn(0)
      var starts: [(String, Instant)] = []
      for await start in group { if let start { starts.append(start) } }
      return starts.sorted { $0.1 < $1.1 }.map(\.0)
    }
    #expect(starts.count == 80)
    // Both have batches waiting from the first turn of either on for as long as neither has had most of its own.
    let middle = starts.drop { $0 == starts.first }.prefix(36)
    let often = middle.count { $0 == "often" }
    #expect((22...26).contains(often), "\(often) of \(middle.count): \(starts)")
  }

  @Test func anInputThatTheModelNeedsCannotBeOptional() throws {
    let error = #expect(throws: ServerFixture.Failure.self) {
      try ServerFixture([
        "m": """
        name: "m" platform: "headroom_builtin" max_batch_size: 4
        input [ { name: "x" data_type: TYPE_FP32 dims: [8] optional: true } ]
        parameters { key: "head" value { string_value: "linear" } } parameters { key: "hidden" value { string_value: "8" } }
        parameters { key: "layers" value { string_value: "1" } }
        """
      ])
    }
    #expect(error?.description.contains("'optional' is set to true for input 'x' while the backend model doesn't support") == true)
  }
}
