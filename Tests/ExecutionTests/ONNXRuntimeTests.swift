import Execution
import FileAccess
import Glibc
import ModelConfiguration
import ModelGraph
import ONNXFormat
import Synchronization
import Testing
import TimeBase

/// Runs where ONNX Runtime is found (`HEADROOM_ONNXRUNTIME`, or `Scripts/fetch-onnxruntime`).
@Suite(.enabled(if: ONNXRuntimeFixture.isHere, "ONNX Runtime is absent: Scripts/fetch-onnxruntime"))
struct ONNXRuntimeTests {
  typealias Fixture = ONNXRuntimeFixture

  @Test func aConvolutionGivesWhatThePlainLoopGives() throws {
    let model = try Fixture.load(Fixture.path("conv"), rows: 8)
    #expect(model.hasRowDimension)
    #expect(
      model.signature
        == ModelSignature(
          inputs: [.init(name: "x", dataType: .float32, dims: [1, 4, 4])], outputs: [.init(name: "y", dataType: .float32, dims: [1, 2, 2])])
    )
    #expect(model.weightBytes > 0)
    let instance = try model.makeInstance()
    // Smaller after larger and larger again: memory is reused, values are made anew.
    for rows in [3, 1, 8, 8] {
      let x = (0..<rows * 16).map { Float($0 % 23) - 11 }
      let outputs = try Fixture.run(instance, [([rows, 1, 4, 4], Fixture.bytes(x))])
      #expect(outputs.map(\.shape) == [[rows, 1, 2, 2]])
      var expected: [Float] = []
      for row in 0..<rows {
        for i in 0..<2 {
          for j in 0..<2 {
            var sum: Float = 0.5
            for a in 0..<3 { for b in 0..<3 { sum += Float(3 * a + b + 1) * x[row * 16 + (i + a) * 4 + j + b] } }
            expected.append(sum)
          }
        }
      }
      #expect(Fixture.values(outputs[0].bytes, as: Float.self) == expected)
    }
  }

  @Test func outputsOfSeveralTypesAndAVariableSize() throws {
    let model = try Fixture.load(Fixture.path("topk"), rows: 4)
    #expect(model.signature.inputs == [.init(name: "x", dataType: .float32, dims: [-1])])
    #expect(model.signature.outputs.map(\.dataType) == [.float32, .int64])
    let instance = try model.makeInstance()
    let outputs = try Fixture.run(instance, [([2, 4], Fixture.bytes([3, 9, -1, 5, 0, 0.5, 0.25, -7] as [Float]))])
    #expect(Fixture.values(outputs[0].bytes, as: Float.self) == [9, 5, 0.5, 0.25])
    #expect(Fixture.values(outputs[1].bytes, as: Int64.self) == [1, 3, 1, 2])
    // The same instance, another number of columns.
    let wide = try Fixture.run(instance, [([1, 5], Fixture.bytes([1, 2, 3, 4, 5] as [Float]))])
    #expect(Fixture.values(wide[1].bytes, as: Int64.self) == [4, 3])
  }

  @Test func stringsOfAnyBytesGoInAndOut() throws {
    let model = try Fixture.load(Fixture.path("strings"), rows: 4)
    #expect(model.signature.inputs == [.init(name: "texts", dataType: .string, dims: [3])])
    let instance = try model.makeInstance()
    let zero: [UInt8] = [1, 0, 255, 0]
    let given = Fixture.strings([Array("a".utf8), [], zero, Array("Grüße".utf8), Array("x".utf8), Array(repeating: 7, count: 60)])
    let outputs = try Fixture.run(instance, [([2, 3], given)])
    #expect(outputs[0].shape == [2, 3])
    #expect(
      outputs[0].bytes
        == Fixture.strings([zero, Array("a".utf8), [], Array(repeating: 7, count: 60), Array("Grüße".utf8), Array("x".utf8)]))
  }

  @Test func stringsLongerThanWhatWasReservedComeInMemoryOfTheCaller() throws {
    let instance = try Fixture.load(Fixture.path("strings"), rows: 4).makeInstance()
    var given = Fixture.strings([Array(repeating: 65, count: 100_000), [66], [67]])
    let slot = try instance.prepare([[1, 3]])
    let outputs = try given.withUnsafeMutableBytes { memory in
      slot.inputs[0].memory = memory
      return try Fixture.finish(instance, slot)
    }
    #expect(outputs[0].bytes == Fixture.strings([[67], Array(repeating: 65, count: 100_000), [66]]))
    // The next batch has the instance's own memory again.
    let small = try Fixture.run(instance, [([1, 3], Fixture.strings([[1], [2], [3]]))])
    #expect(small[0].bytes == Fixture.strings([[3], [1], [2]]))
  }

  @Test func tornStringsAreTheRequestsFault() throws {
    let instance = try Fixture.load(Fixture.path("strings"), rows: 4).makeInstance()
    for torn: [UInt8] in [[255, 255, 255, 255], [1, 0, 0, 0], [], [3, 0, 0], Fixture.strings([[1], [2]])] {
      let slot = try instance.prepare([[1, 3]])
      var memory = torn
      let error = memory.withUnsafeMutableBytes { bytes -> DeviceError? in
        slot.inputs[0].memory = bytes
        return #expect(throws: DeviceError.self) { try Fixture.finish(instance, slot) }
      }
      #expect(error?.kind == .badInput)
    }
    let fine = try Fixture.run(instance, [([1, 3], Fixture.strings([[1], [2], [3]]))])
    #expect(fine[0].bytes == Fixture.strings([[3], [1], [2]]))
  }

  @Test func foreignMemoryOfNumbersIsReadInPlaceAndForgotten() throws {
    let instance = try Fixture.load(Fixture.path("topk"), rows: 2).makeInstance()
    var foreign: [Float] = [1, 5, 3]
    let slot = try instance.prepare([[1, 3]])
    let outputs = try foreign.withUnsafeMutableBytes { bytes in
      slot.inputs[0].memory = bytes
      return try Fixture.finish(instance, slot)
    }
    #expect(Fixture.values(outputs[1].bytes, as: Int64.self) == [1, 2])
    let own = try Fixture.run(instance, [([1, 3], Fixture.bytes([9, 8, 7] as [Float]))])
    #expect(Fixture.values(own[1].bytes, as: Int64.self) == [0, 1])
    let short = try instance.prepare([[1, 3]])
    let error = foreign.withUnsafeMutableBytes { bytes -> DeviceError? in
      short.inputs[0].memory = UnsafeMutableRawBufferPointer(rebasing: bytes[..<8])
      return #expect(throws: DeviceError.self) { try Fixture.finish(instance, short) }
    }
    #expect(error?.kind == .badInput)
  }

  @Test func withoutRowsShapesAreTheFilesOwn() throws {
    let model = try Fixture.load(Fixture.path("nonzero"), rows: 0)
    #expect(!model.hasRowDimension)
    #expect(model.signature.inputs[0].dims == [-1] && model.signature.outputs[0].dims == [1, -1])
    let instance = try model.makeInstance()
    let some = try Fixture.run(instance, [([4], Fixture.bytes([0, 2, 0, 3] as [Float]))])
    #expect(some[0].shape == [1, 2] && Fixture.values(some[0].bytes, as: Int64.self) == [1, 3])
    // No elements at all, in and out.
    let none = try Fixture.run(instance, [([4], Fixture.bytes([0, 0, 0, 0] as [Float]))])
    #expect(none[0].shape == [1, 0] && none[0].bytes.isEmpty)
    let empty = try Fixture.run(instance, [([0], [])])
    #expect(empty[0].shape == [1, 0])
  }

  @Test(arguments: [BuiltInHead.linear(layers: 2, hidden: 32), .encoder(layers: 1, hidden: 16, heads: 2, sequence: 4)])
  func ourOwnHeadsAgreeWithTheDoubleEvaluator(_ head: BuiltInHead) throws {
    let graph = try head.graph(seed: 5)
    var template = Array("/tmp/headroom-ort-XXXXXX".utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    defer {
      unlink(folder + "/model.onnx")
      rmdir(folder)
    }
    try Files.write(folder + "/model.onnx", try ONNXWriter.write(graph))
    let model = try Fixture.load(folder + "/model.onnx", rows: 7, threads: 2)
    var generator = SplitMix64(seed: 11)
    var dense: [String: DenseArray] = [:]
    var given: [(shape: [Int], bytes: [UInt8])] = []
    for (id, tensor) in zip(graph.inputs, model.signature.inputs) {
      #expect(graph[id].name == tensor.name)
      let shape = [7] + tensor.dims
      let count = shape.reduce(1, *)
      if tensor.dataType == .float32 {
        let values = (0..<count).map { _ in Float(generator.nextUnitDouble() * 2 - 1) }
        dense[tensor.name] = DenseArray(shape: shape, values: values.map(Double.init))
        given.append((shape, Fixture.bytes(values)))
      } else {
        try #require(tensor.dataType == .int64)
        let values = (0..<count).map { _ in Int64(clamping: generator.next() % 50) }
        dense[tensor.name] = DenseArray(shape: shape, values: values.map(Double.init))
        given.append((shape, Fixture.bytes(values)))
      }
    }
    let expected = try ReferenceEvaluator.evaluate(graph, inputs: dense)
    let outputs = try Fixture.run(try model.makeInstance(), given)
    #expect(outputs.count == expected.count)
    for (output, reference) in zip(outputs, expected) {
      let found = try #require(DenseArray(shape: output.shape, values: Fixture.values(output.bytes, as: Float.self).map(Double.init)))
      #expect(found.shape == reference.shape && reference.norm > 0.01)
      #expect(found.relativeDistance(to: reference) < 1e-5)
    }
  }

  @Test func instancesShareASessionAndRunAtOneTime() throws {
    let model = try Fixture.load(Fixture.path("topk"), rows: 4)
    let instances = try (0..<3).map { _ in try model.makeInstance() }
    let failures = Mutex<[String]>([])
    let group = ThreadGroup()
    for (number, instance) in instances.enumerated() {
      group.start {
        do {
          for round in 0..<200 {
            let best = Int64((number + round) % 6)
            let x = (0..<6).map { Float($0 == Int(best) ? 10 : 0) }
            let outputs = try Fixture.run(instance, [([1, 6], Fixture.bytes(x))])
            if Fixture.values(outputs[1].bytes, as: Int64.self).first != best { failures.withLock { $0.append("\(number) \(round)") } }
          }
        } catch {
          failures.withLock { $0.append("\(error)") }
        }
      }
    }
    group.wait()
    #expect(failures.withLock { $0 } == [])
  }

  @Test func oneLaunchABatchIsRecordedUnderTheModelsName() throws {
    let model = try Fixture.load(Fixture.path("topk"), rows: 4)
    #expect(model.steps(rows: 3).map(\.name) == ["onnxruntime (topk.onnx)"])
    let recorder = Recorder()
    let instance = try model.makeInstance()
    _ = try Fixture.run(instance, [([1, 3], Fixture.bytes([1, 2, 3] as [Float]))], recorder)
    _ = try Fixture.run(instance, [([1, 3], Fixture.bytes([1, 2, 3] as [Float]))], recorder)
    #expect(recorder.steps.withLock { $0 } == [0, 0])
  }

  // MARK: What is refused

  @Test func shapesTheModelDoesNotTakeAreTheRequestsFault() throws {
    let instance = try Fixture.load(Fixture.path("conv"), rows: 4).makeInstance()
    for shapes in [[[1, 1, 4, 5]], [[1, 1, 4]], [[5, 1, 4, 4]], [[-1, 1, 4, 4]], [], [[1, 1, 4, 4], [1]]] {
      let error = #expect(throws: DeviceError.self) { try instance.prepare(shapes) }
      #expect(error?.kind == .badInput)
    }
    let huge = try Fixture.load(Fixture.path("topk"), rows: 4).makeInstance()
    for columns in [Int.max, Int.max / 4, 1 << 60] {
      let error = #expect(throws: DeviceError.self) { try huge.prepare([[4, columns]]) }
      #expect(error?.kind == .badInput)
    }
    // The instance goes on.
    let outputs = try Fixture.run(huge, [([1, 2], Fixture.bytes([2, 1] as [Float]))])
    #expect(Fixture.values(outputs[0].bytes, as: Float.self) == [2, 1])
  }

  @Test func aRunThatFailsSaysWhyAndTheInstanceGoesOn() throws {
    let instance = try Fixture.load(Fixture.path("reshape"), rows: 0).makeInstance()
    let error = #expect(throws: DeviceError.self) { try Fixture.run(instance, [([2, 4], Fixture.bytes([Float](repeating: 1, count: 8)))]) }
    #expect(error?.kind == .batchFailed || error?.kind == .badInput)
    #expect(error?.description.contains("Reshape") == true, "\(error?.description ?? "")")
    let outputs = try Fixture.run(instance, [([2, 3], Fixture.bytes([1, 2, 3, 4, 5, 6] as [Float]))])
    #expect(outputs[0].shape == [2, 3])
    #expect(Fixture.values(outputs[0].bytes, as: Float.self) == [1, 2, 3, 4, 5, 6])
  }

  @Test func fewerColumnsThanAskedForFail() throws {
    let instance = try Fixture.load(Fixture.path("topk"), rows: 4).makeInstance()
    let error = #expect(throws: DeviceError.self) { try Fixture.run(instance, [([1, 1], Fixture.bytes([1] as [Float]))]) }
    #expect(error?.description.contains("topk") == true)
  }

  @Test func filesThatDoNotLoadSayWhich() throws {
    let missing = #expect(throws: DeviceError.self) { try Fixture.load("/nonexistent/model.onnx", rows: 1) }
    #expect(missing?.kind == .unsupported && missing?.description.contains("/nonexistent/model.onnx") == true)
    let garbage = #expect(throws: DeviceError.self) { try Fixture.load(#filePath, rows: 1) }
    #expect(garbage?.kind == .unsupported && garbage?.description.contains(#filePath) == true)
    let sequence = #expect(throws: DeviceError.self) { try Fixture.load(Fixture.path("sequence"), rows: 0) }
    #expect(sequence?.kind == .unsupported && sequence?.description.contains("'parts' is a sequence") == true)
    let fixed = #expect(throws: DeviceError.self) { try Fixture.load(Fixture.path("reshape"), rows: 2) }
    #expect(fixed?.description.contains("[2,-1], whose first dimension is not variable") == true)
  }

  @Test func graphsAndOtherPrecisionsAreRefused() throws {
    let device = ONNXRuntimeDevice(try #require(Fixture.library), threads: 0)
    #expect(device.description.computeUnits == 1 && device.description.name == "cpu" && !device.description.isSimulated)
    #expect(device.description.hardware.hasPrefix("ONNX Runtime 1."))
    let graph = try BuiltInHead.linear(layers: 1, hidden: 8).graph()
    let refused = #expect(throws: DeviceError.self) { try device.load(.graph(graph), LoadOptions(maximumBatchRows: 1)) }
    #expect(refused?.kind == .unsupported)
    let precise = #expect(throws: DeviceError.self) {
      try device.load(.onnxFile(Fixture.path("conv")), LoadOptions(maximumBatchRows: 1, precision: .bf16))
    }
    #expect(precise?.description.contains("bf16") == true)
  }

  @Test func nothingRunsWithoutPrepareOrAfterClose() throws {
    let model = try Fixture.load(Fixture.path("topk"), rows: 4)
    let (instance, other) = (try model.makeInstance(), try model.makeInstance())
    let slot = try instance.prepare([[1, 3]])
    #expect(throws: DeviceError.self) { try Fixture.finish(other, slot) }
    slot.inputs[0].memory.copyBytes(from: Fixture.bytes([1, 2, 3] as [Float]))
    _ = try Fixture.finish(instance, slot)
    #expect(throws: DeviceError.self) { try Fixture.finish(instance, slot) }
    instance.close()
    instance.close()
    let error = #expect(throws: DeviceError.self) { try instance.prepare([[1, 3]]) }
    #expect(error?.kind == .instanceLost)
  }

  /// 20,000 batches with values, statuses and type infos: a leak of one small object each would show as megabytes.
  // A sanitizer keeps what is freed: its memory says nothing of ours.
  @Test(.enabled(if: getenv("HEADROOM_SANITIZED") == nil)) func memoryStaysWhereItIs() throws {
    let instance = try Fixture.load(Fixture.path("topk"), rows: 4).makeInstance()
    func rounds(_ count: Int) throws {
      for round in 0..<count {
        _ = try Fixture.run(instance, [([1 + round % 3, 3], Fixture.bytes([Float](repeating: 1, count: 3 * (1 + round % 3))))])
        #expect(throws: DeviceError.self) { try Fixture.run(instance, [([1, 1], Fixture.bytes([1] as [Float]))]) }
      }
    }
    try rounds(500)
    let before = residentKilobytes()
    try rounds(10_000)
    #expect(residentKilobytes() - before < 16_000)
  }

  private func residentKilobytes() -> Int {
    guard let text = try? Files.readText("/proc/self/statm"), let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return 0 }
    return pages * 4
  }
}

/// Steps in the order they came.
private final class Recorder: LaunchRecorder {
  let steps = Mutex<[Int]>([])

  func record(_ kernel: KernelRun) {
    #expect(kernel.start <= kernel.end && kernel.stream < 0)
    steps.withLock { $0.append(Int(kernel.step)) }
  }

  func record(_ copy: CopyRun) { Issue.record("an engine on a processor copies nothing to a device") }
  func record(_ call: DriverCall) { Issue.record("there is no driver to call") }
  func record(_ synchronization: SynchronizationRun) { Issue.record("there is no driver to wait for") }
}
