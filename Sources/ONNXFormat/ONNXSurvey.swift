import FileAccess
public import ModelGraph
import ProtobufWire

/// What an ONNX file says of itself, whether or not its operators are known here: inputs that have defaults, files its weights lie in, and
/// what its inputs' values must not be.
public struct ONNXSurvey: Sendable, Hashable {
  /// Inputs that are initializers too: a caller may leave them out (onnx/onnx docs/IR.md, "Graphs": from IR version 4 on; before, every
  /// initializer had to be an input as well).
  public var overridableInputs: [String] = []
  /// Inputs that integers are divided by: zeros there are no values.
  public var divisors: Set<String> = []
  /// Why nobody can say which values the inputs may have without knowing the model; nil where zeros, and ones for `divisors`, will do.
  public var unknownValues: String?
  /// Integers are divided by what a request sends, or may be: a request can hold a zero.
  public var dividesByInputs = false
  /// Inputs have first axes that are dynamic and not of one name: their sizes have nothing to do with each other, unless somebody says that
  /// they are a batch.
  public var hasIndependentFirstAxes = false
  /// Names of the files of external data, as the model has them.
  public var externalFiles: [String] = []

  /// Inputs of operators that are sizes, steps or counts: zeros are no sizes, and the right ones are the model's secret.
  static let sizeInputs: [String: [Int]] = [
    "Col2Im": [1, 2], "ConstantOfShape": [0], "Expand": [1], "Reshape": [1], "Tile": [1], "Range": [0, 1, 2], "OneHot": [1], "Pad": [1],
    "Slice": [1, 2, 4], "Resize": [2, 3], "Upsample": [1], "TopK": [1], "Split": [1], "CenterCropPad": [1], "BlackmanWindow": [0],
    "HannWindow": [0], "HammingWindow": [0], "DFT": [1], "STFT": [1, 3], "MelWeightMatrix": [0, 1, 2], "AffineGrid": [1],
  ]

  /// Nothing of note.
  public init() {}

  /// Surveys the file at `path`.
  public static func read(path: String) throws(ONNXError) -> ONNXSurvey {
    try read(MappedStorage(onnx: path), file: path)
  }

  /// Surveys bytes; `file` is their name for messages.
  public static func read(_ bytes: any TensorStorage, file: String) throws(ONNXError) -> ONNXSurvey {
    let result = bytes.withBytes { raw in
      Result { () throws(WireError) in
        var walk = SurveyWalk(WireReader(raw))
        return try walk.run()
      }
    }
    switch result {
    case .success(let survey): return survey
    case .failure(let error): throw ONNXError(file: file, place: "", reason: "not an ONNX model, or a damaged one: \(error)")
    }
  }
}

/// Walks a model's graphs in order and follows where values come from.
///
/// Types are followed as far as a walk can: what an operator makes has its first input's type unless the operator says otherwise. A type
/// nobody knows counts as floating-point. A wrong guess costs a warm-up, or isolates a model that needs none.
private struct SurveyWalk {
  /// Where a tensor's values come from.
  private enum Origin {
    /// The file. `mayBeZero`: an element is, or cannot be looked at.
    case constant(mayBeZero: Bool)
    /// An input, moved about but not computed with.
    case input(String)
    /// Computed from inputs' values.
    case computed
    /// Computed from shapes alone.
    case shape
  }

  private let model: WireReader
  private var survey = ONNXSurvey()
  private var origins: [String: Origin] = [:]
  /// TensorProto.DataType by tensor.
  private var types: [String: Int64] = [:]
  /// Nested graphs: deeper ones are no models of people.
  private static let deepest = 32

  init(_ model: WireReader) { self.model = model }

  mutating func run() throws(WireError) -> ONNXSurvey {
    var version: UInt64 = 0
    var graphs: [WireReader] = []
    var functions: [WireReader] = []
    try model.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: version = field.bits
      case 7: graphs.append(try field.message(at: offset))
      case 25: functions.append(try field.message(at: offset))
      default: break
      }
    }
    for graph in graphs { try walk(graph, isOutermost: true, version: version, depth: 0) }
    for function in functions {
      // Of a function nothing is known but its operators.
      try function.forEachField { (field, offset) throws(WireError) in
        if field.number == 7 { try visit(try field.message(at: offset), depth: 1) }
      }
    }
    survey.externalFiles = Set(survey.externalFiles).sorted()
    return survey
  }

  private mutating func walk(_ graph: WireReader, isOutermost: Bool, version: UInt64, depth: Int) throws(WireError) {
    guard depth < Self.deepest else { return }
    var nodes: [WireReader] = []
    var inputs: [ValueMessage] = []
    var initializers: Set<String> = []
    try graph.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: nodes.append(try field.message(at: offset))
      case 5:
        let tensor = try TensorMessage(field.message(at: offset))
        initializers.insert(tensor.name)
        note(tensor, as: tensor.name)
      case 11: inputs.append(try ValueMessage(field.message(at: offset)))
      case 12, 13:
        let value = try ValueMessage(field.message(at: offset))
        if value.type != 0 { types[value.name] = value.type }
      default: break
      }
    }
    for input in inputs {
      if input.type != 0 { types[input.name] = input.type }
      if initializers.contains(input.name) {
        guard isOutermost, version >= 4 else { continue }
        survey.overridableInputs.append(input.name)
      }
      origins[input.name] = isOutermost ? .input(input.name) : .computed
    }
    if isOutermost {
      survey.hasIndependentFirstAxes = Self.areIndependent(inputs.filter { !initializers.contains($0.name) }.compactMap { $0.shape?.first })
    }
    for node in nodes { try visit(node, depth: depth) }
  }

  /// Axes without a name, and those whose size is 0 or -1 for "any", are each their own.
  private static func areIndependent(_ axes: [ValueMessage.Size]) -> Bool {
    var names = Set<String>()
    var unnamed = 0
    for axis in axes {
      switch axis {
      case .known(let size) where size > 0: break
      case .named(let name) where !name.isEmpty: names.insert(name)
      case .known, .named, .unknown: unnamed += 1
      }
    }
    return names.count + unnamed > 1
  }

  private mutating func note(_ tensor: TensorMessage, as name: String) {
    types[name] = tensor.type
    if tensor.isExternal, let location = tensor.externalEntries["location"], !location.isEmpty { survey.externalFiles.append(location) }
    origins[name] = .constant(mayBeZero: mayBeZero(tensor))
  }

  private func mayBeZero(_ tensor: TensorMessage) -> Bool {
    guard Self.isInteger(tensor.type), !tensor.isExternal else { return tensor.isExternal }
    guard let raw = tensor.raw else { return tensor.integers.isEmpty || tensor.integers.contains(0) }
    let size = Self.bytes(tensor.type)
    let whole = model.rawBytes
    // Offsets count from the model's first byte, which is where its reader began.
    guard raw.count > 0, raw.count % size == 0, raw.offset >= 0, raw.offset <= whole.count - raw.count, raw.count <= 1 << 20 else {
      return true
    }
    let bytes = UnsafeRawBufferPointer(rebasing: whole[raw.offset..<raw.offset + raw.count])
    return stride(from: 0, to: raw.count, by: size).contains { start in bytes[start..<start + size].allSatisfy { $0 == 0 } }
  }

  // MARK: - Nodes

  private mutating func visit(_ reader: WireReader, depth: Int) throws(WireError) {
    let node = try NodeMessage(reader)
    // Branches and bodies see the tensors around them.
    try reader.forEachField { (field, offset) throws(WireError) in
      guard field.number == 5 else { return }
      try (try field.message(at: offset)).forEachField { (part, place) throws(WireError) in
        if part.number == 6 || part.number == 11 {
          try walk(try part.message(at: place), isOutermost: false, version: 0, depth: depth + 1)
        }
      }
    }
    checkDivision(node)
    checkSizes(node)
    follow(node)
  }

  private mutating func checkDivision(_ node: NodeMessage) {
    guard node.type == "Div" || node.type == "Mod", node.inputs.count == 2 else { return }
    let divisor = node.inputs[1]
    let isInteger =
      node.inputs.contains { types[$0].map(Self.isInteger) == true }
      || (node.type == "Mod" && (node.attributes["fmod"]?.integer ?? 0) == 0)
    guard isInteger else { return }
    switch origins[divisor] {
    case .constant(let mayBeZero):
      if mayBeZero { unknown("node \"\(node.label)\" divides integers by a constant that may hold zeros") }
    case .shape: break
    case .input(let name):
      survey.dividesByInputs = true
      survey.divisors.insert(name)
    case .computed, nil:
      survey.dividesByInputs = true
      unknown("node \"\(node.label)\" divides integers by what it computes from the inputs")
    }
  }

  private mutating func checkSizes(_ node: NodeMessage) {
    for index in ONNXSurvey.sizeInputs[node.type] ?? [] where node.inputs.indices.contains(index) {
      switch origins[node.inputs[index]] {
      case .input, .computed:
        unknown("node \"\(node.label)\" (\(node.type)) takes sizes from the inputs' values")
        // ONNX Runtime divides by the block's sizes without a look.
        if node.type == "Col2Im" { survey.dividesByInputs = true }
      default: break
      }
    }
  }

  private mutating func unknown(_ reason: String) { if survey.unknownValues == nil { survey.unknownValues = reason } }

  /// What the node's outputs are, by type and origin.
  private mutating func follow(_ node: NodeMessage) {
    guard let first = node.outputs.first else { return }
    if node.type == "Constant" {
      if let tensor = node.attributes["value"]?.tensor {
        note(tensor, as: first)
      } else {
        let integers = node.attributes["value_ints"]?.integers ?? node.attributes["value_int"].map { [$0.integer ?? 0] } ?? []
        types[first] = integers.isEmpty ? 1 : 7
        origins[first] = .constant(mayBeZero: integers.contains(0))
      }
      return
    }
    let origin = self.origin(node)
    for (index, output) in node.outputs.enumerated() where !output.isEmpty {
      origins[output] = origin
      if types[output] == nil { types[output] = type(node, index) }
    }
  }

  private static let moving: Set = [
    "Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Flatten", "Tile", "Gather", "Slice", "Split",
    "Dropout", "GatherElements", "GatherND", "Concat",
  ]

  private func origin(_ node: NodeMessage) -> Origin {
    if node.type == "Shape" || node.type == "Size" { return .shape }
    let sources = node.inputs.filter { !$0.isEmpty }.map { origins[$0] ?? .computed }
    if Self.moving.contains(node.type), let first = sources.first {
      if case .input = first { return sources.count == 1 || node.type != "Concat" ? first : .computed }
      if case .constant(let mayBeZero) = first, node.type != "Concat" { return .constant(mayBeZero: mayBeZero) }
    }
    var result = Origin.constant(mayBeZero: true)
    for source in sources {
      switch source {
      case .input, .computed: return .computed
      case .shape: result = .shape
      case .constant: break
      }
    }
    return sources.isEmpty && node.type != "ConstantOfShape" ? .computed : result
  }

  private func type(_ node: NodeMessage, _ output: Int) -> Int64? {
    func input(_ index: Int) -> Int64? { node.inputs.indices.contains(index) ? types[node.inputs[index]] : nil }
    switch node.type {
    case "Shape", "Size", "NonZero", "ArgMax", "ArgMin", "Multinomial": return 7
    case "TopK", "MaxPool", "Unique": return output == 0 ? input(0) : 7
    case "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf": return 9
    case "Cast": return node.attributes["to"]?.integer
    case "CastLike", "Where": return input(1)
    case "OneHot": return input(2)
    case "ConstantOfShape": return node.attributes["value"]?.tensor?.type ?? 1
    case "EyeLike": return node.attributes["dtype"]?.integer ?? input(0)
    case "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli":
      return node.attributes["dtype"]?.integer ?? 1
    case "QuantizeLinear": return input(2) ?? 2
    case "DequantizeLinear": return 1
    case "DynamicQuantizeLinear": return output == 1 ? 1 : 2
    case "MatMulInteger", "ConvInteger": return 6
    case "If", "Loop", "Scan": return nil
    default: return input(0)
    }
  }

  private static func isInteger(_ type: Int64) -> Bool { [2, 3, 4, 5, 6, 7, 12, 13].contains(type) }

  private static func bytes(_ type: Int64) -> Int {
    switch type {
    case 2, 3: 1
    case 4, 5: 2
    case 6, 12: 4
    default: 8
    }
  }
}
