import CheckedNumbers
import KServe
import ModelConfiguration
import NIOCore
import Serving

/// Writes a `ModelInferResponse`, alone or inside a `ModelStreamInferResponse`, with gRPC's prefix in front.
/// Field numbers: triton-inference-server/common `protobuf/grpc_service.proto`.
///
/// Tensors always travel as `raw_output_contents`, one for each output and in its order, as the reference server does it; one that went into
/// shared memory leaves an empty entry there.
struct InferResponseEncoder {
  /// Tensors of this size or more are not copied behind the head but follow as buffers of their own.
  static let smallestApart = 16_384

  private let response: InferenceResponse
  private var outputSizes: [(whole: Int, shape: Int, parameters: Int)] = []
  private var parameters: [(name: String, value: Bool)] = []

  private init(_ response: InferenceResponse, isStreamed: Bool) {
    self.response = response
    if response.isSimulated { parameters.append(("simulated", true)) }
    // Every streamed answer carries it, and every request has one answer (triton-inference-server/server
    // `src/grpc/stream_infer_handler.cc`).
    if isStreamed { parameters.append(("triton_final_response", true)) }
  }

  /// The framed message, in pieces to be sent one after the other.
  static func encode(_ response: InferenceResponse, allocator: ByteBufferAllocator) throws(GRPCStatus) -> [ByteBuffer] {
    var encoder = InferResponseEncoder(response, isStreamed: false)
    let size = encoder.size()
    return try encoder.write(prefix: size, allocator: allocator) { _ in }
  }

  /// The same as the second field of a `ModelStreamInferResponse`, behind an error if there is one.
  static func encodeStreamed(
    _ response: InferenceResponse, error: String = "", allocator: ByteBufferAllocator
  ) throws(GRPCStatus) -> [ByteBuffer] {
    var encoder = InferResponseEncoder(response, isStreamed: true)
    let size = encoder.size()
    return try encoder.write(prefix: ProtobufSize.text(error) + ProtobufSize.field(count: size), allocator: allocator) {
      $0.writeField(1, text: error)
      $0.writeField(2, count: size)
    }
  }

  private static func size(of parameter: (name: String, value: Bool)) -> Int {
    // A bool's InferParameter is two bytes: its number and 0 or 1. A choice is written even when it is false.
    ProtobufSize.text(parameter.name) + ProtobufSize.field(count: 2)
  }

  /// Size of the message; fills what `write` needs again.
  private mutating func size() -> Int {
    var size = ProtobufSize.text(response.modelName) + ProtobufSize.text(response.modelVersion) + ProtobufSize.text(response.id)
    for parameter in parameters { size += ProtobufSize.field(count: Self.size(of: parameter)) }
    outputSizes.reserveCapacity(response.outputs.count)
    for output in response.outputs {
      var shape = 0
      for dimension in output.shape { shape += ProtobufSize.varint(UInt64(bitPattern: Int64(dimension))) }
      var parameters = 0
      if let target = output.sharedMemory {
        for entry in Self.entries(of: target) { parameters += ProtobufSize.field(count: entry.count) }
      }
      let whole =
        ProtobufSize.text(output.name) + ProtobufSize.text(output.dataType.kserveName)
        + (shape == 0 ? 0 : ProtobufSize.field(count: shape)) + parameters
      outputSizes.append((whole, shape, parameters))
      size += ProtobufSize.field(count: whole) + ProtobufSize.field(count: Self.rawCount(output))
    }
    return size
  }

  private static func rawCount(_ output: InferenceResponse.Output) -> Int { output.sharedMemory == nil ? output.data.readableBytes : 0 }

  private func write(
    prefix size: Int, allocator: ByteBufferAllocator, before: (inout ByteBuffer) -> Void
  ) throws(GRPCStatus) -> [ByteBuffer] {
    guard let length = UInt32(exactly: size) else { throw .resourceExhausted("the answer of \(size) bytes is larger than gRPC can carry") }
    var apart = 0
    for output in response.outputs where Self.rawCount(output) >= Self.smallestApart { apart += Self.rawCount(output) }
    var pieces: [ByteBuffer] = []
    var buffer = allocator.buffer(capacity: size - apart + 5)
    buffer.writeInteger(0, as: UInt8.self)
    buffer.writeInteger(length)
    before(&buffer)
    buffer.writeField(1, text: response.modelName)
    buffer.writeField(2, text: response.modelVersion)
    buffer.writeField(3, text: response.id)
    for parameter in parameters {
      buffer.writeField(4, count: Self.size(of: parameter))
      buffer.writeField(1, text: parameter.name)
      buffer.writeField(2, count: 2)
      buffer.writeInteger(1 << 3, as: UInt8.self)
      buffer.writeInteger(parameter.value ? 1 : 0, as: UInt8.self)
    }
    for (output, sizes) in zip(response.outputs, outputSizes) {
      buffer.writeField(5, count: sizes.whole)
      buffer.writeField(1, text: output.name)
      buffer.writeField(2, text: output.dataType.kserveName)
      if sizes.shape > 0 {
        buffer.writeField(3, count: sizes.shape)
        for dimension in output.shape { buffer.writeVarint(UInt64(bitPattern: Int64(dimension))) }
      }
      if let target = output.sharedMemory {
        for entry in Self.entries(of: target) {
          buffer.writeField(4, count: entry.count)
          buffer.writeBytes(entry)
        }
      }
    }
    for output in response.outputs {
      let count = Self.rawCount(output)
      buffer.writeField(6, count: count)
      if count >= Self.smallestApart {
        pieces.append(buffer)
        pieces.append(output.data)
        buffer = ByteBuffer()
      } else if count > 0 {
        buffer.writeImmutableBuffer(output.data)
      }
    }
    if buffer.readableBytes > 0 { pieces.append(buffer) }
    return pieces
  }

  /// Parameters of an output that went into shared memory, as map entries.
  private static func entries(of target: SharedMemoryTarget) -> [[UInt8]] {
    func entry(_ name: String, _ build: (inout ByteBuffer) -> Void) -> [UInt8] {
      var value = ByteBuffer()
      build(&value)
      var entry = ByteBuffer()
      entry.writeField(1, text: name)
      entry.writeField(2, count: value.readableBytes)
      entry.writeImmutableBuffer(value)
      return Array(entry.readableBytesView)
    }
    func number(_ name: String, _ value: Int) -> [UInt8] {
      entry(name) {
        $0.writeInteger(2 << 3, as: UInt8.self)
        $0.writeVarint(UInt64(bitPattern: Int64(value)))
      }
    }
    var entries = [
      entry("shared_memory_region") { $0.writeField(3, text: target.region) }, number("shared_memory_byte_size", target.byteSize),
    ]
    if target.offset != 0 { entries.append(number("shared_memory_offset", target.offset)) }
    return entries
  }
}
