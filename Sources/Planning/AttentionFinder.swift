import ModelGraph

/// How attention runs.
public enum AttentionKernels: String, Sendable, Hashable, CaseIterable {
  /// As it is written: two products with a softmax between them.
  case separate
  /// In one kernel, as inference engines and frameworks do where they can.
  case fused

  /// As a plan's list of rewrites names it.
  static let fusedName = "fused-attention"
}

/// Attention in a graph: a product of two activations, scaled and masked or not, a softmax over its columns, and a product with a third one.
struct AttentionFinder {
  /// What the last node of a pattern computes.
  struct Found {
    var query: Shape
    var key: Shape
    var value: Shape
  }

  /// By the index of the last product.
  private(set) var found: [Int: Found] = [:]
  /// Nodes that are part of one, or that only lay out what it reads and writes: such a kernel takes strides.
  private(set) var parts: Set<Int> = []

  init(_ graph: Graph) {
    var producer: [ValueID: Int] = [:]
    for (index, node) in graph.nodes.enumerated() { for output in node.outputs { producer[output] = index } }
    var consumers: [ValueID: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() { for case let input? in node.inputs { consumers[input, default: []].append(index) } }
    let outputs = Set(graph.outputs)
    /// The node that makes a value which nothing else reads.
    func own(_ value: ValueID?) -> Int? {
      guard let value, consumers[value]?.count == 1, !outputs.contains(value) else { return nil }
      return producer[value]
    }
    for (index, node) in graph.nodes.enumerated() {
      guard case .matMul = node.operation, node.inputs.count == 2, let value = node.inputs[1], graph.constants[value] == nil,
        let softmax = own(node.inputs[0]), case .softmax(let axis) = graph.nodes[softmax].operation
      else { continue }
      let rank = node.inputs[0].map { graph[$0].shape.count } ?? 0
      guard axis == -1 || axis == rank - 1 else { continue }
      var inside: Set<Int> = [softmax]
      var next = own(graph.nodes[softmax].inputs[0])
      // A scale and a mask stand between the product and the softmax.
      for _ in 0..<3 {
        guard let place = next, case .binary = graph.nodes[place].operation else { break }
        inside.insert(place)
        let makers = graph.nodes[place].inputs.compactMap { own($0) }
        next =
          makers.first { if case .matMul = graph.nodes[$0].operation { true } else { false } }
          ?? makers.first { if case .binary = graph.nodes[$0].operation { true } else { false } }
      }
      guard let scores = next, case .matMul = graph.nodes[scores].operation, let query = graph.nodes[scores].inputs[0],
        let key = graph.nodes[scores].inputs[1], graph.constants[query] == nil, graph.constants[key] == nil
      else { continue }
      inside.insert(scores)
      for operand in [query, key, value] {
        if let maker = own(operand), case .transpose = graph.nodes[maker].operation { inside.insert(maker) }
      }
      if let result = node.outputs.first, let users = consumers[result], users.count == 1, let user = users.first,
        case .transpose = graph.nodes[user].operation
      {
        inside.insert(user)
      }
      parts.formUnion(inside)
      found[index] = Found(query: graph[query].shape, key: graph[key].shape, value: graph[value].shape)
    }
  }
}
