import CheckedNumbers
public import ModelGraph
import ProtobufWire

/// Writes graphs as ONNX, opset 17, or the first that has every operator (20 where Gelu is used). Fused operations are written as the operators they stand for. The same graph
/// gives the same bytes.
public enum ONNXWriter {
  /// The model as bytes. Protobuf messages end at 2 GiB; a larger model is refused.
  public static func write(_ graph: Graph) throws(ONNXError) -> [UInt8] {
    let weightBytes = graph.constants.reduce(0.0) { $0 + Double($1.value.storage.byteCount) }
    if weightBytes > 2e9 {
      throw ONNXError(
        file: graph.name, place: "", reason: "\(weightBytes / 1e9) GB of weights do not fit one ONNX file, which ends at 2 GiB")
    }
    for case (let name, .costed(let costed)) in graph.nodes.map({ ($0.name, $0.operation) }) {
      throw ONNXError(
        file: graph.name, place: "node \"\(name)\"", reason: "\(costed.type) was read for its cost alone and cannot be written")
    }
    for case (let name, .defined(let defined)) in graph.nodes.map({ ($0.name, $0.operation) }) {
      for case (let attribute, .integers(let sizes)) in defined.attributes.values where sizes.contains(where: { $0.perRow != 0 }) {
        throw ONNXError(
          file: graph.name, place: "node \"\(name)\"", reason: "\(attribute) depends on the rows, which a file would have to work out")
      }
    }
    var body = Body(graph)
    for node in graph.nodes { body.add(node) }
    var model = WireWriter()
    // The first IR version that may hold the opset, from 8 on (onnx/onnx docs/Versioning.md).
    model.integer(1, body.opset >= 23 ? 11 : body.opset >= 21 ? 10 : 8)
    model.text(2, "headroom")
    model.message(7) { message in
      for node in body.nodes { message.bytes(1, node) }
      message.text(2, graph.name)
      for (id, tensor) in graph.constants.sorted(by: { $0.key < $1.key }) {
        message.bytes(5, Self.tensor(body.name(id), tensor.type, tensor.shape, tensor.storage))
      }
      for extra in body.initializers { message.bytes(5, extra) }
      for id in graph.inputs { message.bytes(11, Self.value(body.name(id), graph[id])) }
      for id in graph.outputs { message.bytes(12, Self.value(body.name(id), graph[id])) }
    }
    model.message(8) { message in
      message.text(1, "")
      message.integer(2, body.opset)
    }
    return model.bytes
  }

  static func tensor(_ name: String, _ type: DataType, _ shape: [Int], _ storage: any TensorStorage) -> [UInt8] {
    var message = WireWriter()
    for size in shape { message.integer(1, Int64(size)) }
    message.integer(2, ONNXTypes.number(type))
    message.text(8, name)
    storage.withBytes { message.bytes(9, $0) }
    return message.bytes
  }

  private static func value(_ name: String, _ value: Value) -> [UInt8] {
    var message = WireWriter()
    message.text(1, name)
    message.message(2) { type in
      type.message(1) { tensor in
        tensor.integer(1, ONNXTypes.number(value.type))
        tensor.message(2) { shape in
          for dimension in value.shape {
            shape.message(1) { entry in
              if let size = dimension.fixedSize {
                entry.integer(1, Int64(size))
              } else {
                // ONNX has names for sizes but no arithmetic: "rows", "128*rows".
                entry.text(2, dimension.description)
              }
            }
          }
        }
      }
    }
    return message.bytes
  }
}

/// Nodes under construction, with the small constants that ONNX wants as inputs.
private struct Body {
  let graph: Graph
  var nodes: [[UInt8]] = []
  var initializers: [[UInt8]] = []
  /// 17 has LayerNormalization; Gelu came with 20, some definitions later.
  let opset: Int64
  private var names: [ValueID: String] = [:]
  private var taken: Set<String> = []
  private var nodeNames: Set<String> = []

  init(_ graph: Graph) {
    self.graph = graph
    opset = graph.nodes.reduce(17) { max($0, $1.operation.firstOpset) }
    // Rewrites may leave two values with one name; files may not. Inputs and outputs keep theirs.
    for id in graph.inputs + graph.outputs + graph.values.indices.map({ ValueID($0) }) where names[id] == nil {
      let base = graph[id].name.isEmpty ? "value" : graph[id].name
      var name = base
      var number = 1
      while !taken.insert(name).inserted {
        number += 1
        name = "\(base)#\(number)"
      }
      names[id] = name
    }
  }

  func name(_ id: ValueID) -> String { names[id] ?? "" }

  private mutating func fresh(_ base: String) -> String {
    var name = base
    var number = 1
    while !taken.insert(name).inserted {
      number += 1
      name = "\(base)#\(number)"
    }
    return name
  }

  private enum Attribute {
    case integer(Int64), float(Float), integers([Int64]), text(String)
  }

  private mutating func emit(
    _ type: String, _ label: String, _ inputs: [String], _ outputs: [String], _ attributes: [(String, Attribute)] = []
  ) {
    var message = WireWriter()
    for input in inputs { message.text(1, input) }
    for output in outputs { message.text(2, output) }
    var unique = label
    var number = 1
    while !nodeNames.insert(unique).inserted {
      number += 1
      unique = "\(label)#\(number)"
    }
    message.text(3, unique)
    message.text(4, type)
    for (name, attribute) in attributes {
      message.message(5) { entry in
        entry.text(1, name)
        switch attribute {
        case .float(let value):
          entry.float(2, value)
          entry.integer(20, 1)
        case .integer(let value):
          entry.integer(3, value)
          entry.integer(20, 2)
        case .text(let value):
          entry.text(4, value)
          entry.integer(20, 3)
        case .integers(let values):
          for value in values { entry.integer(8, value) }
          entry.integer(20, 7)
        }
      }
    }
    nodes.append(message.bytes)
  }

  /// A small int64 vector as an initializer.
  private mutating func vector(_ base: String, _ values: [Int]) -> String {
    let name = fresh(base)
    let bytes = values.flatMap { value in withUnsafeBytes(of: Int64(value).littleEndian) { Array($0) } }
    initializers.append(ONNXWriter.tensor(name, .int64, [values.count], ArrayStorage(bytes)))
    return name
  }

  /// A float32 scalar as an initializer.
  private mutating func scalar(_ base: String, _ value: Float) -> String {
    let name = fresh(base)
    let bytes = withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
    initializers.append(ONNXWriter.tensor(name, .float32, [], ArrayStorage(bytes)))
    return name
  }

  /// An operator with a definition: attributes where opset 17 has them, trailing inputs with their usual values left out.
  private mutating func emit(_ defined: DefinedOperator, _ label: String, _ inputs: [String], _ outputs: [String], _ type: DataType) {
    var places = Dictionary(zip(defined.definition.inputPlaces, inputs), uniquingKeysWith: { first, _ in first })
    var attributes: [(String, Attribute)] = []
    for attribute in defined.definition.attributes.sorted(by: { $0.input ?? -1 < $1.input ?? -1 }) {
      guard let content = defined.attributes.values[attribute.name] else { continue }
      guard let place = attribute.input else {
        switch content {
        case .integer(let value): attributes.append((attribute.name, .integer(Int64(value))))
        case .integers(let values): attributes.append((attribute.name, .integers(values.map { Int64($0.constant) })))
        case .real(let value): attributes.append((attribute.name, .float(value)))
        case .text(let text): attributes.append((attribute.name, .text(text)))
        }
        continue
      }
      if content == attribute.usual { continue }
      let name = "\(label).\(attribute.name)"
      switch content {
      case .integer(let value): places[place] = element(name, Double(value), .int64)
      case .integers(let values): places[place] = vector(name, values.map(\.constant))
      case .real(let value): places[place] = element(name, Double(value), type)
      case .text: break
      }
    }
    let all = (0..<((places.keys.max() ?? -1) + 1)).map { places[$0] ?? "" }
    emit(defined.definition.name, label, all, outputs, attributes)
  }

  /// A scalar of a type as an initializer.
  private mutating func element(_ base: String, _ value: Double, _ type: DataType) -> String {
    let name = fresh(base)
    initializers.append(ONNXWriter.tensor(name, type, [], ArrayStorage(type.bytes(of: value))))
    return name
  }

  /// A target shape as an input: sizes, with the rows taken from a value that has them as its first dimension, by Shape and Slice.
  private mutating func shape(_ label: String, _ target: Shape, like source: String, _ sourceShape: Shape) -> String {
    let symbolic = target.indices.filter { target[$0].fixedSize == nil }
    guard let position = symbolic.first else { return vector(label + ".shape", target.map { $0.constant }) }
    // One symbolic size may be worked out by ONNX itself.
    if Shapes.elementCount(target) == Shapes.elementCount(sourceShape), symbolic.count == 1 {
      return vector(label + ".shape", target.enumerated().map { $0.offset == position ? -1 : $0.element.constant })
    }
    // An expansion keeps the source's symbolic sizes: size 1 broadcasts to them.
    return vector(label + ".shape", target.map { $0.fixedSize ?? 1 })
  }

  private mutating func activation(_ activation: Activation, _ label: String, _ input: String, _ output: String) {
    switch activation {
    case .none: emit("Identity", label + ".identity", [input], [output])
    case .relu: emit("Relu", label + ".relu", [input], [output])
    case .tanh: emit("Tanh", label + ".tanh", [input], [output])
    case .sigmoid: emit("Sigmoid", label + ".sigmoid", [input], [output])
    case .gelu: gelu(label + ".gelu", input, output, approximate: "none")
    case .geluTanh: gelu(label + ".gelu", input, output, approximate: "tanh")
    }
  }

  private mutating func gelu(_ label: String, _ input: String, _ output: String, approximate: String) {
    emit("Gelu", label, [input], [output], [("approximate", .text(approximate))])
  }

  mutating func add(_ node: Node) {
    let label = node.name
    let inputs = node.inputs.map { $0.map(name) ?? "" }
    let outputs = node.outputs.map(name)
    let output = outputs.first ?? ""
    let x = inputs.first ?? ""
    let xShape = node.inputs.first.flatMap { $0 }.map { graph[$0].shape } ?? []
    func ints(_ values: [Int]) -> Attribute { .integers(values.map(Int64.init)) }
    switch node.operation {
    case .matMul: emit("MatMul", label, inputs, outputs)
    case .gemm(let alpha, let beta, let transposeA, let transposeB):
      emit(
        "Gemm", label, inputs, outputs,
        [
          ("alpha", .float(alpha)), ("beta", .float(beta)), ("transA", .integer(transposeA ? 1 : 0)),
          ("transB", .integer(transposeB ? 1 : 0)),
        ])
    case .binary(let operation): emit(operation.onnxName, label, inputs, outputs)
    case .unary(let function):
      switch function {
      case .identity: emit("Identity", label, inputs, outputs)
      case .gelu: gelu(label, x, output, approximate: "none")
      case .geluTanh: gelu(label, x, output, approximate: "tanh")
      default:
        if let type = function.onnxName { emit(type, label, inputs, outputs) }
      }
    case .clip(let minimum, let maximum):
      // A bound left out is infinite.
      let bounds = [(".min", minimum), (".max", maximum)].map { $0.1.isFinite ? scalar(label + $0.0, $0.1) : "" }
      emit("Clip", label, [x] + bounds, outputs)
    case .attributed(let function, let first, let second):
      emit(function.onnxName, label, inputs, outputs, zip(function.attributes, [first, second]).map { ($0.name, .float($1)) })
    case .reduce(let reduction, let axes, let keep):
      let type = reduction.onnxName
      // Axes became an input of ReduceSum with opset 13, of the others with 18.
      if opset >= 18 || reduction == .sum {
        emit(type, label, [x, vector(label + ".axes", axes)], outputs, [("keepdims", .integer(keep ? 1 : 0))])
      } else {
        emit(type, label, [x], outputs, [("axes", ints(axes)), ("keepdims", .integer(keep ? 1 : 0))])
      }
    case .defined(let defined): emit(defined, label, inputs, outputs, node.inputs.first.flatMap { $0 }.map { graph[$0].type } ?? .float32)
    case .costed: break
    case .softmax(let axis): emit("Softmax", label, inputs, outputs, [("axis", .integer(Int64(axis)))])
    case .layerNormalization(let axis, let epsilon):
      emit("LayerNormalization", label, inputs, outputs, [("axis", .integer(Int64(axis))), ("epsilon", .float(epsilon))])
    case .normalizedActivation(let axis, let epsilon, let function):
      let middle = fresh(output + ".normalized")
      emit("LayerNormalization", label, inputs, [middle], [("axis", .integer(Int64(axis))), ("epsilon", .float(epsilon))])
      activation(function, label, middle, output)
    case .reduceMean(let axes, let keep):
      // Axes became an input with opset 18.
      if opset >= 18 {
        emit("ReduceMean", label, [x, vector(label + ".axes", axes)], outputs, [("keepdims", .integer(keep ? 1 : 0))])
      } else {
        emit("ReduceMean", label, [x], outputs, [("axes", ints(axes)), ("keepdims", .integer(keep ? 1 : 0))])
      }
    case .reshape(let target): emit("Reshape", label, [x, shape(label, target, like: x, xShape)], outputs)
    case .transpose(let permutation): emit("Transpose", label, inputs, outputs, [("perm", ints(permutation))])
    case .expand(let target): emit("Expand", label, [x, shape(label, target, like: x, xShape)], outputs)
    case .slice(let axes, let starts, let ends, let steps):
      let bounds = [(".starts", starts), (".ends", ends), (".axes", axes), (".steps", steps)].map { vector(label + $0.0, $0.1) }
      emit("Slice", label, [x] + bounds, outputs)
    case .gather(let axis): emit("Gather", label, inputs, outputs, [("axis", .integer(Int64(axis)))])
    case .concat(let axis): emit("Concat", label, inputs, outputs, [("axis", .integer(Int64(axis)))])
    case .split(let axis, let sizes):
      emit("Split", label, [x, vector(label + ".sizes", sizes)], outputs, [("axis", .integer(Int64(axis)))])
    case .squeeze(let axes): emit("Squeeze", label, [x, vector(label + ".axes", axes)], outputs)
    case .unsqueeze(let axes): emit("Unsqueeze", label, [x, vector(label + ".axes", axes)], outputs)
    case .cast(let type): emit("Cast", label, inputs, outputs, [("to", .integer(ONNXTypes.number(type)))])
    case .select: emit("Where", label, inputs, outputs)
    case .flatten(let axis): emit("Flatten", label, inputs, outputs, [("axis", .integer(Int64(axis)))])
    case .linear(let transposed, let function):
      var weight = inputs[1]
      if transposed {
        weight = fresh(output + ".weight")
        emit("Transpose", label + ".transpose", [inputs[1]], [weight], [("perm", .integers([1, 0]))])
      }
      product(label, x, weight, inputs.count > 2 ? inputs[2] : "", function, output)
    case .batchedLinear(let function): product(label, x, inputs[1], inputs.count > 2 ? inputs[2] : "", function, output)
    }
  }

  /// MatMul, Add and an activation, as many of them as there are.
  private mutating func product(_ label: String, _ x: String, _ weight: String, _ bias: String, _ function: Activation, _ output: String) {
    let steps = 1 + (bias.isEmpty ? 0 : 1) + (function == .none ? 0 : 1)
    var current = steps == 1 ? output : fresh(output + ".product")
    emit("MatMul", label, [x, weight], [current])
    if !bias.isEmpty {
      let sum = function == .none ? output : fresh(output + ".biased")
      emit("Add", label + ".add", [current, bias], [sum])
      current = sum
    }
    if function != .none { activation(function, label, current, output) }
  }
}

extension Operation {
  /// The opset that writing it takes, where that is above 17.
  fileprivate var firstOpset: Int64 {
    switch self {
    case .unary(.gelu), .unary(.geluTanh): 20
    case .linear(_, let activation), .batchedLinear(let activation), .normalizedActivation(_, _, let activation):
      activation == .gelu || activation == .geluTanh ? 20 : 17
    case .defined(let defined): defined.definition.sinceOpset
    default: 17
    }
  }
}
