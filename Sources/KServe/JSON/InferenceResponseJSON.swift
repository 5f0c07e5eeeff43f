import JSONReading
public import ModelConfiguration

/// Writes an inference's answer: the JSON, and for each output whether its bytes follow behind it.
public struct InferenceResponseJSON {
  /// The document so far.
  public var bytes: [UInt8]
  private var outputs = 0

  /// Starts an answer, in the reference server's order of members: id (when given), model_name, model_version, parameters, outputs.
  public init(model: String, version: String, id: String, isSimulated: Bool) {
    bytes = []
    // What most answers without tensors take, so that they grow once.
    bytes.reserveCapacity(256)
    bytes.append(UInt8(ascii: "{"))
    if !id.isEmpty {
      bytes += "\"id\":".utf8
      JSONString.write(id, into: &bytes)
      bytes.append(UInt8(ascii: ","))
    }
    bytes += "\"model_name\":".utf8
    JSONString.write(model, into: &bytes)
    bytes += ",\"model_version\":".utf8
    JSONString.write(version, into: &bytes)
    if isSimulated { bytes += ",\"parameters\":{\"simulated\":true}".utf8 }
    bytes += ",\"outputs\":[".utf8
  }

  private mutating func begin(_ name: String, _ type: TensorDataType, _ shape: [Int]) {
    if outputs > 0 { bytes.append(UInt8(ascii: ",")) }
    outputs += 1
    bytes += "{\"name\":".utf8
    JSONString.write(name, into: &bytes)
    bytes += ",\"datatype\":\"".utf8
    bytes += type.kserveName.utf8
    bytes += "\",\"shape\":[".utf8
    for (index, size) in shape.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      JSONNumber.write(size, into: &bytes)
    }
    bytes.append(UInt8(ascii: "]"))
  }

  /// An output whose bytes follow the JSON.
  public mutating func appendBinary(name: String, type: TensorDataType, shape: [Int], byteCount: Int) {
    begin(name, type, shape)
    bytes += ",\"parameters\":{\"binary_data_size\":".utf8
    JSONNumber.write(byteCount, into: &bytes)
    bytes += "}}".utf8
  }

  /// An output in the JSON. False where string elements are malformed.
  public mutating func append(name: String, type: TensorDataType, shape: [Int], data: UnsafeRawBufferPointer) -> Bool {
    begin(name, type, shape)
    bytes += ",\"data\":".utf8
    let isWell = TensorJSON.write(data, type: type, into: &bytes)
    bytes.append(UInt8(ascii: "}"))
    return isWell
  }

  /// An output that went into shared memory: the client said where, so the answer need not.
  public mutating func append(name: String, type: TensorDataType, shape: [Int]) {
    begin(name, type, shape)
    bytes += "}".utf8
  }

  /// Ends the document.
  public mutating func finish() { bytes += "]}".utf8 }
}
