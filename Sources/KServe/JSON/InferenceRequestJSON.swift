import CheckedNumbers
public import JSONReading
public import ModelConfiguration

/// The JSON of an inference request (`POST v2/models/M/infer`), read from a tape.
///
/// Members, order of checks and texts: triton-inference-server/server `src/http_server.cc`. What the reference server answers with 500
/// because the request's JSON is wrong is INVALID_ARGUMENT here, with its text.
public struct InferenceRequestJSON: Sendable {
  /// One input.
  public struct Input: Sendable {
    /// Tensor's name.
    public var name: String
    /// nil: a name the protocol does not know.
    public var dataType: TensorDataType?
    /// As stated, the row dimension included.
    public var shape: [Int]
    /// Where the elements are.
    public var source: Source
  }

  /// Where an input's bytes are.
  public enum Source: Sendable {
    /// They were in the JSON: packed.
    case json([UInt8])
    /// That many bytes behind the JSON, in order of the inputs.
    case binary(Int)
    case sharedMemory(region: String, offset: UInt64, byteSize: UInt64)
  }

  /// One output asked for.
  public struct Output: Sendable {
    /// Tensor's name.
    public var name: String
    /// 0: not asked for.
    public var classification: Int
    /// nil: as the request's `binary_data_output` says.
    public var isBinary: Bool?
    /// Region that takes the output instead of the answer.
    public var sharedMemory: (region: String, offset: UInt64, byteSize: UInt64)?
  }

  /// As sent; empty for none.
  public var id = ""
  /// 0: the model's default level.
  public var priority: UInt64 = 0
  /// Queue timeout asked for; 0: none.
  public var timeoutMicroseconds: UInt64 = 0
  /// `binary_data_output`: the default for outputs that do not say.
  public var binaryDataOutput = false
  /// The other parameters of the request.
  public var parameters: [String: KServeParameter] = [:]
  /// In the order sent.
  public var inputs: [Input] = []
  /// Empty: every output of the model.
  public var outputs: [Output] = []

  /// Reads the document on `tape`. `model` is named in errors.
  public init(_ tape: borrowing JSONTape, text: UnsafeRawBufferPointer, model: String) throws(KServeError) {
    let view = JSONView(tape, text)
    if let member = tape.member(0, "id", in: text) { id = try view.string(member, "id") }
    if let member = tape.member(0, "parameters", in: text) { try readParameters(member, view) }
    guard tape.nodes[0].kind == .object, let list = tape.member(0, "inputs", in: text) else {
      throw KServeError(.invalidArgument, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'")
    }
    guard tape.nodes[list].kind.isArray else {
      throw KServeError(.invalidArgument, "Unable to parse 'inputs': attempt to access JSON non-array as array")
    }
    // Few are compared, many are looked up: a body of the largest size may name a million.
    var names = Set<String>()
    for index in view.elements(list) {
      let input = try input(index, view)
      if inputs.count > 16 {
        if names.isEmpty { names = Set(inputs.map(\.name)) }
        if !names.insert(input.name).inserted { throw alreadyExists(input.name) }
      }
      inputs.append(input)
    }
    if let list = tape.member(0, "outputs", in: text) {
      guard tape.nodes[list].kind.isArray else {
        throw KServeError(.invalidArgument, "Unable to parse 'outputs': attempt to access JSON non-array as array")
      }
      for index in view.elements(list) { outputs.append(try Self.output(index, view)) }
    }
  }

  private mutating func readParameters(_ object: Int, _ view: borrowing JSONView) throws(KServeError) {
    guard view.tape.nodes[object].kind == .object else {
      throw KServeError(.invalidArgument, "Unable to parse 'parameters': attempt to access JSON non-object as object")
    }
    for (name, value) in view.members(object) {
      switch name {
      case "priority": priority = try view.unsigned(value, "priority")
      case "timeout": timeoutMicroseconds = try view.unsigned(value, "timeout")
      case "binary_data_output": binaryDataOutput = try view.bool(value, "binary_data_output")
      case "sequence_start", "sequence_end": parameters[name] = .bool(try view.bool(value, name))
      case "sequence_id":
        let node = view.tape.nodes[value]
        parameters[name] = node.kind == .string ? .string(view.string(value)) : .uint(try view.unsigned(value, "sequence_id"))
      case _ where name.hasPrefix("triton_") && name != "triton_enable_empty_final_response":
        throw KServeError(
          .invalidArgument, "parameter keys starting with 'triton_' are reserved for Triton and should not be specified.")
      default:
        let node = view.tape.nodes[value]
        switch node.kind {
        case .string: parameters[name] = .string(view.string(value))
        case .integer: parameters[name] = .int(Int64(node.first))
        case .bool: parameters[name] = .bool(node.first != 0)
        default:
          throw KServeError(
            .invalidArgument, "parameter '\(name)' has invalid type. It should be either 'int', 'bool', or 'string'.")
        }
      }
    }
  }

  private func alreadyExists(_ name: String) -> KServeError {
    KServeError(.invalidArgument, "[request id: \(id.isEmpty ? "<id_unknown>" : id)] input '\(name)' already exists in request")
  }

  private func input(_ object: Int, _ view: borrowing JSONView) throws(KServeError) -> Input {
    let name = try view.string(try view.required(object, "name"), "name")
    let typeName = try view.string(try view.required(object, "datatype"), "datatype")
    let type = TensorDataType(kserveName: typeName)
    let shape = try view.shape(try view.required(object, "shape"))
    if inputs.count <= 16, inputs.contains(where: { $0.name == name }) { throw alreadyExists(name) }
    let data = view.tape.member(object, "data", in: view.text)
    var byteCount: UInt64?
    var region: (region: String, offset: UInt64, byteSize: UInt64)?
    if let parameters = view.tape.member(object, "parameters", in: view.text) {
      if let size = view.tape.member(parameters, "binary_data_size", in: view.text) {
        byteCount = try view.unsigned(size, "binary_data_size")
      }
      region = try view.sharedMemory(parameters)
    }
    var set: [String] = []
    if data != nil { set.append("'data'") }
    if byteCount != nil { set.append("'binary_data_size'") }
    if region != nil { set.append("'shared_memory_region'") }
    guard set.count == 1 else {
      throw KServeError(
        .invalidArgument,
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in "
          + "'parameters'. But \(set.isEmpty ? "no field is set" : "set " + set.joined(separator: " "))")
    }
    if let byteCount { return Input(name: name, dataType: type, shape: shape, source: .binary(Int(clamping: byteCount))) }
    if let region {
      return Input(
        name: name, dataType: type, shape: shape,
        source: .sharedMemory(region: region.region, offset: region.offset, byteSize: region.byteSize))
    }
    guard let data else { throw KServeError(.invalidArgument, "Unable to parse 'data': no data") }
    guard let type else { throw KServeError(.invalidArgument, "invalid datatype for input \(name)") }
    let count = try Self.elements(shape, type, name)
    let bytes = count == 0 ? [] : try TensorJSON.bytes(data, type: type, count: count, tape: view.tape, text: view.text)
    if count == 0, shape.contains(0), view.tape.nodes[data].count > 0 {
      throw TensorJSON.fault("Shape does not match true shape of 'data' field")
    }
    return Input(name: name, dataType: type, shape: shape, source: .json(bytes))
  }

  /// Elements of an input whose data stands in the JSON: server `src/http_server.cc` (EVBufferToInput), `src/common.cc` (GetElementCount).
  private static func elements(_ shape: [Int], _ type: TensorDataType, _ name: String) throws(KServeError) -> Int {
    if shape.contains(0) { return 0 }
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if overflow {
        throw KServeError(
          .invalidArgument,
          "invalid shape for input '\(name)': shape [\(shape.map(String.init).joined(separator: ","))] causes total element count to exceed "
            + "maximum size of \(Int.max)")
      }
      count = product
    }
    if let size = type.bytesPerElement, count.multipliedReportingOverflow(by: size).overflow {
      throw KServeError(
        .invalidArgument,
        "byte size overflow for input '\(name)': element count (\(count)) * data type size (\(size)) exceeds maximum allowed size (\(Int.max))"
      )
    }
    return count
  }

  private static func output(_ object: Int, _ view: borrowing JSONView) throws(KServeError) -> Output {
    var output = Output(name: try view.string(try view.required(object, "name"), "name"), classification: 0, isBinary: nil)
    guard let parameters = view.tape.member(object, "parameters", in: view.text) else { return output }
    if let value = view.tape.member(parameters, "classification", in: view.text) {
      output.classification = Int(clamping: try view.unsigned(value, "classification"))
    }
    if let value = view.tape.member(parameters, "binary_data", in: view.text) { output.isBinary = try view.bool(value, "binary_data") }
    output.sharedMemory = try view.sharedMemory(parameters)
    return output
  }
}

/// A tape with its text, and typed access in the reference server's words (triton-inference-server/common `triton_json.h`).
struct JSONView {
  let tape: JSONTape
  let text: UnsafeRawBufferPointer

  init(_ tape: borrowing JSONTape, _ text: UnsafeRawBufferPointer) {
    self.tape = copy tape
    self.text = text
  }

  static func fault(_ name: String, _ what: String) -> KServeError { KServeError(.invalidArgument, "Unable to parse '\(name)': \(what)") }

  func string(_ index: Int) -> String { tape.string(index, in: text) }

  func required(_ object: Int, _ name: StaticString) throws(KServeError) -> Int {
    guard tape.nodes[object].kind == .object else { throw Self.fault("\(name)", "attempt to access JSON non-object as object") }
    guard let member = tape.member(object, name, in: text) else {
      throw Self.fault("\(name)", "attempt to access non-existing object member '\(name)'")
    }
    return member
  }

  func string(_ index: Int, _ name: String) throws(KServeError) -> String {
    guard tape.nodes[index].kind == .string else { throw Self.fault(name, "attempt to access JSON non-string as string") }
    return tape.string(index, in: text)
  }

  func unsigned(_ index: Int, _ name: String) throws(KServeError) -> UInt64 {
    let node = tape.nodes[index]
    guard node.kind == .unsigned || node.kind == .integer && node.first >= 0 else {
      throw Self.fault(name, "attempt to access JSON non-unsigned-integer as unsigned-integer")
    }
    return UInt64(UInt(bitPattern: node.first))
  }

  func bool(_ index: Int, _ name: String) throws(KServeError) -> Bool {
    guard tape.nodes[index].kind == .bool else { throw Self.fault(name, "attempt to access JSON non-boolean as boolean") }
    return tape.nodes[index].first != 0
  }

  func shape(_ index: Int) throws(KServeError) -> [Int] {
    let node = tape.nodes[index]
    switch node.kind {
    case .integers:
      let sizes = tape.numbers[node.first..<node.first + node.count]
      guard sizes.allSatisfy({ Int64(bitPattern: $0) >= 0 }) else { break }
      return sizes.map { Int(Int64(bitPattern: $0)) }
    case .array where node.count == 0: return []
    case .array:
      guard elements(index).allSatisfy({ tape.nodes[$0].kind == .integer && tape.nodes[$0].first >= 0 }) else { break }
      return elements(index).map { tape.nodes[$0].first }
    case .doubles: break
    default: throw Self.fault("shape", "attempt to access JSON non-array as array")
    }
    throw Self.fault("shape", "attempt to access JSON non-unsigned-integer as unsigned-integer")
  }

  func sharedMemory(_ parameters: Int) throws(KServeError) -> (region: String, offset: UInt64, byteSize: UInt64)? {
    guard let region = tape.member(parameters, "shared_memory_region", in: text) else { return nil }
    let name = try string(region, "shared_memory_region")
    var offset: UInt64 = 0
    if let value = tape.member(parameters, "shared_memory_offset", in: text) { offset = try unsigned(value, "shared_memory_offset") }
    let size = try unsigned(try required(parameters, "shared_memory_byte_size"), "shared_memory_byte_size")
    return (name, offset, size)
  }

  /// Indices of an array's elements; numbers of a run have no nodes of their own, and count as none.
  func elements(_ array: Int) -> [Int] {
    guard tape.nodes[array].kind == .array else { return [] }
    var indices: [Int] = []
    var index = array + 1
    for _ in 0..<tape.nodes[array].count {
      indices.append(index)
      index = tape.nodes[index].next
    }
    return indices
  }

  func members(_ object: Int) -> [(String, Int)] {
    guard tape.nodes[object].kind == .object else { return [] }
    var members: [(String, Int)] = []
    var index = object + 1
    for _ in 0..<tape.nodes[object].count {
      members.append((tape.string(index, in: text), index + 1))
      index = tape.nodes[index + 1].next
    }
    return members
  }
}
