/// LayerNorm followed by an activation -> one kernel.
///
/// `normalizedActivation` is the composition by definition, and nothing else reads the value in between.
public enum FuseNormalizationActivation: RewritePass {
  /// "fuse-normalization-activation".
  public static let name = "fuse-normalization-activation"

  /// Replaces the activation.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    var result = graph
    let index = GraphIndex(graph)
    for (position, node) in graph.nodes.enumerated() {
      guard case .unary(let function) = node.operation, let activation = Activation(function), let x = node.inputs.first.flatMap({ $0 }),
        index.reads[x] == 1, let norm = index.producer(x), case .layerNormalization(let axis, let epsilon) = norm.operation
      else { continue }
      result.nodes[position] = Node(
        name: norm.name + "+" + node.name, operation: .normalizedActivation(axis: axis, epsilon: epsilon, activation: activation),
        inputs: norm.inputs, outputs: node.outputs)
    }
    return result
  }
}
