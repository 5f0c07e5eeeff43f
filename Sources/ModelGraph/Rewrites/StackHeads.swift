/// N parallel chains of linear layers, of one shape and on one input -> one chain of batched products.
///
/// Block h of [N, m, k] x [N, k, n] is x_h W_h, exactly the product of head h; bias and activation act on blocks independently. The heads'
/// results are taken out again as blocks, so every reader sees the value it saw before.
public enum StackHeads: RewritePass {
  /// "stack-heads".
  public static let name = "stack-heads"

  /// Stacks every such group of at least two; expects `FuseLinear` to have run.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    let index = GraphIndex(graph)
    var readers: [ValueID: [Int]] = [:]
    for (position, node) in graph.nodes.enumerated() {
      if case .linear = node.operation, let x = node.inputs[0], graph[x].shape.count == 2 { readers[x, default: []].append(position) }
    }
    var result = graph
    var replaced: Set<Int> = []
    var inserted: [Int: [Node]] = [:]
    for (input, positions) in readers.sorted(by: { $0.key < $1.key }) {
      for (_, group) in Dictionary(grouping: positions, by: { Signature(graph, graph.nodes[$0]) }).sorted(by: {
        ($0.value.first ?? 0) < ($1.value.first ?? 0)
      })
      where group.count > 1 && !group.contains(where: replaced.contains) {
        // Follow the heads as long as each feeds exactly one linear layer of a common shape.
        var stages = [group]
        while let last = stages.last {
          let next = last.compactMap { position in
            let output = graph.nodes[position].outputs[0]
            return index.reads[output] == 1 ? readers[output]?.first : nil
          }
          guard next.count == group.count, Set(next.map { Signature(graph, graph.nodes[$0]) }).count == 1 else { break }
          stages.append(next)
        }
        var x = input
        var nodes: [Node] = []
        let before = result.nodes.count
        for stage in stages { x = try stack(stage.map { graph.nodes[$0] }, on: x, into: &result) }
        for (head, position) in (stages.last ?? []).enumerated() {
          let target = graph.nodes[position].outputs[0]
          let name = graph[target].name
          let block = try result.apply(.slice(axes: [0], starts: [head], ends: [head + 1], steps: [1]), name + ".block", [x])
          result.nodes.append(Node(name: name + ".head", operation: .squeeze(axes: [0]), inputs: [block], outputs: [target]))
        }
        nodes = Array(result.nodes[before...])
        result.nodes.removeLast(nodes.count)
        // Where the first replaced node stood the shared input is written, and no reader of any head's result has come yet.
        inserted[stages.flatMap { $0 }.min() ?? 0, default: []] += nodes
        replaced.formUnion(stages.flatMap { $0 })
      }
    }
    if replaced.isEmpty { return graph }
    result.nodes = graph.nodes.indices.flatMap { (inserted[$0] ?? []) + (replaced.contains($0) ? [] : [graph.nodes[$0]]) }
    return result
  }

  /// What heads must have in common.
  struct Signature: Hashable {
    var operation: Operation
    var weight: Shape
    var hasBias: Bool

    init(_ graph: Graph, _ node: Node) {
      operation = node.operation
      weight = node.inputs[1].map { graph[$0].shape } ?? []
      hasBias = node.inputs.count > 2 && node.inputs[2] != nil
    }
  }

  /// One batched product for the same layer of all heads.
  static func stack(_ heads: [Node], on x: ValueID, into graph: inout Graph) throws(GraphError) -> ValueID {
    guard let first = heads.first, case .linear(let transposed, let activation) = first.operation else { return x }
    let name = "stack(" + heads.map(\.name).joined(separator: ",") + ")"
    func parameter(_ slot: Int, _ suffix: String, transposed: Bool, middle: [Int]) throws(GraphError) -> ValueID? {
      let tensors = heads.compactMap { $0.inputs.count > slot ? $0.inputs[slot].flatMap { graph.constants[$0] } : nil }
      guard tensors.count == heads.count, let one = tensors.first else { return nil }
      let shape = [heads.count] + middle + (transposed ? one.shape.reversed() : one.shape)
      guard let tensor = Tensor(type: one.type, shape: shape, storage: StackedStorage(tensors, transposed: transposed)) else {
        throw GraphError(node: name, reason: "the heads' parameters differ in size")
      }
      return graph.addConstant(name + suffix, tensor)
    }
    guard let weight = try parameter(1, ".weight", transposed: transposed, middle: []) else {
      throw GraphError(node: name, reason: "a head's weight is not constant")
    }
    let bias = try parameter(2, ".bias", transposed: false, middle: [1])
    return try graph.apply(.batchedLinear(activation: activation), name, [x, weight, bias])
  }
}

/// Tensors one after the other, each transposed on request; put together when first read.
final class StackedStorage: TensorStorage {
  let byteCount: Int
  private let parts: [Tensor]
  private let transposed: Bool

  init(_ parts: [Tensor], transposed: Bool) {
    self.parts = parts
    self.transposed = transposed
    byteCount = parts.reduce(0) { $0 + $1.storage.byteCount }
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    for part in parts {
      part.storage.withBytes { source in
        guard transposed, part.shape.count == 2 else {
          bytes.append(contentsOf: source)
          return
        }
        let (rows, columns, size) = (part.shape[0], part.shape[1], part.type.bytesPerElement)
        for column in 0..<columns {
          for row in 0..<rows {
            let start = (row * columns + column) * size
            bytes.append(contentsOf: source[start..<(start + size)])
          }
        }
      }
    }
    return try bytes.withUnsafeBytes(body)
  }
}
