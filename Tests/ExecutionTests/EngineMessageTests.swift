import ModelConfiguration
import Testing
import TimeBase

@testable import Execution

/// What the server and an engine's process say to each other, as bytes.
@Suite struct EngineMessageTests {
  private static let signature = ModelSignature(
    inputs: [
      .init(name: "x", dataType: .float16, dims: [-1, 3]), .init(name: "texts", dataType: .string, dims: [], isOptional: true),
    ], outputs: [.init(name: "y", dataType: .uint64, dims: [0])])

  private static var options: ONNXRuntimeOptions {
    var options = ONNXRuntimeOptions()
    (options.intraThreads, options.isParallel, options.optimization) = (3, true, .extended)
    (options.usesArena, options.shrinksArena) = (true, "cpu:0")
    options.entries = [.init(key: "session.set_denormal_as_zero", value: "1")]
    return options
  }

  static let messages: [EngineMessage] = [
    .hello(program: "0.1.0"), .hello(program: ""), .attach(7), .attached, .failed(DeviceError(.badInput, "line 1\nline 2 \u{1F600}")),
    .load(EngineLoad(.onnxRuntime(library: "/lib/a.so", path: "m/1/model.onnx", threads: 4, options: options))),
    .load(EngineLoad(.identity(signature, hasRows: true, delay: .milliseconds(3), fault: .signal(batch: 2, 8)))),
    .load(EngineLoad(.identity(signature, hasRows: false, delay: .zero, fault: nil))),
    .loaded(EngineLoaded(signature: signature, hasRows: false, weightBytes: 1 << 40, omissible: [1], step: "onnxruntime (m)")),
    .run(EngineRun(inputs: [EngineTensor(shape: [2, 3], offset: 64, byteCount: 12), nil], regionBytes: 76)),
    .ran(
      EngineRan(outputs: [EngineTensor(shape: [], offset: 0, byteCount: 8)], regionBytes: 8, inputsReady: 5, computeEnd: .max)),
  ]

  private func decode(_ frame: [UInt8]) throws(EngineMessageError) -> EngineMessage {
    let header = try EngineMessage.header(frame.prefix(EngineMessage.headerBytes))
    return try EngineMessage(kind: header.kind, payload: frame.dropFirst(EngineMessage.headerBytes))
  }

  @Test(arguments: messages) func everyMessageComesBackAsItWas(_ message: EngineMessage) throws {
    var frame: [UInt8] = [1, 2, 3]
    message.encode(into: &frame)
    #expect(try decode(frame) == message)
    #expect(try EngineMessage.header(frame.prefix(16)).payloadBytes == frame.count - 16)
  }

  @Test(arguments: messages) func aFrameThatIsCutOrHasMoreIsNoMessage(_ message: EngineMessage) throws {
    var frame: [UInt8] = []
    message.encode(into: &frame)
    for count in 16..<max(16, frame.count) { #expect(throws: EngineMessageError.self) { try decode(Array(frame.prefix(count))) } }
    #expect(throws: EngineMessageError.self) { try decode(frame + [0]) }
  }

  @Test func anotherVersionIsAnErrorThatNamesBoth() throws {
    var frame: [UInt8] = []
    EngineMessage.attached.encode(into: &frame, version: 9)
    let error = #expect(throws: EngineMessageError.self) { try EngineMessage.header(frame.prefix(16)) }
    #expect(error == .version(theirs: 9, ours: EngineMessage.version))
    #expect(error?.description.contains("version 9") == true)
    #expect(error?.description.contains("version \(EngineMessage.version)") == true)
  }

  @Test func whatDoesNotBeginWithTheMagicIsNoMessage() {
    #expect(throws: EngineMessageError.self) { try EngineMessage.header(ArraySlice([UInt8](repeating: 0x48, count: 16))) }
    #expect(throws: EngineMessageError.self) { try EngineMessage.header([]) }
  }

  @Test func lengthsThatAreOnlyClaimedAllocateNothing() {
    // A payload, a text and a list of 4 GiB each: refused by what is there.
    var frame: [UInt8] = []
    EngineMessage.attached.encode(into: &frame)
    frame.replaceSubrange(8..<12, with: [255, 255, 255, 255])
    #expect(throws: EngineMessageError.self) { try EngineMessage.header(frame.prefix(16)) }
    for kind in UInt16(1)...8 {
      #expect(throws: EngineMessageError.self) { try EngineMessage(kind: kind, payload: [255, 255, 255, 255, 1]) }
    }
  }

  @Test func randomBytesNeverTrap() {
    var generator = SplitMix64(seed: 5)
    for _ in 0..<20_000 {
      let bytes = (0..<Int(clamping: generator.next() % 64)).map { _ in
        UInt8(truncatingIfNeeded: generator.next() % 5 == 0 ? generator.next() : 1)
      }
      for kind in UInt16(0)...9 { _ = try? EngineMessage(kind: kind, payload: bytes[...]) }
    }
  }

  @Test func aTensorFitsOnlyWhereItsShapeAndPlaceSay() {
    func tensor(_ shape: [Int], _ offset: Int, _ bytes: Int) -> EngineTensor {
      EngineTensor(shape: shape, offset: offset, byteCount: bytes)
    }
    #expect(tensor([2, 3], 8, 24).fits(32, elementBytes: 4))
    #expect(!tensor([2, 3], 9, 24).fits(32, elementBytes: 4), "beyond the end")
    #expect(!tensor([2, 3], 0, 23).fits(32, elementBytes: 4), "too few bytes for the shape")
    #expect(!tensor([.max, 3], 0, 24).fits(32, elementBytes: 4), "a product beyond every number")
    #expect(!tensor([1], .max, 4).fits(32, elementBytes: 4), "an end beyond every number")
    #expect(tensor([9], 0, 5).fits(32, elementBytes: nil), "strings are counted elsewhere")
  }

  @Test func aLongErrorIsCut() throws {
    var frame: [UInt8] = []
    EngineMessage.failed(DeviceError(.batchFailed, String(repeating: "x", count: 1 << 20))).encode(into: &frame)
    #expect(frame.count < 1 << 16)
    guard case .failed(let error) = try decode(frame) else { return #expect(Bool(false), "no error came back") }
    #expect(error.description.hasSuffix(" ..."))
  }
}

extension EngineMessage: CustomTestStringConvertible {
  /// What the test's name says of it.
  public var testDescription: String { "kind \(kind)" }
}
