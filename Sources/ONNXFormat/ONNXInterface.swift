public import ModelGraph
import ProtobufWire

/// What an ONNX file declares of its inputs and outputs, without reading operators or weights: also of files that no reader here can run.
public struct ONNXInterface: Sendable, Hashable {
  /// An input or output as it is declared.
  public struct Tensor: Sendable, Hashable {
    /// As the file names it.
    public var name: String
    /// ONNX's number of the element type (onnx/onnx onnx.proto, TensorProto.DataType); 0 where none is declared.
    public var elementType: Int
    /// Sizes, -1 for those left open; nil where no shape is declared.
    public var dims: [Int]?
    /// An input that has a default in the file.
    public var hasDefault: Bool
  }

  /// In the file's order.
  public private(set) var inputs: [Tensor] = []
  /// In the file's order.
  public private(set) var outputs: [Tensor] = []

  /// Reads what the file at `path` declares.
  public static func read(path: String) throws(ONNXError) -> ONNXInterface {
    try read(MappedStorage(onnx: path), file: path)
  }

  /// Reads what a model's bytes declare; `file` is its name for messages.
  public static func read(_ bytes: any TensorStorage, file: String) throws(ONNXError) -> ONNXInterface {
    let read = bytes.withBytes { raw in
      Result { () throws(WireError) in
        var found: ONNXInterface?
        try WireReader(raw).forEachField { (field, offset) throws(WireError) in
          if field.number == 7 { found = try ONNXInterface(field.message(at: offset)) }
        }
        return found
      }
    }
    switch read {
    case .success(let interface?): return interface
    case .success(nil): throw ONNXError(file: file, place: "", reason: "not an ONNX model: it holds no graph")
    case .failure(let error): throw ONNXError(file: file, place: "", reason: "not an ONNX model, or a damaged one: \(error)")
    }
  }

  /// Throws where the graph has no outputs, or where the file is no model.
  public static func checkOutputs(path: String) throws(ONNXError) {
    guard try read(path: path).outputs.isEmpty else { return }
    throw ONNXError(
      file: path, place: "graph",
      reason: "has no outputs: no request could ask it for anything. Export it with the values that clients are to get")
  }

  private init(_ graph: WireReader) throws(WireError) {
    var weights: Set<String> = []
    try graph.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 5:
        var tensor = try field.message(at: offset)
        while let part = try tensor.next() {
          if part.number == 8, let payload = part.payload { weights.insert(try payload.text()) }
        }
      case 11: inputs.append(Tensor(try ValueMessage(field.message(at: offset))))
      case 12: outputs.append(Tensor(try ValueMessage(field.message(at: offset))))
      default: break
      }
    }
    for index in inputs.indices { inputs[index].hasDefault = weights.contains(inputs[index].name) }
  }
}

extension ONNXInterface.Tensor {
  fileprivate init(_ value: ValueMessage) {
    self.init(
      name: value.name, elementType: Int(exactly: value.type) ?? 0,
      dims: value.shape?.map { size in
        // Some exporters write -1 or 0 for "any".
        if case .known(let known) = size, known > 0 { Int(exactly: known) ?? -1 } else { -1 }
      }, hasDefault: false)
  }
}
