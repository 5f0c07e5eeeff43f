import ModelGraph

/// A node as the rules for its cost see it: attributes, and of every input what is known.
struct CostedNode {
  /// What is known of an input; nothing where it is left out.
  struct Operand {
    var type: DataType?
    var shape: Shape?
    /// Its elements, where they are known integers.
    var integers: [Int]?
    /// Its elements as sizes, where they follow from shapes.
    var sizes: [Dimension]?
    /// Its elements, where they are known at all.
    var reals: [Double]?
  }

  let type: String
  let opset: Int64
  let attributes: [String: AttributeMessage]
  let inputs: [Operand?]
  let outputCount: Int
  /// Counts instead of the attribute, where that has another meaning in the node's opset.
  var axis: Int?

  func has(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }
  func operand(_ index: Int) -> Operand? { index < inputs.count ? inputs[index] : nil }
  func shape(_ index: Int) -> Shape? { operand(index)?.shape }
  func elementType(_ index: Int) -> DataType? { operand(index)?.type }
  func integers(_ index: Int) -> [Int]? { operand(index)?.integers }

  func integer(_ name: String) -> Int? { attributes[name]?.integer.flatMap { Int(exactly: $0) } }
  func list(_ name: String) -> [Int]? {
    attributes[name].flatMap { attribute in
      let values = attribute.integers.compactMap { Int(exactly: $0) }
      return values.count == attribute.integers.count ? values : nil
    }
  }
  func text(_ name: String) -> String? { attributes[name]?.text }
  func elementType(of name: String) -> DataType? { attributes[name]?.integer.flatMap { ONNXTypes.anyType($0) } }

  /// An axis counted from the front; nil where it is out of range.
  func axis(_ axis: Int, rank: Int) -> Int? {
    let positive = axis < 0 ? axis &+ rank : axis
    return positive >= 0 && positive < rank ? positive : nil
  }

  /// Axes given as an attribute, or as an input in later opsets; empty where there are none, nil where they are not known.
  func axes(input: Int, rank: Int) -> [Int]? {
    let given: [Int]
    if let list = list("axes") {
      given = list
    } else if has(input) {
      guard let known = integers(input) else { return nil }
      given = known
    } else {
      given = []
    }
    let positive = given.compactMap { axis($0, rank: rank) }
    return positive.count == given.count ? positive : nil
  }

  /// The product of fixed dimensions; nil where one depends on the rows or the product overflows.
  static func fixedProduct(_ shape: some Sequence<Dimension>) -> Int? {
    var product = 1
    for dimension in shape {
      guard let size = dimension.fixedSize else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      if overflow { return nil }
      product = next
    }
    return product
  }
}

/// What an operator's results are and what they take, from its inputs. Shapes that a rule cannot tell are nil: then what the file declares
/// counts.
struct CostRule: Sendable {
  typealias Work = CostedOperator.Work

  /// Results' element types, by output; nil, or too few: the first input's.
  var types: @Sendable (CostedNode) -> [DataType?] = { _ in [] }
  /// Results' shapes, by output.
  var shapes: @Sendable (CostedNode) -> [Shape?]
  /// Kernels, with the results' shapes as they were found.
  var work: @Sendable (CostedNode, [Shape?]) -> [Work]
  /// Why sizes are the largest possible rather than known; nil where they are known.
  var sizeNote: String?
  /// The largest that results can be, where neither the rule nor the file tells their shapes: axes that come with a request.
  var upperBounds: (@Sendable (CostedNode) -> [Shape?])?
  /// Whether results that are no tensors (sequences, optionals) are nothing to count.
  var isBookkeeping = false

  /// Every element of the result once, with so many operations.
  static func perResult(_ operations: Double) -> @Sendable (CostedNode, [Shape?]) -> [Work] {
    { _, results in (results.first ?? nil).map { [.traffic(operations: operations, elements: $0)] } ?? [] }
  }

  /// Every element of the first input once, with so many operations.
  static func perInput(_ operations: Double) -> @Sendable (CostedNode, [Shape?]) -> [Work] {
    { node, results in (node.shape(0) ?? results.first ?? nil).map { [.traffic(operations: operations, elements: $0)] } ?? [] }
  }

  /// The first input's shape, for so many outputs.
  static func likeFirst(_ operations: Double = 1, type: DataType? = nil) -> CostRule {
    CostRule(
      types: { node in (0..<max(1, node.outputCount)).map { _ in type } },
      shapes: { node in (0..<max(1, node.outputCount)).map { _ in node.shape(0) } }, work: perResult(operations))
  }

  /// All inputs broadcast together.
  static func broadcast(_ operations: Double = 1, type: DataType? = nil, valueFrom: Int = 0) -> CostRule {
    CostRule(
      types: { node in [type ?? node.elementType(valueFrom)] },
      shapes: { node in
        // Before opset 7 the second input was fitted to the first.
        if node.opset < 7 { return [node.shape(0)] }
        var result: Shape? = []
        for index in node.inputs.indices where node.has(index) {
          guard let left = result, let right = node.shape(index) else { return [nil] }
          result = Shapes.broadcast(left, right)
        }
        return [result]
      }, work: perResult(operations))
  }

  /// All rules by operator; a domain other than ONNX's own stands before the name.
  static let all: [String: CostRule] = [
    elementwise, reductions, products, convolutions, pooling, normalization, recurrent, layout, indexing, attention,
    quantization, sequences, signals, definitions,
  ].reduce(into: [:]) { $0.merge($1) { first, _ in first } }
}
