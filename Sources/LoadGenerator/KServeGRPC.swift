import ProtobufWire

/// The messages of KServe v2's gRPC service that a generator needs (triton-inference-server/common `protobuf/grpc_service.proto`).
enum KServeGRPC {
  /// Name and version: ModelMetadataRequest, ModelConfigRequest and ModelStatisticsRequest alike.
  static func named(_ name: String, version: String?) -> [UInt8] {
    var writer = WireWriter()
    writer.text(1, name)
    if let version { writer.text(2, version) }
    return writer.bytes
  }

  /// The inputs of a ModelMetadataResponse.
  static func inputs(of message: [UInt8]) throws(WireError) -> [(name: String, dataType: String, shape: [Int64])] {
    var inputs: [(name: String, dataType: String, shape: [Int64])] = []
    try fields(of: message) { (field, offset) throws(WireError) in
      if field.number == 4 { inputs.append(try tensor(field.message(at: offset))) }
    }
    return inputs
  }

  /// Name, datatype and shape: fields 1 to 3 of a TensorMetadata and of an InferOutputTensor.
  private static func tensor(_ reader: WireReader) throws(WireError) -> (name: String, dataType: String, shape: [Int64]) {
    var (name, dataType) = ("", "")
    var shape: [Int64] = []
    try reader.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: name = try field.message(at: offset).text()
      case 2: dataType = try field.message(at: offset).text()
      case 3: try field.integers(into: &shape)
      default: break
      }
    }
    return (name, dataType, shape)
  }

  /// `max_batch_size` of a ModelConfigResponse; 0 where it is not written, as protobuf has it.
  static func maxBatchSize(of message: [UInt8]) throws(WireError) -> Int64 {
    var size: Int64 = 0
    try fields(of: message) { (field, offset) throws(WireError) in
      guard field.number == 1 else { return }
      try field.message(at: offset).forEachField { (field, _) throws(WireError) in
        if field.number == 4 { size = Int64(bitPattern: field.bits) }
      }
    }
    return size
  }

  /// The outputs of a ModelInferResponse with their raw bytes; nil where they do not come raw.
  static func outputs(of message: UnsafeRawBufferPointer) -> (outputs: [AnswerExpectation.Output], tensors: [UInt8])? {
    var outputs: [AnswerExpectation.Output] = []
    var lengths: [Int] = []
    var tensors: [UInt8] = []
    do throws(WireError) {
      try WireReader(message).forEachField { (field, offset) throws(WireError) in
        switch field.number {
        case 5:
          let tensor = try tensor(field.message(at: offset))
          outputs.append(.init(name: tensor.name, dataType: tensor.dataType, shape: tensor.shape, byteCount: nil))
        case 6:
          let bytes = try field.message(at: offset).rawBytes
          lengths.append(bytes.count)
          tensors += bytes
        default: break
        }
      }
    } catch { return nil }
    guard outputs.count == lengths.count else { return nil }
    for (index, length) in lengths.enumerated() { outputs[index].byteCount = length }
    return (outputs, tensors)
  }

  /// Counters of a ModelStatisticsResponse, all its versions together: rows, batches, requests, then nanoseconds of success, queue, input,
  /// inference and output.
  static func statistics(of message: [UInt8]) throws(WireError) -> (rows: Int64, batches: Int64, requests: Int64, nanoseconds: [Int64]) {
    var (rows, batches, requests): (Int64, Int64, Int64) = (0, 0, 0)
    var nanoseconds: [Int64] = [0, 0, 0, 0, 0]
    // success 1, (fail 2), queue 3, compute_input 4, compute_infer 5, compute_output 6.
    let positions = [1: 0, 3: 1, 4: 2, 5: 3, 6: 4]
    try fields(of: message) { (model, offset) throws(WireError) in
      guard model.number == 1 else { return }
      try model.message(at: offset).forEachField { (field, offset) throws(WireError) in
        switch field.number {
        case 4: rows &+= Int64(bitPattern: field.bits)
        case 5: batches &+= Int64(bitPattern: field.bits)
        case 6:
          try field.message(at: offset).forEachField { (phase, offset) throws(WireError) in
            guard let position = positions[phase.number] else { return }
            try phase.message(at: offset).forEachField { (part, _) throws(WireError) in
              if part.number == 1, position == 0 { requests &+= Int64(bitPattern: part.bits) }
              if part.number == 2 { nanoseconds[position] &+= Int64(bitPattern: part.bits) }
            }
          }
        default: break
        }
      }
    }
    return (rows, batches, requests, nanoseconds)
  }

  private static func fields(of message: [UInt8], _ body: (WireField, Int) throws(WireError) -> Void) throws(WireError) {
    // A closure that throws a typed error through withUnsafeBytes.
    let result = message.withUnsafeBytes { bytes -> Result<Void, WireError> in
      do throws(WireError) {
        try WireReader(bytes).forEachField(body)
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }
}
