import KServe
import ModelConfiguration
import NIOCore
import NIOEmbedded
import ProtobufWire
import Testing
import TimeBase

@testable import GRPCFrontEnd
@testable import Serving

@Suite struct InferRequestTests {
  /// A request as a client's protobuf library would write it.
  static func request(
    model: String = "m", shape: [Int] = [1, 4], raw: [UInt8]? = [1, 2, 3, 4], contents: ((inout WireWriter) -> Void)? = nil
  ) -> [UInt8] {
    var writer = WireWriter()
    writer.text(1, model)
    writer.text(2, "1")
    writer.text(3, "id")
    writer.message(4) { entry in
      entry.text(1, "priority")
      entry.message(2) { $0.integer(5, 3) }
    }
    writer.message(4) { entry in
      entry.text(1, "own")
      entry.message(2) { $0.text(3, "value") }
    }
    writer.message(5) { input in
      input.text(1, "input")
      input.text(2, "UINT8")
      var packed = WireWriter()
      for dimension in shape { packed.varint(UInt64(bitPattern: Int64(dimension))) }
      input.bytes(3, packed.bytes)
      if let contents { input.message(5, contents) }
    }
    writer.message(6) { output in
      output.text(1, "output")
      output.message(2) { entry in
        entry.text(1, "classification")
        entry.message(2) { $0.integer(2, 2) }
      }
    }
    if let raw { writer.bytes(7, raw) }
    return writer.bytes
  }

  static func decode(_ bytes: [UInt8]) throws -> InferenceRequest {
    // Not at the buffer's start: places in the message must not be mistaken for places in the buffer.
    var buffer = ByteBuffer(bytes: [9, 9, 9] + bytes)
    buffer.moveReaderIndex(forwardBy: 3)
    return try InferRequestDecoder.decode(buffer, received: .zero).get()
  }

  static func bytes(_ data: TensorBytes) -> [UInt8] {
    if case .one(let buffer) = data { Array(buffer.readableBytesView) } else { [] }
  }

  @Test func everyFieldArrives() throws {
    let request = try Self.decode(Self.request(shape: [1, -1, 4]))
    #expect((request.modelName, request.modelVersion, request.id, request.priority) == ("m", "1", "id", 3))
    #expect(request.parameters == ["own": .string("value")])
    #expect(request.inputs.count == 1 && request.outputs.count == 1)
    #expect(request.inputs[0].shape == [1, -1, 4] && request.inputs[0].dataType == .uint8)
    #expect(Self.bytes(request.inputs[0].data) == [1, 2, 3, 4])
    #expect(request.outputs[0].name == "output" && request.outputs[0].classification == 2)
  }

  @Test func typedContentsBecomePackedBytes() throws {
    func typed(_ contents: @escaping (inout WireWriter) -> Void) throws -> [UInt8] {
      Self.bytes(try Self.decode(Self.request(raw: nil, contents: contents)).inputs[0].data)
    }
    // Packed, unpacked, and in two parts that protobuf merges.
    #expect(try typed { $0.bytes(4, [1, 2, 3]) } == [1, 2, 3])
    #expect(
      try typed {
        $0.integer(4, 5)
        $0.bytes(4, [6])
      } == [5, 6])
    #expect(throws: GRPCStatus.self) { try typed { $0.bytes(6, [0, 0, 0, 0]) } }
    #expect(throws: GRPCStatus.self) { try Self.decode(Self.request(raw: nil)) }
    #expect(throws: GRPCStatus.self) { try Self.decode(Self.request(contents: { $0.bytes(4, [1]) })) }
  }

  @Test func sharedMemoryStandsForContents() throws {
    func request(_ parameters: [(String, Int64?)], raw: [UInt8]? = nil) throws -> InferenceRequest {
      var writer = WireWriter()
      writer.message(5) { input in
        input.text(1, "input")
        for (name, number) in parameters {
          input.message(4) { entry in
            entry.text(1, name)
            entry.message(2) { value in if let number { value.integer(2, number) } else { value.text(3, "region") } }
          }
        }
      }
      if let raw { writer.bytes(7, raw) }
      return try Self.decode(writer.bytes)
    }
    let whole = try request([("shared_memory_byte_size", 64), ("shared_memory_region", nil), ("shared_memory_offset", 8)])
    guard case .sharedMemory(let target) = whole.inputs[0].data else {
      Issue.record("the input is not in shared memory")
      return
    }
    #expect(target == SharedMemoryTarget(region: "region", offset: 8, byteSize: 64))
    let wrong: [[(String, Int64?)]] = [
      [("shared_memory_region", nil)], [("shared_memory_byte_size", 1)], [("shared_memory_offset", 1)],
      [("shared_memory_region", nil), ("shared_memory_byte_size", -1)], [("shared_memory_region", 1)],
    ]
    for parameters in wrong { #expect(throws: GRPCStatus.self) { try request(parameters, raw: [1]) } }
  }

  @Test func noBytesTrap() {
    var random = SplitMix64(seed: 1)
    let valid = Self.request() + Self.request(raw: nil, contents: { $0.bytes(4, [1, 2, 3]) })
    for _ in 0..<20_000 {
      var bytes = valid
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes = (0..<Int.random(in: 0..<80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      case 1: bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
      default: for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
      }
      if let request = try? Self.decode(bytes) {
        let held = request.inputs.reduce(0) { $0 + Self.bytes($1.data).count }
        // A bool or small integer of one byte becomes eight at most, a string's length adds four to its two.
        #expect(held <= 8 * bytes.count)
      }
      let control = ControlCalls(service: FakeService(), loop: EmbeddedEventLoop(), bearerToken: nil)
      for method in GRPCMethod.allCases { control.answer(method, ByteBuffer(bytes: bytes.prefix(40))) { _ in } }
    }
  }

  @Test func tooManyTensorsAreRefused() {
    var writer = WireWriter()
    for _ in 0...InferRequestDecoder.maximumEntries { writer.bytes(5, [UInt8]()) }
    #expect(throws: GRPCStatus.self) { try Self.decode(writer.bytes) }
  }
}

@Suite struct InferResponseTests {
  @Test(arguments: [0, 1, 100, 16_383, 16_384, 100_000]) func thePrefixIsTheMessagesLength(size: Int) throws {
    let data = ByteBuffer(repeating: 7, count: size)
    let response = InferenceResponse(
      modelName: "model", modelVersion: "1", id: String(repeating: "i", count: 200),
      outputs: [
        .init(name: "a", dataType: .uint8, shape: [1, size, -1], data: data),
        .init(name: "b", dataType: .float32, shape: [], data: data),
        .init(
          name: "c", dataType: .bool, shape: [3], data: ByteBuffer(),
          sharedMemory: SharedMemoryTarget(region: "r", offset: 300, byteSize: 5)),
      ], isSimulated: true)
    let allocator = ByteBufferAllocator()
    Self.check(try InferResponseEncoder.encodeStreamed(response, allocator: allocator), field: 2)
    let pieces = try InferResponseEncoder.encode(response, allocator: allocator)
    let bytes = Self.check(pieces, field: nil)
    bytes.withUnsafeBytes { bytes in
      var raw: [Int] = []
      var reader = WireReader(bytes)
      while let field = try? reader.next() { if field.number == 6 { raw.append(field.payload?.count ?? -1) } }
      #expect(raw == [size, size, 0])
      #expect(reader.isAtEnd)
    }
    // Large tensors are not copied: they are pieces of their own.
    #expect(pieces.count == (size >= InferResponseEncoder.smallestApart ? 5 : 1))
  }

  @discardableResult static func check(_ pieces: [ByteBuffer], field: Int?) -> [UInt8] {
    var whole = pieces.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
    #expect(whole.readInteger(as: UInt8.self) == 0)
    #expect(whole.readInteger(as: UInt32.self).map { Int($0) } == whole.readableBytes)
    let bytes = Array(whole.readableBytesView)
    if let field {
      bytes.withUnsafeBytes { bytes in
        var reader = WireReader(bytes)
        #expect((try? reader.next())?.number == field)
        #expect(reader.isAtEnd)
      }
    }
    return bytes
  }
}
