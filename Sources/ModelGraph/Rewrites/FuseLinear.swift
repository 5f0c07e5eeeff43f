/// A product with a constant matrix, its bias and its activation -> one kernel.
///
/// `linear` is defined as activation(x W + b); each replaced node computes one of those three steps and nothing else reads the values in
/// between, so the composition is the definition.
public enum FuseLinear: RewritePass {
  /// "fuse-linear".
  public static let name = "fuse-linear"

  /// Fuses products first, then biases, then activations.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    fuseActivations(fuseBiases(named(graph)).withoutUnusedNodes())
  }

  /// Products with constant matrices under their fused name.
  static func named(_ graph: Graph) -> Graph {
    var result = graph
    let producers = graph.producers
    for (position, node) in graph.nodes.enumerated() {
      guard node.inputs.count >= 2, let x = node.inputs[0], let weight = node.inputs[1] else { continue }
      // x W^T, as exporters write a layer whose weight is stored [n, k]: the transpose of a constant is the constant, read the other way.
      if node.operation == .matMul, let producer = producers[weight].map({ graph.nodes[$0] }),
        producer.operation == .transpose(permutation: [1, 0]), let stored = producer.inputs.first ?? nil, graph.constants[stored] != nil
      {
        result.nodes[position].operation = .linear(transposeWeight: true, activation: .none)
        result.nodes[position].inputs[1] = stored
        continue
      }
      guard graph.constants[weight] != nil else { continue }
      switch node.operation {
      case .matMul where graph[weight].shape.count == 2:
        result.nodes[position].operation = .linear(transposeWeight: false, activation: .none)
      case .matMul where graph[weight].shape.count == 3 && (graph[x].shape.count == 2 || heads(graph[x]) == heads(graph[weight])):
        result.nodes[position].operation = .batchedLinear(activation: .none)
      case .gemm(alpha: 1, beta: 1, transposeA: false, let transposeB):
        if node.inputs.count > 2, let bias = node.inputs[2], graph[bias].shape != [graph[node.outputs[0]].shape[1]] { continue }
        result.nodes[position].operation = .linear(transposeWeight: transposeB, activation: .none)
      default: continue
      }
    }
    return result
  }

  private static func heads(_ value: Value) -> Dimension? { value.shape.count == 3 ? value.shape[0] : nil }

  static func fuseBiases(_ graph: Graph, batched: Bool = true) -> Graph {
    var result = graph
    let index = GraphIndex(graph)
    for (position, node) in graph.nodes.enumerated() {
      guard node.operation == .binary(.add), let output = node.outputs.first, let (left, right) = index.operands(output, .add) else {
        continue
      }
      for (product, bias) in [(left, right), (right, left)] where graph.constants[bias] != nil && index.reads[product] == 1 {
        guard let linear = index.producer(product), linear.inputs.count == 2 || (linear.inputs.count == 3 && linear.inputs[2] == nil) else {
          continue
        }
        let shape = graph[bias].shape
        switch linear.operation {
        case .linear(_, activation: .none) where shape == [graph[product].shape.last ?? .fixed(1)]: break
        case .batchedLinear(activation: .none)
        where batched && graph[product].shape.count == 3 && shape == [graph[product].shape[0], .fixed(1), graph[product].shape[2]]:
          break
        default: continue
        }
        result.nodes[position] = Node(
          name: linear.name, operation: linear.operation, inputs: [linear.inputs[0], linear.inputs[1], bias], outputs: node.outputs)
      }
    }
    return result
  }

  static func fuseActivations(_ graph: Graph) -> Graph {
    var result = graph
    let index = GraphIndex(graph)
    for (position, node) in graph.nodes.enumerated() {
      guard case .unary(let function) = node.operation, let activation = Activation(function), let x = node.inputs.first.flatMap({ $0 }),
        index.reads[x] == 1, let linear = index.producer(x)
      else { continue }
      let fused: Operation
      switch linear.operation {
      case .linear(let transposed, activation: .none): fused = .linear(transposeWeight: transposed, activation: activation)
      case .batchedLinear(activation: .none): fused = .batchedLinear(activation: activation)
      default: continue
      }
      result.nodes[position] = Node(name: linear.name + "+" + node.name, operation: fused, inputs: linear.inputs, outputs: node.outputs)
    }
    return result
  }
}

/// A product with a constant matrix and a bias of one vector -> one kernel, as frameworks run addmm. Activations and batched products' biases
/// stay kernels of their own. The proof is `FuseLinear`'s first two steps.
public enum FuseVectorBias: RewritePass {
  /// "fuse-vector-bias".
  public static let name = "fuse-vector-bias"

  /// Fuses products, then biases.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    FuseLinear.fuseBiases(FuseLinear.named(graph), batched: false).withoutUnusedNodes()
  }
}

extension Activation {
  /// The activation that an elementwise function is; nil for functions that are none.
  init?(_ function: UnaryOperation) {
    switch function {
    case .relu: self = .relu
    case .gelu: self = .gelu
    case .geluTanh: self = .geluTanh
    case .tanh: self = .tanh
    case .sigmoid: self = .sigmoid
    default: return nil
    }
  }
}
