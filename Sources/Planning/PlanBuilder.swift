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
  /// Rewrites beyond the standard ones, by name.
  public var requested: [any RewritePass.Type]

  /// A builder.
  public init(model: KernelModel, type: ComputeType, maxRows: Int = 1 << 20, requested: [any RewritePass.Type] = []) {
    self.model = model
    self.type = type
    self.maxRows = maxRows
    self.requested = requested
  }

  /// The plan of `graph`.
  public func plan(_ graph: Graph) throws(PlanError) -> Plan {
    let passes = Rewrites.standard + requested
    let rewritten: Graph
    do throws(GraphError) {
      try graph.validate()
      rewritten = try graph.rewritten(by: passes)
    } catch {
      throw .graph(error)
    }
    return try assemble(rewritten, rewrites: passes.map { $0.name }, hasWeights: true)
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
      graph: graph, model: model, type: type, rewrites: rewrites, maxRows: maxRows, steps: Self.steps(graph), weights: weights,
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

  /// The kernels of a graph, in order. Views (reshape, squeeze, expand, ...) launch nothing: they change how bytes are read, not the
  /// bytes; an expanded input is read as copies by the kernels behind it, which do work on all of them.
  static func steps(_ graph: Graph) -> [PlanStep] {
    var steps: [PlanStep] = []
    for node in graph.nodes {
      guard let output = node.outputs.first else { continue }
      func shape(_ index: Int) -> Shape { index < node.inputs.count ? node.inputs[index].map { graph[$0].shape } ?? [] : [] }
      func add(_ operation: String, _ kind: PlanStep.Kind) {
        steps.append(PlanStep(layer: node.name, operation: operation, kind: kind, output: output))
      }
      let constant = { (index: Int) in index < node.inputs.count ? node.inputs[index].map { graph.constants[$0] != nil } ?? false : false }
      func memory(_ operations: Double) {
        let read = node.inputs.indices.filter { node.inputs[$0] != nil }
        add(
          node.operation.kernelName,
          .memory(
            warm: read.filter { !constant($0) }.map(shape), cold: read.filter(constant).map(shape), written: graph[output].shape,
            operationsPerElement: operations))
      }
      switch node.operation {
      case .linear(let transposed, _):
        let weight = shape(1)
        let (k, n) = transposed ? (weight[1], weight[0]) : (weight[0], weight[1])
        add(
          node.operation.kernelName,
          .gemm(batch: [], m: Array(shape(0).dropLast()), n: n.fixedSize ?? 0, k: k.fixedSize ?? 0, weighted: true))
      case .gemm(_, _, let transposeA, let transposeB):
        let (a, b) = (shape(0), shape(1))
        add(
          "gemm",
          .gemm(
            batch: [], m: [transposeA ? a[1] : a[0]], n: (transposeB ? b[0] : b[1]).fixedSize ?? 0,
            k: (transposeA ? a[0] : a[1]).fixedSize ?? 0,
            weighted: constant(1)))
      case .batchedLinear:
        let (x, weight) = (shape(0), shape(1))
        add(
          node.operation.kernelName,
          .gemm(batch: [weight[0]], m: [x[x.count - 2]], n: weight[2].fixedSize ?? 0, k: weight[1].fixedSize ?? 0, weighted: true))
      case .matMul:
        let (a, b, c) = (shape(0), shape(1), graph[output].shape)
        add(
          "matmul",
          .gemm(
            batch: Array(c.dropLast(2)), m: [a[a.count - 2]], n: b[b.count - 1].fixedSize ?? 0, k: a[a.count - 1].fixedSize ?? 0,
            weighted: constant(1)))
      // Mean, difference, square and sum, root, scale and shift: eight operations an element; softmax: maximum, difference, exponential,
      // sum, quotient. Elementwise functions count one. They matter for totals only; these kernels are bound by bytes.
      case .layerNormalization, .normalizedActivation: memory(8)
      case .softmax: memory(5)
      case .binary, .unary, .reduceMean, .select: memory(1)
      case .transpose, .gather, .concat, .cast: memory(0)
      case .reshape, .expand, .squeeze, .unsqueeze, .flatten, .slice, .split: continue
      }
    }
    return steps
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
    default: name.lowercased()
    }
  }
}
