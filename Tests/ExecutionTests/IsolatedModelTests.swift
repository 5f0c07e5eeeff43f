import Execution
import Glibc
import ModelConfiguration
import Testing
import Threads
import TimeBase

/// Engines in processes of their own. One test at a time: they count this process's engines, and end them.
@Suite(.serialized, .enabled(if: IsolationFixture.isHere, "the program was not built beside the tests")) enum IsolationTests {}

extension IsolationTests {
  /// What an engine in a process of its own computes, and what a fault in it costs.
  @Suite struct IsolatedModelTests {
    typealias Fixture = IsolationFixture

    private static func wait(_ what: String, _ condition: () -> Bool) {
      let end = MonotonicClock.now + .milliseconds(20_000)
      while !condition() {
        if MonotonicClock.now > end { return #expect(Bool(false), "\(what) did not happen within 20 s") }
        MonotonicClock.sleep(until: MonotonicClock.now + .milliseconds(2))
      }
    }

    @Test func batchesOfEverySizeComeBackAsTheyWere() throws {
      let model = try Fixture.device().load(identity: try Fixture.identity(), name: "same")
      #expect(model.signature == Fixture.signature && model.hasRowDimension)
      let instance = try model.makeInstance()
      // Larger than any before, smaller, and larger than a page many times over.
      for rows in [1, 8, 3, 4096, 2, 65_536, 1] {
        let values = (0..<rows * 4).map { Float($0) }
        #expect(try Fixture.run(instance, values).get() == values)
      }
    }

    @Test func stringsAndSeveralInputsComeBackAsTheyWere() throws {
      let tensors: [ModelSignature.Tensor] = [
        .init(name: "a", dataType: .int8, dims: [3]), .init(name: "s", dataType: .string, dims: [2]),
        .init(name: "t", dataType: .string, dims: [1]), .init(name: "z", dataType: .float64, dims: [-1]),
      ]
      let model = try Fixture.device().load(
        identity: try Fixture.identity(signature: ModelSignature(inputs: tensors, outputs: tensors)), name: "mixed")
      let instance = try model.makeInstance()
      for length in [0, 5, 100_000] {
        let slot = try instance.prepare([[1, 3], [1, 2], [1, 1], [1, 0]])
        let bytes: [[UInt8]] = [
          [1, 2, 3], ONNXRuntimeFixture.strings([Array(repeating: 7, count: length), [0]]), ONNXRuntimeFixture.strings([[]]), [],
        ]
        slot.inputs[0].memory.copyBytes(from: bytes[0])
        for index in [1, 2] {
          try instance.reserve(slot, input: index, byteCount: bytes[index].count)
          slot.inputs[index].memory.copyBytes(from: bytes[index])
        }
        try Fixture.finish(instance, slot)
        #expect(slot.outputs.map { Array($0.memory) } == bytes)
        #expect(slot.outputs.map(\.shape) == [[1, 3], [1, 2], [1, 1], [1, 0]])
      }
      // Strings that are none: said so, and the process stays.
      let slot = try instance.prepare([[1, 3], [1, 2], [1, 1], [1, 0]])
      try instance.reserve(slot, input: 1, byteCount: 6)
      try instance.reserve(slot, input: 2, byteCount: 4)
      slot.inputs[1].memory.copyBytes(from: [255, 255, 255, 255, 0, 0])
      #expect(throws: DeviceError.self) { try Fixture.finish(instance, slot) }
    }

    @Test(arguments: [SIGFPE, SIGSEGV, SIGABRT, SIGKILL, SIGBUS, SIGILL])
    func aFaultFailsItsBatchNamesTheSignalAndTheNextBatchRuns(_ number: Int32) throws {
      let log = Lines()
      let model = try Fixture.device(log: log).load(identity: try Fixture.identity(.signal(batch: 2, number)), name: "faulty")
      let instance = try model.makeInstance()
      for round in 0..<3 {
        #expect(try Fixture.run(instance, [1, 2, 3, 4]).get() == [1, 2, 3, 4], "round \(round)")
        guard case .failure(let error) = Fixture.run(instance, [1, 2, 3, 4]) else {
          return #expect(Bool(false), "the second batch of a process did not fail")
        }
        #expect(error.kind == .batchFailed)
        #expect(error.description.contains("signal \(number) (SIG"), "\(error)")
        #expect(error.description.contains("'faulty'"))
      }
      #expect(log.all.contains { $0.contains("signal \(number)") && $0.contains("started again") })
    }

    @Test func anExitIsNoAnswerEither() throws {
      let model = try Fixture.device().load(identity: try Fixture.identity(.exit(batch: 1, 5)), name: "leaving")
      guard case .failure(let error) = Fixture.run(try model.makeInstance(), [1, 2, 3, 4]) else {
        return #expect(Bool(false), "a batch of a process that left was answered")
      }
      #expect(error.description.contains("exit code 5"))
    }

    @Test func aHungProcessIsEndedAtTheLimitAndTheNextInstanceRuns() throws {
      // Its start counts too: under a sanitizer, on a busy machine, that is seconds.
      let limit: TimeSpan = getenv("HEADROOM_SANITIZED") == nil ? .milliseconds(1000) : .milliseconds(10_000)
      let model = try Fixture.device(timeLimit: limit).load(
        identity: try Fixture.identity(.hang(batch: 2, .milliseconds(3_600_000))), name: "hanging")
      let instance = try model.makeInstance()
      #expect(try Fixture.run(instance, [1, 2, 3, 4]).get() == [1, 2, 3, 4])
      let start = MonotonicClock.now
      guard case .failure(let error) = Fixture.run(instance, [1, 2, 3, 4]) else { return #expect(Bool(false), "a hung batch was answered") }
      #expect(error.kind == .instanceLost, "\(error)")
      #expect(MonotonicClock.now - start < limit + .milliseconds(20_000))
      #expect(try Fixture.run(try model.makeInstance(), [5, 6, 7, 8]).get() == [5, 6, 7, 8])
    }

    @Test func instancesShareTheProcessAndFailTogether() throws {
      let model = try Fixture.device().load(identity: try Fixture.identity(.signal(batch: 3, SIGSEGV)), name: "shared")
      let (first, second) = (try model.makeInstance(), try model.makeInstance())
      for instance in [first, second, first, second] { #expect(try Fixture.run(instance, [1, 2, 3, 4]).get() == [1, 2, 3, 4]) }
      #expect(throws: DeviceError.self) { try Fixture.run(first, [1, 2, 3, 4]).get() }
      // The other one was idle: it goes to the new process without an error.
      #expect(try Fixture.run(second, [1, 2, 3, 4]).get() == [1, 2, 3, 4])
      #expect(try Fixture.run(first, [1, 2, 3, 4]).get() == [1, 2, 3, 4])
    }

    @Test func aProcessThatAlwaysDiesIsGivenUpForAWhile() throws {
      let log = Lines()
      let limits = EngineLifecycle.Limits(
        firstRest: .milliseconds(1), longestRest: .milliseconds(2), deaths: 4, pause: .milliseconds(3_600_000))
      let model = try Fixture.device(limits: limits, log: log).load(
        identity: try Fixture.identity(.signal(batch: 1, SIGFPE)), name: "hopeless")
      let instance = try model.makeInstance()
      #expect(model.outage == nil)
      for _ in 0..<4 { #expect(throws: DeviceError.self) { try Fixture.run(instance, [1, 2, 3, 4]).get() } }
      guard case .failure(let error) = Fixture.run(instance, [1, 2, 3, 4]) else { return #expect(Bool(false), "it answered") }
      #expect(error.kind == .unavailable && error.description.contains("4 times in a row"), "\(error)")
      // Batches are told first, the operator then.
      Self.wait("the line in the log") {
        log.all.last?.contains("4 times in a row: not started again for 3600 s; load the model again") == true
      }
      #expect(model.outage?.contains("not started again for 3600 s") == true)
    }

    @Test func unloadingEndsTheProcessAndLeavesNothing() throws {
      // What the first use leaves open is counted after it.
      do {
        _ = try Fixture.run(try Fixture.device().load(identity: try Fixture.identity(), name: "first").makeInstance(), [1, 2, 3, 4]).get()
      }
      Self.wait("the end of the first process") { Fixture.engines().isEmpty }
      let before = Fixture.connections()
      for _ in 0..<10 {
        let model = try Fixture.device().load(identity: try Fixture.identity(), name: "short")
        for _ in 0..<3 { _ = try Fixture.run(try model.makeInstance(), [1, 2, 3, 4]).get() }
        #expect(!Fixture.engines().isEmpty)
      }
      Self.wait("the end of every process") { Fixture.engines().isEmpty }
      Self.wait("the closing of every descriptor") { Fixture.connections() <= before }
    }

    @Test func killsInTheMiddleOfBatchesAreErrorsAndNothingGrows() throws {
      let model = try Fixture.device().load(identity: try Fixture.identity(delay: .microseconds(500)), name: "killed")
      let instance = try model.makeInstance()
      _ = try Fixture.run(instance, [1, 2, 3, 4]).get()
      let before = Fixture.connections()
      var (good, failed) = (0, 0)
      for round in 0..<25 {
        let victims = Fixture.engines()
        DetachedThread.start(named: "killer") {
          MonotonicClock.sleep(until: MonotonicClock.now + .microseconds(Int64(200 + round * 37 % 900)))
          for victim in victims { kill(victim, SIGKILL) }
        }
        for batch in 0..<6 {
          let values: [Float] = [Float(round), Float(batch), 3, 4]
          switch Fixture.run(instance, values) {
          case .success(let answer):
            #expect(answer == values)
            good += 1
          case .failure(let error):
            #expect(error.kind == .batchFailed || error.kind == .instanceLost, "\(error)")
            failed += 1
          }
        }
      }
      #expect(good >= 75 && failed > 0, "\(good) good, \(failed) failed")
      Self.wait("one process") { Fixture.engines().count <= 1 }
      Self.wait("no growth of descriptors") { Fixture.connections() <= before }
    }

    @Test func aHundredGoodBatchesInARowAreToldOnce() throws {
      let model = try #require(
        try Fixture.device().load(identity: try Fixture.identity(.signal(batch: 60, SIGSEGV)), name: "m") as? IsolatedModel)
      let told = Lines()
      let instance = try model.makeInstance()
      for _ in 0..<10 { _ = try Fixture.run(instance, [1, 2, 3, 4]).get() }
      model.whenProven(batches: 55) { told.add("proven") }
      // 49 more, then the fault: what was counted is forgotten.
      for _ in 0..<50 { _ = Fixture.run(instance, [1, 2, 3, 4]) }
      for _ in 0..<54 { _ = try Fixture.run(instance, [1, 2, 3, 4]).get() }
      #expect(told.all.isEmpty)
      _ = try Fixture.run(instance, [1, 2, 3, 4]).get()
      #expect(told.all == ["proven"])
    }

    @Test func aProgramThatIsNoEngineIsALoadError() throws {
      for (executable, arguments) in [("/bin/true", []), ("/nonexistent/headroom", []), ("/bin/sleep", ["3600"])] as [(String, [String])] {
        let device = IsolatedDevice(
          nil, threads: 1,
          isolation: EngineIsolation(executable: executable, arguments: arguments, program: "test", loadLimit: .milliseconds(2000)))
        let error = #expect(throws: DeviceError.self) { try device.load(identity: try Fixture.identity(), name: "none") }
        #expect(error?.kind == .unsupported || error?.kind == .instanceLost, "\(executable): \(String(describing: error))")
      }
      Self.wait("the end of every process") { Fixture.engines().isEmpty }
    }
  }
}

/// ONNX Runtime in a process of its own.
extension IsolationTests {
  @Suite(.enabled(if: ONNXRuntimeFixture.isHere, "ONNX Runtime is absent: Scripts/fetch-onnxruntime"))
  struct IsolatedONNXRuntimeTests {
    private static func load(_ name: String, _ options: ONNXRuntimeOptions = ONNXRuntimeOptions()) throws -> any LoadedModel {
      try IsolationFixture.device(ONNXRuntimeFixture.library).load(
        .onnxFile(ONNXRuntimeFixture.path(name)), LoadOptions(maximumBatchRows: 0, onnxRuntime: options))
    }

    @Test(arguments: ["conv", "topk", "half", "double", "power"]) func itAnswersAsInTheServersProcess(_ name: String) throws {
      let (isolated, inProcess) = (try Self.load(name), try ONNXRuntimeFixture.load(ONNXRuntimeFixture.path(name), rows: 0))
      #expect(isolated.signature == inProcess.signature)
      #expect(isolated.weightBytes == inProcess.weightBytes)
      let shape = isolated.signature.inputs[0].dims.map { $0 < 0 ? 5 : $0 }
      let size = ["half": 2, "double": 8, "power": 8][name] ?? 4
      let bytes = (0..<shape.reduce(1, *) * size).map { UInt8(truncatingIfNeeded: $0 % 60) }
      let (left, right) = (
        try ONNXRuntimeFixture.run(try isolated.makeInstance(), [(shape, bytes)]),
        try ONNXRuntimeFixture.run(try inProcess.makeInstance(), [(shape, bytes)])
      )
      #expect(left.map(\.shape) == right.map(\.shape))
      #expect(left.map(\.bytes) == right.map(\.bytes))
    }

    @Test func aDivisionByZeroFailsItsBatchAlone() throws {
      let instance = try Self.load("divide").makeInstance()
      let shape = [1, 2]
      for round in 0..<3 {
        let good = try ONNXRuntimeFixture.run(instance, [(shape, [9, 8]), (shape, [3, 2])])
        #expect(good[0].bytes == [3, 4], "round \(round)")
        let error = #expect(throws: DeviceError.self) { try ONNXRuntimeFixture.run(instance, [(shape, [9, 8]), (shape, [3, 0])]) }
        #expect(error?.description.contains("SIGFPE") == true, "\(String(describing: error))")
      }
    }

    @Test func stringsAndDefaultsTravel() throws {
      let strings = ONNXRuntimeFixture.strings([[65], [], Array(repeating: 66, count: 70_000)])
      let instance = try Self.load("strings").makeInstance()
      let slot = try instance.prepare([[1, 3]])
      try instance.reserve(slot, input: 0, byteCount: strings.count)
      slot.inputs[0].memory.copyBytes(from: strings)
      let turned = try ONNXRuntimeFixture.finish(instance, slot)
      #expect(turned[0].bytes == ONNXRuntimeFixture.strings([Array(repeating: 66, count: 70_000), [65], []]))

      let model = try Self.load("default")
      #expect(model.omissibleInputs == [1])
      let adder = try model.makeInstance()
      let x = ONNXRuntimeFixture.bytes([1, 2] as [Float])
      let omitted = try adder.prepare([[2], []], omitting: [1])
      omitted.inputs[0].memory.copyBytes(from: x)
      #expect(ONNXRuntimeFixture.values(try ONNXRuntimeFixture.finish(adder, omitted)[0].bytes, as: Float.self) == [11, 12])
      let given = try ONNXRuntimeFixture.run(adder, [([2], x), ([2], ONNXRuntimeFixture.bytes([5, 6] as [Float]))])
      #expect(ONNXRuntimeFixture.values(given[0].bytes, as: Float.self) == [6, 8])
      #expect(throws: DeviceError.self) { try adder.prepare([[], [2]], omitting: [0]) }
    }

    @Test func aModelThatDoesNotLoadSaysWhyAndLeavesNoProcess() throws {
      let error = #expect(throws: DeviceError.self) { try Self.load("sequence") }
      #expect(error?.description.contains("only tensors can be served") == true, "\(String(describing: error))")
      let missing = #expect(throws: DeviceError.self) { try Self.load("nowhere") }
      #expect(missing?.description.contains("No such file") == true, "\(String(describing: missing))")
    }

    @Test func anEnginesOwnErrorsComeThroughWithTheirKind() throws {
      // 2 x 4 elements fill no rows of three: the batch's fault, and the process stays.
      let instance = try Self.load("reshape").makeInstance()
      let bytes = [UInt8](repeating: 0, count: 32)
      let error = #expect(throws: DeviceError.self) { try ONNXRuntimeFixture.run(instance, [([2, 4], bytes)]) }
      #expect(error?.description.contains("signal") == false)
      #expect(try ONNXRuntimeFixture.run(instance, [([2, 3], Array(bytes.prefix(24)))])[0].shape == [2, 3])
    }
  }
}
