import CheckedNumbers
public import ModelGraph
import ProtobufWire

/// Reads ONNX models as graphs: to run them, opset 11 to 25 and operators that the graph has; or to plan them, any opset and operators that are
/// known by their cost alone.
public struct ONNXReader {
  /// What a caller decides.
  public struct Options: Sendable {
    /// What the graph is for.
    public enum Purpose: Sendable, Hashable {
      /// Every operator is one of the graph's, every type one that is computed with; anything else is an error.
      case run
      /// What is known is counted, and what is not is kept as such (`CostedOperator`).
      case plan
    }

    /// Sizes for dynamic axes that are not the rows, by the name the model gives them, or by input and axis: `["sequence": 128, "ids:1": 128]`.
    public var dynamicSizes: [String: Int]
    /// See `Purpose`.
    public var purpose: Purpose

    /// No sizes given.
    public init(dynamicSizes: [String: Int] = [:], purpose: Purpose = .run) {
      self.dynamicSizes = dynamicSizes
      self.purpose = purpose
    }
  }

  /// Opsets whose meanings are known where a model is to run.
  public static let opsets: ClosedRange<Int64> = 11...25
  /// The same for plans: of opset 1 to 6 what differs is left to the shapes that the file declares.
  public static let plannedOpsets: ClosedRange<Int64> = 1...26

  /// A number whose elements may be affine in the rows: what Shape gives and shape arithmetic works with.
  struct Numbers {
    var values: [Dimension]
    /// A scalar rather than a vector of one.
    var isScalar: Bool
  }

  /// Numbers of any kind, fixed.
  struct Reals {
    var values: [Double]
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
  /// Numbers that are no integers, known while reading: scales of a resize.
  var reals: [String: Reals] = [:]
  /// Plans alone: values whose shape is not known, and values that are no tensors.
  var unknown: Set<String> = []
  /// What the file says of values inside and of outputs.
  var declared: [String: ValueMessage] = [:]
  /// Names that inputs give the rows.
  var rowNames: Set<String> = []
  /// Names that something reads.
  var read: Set<String> = []
  /// Whether some size was taken at its largest: from then on what the file declares is nearer than what follows from that.
  var hasGuesses = false
  /// Branches inside branches that are being read.
  var depth = 0
  /// Who writes what, for telling a cycle from a dangling name.
  var writers: [String: String] = [:]

  /// Reads the model at `path`. Weights stay in the mapped file.
  public static func read(path: String, options: Options = Options()) throws(ONNXError) -> Graph {
    try read(MappedStorage(onnx: path), file: path, options: options)
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

  /// How many nodes of each operator a file has, bodies of control flow left out; a domain other than ONNX's own stands before the name.
  public static func operators(path: String) throws(ONNXError) -> [String: Int] {
    let decoded = try MappedStorage(onnx: path).withBytes { raw in Result { () throws(WireError) in try ModelMessage(WireReader(raw)) } }
    var counts: [String: Int] = [:]
    for node in (try? decoded.get())?.graph?.nodes ?? [] {
      counts[node.domain.isEmpty || node.domain == "ai.onnx" ? node.type : "\(node.domain).\(node.type)", default: 0] += 1
    }
    return counts
  }

  /// Whether a plan knows what an operator costs, by its name as `operators(path:)` has it.
  public static func hasRule(for operation: String) -> Bool {
    // An If whose condition is known is replaced by its branch.
    operation == "If" || runnable.contains(operation) || CostRule.all[operation] != nil
  }

  /// An axis whose size `Options.dynamicSizes` may state.
  public struct DynamicAxis: Sendable, Hashable {
    /// Whose axis; nil for one of a value inside the graph, or of an output.
    public var input: String?
    /// Its place.
    public var axis: Int
    /// As the file calls it.
    public var name: String?

    /// Whether a key of `Options.dynamicSizes` means it.
    public func isMeant(by key: String) -> Bool { key == name || input.map { key == "\($0):\(axis)" } == true }
  }

  /// The dynamic axes of a file.
  public static func dynamicAxes(path: String) throws(ONNXError) -> [DynamicAxis] {
    let decoded = try MappedStorage(onnx: path).withBytes { raw in Result { () throws(WireError) in try ModelMessage(WireReader(raw)) } }
    guard let graph = try? decoded.get().graph else { return [] }
    let weights = Set(graph.initializers.map(\.name))
    func axes(_ value: ValueMessage, isInput: Bool) -> [DynamicAxis] {
      (value.shape ?? []).enumerated().compactMap { axis, size in
        switch size {
        case .known(let known) where known != 0 && known != -1: nil
        case .named(let name): DynamicAxis(input: isInput ? value.name : nil, axis: axis, name: name)
        case .known, .unknown: isInput ? DynamicAxis(input: value.name, axis: axis) : nil
        }
      }
    }
    return graph.inputs.filter { !weights.contains($0.name) }.flatMap { axes($0, isInput: true) }
      + (graph.declared + graph.outputs).flatMap { axes($0, isInput: false) }
  }

  private init(file: String, bytes: any TensorStorage, options: Options) {
    self.file = file
    self.bytes = bytes
    self.options = options
  }

  func fail(_ place: String, _ reason: String) -> ONNXError { ONNXError(file: file, place: place, reason: reason) }

  private mutating func build(_ model: ModelMessage) throws(ONNXError) -> Graph {
    guard let message = model.graph else { throw fail("", "not an ONNX model: it holds no graph") }
    let isPlan = options.purpose == .plan
    // A model of other domains alone need not name ONNX's own.
    guard let opset = model.opset ?? (isPlan && !model.otherDomains.isEmpty ? Self.plannedOpsets.upperBound : nil) else {
      throw fail("", "the model does not say its opset")
    }
    let known = isPlan ? Self.plannedOpsets : Self.opsets
    guard known.contains(opset) else {
      throw fail(
        "", "opset \(opset) is not supported; \(known.lowerBound) to \(known.upperBound) are. Export the model again with one of these")
    }
    if message.hasSparseInitializers { throw fail("", "sparse initializers are not supported") }
    self.opset = opset
    graph = Graph(name: message.name.isEmpty ? "model" : message.name)
    for node in message.nodes {
      for output in node.outputs where !output.isEmpty { writers[output] = node.label }
      read.formUnion(node.inputs)
    }
    read.formUnion(message.outputs.map(\.name))
    for value in message.declared + message.outputs { declared[value.name] = value }
    for tensor in message.initializers {
      if values[tensor.name] != nil { throw fail("initializer \"\(tensor.name)\"", "stands twice") }
      values[tensor.name] = graph.addConstant(tensor.name, try self.tensor(tensor, "initializer \"\(tensor.name)\""))
    }
    for input in message.inputs where values[input.name] == nil { try addInput(input) }
    for node in message.nodes {
      if isPlan { try planNode(node) } else { try addNode(node) }
    }
    try addOutputs(message.outputs)
    if graph.outputs.isEmpty && !isPlan { throw fail("", "the graph has no outputs") }
    let cleaned = graph.withoutUnusedNodes()
    do throws(GraphError) { try cleaned.validate() } catch { throw fail("", error.description) }
    return cleaned
  }

  /// The first axis is the rows where it is dynamic; every other axis must have a size, its own or one given in the options.
  private mutating func addInput(_ input: ValueMessage) throws(ONNXError) {
    let place = "input \"\(input.name)\""
    if values[input.name] != nil { throw fail(place, "stands twice") }
    let isPlan = options.purpose == .plan
    if isPlan && (!input.isTensor || input.shape == nil) {
      unknown.insert(input.name)
      graph.notes.append(
        "\(place) \(input.isTensor ? "has no shape" : "is no tensor"): what is computed from it is counted as far as it is known")
      return
    }
    guard let type = isPlan ? ONNXTypes.anyType(input.type) : ONNXTypes.type(input.type) else {
      throw fail(place, "element type \(ONNXTypes.name(input.type)) is not supported; \(Self.supportedTypes)")
    }
    guard let sizes = input.shape else { throw fail(place, "has no shape; run shape inference or export with one") }
    var shape: Shape = []
    let first = sizes.first
    for (axis, size) in sizes.enumerated() {
      let given = options.dynamicSizes["\(input.name):\(axis)"]
      switch size {
      case .known(let value) where value > 0 && value <= 1 << 40: shape.append(.fixed(Int(clamping: value)))
      // Some exporters write -1 or 0 for "any"; behind the rows 0 may be meant.
      case .known(0) where axis != 0 && isPlan && given == nil: shape.append(.fixed(0))
      case .known(let value) where value == 0 || value == -1: shape.append(try dynamicSize(input.name, axis, name: nil, given, first))
      case .known(let value): throw fail(place, "axis \(axis) has size \(value), which is out of range")
      case .named(let name): shape.append(try dynamicSize(input.name, axis, name: name, given ?? options.dynamicSizes[name], first))
      case .unknown: shape.append(try dynamicSize(input.name, axis, name: nil, given, first))
      }
    }
    if isPlan, shape.first == .rows, first.map(Self.isCalledBatch) != true,
      let axis = sizes.indices.dropFirst().first(where: { Self.isCalledBatch(sizes[$0]) }), case .named(let name) = sizes[axis]
    {
      graph.notes.append(
        "\(place): the first axis\(Self.quoted(first)) is taken for the batch, not axis \(axis) (\"\(name)\"); if \"\(name)\" is the batch, export the model batch-major"
      )
    }
    values[input.name] = graph.addInput(input.name, type, shape)
  }

  /// The rows for the first axis, a given size for any.
  private mutating func dynamicSize(
    _ input: String, _ axis: Int, name: String?, _ given: Int?, _ first: ValueMessage.Size?
  ) throws(ONNXError) -> Dimension {
    if let given, given > 0 { return .fixed(given) }
    guard axis == 0 else {
      let option = name.map { "--dimension \($0)=SIZE or " } ?? ""
      let batchMajor =
        name.map { Self.isCalledBatch(.named($0)) } == true && first.map(Self.isCalledBatch) != true
        ? "; if \"\(name ?? "")\" is the batch, export the model batch-major" : ""
      throw fail(
        "input \"\(input)\"",
        "axis \(axis)\(name.map { " (\"\($0)\")" } ?? "") is dynamic; only the first\(Self.quoted(first)), which is taken for the batch, may be. Give its size with \(option)--dimension \(input):\(axis)=SIZE, or export the model with a fixed size there\(batchMajor)"
      )
    }
    if let name { rowNames.insert(name) }
    return .rows
  }

  private static func quoted(_ size: ValueMessage.Size?) -> String {
    if case .named(let name) = size { return " (\"\(name)\")" }
    return ""
  }

  /// Whether an axis bears a name that exporters give the batch.
  private static func isCalledBatch(_ size: ValueMessage.Size) -> Bool {
    guard case .named(let name) = size else { return false }
    return ["batch", "batch_size", "batchsize", "n"].contains(name.lowercased())
  }

  /// Names and order as the file says, whatever wrote the values.
  private mutating func addOutputs(_ outputs: [ValueMessage]) throws(ONNXError) {
    var names: Set<String> = []
    for output in outputs {
      let place = "output \"\(output.name)\""
      if !names.insert(output.name).inserted { throw fail(place, "stands twice") }
      if unknown.contains(output.name) {
        graph.notes.append("\(place) has a shape that is not known")
        continue
      }
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
    if let known = reals[name],
      let tensor = Tensor(float32: known.values.map { Float($0) }, shape: known.isScalar ? [] : [known.values.count])
    {
      let id = graph.addConstant(name, tensor)
      values[name] = id
      return id
    }
    throw unknownInput(name, place)
  }

  /// Known integers behind a name: a folded shape, or a small integer constant.
  func known(_ name: String) -> Numbers? {
    if let known = numbers[name] { return known }
    guard let id = values[name], let tensor = graph.constants[id], tensor.shape.count <= 1, tensor.elementCount <= Self.maximumNumbers,
      let integers = tensor.integers
    else { return nil }
    return Numbers(values: integers.map { .fixed($0) }, isScalar: tensor.shape.isEmpty)
  }

  /// Shape arithmetic stays small; larger integer tensors are data.
  static let maximumNumbers = 256
}
