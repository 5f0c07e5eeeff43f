import CheckedNumbers
import FileAccess
public import ModelGraph
import ProtobufWire

/// Reads ONNX models, opset 11 to 23, as graphs.
public struct ONNXReader {
  /// What a caller decides.
  public struct Options: Sendable {
    /// Sizes for dynamic axes that are not the rows, by the name the model gives them: `["sequence": 128]`.
    public var dynamicSizes: [String: Int]

    /// No sizes given.
    public init(dynamicSizes: [String: Int] = [:]) { self.dynamicSizes = dynamicSizes }
  }

  /// Opsets whose meanings are known.
  public static let opsets: ClosedRange<Int64> = 11...23

  /// A number whose elements may be affine in the rows: what Shape gives and shape arithmetic works with.
  struct Numbers {
    var values: [Dimension]
    /// A scalar rather than a vector of one.
    var isScalar: Bool
  }

  let file: String
  let bytes: any TensorStorage
  let options: Options
  var opset: Int64 = 0
  var graph = Graph(name: "")
  /// Values by name that are tensors of the graph.
  var values: [String: ValueID] = [:]
  /// Values by name that are known while reading: shapes and what is computed from them.
  var numbers: [String: Numbers] = [:]
  /// Who writes what, for telling a cycle from a dangling name.
  var writers: [String: String] = [:]

  /// Reads the model at `path`. Weights stay in the mapped file.
  public static func read(path: String, options: Options = Options()) throws(ONNXError) -> Graph {
    let mapped: MappedFile
    do throws(FileError) { mapped = try MappedFile(path: path) } catch {
      throw ONNXError(file: path, place: "", reason: "cannot \(error.action) the file: \(error.reason)")
    }
    return try read(MappedStorage(mapped), file: path, options: options)
  }

  /// Reads a model from bytes; `file` is its name for messages and its folder the place of external data.
  public static func read(_ bytes: any TensorStorage, file: String, options: Options = Options()) throws(ONNXError) -> Graph {
    var reader = ONNXReader(file: file, bytes: bytes, options: options)
    let decoded = bytes.withBytes { raw in Result { () throws(WireError) in try ModelMessage(WireReader(raw)) } }
    let model: ModelMessage
    switch decoded {
    case .success(let message): model = message
    case .failure(let error): throw reader.fail("", "not an ONNX model, or a damaged one: \(error)")
    }
    return try reader.build(model)
  }

  private init(file: String, bytes: any TensorStorage, options: Options) {
    self.file = file
    self.bytes = bytes
    self.options = options
  }

  func fail(_ place: String, _ reason: String) -> ONNXError { ONNXError(file: file, place: place, reason: reason) }

  private mutating func build(_ model: ModelMessage) throws(ONNXError) -> Graph {
    guard let message = model.graph else { throw fail("", "not an ONNX model: it holds no graph") }
    guard let opset = model.opset else { throw fail("", "the model does not say its opset") }
    guard Self.opsets.contains(opset) else {
      throw fail(
        "",
        "opset \(opset) is not supported; \(Self.opsets.lowerBound) to \(Self.opsets.upperBound) are. Export the model again with one of these"
      )
    }
    if message.hasSparseInitializers { throw fail("", "sparse initializers are not supported") }
    self.opset = opset
    graph = Graph(name: message.name.isEmpty ? "model" : message.name)
    for node in message.nodes {
      for output in node.outputs where !output.isEmpty { writers[output] = node.label }
    }
    for tensor in message.initializers {
      if values[tensor.name] != nil { throw fail("initializer \"\(tensor.name)\"", "stands twice") }
      values[tensor.name] = graph.addConstant(tensor.name, try self.tensor(tensor, "initializer \"\(tensor.name)\""))
    }
    for input in message.inputs where values[input.name] == nil { try addInput(input) }
    for node in message.nodes { try addNode(node) }
    try addOutputs(message.outputs)
    if graph.outputs.isEmpty { throw fail("", "the graph has no outputs") }
    let cleaned = graph.withoutUnusedNodes()
    do throws(GraphError) { try cleaned.validate() } catch { throw fail("", error.description) }
    return cleaned
  }

  /// The first axis is the rows where it is dynamic; every other axis must have a size, its own or one given in the options.
  private mutating func addInput(_ input: ValueMessage) throws(ONNXError) {
    let place = "input \"\(input.name)\""
    if values[input.name] != nil { throw fail(place, "stands twice") }
    guard let type = ONNXTypes.type(input.type) else {
      throw fail(place, "element type \(input.type) is not supported; \(Self.supportedTypes)")
    }
    guard let sizes = input.shape else { throw fail(place, "has no shape; run shape inference or export with one") }
    var shape: Shape = []
    for (axis, size) in sizes.enumerated() {
      switch size {
      case .known(let value) where value > 0 && value <= 1 << 40: shape.append(.fixed(Int(value)))
      // Some exporters write -1 or 0 for "any".
      case .known(let value) where value == 0 || value == -1:
        if axis != 0 { throw fail(place, "axis \(axis) has size \(value); only the first may be dynamic") }
        shape.append(.rows)
      case .known(let value): throw fail(place, "axis \(axis) has size \(value), which is out of range")
      case .named(let name):
        if let given = options.dynamicSizes[name], given > 0 {
          shape.append(.fixed(given))
        } else if axis == 0 {
          shape.append(.rows)
        } else {
          throw fail(place, "axis \(axis) (\"\(name)\") is dynamic; only the first may be. Give its size with --dimension \(name)=SIZE")
        }
      case .unknown:
        if axis != 0 { throw fail(place, "axis \(axis) is dynamic and has no name; export the model with a fixed size there") }
        shape.append(.rows)
      }
    }
    values[input.name] = graph.addInput(input.name, type, shape)
  }

  /// Names and order as the file says, whatever wrote the values.
  private mutating func addOutputs(_ outputs: [ValueMessage]) throws(ONNXError) {
    var names: Set<String> = []
    for output in outputs {
      let place = "output \"\(output.name)\""
      if !names.insert(output.name).inserted { throw fail(place, "stands twice") }
      let id = try value(output.name, for: place)
      do throws(GraphError) { try graph.addOutput(id, named: output.name) } catch { throw fail(place, error.reason) }
    }
  }

  static let supportedTypes =
    "float32, float16, bfloat16, float64, int64, int32 and bool are"

  /// The tensor value called `name`, made from known numbers where it has to be.
  mutating func value(_ name: String, for place: String) throws(ONNXError) -> ValueID {
    if let id = values[name] { return id }
    if let known = numbers[name] {
      let sizes = known.values.map(\.fixedSize)
      guard sizes.allSatisfy({ $0 != nil }),
        let tensor = Tensor(int64: sizes.compactMap { $0.map(Int64.init) }, shape: known.isScalar ? [] : [known.values.count])
      else { throw fail(place, "uses \"\(name)\", a shape that depends on the rows, as data; that is not supported") }
      let id = graph.addConstant(name, tensor)
      values[name] = id
      return id
    }
    if let writer = writers[name] {
      throw fail(place, "reads \"\(name)\", which node \"\(writer)\" writes only later: the graph has a cycle or is not in order")
    }
    throw fail(place, "reads \"\(name)\", which nothing writes")
  }

  /// Known integers behind a name: a folded shape, or a small integer constant.
  func known(_ name: String) -> Numbers? {
    if let known = numbers[name] { return known }
    guard let id = values[name], let tensor = graph.constants[id], tensor.shape.count <= 1, tensor.elementCount <= Self.mostNumbers,
      let integers = tensor.integers
    else { return nil }
    return Numbers(values: integers.map { .fixed($0) }, isScalar: tensor.shape.isEmpty)
  }

  /// Shape arithmetic stays small; larger integer tensors are data.
  static let mostNumbers = 256
}
