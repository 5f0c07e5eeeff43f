/// A LayerNorm written as its steps -> one operation.
///
/// Exporters below opset 17 write mean(x), d = x - mean, mean(d * d) + eps, its root, d / root, * scale, + bias. With the means over the last
/// axis that is LayerNorm's definition (Ba, Kiros, Hinton 2016), term by term: the rewrite only names it, so outputs are equal.
public enum RecomposeNormalization: RewritePass {
  /// "recompose-normalization".
  public static let name = "recompose-normalization"

  /// Replaces the last addition of each such chain.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    var result = graph
    let index = GraphIndex(graph)
    for (position, node) in graph.nodes.enumerated() {
      guard node.operation == .binary(.add), let output = node.outputs.first, let (left, right) = index.operands(output, .add) else {
        continue
      }
      for (scaled, bias) in [(left, right), (right, left)] where graph.constants[bias] != nil {
        guard let (a, b) = index.operands(scaled, .multiply) else { continue }
        for (normalized, scale) in [(a, b), (b, a)] where graph.constants[scale] != nil {
          guard let (x, epsilon) = source(of: normalized, index), let size = graph[x].shape.last,
            graph[scale].shape == [size], graph[bias].shape == [size]
          else { continue }
          result.nodes[position] = Node(
            name: node.name, operation: .layerNormalization(axis: -1, epsilon: Float(epsilon)), inputs: [x, scale, bias],
            outputs: node.outputs)
        }
      }
    }
    return result
  }

  /// x and epsilon when `value` is (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) over the last axis.
  static func source(of value: ValueID, _ index: GraphIndex) -> (ValueID, Double)? {
    guard let (difference, root) = index.operands(value, .divide), let x = centered(difference, index),
      let (variance, constant) = index.operands(index.operand(root, .squareRoot), .add), let epsilon = index.scalar(constant),
      let square = meanOfLast(variance, index), let squared = squareRoot(of: square, index)
    else { return nil }
    return squared == difference || centered(squared, index) == x ? (x, epsilon) : nil
  }

  /// x when `value` is x - mean(x).
  static func centered(_ value: ValueID, _ index: GraphIndex) -> ValueID? {
    guard let (x, mean) = index.operands(value, .subtract), meanOfLast(mean, index) == x else { return nil }
    return x
  }

  /// d when `value` is d^2 or d * d.
  static func squareRoot(of value: ValueID, _ index: GraphIndex) -> ValueID? {
    if let (base, power) = index.operands(value, .power), index.scalar(power) == 2 { return base }
    if let (left, right) = index.operands(value, .multiply), left == right { return left }
    return nil
  }

  /// x when `value` is its mean over the last axis, kept as a dimension of one.
  static func meanOfLast(_ value: ValueID, _ index: GraphIndex) -> ValueID? {
    guard let node = index.producer(value), case .reduceMean(let axes, true) = node.operation, let x = node.inputs.first.flatMap({ $0 })
    else { return nil }
    return axes == [-1] || axes == [index.graph[x].shape.count - 1] ? x : nil
  }
}
