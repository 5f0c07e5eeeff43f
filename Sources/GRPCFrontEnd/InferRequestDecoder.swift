import CheckedNumbers
import KServe
import ModelConfiguration
import NIOCore
import ProtobufWire
import Serving
import TimeBase

/// Reads a `ModelInferRequest` in one pass over its bytes. Field numbers: triton-inference-server/common `protobuf/grpc_service.proto`.
///
/// Raw contents and packed floats stay slices of the message. The texts of what is refused are those of triton-inference-server/server
/// `src/grpc/infer_handler.h` as far as they are known.
struct InferRequestDecoder {
  /// More tensors or parameters than this are a mistake or an attack: a claimed tensor costs two bytes on the wire and a hundred here.
  static let maximumEntries = 65_536

  private var message: ByteBuffer
  private var request: InferenceRequest
  private var contents: [[WireReader]] = []
  private var sharedMemory: [SharedMemoryTarget?] = []
  private var raw: [ByteBuffer] = []

  /// The request in a message, received when its first byte came.
  static func decode(_ message: ByteBuffer, received: Instant) -> Result<InferenceRequest, GRPCStatus> {
    // `withUnsafeReadableBytes` rethrows untyped, so the outcome is carried as a value.
    message.withUnsafeReadableBytes { bytes in
      var decoder = InferRequestDecoder(message, received: received)
      do {
        try decoder.read(WireReader(bytes))
        try decoder.joinContents()
        return .success(decoder.request)
      } catch let status as GRPCStatus {
        return .failure(status)
      } catch {
        // What the reference server answers for a message that is not protobuf.
        return .failure(.internalError("unable to parse ModelInferRequest: \(error)"))
      }
    }
  }

  /// Whose request it is, as far as that can be read: for the answer to one that cannot be read otherwise.
  static func origin(of message: ByteBuffer) -> (model: String, version: String, id: String) {
    message.withUnsafeReadableBytes { bytes in
      var origin = (model: "", version: "", id: "")
      var reader = WireReader(bytes)
      while let field = try? reader.next() {
        guard (1...3).contains(field.number), let text = try? field.payload?.text() else { continue }
        switch field.number {
        case 1: origin.model = text
        case 2: origin.version = text
        default: origin.id = text
        }
      }
      return origin
    }
  }

  private init(_ message: ByteBuffer, received: Instant) {
    self.message = message
    request = InferenceRequest(modelName: "", inputs: [], received: received, parsed: received)
    request.frontEnd = .grpc
    request.bytesIn = message.readableBytes
  }

  private mutating func read(_ whole: WireReader) throws {
    var reader = whole
    while true {
      let offset = reader.offset
      guard let field = try reader.next() else { break }
      switch field.number {
      case 1: request.modelName = try field.message(at: offset).text()
      case 2: request.modelVersion = try field.message(at: offset).text()
      case 3: request.id = try field.message(at: offset).text()
      case 4:
        let (name, value) = try WireParameter.entry(try field.message(at: offset))
        try set(name, value)
      case 5: try readInput(try field.message(at: offset))
      case 6: request.outputs.append(try Self.output(try field.message(at: offset)))
      case 7:
        let payload = try field.message(at: offset)
        raw.append(message.getSlice(at: message.readerIndex + payload.start, length: payload.count) ?? ByteBuffer())
      default: break
      }
      let entries = max(request.inputs.count, request.outputs.count, raw.count, request.parameters.count)
      guard entries <= Self.maximumEntries else {
        throw GRPCStatus.invalidArgument("more than \(Self.maximumEntries) tensors or parameters")
      }
    }
  }

  private mutating func readInput(_ whole: WireReader) throws {
    var reader = whole
    var input = InferenceRequest.Input(name: "", dataType: nil, shape: [], data: .one(ByteBuffer()))
    var parts: [WireReader] = []
    var region = SharedMemoryParameters()
    while true {
      let offset = reader.offset
      guard let field = try reader.next() else { break }
      switch field.number {
      case 1: input.name = try field.message(at: offset).text()
      case 2: input.dataType = TensorDataType(kserveName: try field.message(at: offset).text())
      case 3:
        guard var payload = field.payload else {
          input.shape.append(Int(truncatingIfNeeded: field.bits))
          break
        }
        while !payload.isAtEnd { input.shape.append(Int(truncatingIfNeeded: try payload.varint())) }
      case 4:
        let (name, value) = try WireParameter.entry(try field.message(at: offset))
        try region.set(name, value, tensor: input.name)
      case 5: parts.append(try field.message(at: offset))
      default: break
      }
    }
    sharedMemory.append(try region.target(tensor: input.name))
    contents.append(parts)
    request.inputs.append(input)
  }

  private static func output(_ whole: WireReader) throws -> InferenceRequest.Output {
    var reader = whole
    var output = InferenceRequest.Output(name: "")
    var region = SharedMemoryParameters()
    while true {
      let offset = reader.offset
      guard let field = try reader.next() else { break }
      switch field.number {
      case 1: output.name = try field.message(at: offset).text()
      case 2:
        let (name, value) = try WireParameter.entry(try field.message(at: offset))
        if name == "classification" {
          guard case .int(let count) = value else {
            throw Self.mismatch(name, "int64_param")
          }
          output.classification = Int(max(0, count))
        } else {
          try region.set(name, value, tensor: output.name)
        }
      default: break
      }
    }
    output.sharedMemory = try region.target(tensor: output.name)
    if output.sharedMemory != nil, output.classification > 0 {
      throw GRPCStatus.invalidArgument("output can't set both 'shared_memory_region' and 'classification'")
    }
    return output
  }

  private mutating func set(_ name: String, _ value: KServeParameter) throws {
    switch (name, value) {
    case ("priority", .uint(let priority)): request.priority = priority
    case ("priority", .int(let priority)):
      guard let value = UInt64(exactly: priority) else {
        throw GRPCStatus.invalidArgument("invalid value for 'priority', expected value >= 0.")
      }
      request.priority = value
    case ("priority", _): throw Self.mismatch(name, "int64_param or uint64_param")
    case ("timeout", .int(let timeout)):
      // The reference server takes a negative timeout for a very long one; nobody means that.
      guard let value = UInt64(exactly: timeout) else {
        throw GRPCStatus.invalidArgument("invalid value for 'timeout', expected value >= 0.")
      }
      request.timeoutMicroseconds = value
    case ("timeout", .uint(let timeout)): request.timeoutMicroseconds = timeout
    case ("timeout", _): throw Self.mismatch(name, "int64_param")
    case ("sequence_start", .bool), ("sequence_end", .bool), (Self.emptyFinal, .bool): request.parameters[name] = value
    case ("sequence_start", _), ("sequence_end", _), (Self.emptyFinal, _): throw Self.mismatch(name, "bool_param")
    case ("sequence_id", .bool), ("sequence_id", .double): throw Self.mismatch(name, "int64_param or string_param")
    // `headers` would forward request headers and `binary_data_output` belongs to HTTP: neither says anything here.
    case ("headers", _), ("binary_data_output", _): break
    default:
      if name.hasPrefix("triton_") {
        throw GRPCStatus.invalidArgument(
          "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with 'triton_' are "
            + "allowed: \(Self.emptyFinal)")
      }
      request.parameters[name] = value
    }
  }

  /// Asks a stream to mark its last answer even where that is empty; ours never are.
  private static let emptyFinal = "triton_enable_empty_final_response"

  private static func mismatch(_ name: String, _ expected: String) -> GRPCStatus {
    .invalidArgument("invalid value type for '\(name)' parameter, expected \(expected).")
  }

  /// Gives every input its bytes: typed contents, the next raw contents, or shared memory. Raw contents left over have no effect, as in the
  /// reference server.
  private mutating func joinContents() throws {
    let hasRaw = !raw.isEmpty
    var nextRaw = 0
    for index in request.inputs.indices {
      let name = request.inputs[index].name
      let model = request.modelName
      if let target = sharedMemory[index] {
        guard contents[index].isEmpty else {
          throw GRPCStatus.invalidArgument(
            "unexpected 'content' provided when using shared memory for input tensor '\(name)' for model '\(model)'")
        }
        request.inputs[index].data = .sharedMemory(target)
      } else if !contents[index].isEmpty {
        guard !hasRaw else {
          throw GRPCStatus.invalidArgument(
            "contents field must not be specified when using raw_input_contents for '\(name)' for model '\(model)'")
        }
        let typed = TensorContents(parts: contents[index])
        request.inputs[index].data = .one(try typed.packed(as: request.inputs[index].dataType, input: name, model: model, in: message))
      } else if nextRaw < raw.count {
        request.inputs[index].data = .one(raw[nextRaw])
        nextRaw += 1
      } else {
        throw GRPCStatus.invalidArgument("unable to find data for input tensor '\(name)' for model '\(model)' in request.")
      }
    }
  }
}
