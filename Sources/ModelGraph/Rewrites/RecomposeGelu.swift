/// A GELU written as its steps -> one operation, in both forms (Hendrycks, Gimpel 2016).
///
/// Exact: x * 0.5 * (1 + erf(x / sqrt 2)). Tanh: x * 0.5 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). Multiplication is associative and
/// commutative up to rounding, so the three factors are looked for in any order and grouping.
public enum RecomposeGelu: RewritePass {
  /// "recompose-gelu".
  public static let name = "recompose-gelu"

  /// Replaces the last multiplication of each such chain.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    var result = graph
    let index = GraphIndex(graph)
    for (position, node) in graph.nodes.enumerated() {
      guard node.operation == .binary(.multiply), let output = node.outputs.first else { continue }
      let factors = factors(of: output, index)
      guard factors.count == 3, let half = factors.firstIndex(where: { index.scalar($0) == 0.5 }) else { continue }
      let rest = factors.indices.filter { $0 != half }.map { factors[$0] }
      for (x, gate) in [(rest[0], rest[1]), (rest[1], rest[0])] {
        guard let inner = index.other(gate, .add, near: 1) else { continue }
        if isErf(inner, of: x, index) {
          result.nodes[position] = Node(name: node.name, operation: .unary(.gelu), inputs: [x], outputs: node.outputs)
        } else if isTanh(inner, of: x, index) {
          result.nodes[position] = Node(name: node.name, operation: .unary(.geluTanh), inputs: [x], outputs: node.outputs)
        }
      }
    }
    return result
  }

  /// The factors of a product of at most three, through intermediate products that nobody else reads.
  static func factors(of value: ValueID, _ index: GraphIndex) -> [ValueID] {
    guard let (left, right) = index.operands(value, .multiply) else { return [value] }
    func expand(_ factor: ValueID) -> [ValueID] {
      guard index.reads[factor] == 1, let (a, b) = index.operands(factor, .multiply) else { return [factor] }
      return [a, b]
    }
    return expand(left) + expand(right)
  }

  static func isErf(_ value: ValueID, of x: ValueID, _ index: GraphIndex) -> Bool {
    guard let argument = index.operand(value, .erf) else { return false }
    if let (numerator, divisor) = index.operands(argument, .divide), numerator == x, let constant = index.scalar(divisor) {
      return abs(constant - 2.0.squareRoot()) < 1e-4
    }
    return index.other(argument, .multiply, near: 0.5.squareRoot()) == x
  }

  static func isTanh(_ value: ValueID, of x: ValueID, _ index: GraphIndex) -> Bool {
    guard let argument = index.operand(value, .tanh), let sum = index.other(argument, .multiply, near: 0.7978845608),
      let (left, right) = index.operands(sum, .add)
    else { return false }
    for (first, cubic) in [(left, right), (right, left)] where first == x {
      guard let cube = index.other(cubic, .multiply, near: 0.044715) else { continue }
      if let (base, power) = index.operands(cube, .power), base == x, index.scalar(power) == 3 { return true }
      if let (a, b) = index.operands(cube, .multiply) {
        for (square, factor) in [(a, b), (b, a)] where factor == x {
          if let (c, d) = index.operands(square, .multiply), c == x, d == x { return true }
        }
      }
    }
    return false
  }
}
