import JSONText
import ModelGraph

/// Operations as JSON for plan files: the case's name and its attributes.
enum OperationCoding {
  static func json(_ operation: Operation) -> JSONValue {
    func list(_ values: [Int]) -> JSONValue { .array(values.map { JSONValue($0) }) }
    func make(_ kind: String, _ members: (String, JSONValue)...) -> JSONValue {
      .object([JSONValue.Member("kind", JSONValue(kind))] + members.map { JSONValue.Member($0.0, $0.1) })
    }
    switch operation {
    case .matMul: return make("matMul")
    case .gemm(let alpha, let beta, let transposeA, let transposeB):
      return make(
        "gemm", ("alpha", JSONValue(Double(alpha))), ("beta", JSONValue(Double(beta))), ("transposeA", .bool(transposeA)),
        ("transposeB", .bool(transposeB)))
    case .binary(let function): return make("binary", ("function", JSONValue(function.rawValue)))
    case .unary(let function): return make("unary", ("function", JSONValue(function.rawValue)))
    case .softmax(let axis): return make("softmax", ("axis", JSONValue(axis)))
    case .layerNormalization(let axis, let epsilon):
      return make("layerNormalization", ("axis", JSONValue(axis)), ("epsilon", JSONValue(Double(epsilon))))
    case .reduceMean(let axes, let keep): return make("reduceMean", ("axes", list(axes)), ("keepDimensions", .bool(keep)))
    case .reduce(let reduction, let axes, let keep):
      return make(
        "reduce", ("reduction", JSONValue(reduction.rawValue)), ("axes", list(axes)), ("keepDimensions", .bool(keep)))
    // JSON has no infinity: a bound that is none is left out.
    case .clip(let minimum, let maximum):
      return make(
        "clip", ("minimum", minimum.isFinite ? JSONValue(Double(minimum)) : .null),
        ("maximum", maximum.isFinite ? JSONValue(Double(maximum)) : .null))
    case .attributed(let function, let first, let second):
      return make(
        "attributed", ("function", JSONValue(function.rawValue)), ("first", JSONValue(Double(first))), ("second", JSONValue(Double(second)))
      )
    case .defined(let defined): return make("defined", ("operator", DefinedOperatorCoding.json(defined)))
    case .costed(let costed): return make("costed", ("operator", CostedOperatorCoding.json(costed)))
    case .reshape(let shape): return make("reshape", ("shape", json(shape)))
    case .transpose(let permutation): return make("transpose", ("permutation", list(permutation)))
    case .expand(let shape): return make("expand", ("shape", json(shape)))
    case .slice(let axes, let starts, let ends, let steps):
      return make("slice", ("axes", list(axes)), ("starts", list(starts)), ("ends", list(ends)), ("steps", list(steps)))
    case .gather(let axis): return make("gather", ("axis", JSONValue(axis)))
    case .concat(let axis): return make("concat", ("axis", JSONValue(axis)))
    case .split(let axis, let sizes): return make("split", ("axis", JSONValue(axis)), ("sizes", list(sizes)))
    case .squeeze(let axes): return make("squeeze", ("axes", list(axes)))
    case .unsqueeze(let axes): return make("unsqueeze", ("axes", list(axes)))
    case .cast(let type): return make("cast", ("type", JSONValue(type.rawValue)))
    case .select: return make("select")
    case .flatten(let axis): return make("flatten", ("axis", JSONValue(axis)))
    case .linear(let transposed, let activation):
      return make("linear", ("transposeWeight", .bool(transposed)), ("activation", JSONValue(activation.rawValue)))
    case .batchedLinear(let activation): return make("batchedLinear", ("activation", JSONValue(activation.rawValue)))
    case .normalizedActivation(let axis, let epsilon, let activation):
      return make(
        "normalizedActivation", ("axis", JSONValue(axis)), ("epsilon", JSONValue(Double(epsilon))),
        ("activation", JSONValue(activation.rawValue)))
    }
  }

  /// Nil where a member is missing or of the wrong kind.
  static func operation(_ json: JSONValue) -> Operation? {
    func integer(_ name: String) -> Int? { json[name]?.integerValue.flatMap { Int(exactly: $0) } }
    func list(_ name: String) -> [Int]? { json[name]?.arrayValue.flatMap(integers) }
    func float(_ name: String) -> Float? { json[name]?.doubleValue.map { Float($0) } }
    func flag(_ name: String) -> Bool? { json[name]?.boolValue }
    let activation = json["activation"]?.stringValue.flatMap { Activation(rawValue: $0) }
    switch json["kind"]?.stringValue {
    case "matMul": return .matMul
    case "gemm":
      guard let alpha = float("alpha"), let beta = float("beta"), let a = flag("transposeA"), let b = flag("transposeB") else { return nil }
      return .gemm(alpha: alpha, beta: beta, transposeA: a, transposeB: b)
    case "binary": return json["function"]?.stringValue.flatMap { BinaryOperation(rawValue: $0) }.map { .binary($0) }
    case "unary": return json["function"]?.stringValue.flatMap { UnaryOperation(rawValue: $0) }.map { .unary($0) }
    case "softmax": return integer("axis").map { .softmax(axis: $0) }
    case "layerNormalization":
      guard let axis = integer("axis"), let epsilon = float("epsilon") else { return nil }
      return .layerNormalization(axis: axis, epsilon: epsilon)
    case "reduceMean":
      guard let axes = list("axes"), let keep = flag("keepDimensions") else { return nil }
      return .reduceMean(axes: axes, keepDimensions: keep)
    case "reduce":
      guard let reduction = json["reduction"]?.stringValue.flatMap({ Reduction(rawValue: $0) }), let axes = list("axes"),
        let keep = flag("keepDimensions")
      else { return nil }
      return .reduce(reduction, axes: axes, keepDimensions: keep)
    case "clip": return .clip(minimum: float("minimum") ?? -.infinity, maximum: float("maximum") ?? .infinity)
    case "attributed":
      guard let function = json["function"]?.stringValue.flatMap({ AttributedFunction(rawValue: $0) }), let first = float("first"),
        let second = float("second")
      else { return nil }
      return .attributed(function, first, second)
    // As files before had it.
    case "leakyRelu": return float("slope").map { .attributed(.leakyRelu, $0, 0) }
    case "defined": return json["operator"].flatMap(DefinedOperatorCoding.defined).map { .defined($0) }
    case "costed": return json["operator"].flatMap(CostedOperatorCoding.costed).map { .costed($0) }
    case "reshape": return json["shape"].flatMap(shape).map { .reshape($0) }
    case "transpose": return list("permutation").map { .transpose(permutation: $0) }
    case "expand": return json["shape"].flatMap(shape).map { .expand($0) }
    case "slice":
      guard let axes = list("axes"), let starts = list("starts"), let ends = list("ends"), let steps = list("steps") else { return nil }
      return .slice(axes: axes, starts: starts, ends: ends, steps: steps)
    case "gather": return integer("axis").map { .gather(axis: $0) }
    case "concat": return integer("axis").map { .concat(axis: $0) }
    case "split":
      guard let axis = integer("axis"), let sizes = list("sizes") else { return nil }
      return .split(axis: axis, sizes: sizes)
    case "squeeze": return list("axes").map { .squeeze(axes: $0) }
    case "unsqueeze": return list("axes").map { .unsqueeze(axes: $0) }
    case "cast": return json["type"]?.stringValue.flatMap { DataType(rawValue: $0) }.map { .cast($0) }
    case "select": return .select
    case "flatten": return integer("axis").map { .flatten(axis: $0) }
    case "linear":
      guard let transposed = flag("transposeWeight"), let activation else { return nil }
      return .linear(transposeWeight: transposed, activation: activation)
    case "batchedLinear": return activation.map { .batchedLinear(activation: $0) }
    case "normalizedActivation":
      guard let axis = integer("axis"), let epsilon = float("epsilon"), let activation else { return nil }
      return .normalizedActivation(axis: axis, epsilon: epsilon, activation: activation)
    default: return nil
    }
  }

  /// Dimensions as [constant, perRow] pairs.
  static func json(_ shape: Shape) -> JSONValue { .array(shape.map { [JSONValue($0.constant), JSONValue($0.perRow)] }) }

  static func shape(_ json: JSONValue) -> Shape? {
    guard let pairs = json.arrayValue else { return nil }
    let dimensions = pairs.compactMap { pair -> Dimension? in
      guard let numbers = pair.arrayValue.flatMap(integers), numbers.count == 2 else { return nil }
      return Dimension(constant: numbers[0], perRow: numbers[1])
    }
    return dimensions.count == pairs.count ? dimensions : nil
  }

  static func integers(_ values: [JSONValue]) -> [Int]? {
    let numbers = values.compactMap { $0.integerValue.flatMap { Int(exactly: $0) } }
    return numbers.count == values.count ? numbers : nil
  }
}
