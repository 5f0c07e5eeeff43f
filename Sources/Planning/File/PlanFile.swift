import CheckedNumbers
public import FileAccess
import GPUModel
import Glibc
import JSONText
import ModelGraph

/// Why a plan file cannot be used.
public struct PlanFileError: Error, Equatable, CustomStringConvertible {
  /// The file.
  public var path: String
  /// What was wrong, with the place.
  public var reason: String
  /// "seqlen.plan: ...".
  public var description: String { "\(path): \(reason)" }
}

/// Plans on disk.
///
///     0    8  "HEADPLAN"
///     8    4  version, little-endian; readers refuse a newer one
///     12   4  zero
///     16   8  length of the description, a JSON text that starts at byte 128
///     24   8  length of the file
///     32  32  SHA-256 of bytes 0 to 31 and the description
///     64  64  zero
///     128     description, zeros up to a multiple of 64, then the weights, each at a multiple of 64
///
/// The description names every weight with type, sizes, offset and SHA-256, so that weights can be mapped where they lie. Offset -1: left out.
public enum PlanFile {
  /// The version that is written.
  public static let version: UInt32 = 1
  /// What every plan file begins with: a TensorRT engine, which repositories keep under the same name, does not.
  public static let magic = Array("HEADPLAN".utf8)
  static let headerSize = 128
  static let alignment = 64
  /// Constants up to this size are shapes, scalars and indices that the plan needs; they are kept even where weights are left out.
  static let smallConstantBytes = 1024

  /// Writes a plan beside `path` and renames it into place. Weights are streamed one by one.
  public static func write(_ plan: Plan, to path: String, includingWeights: Bool = true) throws(FileError) {
    var weights: [JSONValue] = []
    var placed: [(offset: Int, tensor: Tensor)] = []
    var relative = 0
    for (id, tensor) in plan.graph.constants.sorted(by: { $0.key < $1.key }) {
      let kept =
        !(tensor.storage is AbsentStorage) && ((includingWeights && plan.hasWeights) || tensor.storage.byteCount <= smallConstantBytes)
      let digest = kept ? tensor.storage.withBytes { bytes in hexadecimal(digestOf: bytes) } : ""
      weights.append([
        "value": JSONValue(id.index), "name": JSONValue(plan.graph[id].name), "type": JSONValue(tensor.type.rawValue),
        "shape": .array(tensor.shape.map { JSONValue($0) }), "offset": JSONValue(kept ? relative : -1), "sha256": JSONValue(digest),
      ])
      if kept {
        placed.append((relative, tensor))
        relative += (tensor.storage.byteCount + alignment - 1) / alignment * alignment
      }
    }
    let description = Array(self.description(plan, weights: .array(weights)).serialized(pretty: false).utf8)
    let base = (headerSize + description.count + alignment - 1) / alignment * alignment
    var header =
      magic + bytes(version, 4) + bytes(UInt32(0), 4) + bytes(UInt64(clamping: description.count), 8)
      + bytes(UInt64(clamping: base + relative), 8)
    header += SHA256.digest(header + description)
    header += [UInt8](repeating: 0, count: headerSize - header.count)
    let writer = try FileWriter(path)
    try writer.append(header + description + [UInt8](repeating: 0, count: base - headerSize - description.count))
    for (_, tensor) in placed {
      let result = tensor.storage.withBytes { raw in Result { () throws(FileError) in try writer.append(raw) } }
      try result.get()
      let rest = (alignment - tensor.storage.byteCount % alignment) % alignment
      try writer.append([UInt8](repeating: 0, count: rest))
    }
    try writer.finish()
  }

  /// Reads a plan; weights stay in the mapped file. With `verifyingWeights` every weight's digest is computed, which reads the whole file.
  public static func read(_ path: String, verifyingWeights: Bool = true) throws(PlanFileError) -> Plan {
    func fail(_ reason: String) -> PlanFileError { PlanFileError(path: path, reason: reason) }
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch { throw fail("cannot \(error.action) the file: \(error.reason)") }
    let storage = MappedStorage(file)
    if file.count < headerSize { throw fail("\(file.count) bytes are too few for a plan's header of \(headerSize)") }
    let header = file.withBytes { Array($0[0..<headerSize]) }
    if Array(header[0..<8]) != magic { throw fail("not a plan file: it does not begin with HEADPLAN") }
    let found = UInt32(truncatingIfNeeded: number(header, at: 8, 4))
    if found > version { throw fail("version \(found) is newer than \(version), which this program reads; update it") }
    if found == 0 || number(header, at: 12, 4) != 0 || header[64...].contains(where: { $0 != 0 }) { throw fail("the header is damaged") }
    let (length, total) = (number(header, at: 16, 8), number(header, at: 24, 8))
    if total != UInt64(clamping: file.count) {
      throw fail("the header says \(total) bytes, the file has \(file.count): it is truncated or was added to")
    }
    guard length <= UInt64(clamping: file.count - headerSize) else { throw fail("a description of \(length) bytes does not fit the file") }
    let end = headerSize + Int(clamping: length)
    let description = file.withBytes { Array($0[headerSize..<end]) }
    if SHA256.digest(Array(header[0..<32]) + description) != Array(header[32..<64]) {
      throw fail("the checksum of header and description does not match: the file is damaged")
    }
    let json: JSONValue
    do throws(JSONError) { json = try JSONValue.parse(description) } catch { throw fail("description, \(error)") }
    let base = (end + alignment - 1) / alignment * alignment
    if base > file.count || file.withBytes({ $0[end..<min(base, file.count)].contains { $0 != 0 } }) {
      throw fail("bytes \(end) to \(base) are not zero")
    }
    return try plan(json, storage, base: base, verifying: verifyingWeights, fail)
  }

  // MARK: description

  private static func description(_ plan: Plan, weights: JSONValue) -> JSONValue {
    let graph = plan.graph
    return [
      "schema": "headroom.planfile/1", "gpu": plan.gpu.json, "calibration": plan.model.calibration.json,
      "calibrationMeasured": .bool(plan.model.calibration.isMeasured), "dataType": JSONValue(plan.type.rawValue),
      "rewrites": .array(plan.rewrites.map { JSONValue($0) }), "maxRows": JSONValue(plan.maxRows), "graph": JSONValue(graph.name),
      "values": .array(
        graph.values.map { ["name": JSONValue($0.name), "type": JSONValue($0.type.rawValue), "shape": OperationCoding.json($0.shape)] }),
      "nodes": .array(
        graph.nodes.map { node in
          [
            "name": JSONValue(node.name), "operation": OperationCoding.json(node.operation),
            "inputs": .array(node.inputs.map { JSONValue($0?.index ?? -1) }), "outputs": .array(node.outputs.map { JSONValue($0.index) }),
          ]
        }),
      "inputs": .array(graph.inputs.map { JSONValue($0.index) }), "outputs": .array(graph.outputs.map { JSONValue($0.index) }),
      "weights": weights,
    ]
  }

  private static func plan(
    _ json: JSONValue, _ file: any TensorStorage, base: Int, verifying: Bool, _ fail: (String) -> PlanFileError
  ) throws(PlanFileError) -> Plan {
    func list(_ name: String) throws(PlanFileError) -> [JSONValue] {
      guard let list = json[name]?.arrayValue else { throw fail("description: \"\(name)\" is missing") }
      return list
    }
    func text(_ name: String) throws(PlanFileError) -> String {
      guard let text = json[name]?.stringValue else { throw fail("description: \"\(name)\" is missing") }
      return text
    }
    func identifiers(_ value: JSONValue?, _ place: String, _ count: Int) throws(PlanFileError) -> [ValueID?] {
      guard let numbers = value?.arrayValue.flatMap(OperationCoding.integers), numbers.allSatisfy({ $0 >= -1 && $0 < count }) else {
        throw fail("description: \(place) names values that do not exist")
      }
      return numbers.map { $0 < 0 ? nil : ValueID($0) }
    }
    var graph = Graph(name: try text("graph"))
    for (index, value) in try list("values").enumerated() {
      guard let name = value["name"]?.stringValue, let type = value["type"]?.stringValue.flatMap({ DataType(rawValue: $0) }),
        let shape = value["shape"].flatMap(OperationCoding.shape)
      else { throw fail("description: value \(index) is incomplete") }
      graph.values.append(Value(name: name, type: type, shape: shape))
    }
    let count = graph.values.count
    for (index, node) in try list("nodes").enumerated() {
      guard let name = node["name"]?.stringValue, let operation = node["operation"].flatMap(OperationCoding.operation) else {
        throw fail("description: node \(index) is incomplete or of an unknown kind")
      }
      let outputs = try identifiers(node["outputs"], "node \"\(name)\"", count).compactMap { $0 }
      graph.nodes.append(
        Node(name: name, operation: operation, inputs: try identifiers(node["inputs"], "node \"\(name)\"", count), outputs: outputs))
    }
    graph.inputs = try identifiers(json["inputs"], "inputs", count).compactMap { $0 }
    graph.outputs = try identifiers(json["outputs"], "outputs", count).compactMap { $0 }
    var hasWeights = true
    var taken: [Range<Int>] = []
    for weight in try list("weights") {
      guard let name = weight["name"]?.stringValue, let index = weight["value"]?.integerValue, index >= 0, index < count,
        let type = weight["type"]?.stringValue.flatMap({ DataType(rawValue: $0) }),
        let shape = weight["shape"]?.arrayValue.flatMap(OperationCoding.integers),
        let offset = weight["offset"]?.integerValue, let digest = weight["sha256"]?.stringValue,
        let elements = Tensor.elementCount(of: shape),
        case let (size, overflow) = elements.multipliedReportingOverflow(by: type.bytesPerElement), !overflow
      else { throw fail("description: a weight is incomplete") }
      let storage: any TensorStorage
      if offset < 0 {
        hasWeights = false
        storage = AbsentStorage(byteCount: size)
      } else {
        guard offset < Int64(1) << 60, let slice = SliceStorage(file, offset: base + Int(offset), count: size) else {
          throw fail("weight \"\(name)\": \(size) bytes at \(offset) lie outside the file")
        }
        if verifying && slice.withBytes({ hexadecimal(digestOf: $0) }) != digest {
          throw fail("weight \"\(name)\": its checksum does not match: the file is damaged")
        }
        taken.append((base + Int(offset))..<(base + Int(offset) + size))
        storage = slice
      }
      guard let tensor = Tensor(type: type, shape: shape, storage: storage) else {
        throw fail("weight \"\(name)\": its shape does not match its bytes")
      }
      graph.constants[ValueID(Int(index))] = tensor
    }
    // What is neither described nor a weight is padding, and zero: so that no byte of the file can change unnoticed.
    var cursor = base
    for range in taken.sorted(by: { $0.lowerBound < $1.lowerBound }) + [file.byteCount..<file.byteCount] {
      if range.lowerBound > cursor && file.withBytes({ $0[cursor..<range.lowerBound].contains { $0 != 0 } }) {
        throw fail("bytes \(cursor) to \(range.lowerBound) are not zero: the file is damaged")
      }
      cursor = max(cursor, range.upperBound)
    }
    let gpu: GPU
    let calibration: KernelCalibration
    do throws(DescriptionError) {
      gpu = try GPU(json: json["gpu"] ?? .null)
      var read = try KernelCalibration(json: json["calibration"] ?? .null)
      read.isMeasured = json["calibrationMeasured"]?.boolValue ?? false
      calibration = read
    } catch { throw fail("description: \(error)") }
    guard let type = ComputeType(rawValue: try text("dataType")), let maxRows = json["maxRows"]?.integerValue, maxRows >= 1,
      maxRows <= 1 << 40
    else {
      throw fail("description: the data type or the most rows are missing")
    }
    let rewrites = try list("rewrites").compactMap(\.stringValue)
    do throws(PlanError) {
      return try PlanBuilder(model: KernelModel(gpu: gpu, calibration: calibration), type: type, maxRows: Int(maxRows))
        .assemble(graph, rewrites: rewrites, hasWeights: hasWeights)
    } catch { throw fail("description: \(error)") }
  }

  // MARK: bytes

  private static func bytes(_ value: some FixedWidthInteger, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  private static func number(_ bytes: [UInt8], at offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(clamping: $1 * 8) }
  }

  private static func hexadecimal(digestOf bytes: UnsafeRawBufferPointer) -> String {
    var hash = SHA256()
    hash.update(bytes)
    return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
