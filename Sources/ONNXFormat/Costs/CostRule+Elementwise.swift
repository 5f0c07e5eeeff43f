import ModelGraph

extension CostRule {
  /// One operation an element, or a few; comparisons give truth values.
  static let elementwise: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    for name in [
      "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "Sum", "Mean", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
    ] { rules[name] = .broadcast() }
    for name in ["And", "Or", "Xor", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"] { rules[name] = .broadcast(type: .bool) }
    rules["Where"] = .broadcast(valueFrom: 1)
    for name in [
      "Clip", "Shrink", "BitwiseNot", "Sigmoid", "Tanh",
    ] { rules[name] = .likeFirst(1) }
    for name in [
      "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Swish", "Mish", "Gelu",
      "com.microsoft.QuickGelu", "com.microsoft.Gelu",
    ] { rules[name] = .likeFirst(4) }
    for name in ["com.microsoft.BiasGelu", "com.microsoft.FastGelu"] { rules[name] = .likeFirst(5) }
    for name in ["Not", "IsInf", "IsNaN"] { rules[name] = .likeFirst(1, type: .bool) }
    rules["Dropout"] = CostRule(
      types: { node in [node.elementType(0), .bool] }, shapes: { node in [node.shape(0), node.shape(0)] }, work: perResult(0))
    rules["Identity"] = CostRule(shapes: { node in [node.shape(0)] }, work: { _, _ in [] }, isBookkeeping: true)
    rules["Cast"] = CostRule(types: { node in [node.elementType(of: "to")] }, shapes: { node in [node.shape(0)] }, work: perResult(0))
    rules["CastLike"] = CostRule(types: { node in [node.elementType(1)] }, shapes: { node in [node.shape(0)] }, work: perResult(0))
    rules["BitCast"] = rules["Cast"]
    for name in ["Bernoulli", "RandomNormalLike", "RandomUniformLike"] {
      rules[name] = CostRule(types: { node in [node.elementType(of: "dtype")] }, shapes: { node in [node.shape(0)] }, work: perResult(10))
    }
    for name in ["RandomNormal", "RandomUniform"] {
      rules[name] = CostRule(
        types: { node in [node.elementType(of: "dtype") ?? .float32] }, shapes: { node in [node.list("shape")?.map { .fixed($0) }] },
        work: perResult(10))
    }
    // What devices run has its cost beside its definition.
    for function in UnaryOperation.allCases {
      if let name = function.onnxName, rules[name] == nil { rules[name] = .likeFirst(function.isTranscendental ? 4 : 1) }
    }
    for function in AttributedFunction.allCases { rules[function.onnxName] = .likeFirst(function.isTranscendental ? 4 : 1) }
    return rules
  }()
}
