/// A convolution, the batch normalization behind it and an activation -> one kernel, for plans.
///
/// With constant statistics a batch normalization is a factor and a summand for each channel (Ioffe, Szegedy 2015): they go into the filter and
/// its bias when the model is prepared, as every inference library does. An activation is applied before the result is written.
/// Nothing else reads the values in between.
public enum FuseConvolution: RewritePass {
  /// "fuse-convolution".
  public static let name = "fuse-convolution"

  /// Puts what follows a product into it, as far as it goes.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    var result = graph
    let reads = graph.readCounts
    var writers = graph.producers
    for (position, node) in graph.nodes.enumerated() {
      guard let suffix = suffix(of: node, graph), let x = node.inputs.first ?? nil, reads[x] == 1, let writer = writers[x],
        let output = node.outputs.first, node.outputs.count == 1, var fused = product(result.nodes[writer], graph)
      else { continue }
      let isNormalization = suffix == "batchnormalization"
      // A filter can take a factor in only while nothing but its bias stands between.
      if isNormalization ? !fused.fused.isEmpty : fused.fused.contains(where: { $0 != "batchnormalization" }) { continue }
      fused.fused.append(suffix)
      fused.results = [CostedOperator.Result(type: graph[output].type, shape: graph[output].shape)]
      let before = result.nodes[writer]
      result.nodes[position] = Node(
        name: before.name + "+" + node.name, operation: .costed(fused), inputs: before.inputs, outputs: node.outputs)
      writers[output] = position
    }
    return result
  }

  /// What a node is called behind a product, where it can run in its kernel.
  private static func suffix(of node: Node, _ graph: Graph) -> String? {
    switch node.operation {
    case .unary(let function) where function != .identity: return function.rawValue.lowercased()
    case .clip: return "clip"
    case .attributed(let function, _, _): return function.rawValue.lowercased()
    case .defined(let defined) where defined.definition.name == "BatchNormalization":
      return hasKnownParameters(node, graph) ? "batchnormalization" : nil
    case .costed(let costed) where costed.type == "BatchNormalization" && costed.results.count == 1:
      return hasKnownParameters(node, graph) ? "batchnormalization" : nil
    case .defined(let defined) where defined.definition.name == "PRelu": return "prelu"
    case .costed(let costed) where costed.type == "PRelu": return "prelu"
    default: return nil
    }
  }

  private static func hasKnownParameters(_ node: Node, _ graph: Graph) -> Bool {
    node.inputs.dropFirst().allSatisfy { $0.map { graph.constants[$0] != nil } ?? false }
  }

  /// A convolution, or a fully connected layer that a normalization may follow.
  private static func product(_ node: Node, _ graph: Graph) -> CostedOperator? {
    switch node.operation {
    case .costed(let costed)
    where ["Conv", "ConvTranspose", "Gemm"].contains(costed.type) && costed.unplanned == nil && costed.work.count == 1:
      return costed
    default: return nil
    }
  }
}
