import FileAccess
import Glibc
import ModelGraph
import ProtobufWire

/// Where an ONNX model's external data may lie, asked of a whole file before any engine opens it: engines open what a file names, and a
/// model may come from whoever may load one.
public enum ONNXExternalData {
  /// ONNX Runtime takes a tensor of this location for an address in its own process (microsoft/onnxruntime
  /// `onnxruntime/core/framework/tensorprotoutils.h`, kTensorProtoMemoryAddressTag).
  private static let memoryAddress = "_ORT_MEM_ADDR_"

  /// Checks every location that the file at `path` names, wherever the format has room for a tensor: initializers, attributes, sparse
  /// tensors, nested graphs, functions, training graphs. Whether a tensor says that it uses the location does not matter: where a field
  /// stands twice, readers differ.
  ///
  /// - Throws: where the file is no ONNX model, or a location is not an existing file inside the model's folder, links resolved.
  public static func check(path: String) throws(ONNXError) {
    let storage = try MappedStorage(onnx: path)
    let result = storage.withBytes { raw in
      Result { () throws(WireError) in
        var walk = LocationWalk()
        try walk.model(WireReader(raw))
        return walk.locations
      }
    }
    switch result {
    case .success(let locations):
      for (location, tensor) in locations.sorted(by: { $0.key < $1.key }) {
        _ = try resolve(location, ofModel: path, place: "tensor \"\(tensor)\"")
      }
    case .failure(let error): throw ONNXError(file: path, place: "", reason: "not an ONNX model, or a damaged one: \(error)")
    }
  }

  /// The file that a location names (onnx/onnx docs/ExternalData.md): inside the model's folder, symbolic links followed.
  ///
  /// - Throws: where it lies elsewhere, or is no file.
  static func resolve(_ location: String, ofModel file: String, place: String) throws(ONNXError) -> String {
    func refuse(_ reason: String) -> ONNXError {
      ONNXError(file: file, place: place, reason: "external data at \"\(location)\" \(reason)")
    }
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    if location.isEmpty || location.hasPrefix("/") || parts.contains("..") || location.contains("\0") || location.contains("\\")
      || location.contains(memoryAddress)
    {
      throw refuse("is refused: it must lie in the model's folder")
    }
    let folder = file.contains("/") ? String(file[..<(file.lastIndex(of: "/") ?? file.startIndex)]) : "."
    let path = (folder.isEmpty ? "/" : folder + "/") + location
    guard let root = realpath(folder.isEmpty ? "/" : folder, nil) else {
      throw ONNXError(file: file, place: place, reason: "the model's folder cannot be resolved")
    }
    defer { free(root) }
    guard let resolved = realpath(path, nil) else {
      throw ONNXError(file: file, place: place, reason: "external data at \"\(location)\": \(String(cString: strerror(errno)))")
    }
    defer { free(resolved) }
    let inside = String(cString: root)
    guard String(cString: resolved).hasPrefix(inside == "/" ? "/" : inside + "/") else {
      throw refuse("is refused: it leads outside the model's folder")
    }
    guard Files.kind(of: path) == .file else { throw refuse("is refused: it is not a file") }
    return path
  }
}

/// Walks everything of a model that can hold a tensor.
private struct LocationWalk {
  /// The first tensor that names each location.
  private(set) var locations: [String: String] = [:]
  /// protobuf's own readers stop at 100 messages, and a graph in a graph is four of them.
  private static let deepest = 32

  mutating func model(_ model: WireReader) throws(WireError) {
    try model.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 7: try graph(try field.message(at: offset), depth: 0)
      case 20:
        try (try field.message(at: offset)).forEachField { (part, place) throws(WireError) in
          if part.number == 1 || part.number == 2 { try graph(try part.message(at: place), depth: 1) }
        }
      case 25:
        try (try field.message(at: offset)).forEachField { (part, place) throws(WireError) in
          if part.number == 7 { try node(try part.message(at: place), depth: 1) }
          if part.number == 11 { try attribute(try part.message(at: place), depth: 1) }
        }
      default: break
      }
    }
  }

  private mutating func graph(_ graph: WireReader, depth: Int) throws(WireError) {
    guard depth < Self.deepest else {
      throw WireError(offset: graph.offset, reason: "graphs are nested deeper than \(Self.deepest) levels")
    }
    try graph.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: try node(try field.message(at: offset), depth: depth)
      case 5: try tensor(try field.message(at: offset))
      case 15: try sparseTensor(try field.message(at: offset))
      default: break
      }
    }
  }

  private mutating func node(_ node: WireReader, depth: Int) throws(WireError) {
    try node.forEachField { (field, offset) throws(WireError) in
      if field.number == 5 { try attribute(try field.message(at: offset), depth: depth) }
    }
  }

  private mutating func attribute(_ attribute: WireReader, depth: Int) throws(WireError) {
    try attribute.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 5, 10: try tensor(try field.message(at: offset))
      case 6, 11: try graph(try field.message(at: offset), depth: depth + 1)
      case 22, 23: try sparseTensor(try field.message(at: offset))
      default: break
      }
    }
  }

  private mutating func sparseTensor(_ tensor: WireReader) throws(WireError) {
    try tensor.forEachField { (field, offset) throws(WireError) in
      if field.number == 1 || field.number == 2 { try self.tensor(try field.message(at: offset)) }
    }
  }

  private mutating func tensor(_ tensor: WireReader) throws(WireError) {
    var name = ""
    var found: [String] = []
    try tensor.forEachField { (field, offset) throws(WireError) in
      if field.number == 8 { name = try field.message(at: offset).text() }
      guard field.number == 13 else { return }
      var (key, value) = ("", "")
      try (try field.message(at: offset)).forEachField { (part, place) throws(WireError) in
        if part.number == 1 { key = try part.message(at: place).text() }
        if part.number == 2 { value = try part.message(at: place).text() }
      }
      if key == "location" { found.append(value) }
    }
    for location in found where locations[location] == nil { locations[location] = name }
  }
}
