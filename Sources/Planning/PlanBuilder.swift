public import GPUModel
public import ModelGraph

/// Makes plans: rewrites the graph, finds the kernels, and asks the redundancy proof what could be saved.
public struct PlanBuilder: Sendable {
  /// The model of the device's kernels.
  public var model: KernelModel
  /// The arithmetic.
  public var type: ComputeType
  /// Rows the plan is made for at most.
  public var maxRows: Int
  /// Rewrites beyond the fusion's, by name.
  public var requested: [any RewritePass.Type]
  /// How far operators are joined into kernels.
  public var fusion: Fusion
  /// Whether attention is one kernel.
  public var attention: AttentionKernels

  /// A builder.
  public init(
    model: KernelModel, type: ComputeType, maxRows: Int = 1 << 20, requested: [any RewritePass.Type] = [], fusion: Fusion = .standard,
    attention: AttentionKernels = .separate
  ) {
    self.model = model
    self.type = type
    self.maxRows = maxRows
    self.requested = requested
    self.fusion = fusion
    self.attention = attention
  }

  /// The plan of `graph`.
  public func plan(_ graph: Graph) throws(PlanError) -> Plan {
    let passes = fusion.passes + requested
    let rewritten: Graph
    do throws(GraphError) {
      try graph.validate()
      rewritten = try graph.rewritten(by: passes)
    } catch {
      throw .graph(error)
    }
    let names = passes.map { $0.name } + (attention == .fused ? [AttentionKernels.fusedName] : [])
    return try assemble(rewritten, rewrites: names, hasWeights: true)
  }

  /// The plan of a graph that has been rewritten already.
  func assemble(_ graph: Graph, rewrites: [String], hasWeights: Bool) throws(PlanError) -> Plan {
    let sunk: Graph
    do throws(GraphError) {
      try graph.validate()
      sunk = try graph.rewritten(by: [SinkBroadcast.self])
    } catch {
      throw .graph(error)
    }
    let read = graph.readCounts
    let weights = graph.constants.sorted { $0.key < $1.key }.compactMap { id, tensor in
      read[id] == nil ? nil : PlanWeight(name: graph[id].name, type: tensor.type, shape: tensor.shape)
    }
    return Plan(
      graph: graph, model: model, type: type, rewrites: rewrites, maxRows: maxRows,
      steps: PlanSteps(
        graph, fusion: Fusion(rewrites: rewrites), attention: rewrites.contains(AttentionKernels.fusedName) ? .fused : .separate
      ).all, weights: weights,
      remainingShares: Self.remainingWork(graph, sunk), hasWeights: hasWeights)
  }

  /// Each node's first output before and after sink-broadcast, where it shrank. Node names survive the rewrite; a name that stands twice
  /// says nothing, and its work counts as needed.
  static func remainingWork(_ graph: Graph, _ sunk: Graph) -> [String: RemainingWork] {
    func shapes(_ graph: Graph) -> [String: Shape] {
      var shapes: [String: Shape] = [:]
      var repeated: Set<String> = []
      for node in graph.nodes {
        guard let output = node.outputs.first else { continue }
        if shapes.updateValue(graph[output].shape, forKey: node.name) != nil { repeated.insert(node.name) }
      }
      return shapes.filter { !repeated.contains($0.key) }
    }
    let after = shapes(sunk)
    var remaining: [String: RemainingWork] = [:]
    for (name, before) in shapes(graph) {
      if let shape = after[name], shape != before { remaining[name] = RemainingWork(before: before, after: shape) }
    }
    return remaining
  }
}

extension Operation {
  /// The kernel in a few words: the operation and what is fused behind it.
  var kernelName: String {
    switch self {
    case .linear(_, let activation), .batchedLinear(let activation):
      name.lowercased() + (activation == .none ? "" : "+\(activation.rawValue.lowercased())")
    case .normalizedActivation(_, _, let activation): "layernorm+\(activation.rawValue.lowercased())"
    case .layerNormalization: "layernorm"
    case .reduceMean: "reducemean"
    case .reduce(let reduction, _, _): "reduce" + reduction.rawValue.lowercased()
    case .costed(let costed):
      ([costed.unplanned == nil ? costed.type.lowercased() : "unplanned-" + costed.type] + costed.fused).joined(separator: "+")
    default: name.lowercased()
    }
  }
}
