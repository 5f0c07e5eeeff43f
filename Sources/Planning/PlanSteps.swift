import GPUModel
import ModelGraph

/// The kernels of a graph, in order. Views (reshape, squeeze, expand, ...) launch nothing: they change how bytes are read, not the
/// bytes; an expanded input is read as copies by the kernels behind it, which do work on all of them.
struct PlanSteps {
  let graph: Graph
  let fusion: Fusion
  private(set) var all: [PlanStep] = []

  init(_ graph: Graph, fusion: Fusion = .standard, attention: AttentionKernels = .separate) {
    self.graph = graph
    self.fusion = fusion
    let finder = attention == .fused ? AttentionFinder(graph) : nil
    for (index, node) in graph.nodes.enumerated() {
      if finder?.parts.contains(index) == true { continue }
      if let found = finder?.found[index] { add(node, found) } else { add(node) }
    }
  }

  private mutating func add(_ node: Node, _ found: AttentionFinder.Found) {
    all.append(
      PlanStep(
        layer: node.name, operation: "attention",
        kind: .attention(
          heads: Array(found.query.dropLast(2)), queries: Array(found.query.suffix(2).prefix(1)), keys: Array(found.key.suffix(1)),
          depth: Array(found.query.suffix(1)), valueDepth: Array(found.value.suffix(1)))))
  }

  private func shape(_ node: Node, _ index: Int) -> Shape {
    index < node.inputs.count ? node.inputs[index].map { graph[$0].shape } ?? [] : []
  }

  private func isConstant(_ node: Node, _ index: Int) -> Bool {
    index < node.inputs.count ? node.inputs[index].map { graph.constants[$0] != nil } ?? false : false
  }

  private mutating func add(_ node: Node, _ kind: PlanStep.Kind) {
    all.append(PlanStep(layer: node.name, operation: node.operation.kernelName, kind: kind))
  }

  /// A kernel that reads its inputs and writes its results, with so many operations for each of `elements` (the first result's, where nil).
  private func traffic(
    _ node: Node, _ operations: Double, _ elements: Shape? = nil, kind: MemoryKernel.Kind = .elementwise, columns: Shape = []
  ) -> PlanStep.Kind {
    let read = node.inputs.indices.filter { node.inputs[$0] != nil }
    return .memory(
      warm: read.filter { !isConstant(node, $0) }.map { shape(node, $0) },
      cold: read.filter { isConstant(node, $0) }.map { shape(node, $0) },
      written: node.outputs.map { graph[$0].shape }, operationsPerElement: operations,
      elements: elements ?? node.outputs.first.map { graph[$0].shape } ?? [], kind: kind, columns: columns)
  }

  private mutating func add(_ node: Node) {
    switch node.operation {
    case .linear(let transposed, _):
      let weight = shape(node, 1)
      let (k, n) = transposed ? (weight[1], weight[0]) : (weight[0], weight[1])
      add(node, .gemm(batch: [], m: Array(shape(node, 0).dropLast()), n: [n], k: [k], weighted: true))
    case .gemm(_, _, let transposeA, let transposeB):
      let (a, b) = (shape(node, 0), shape(node, 1))
      add(
        node,
        .gemm(
          batch: [], m: [transposeA ? a[1] : a[0]], n: [transposeB ? b[0] : b[1]], k: [transposeA ? a[0] : a[1]],
          weighted: isConstant(node, 1)))
    case .batchedLinear:
      let (x, weight) = (shape(node, 0), shape(node, 1))
      add(node, .gemm(batch: [weight[0]], m: [x[x.count - 2]], n: [weight[2]], k: [weight[1]], weighted: true))
    case .matMul:
      let (a, b) = (shape(node, 0), shape(node, 1))
      guard let output = node.outputs.first else { return }
      add(
        node,
        .gemm(
          batch: Array(graph[output].shape.dropLast(2)), m: [a[a.count - 2]], n: [b[b.count - 1]], k: [a[a.count - 1]],
          weighted: isConstant(node, 1)))
    // Mean, difference, square and sum, root, scale and shift: eight operations per element; softmax: maximum, difference, exponential,
    // sum, quotient. Elementwise functions count one. They matter for totals only; these kernels are bound by bytes.
    // An engine's own normalization works a row off in one pass; a framework's kernels are its library's.
    case .layerNormalization, .normalizedActivation:
      add(node, traffic(node, 8, kind: fusion == .none ? .layerNormalization : .fusedRow, columns: Array(shape(node, 0).suffix(1))))
    case .softmax: add(node, traffic(node, 5, kind: fusion == .none ? .softmax : .fusedRow, columns: Array(shape(node, 0).suffix(1))))
    case .unary(.identity): return
    case .unary(let function): add(node, traffic(node, 1, kind: function.isTranscendental ? .transcendental : .elementwise))
    case .binary: add(node, traffic(node, 1, kind: repeatsAnOperand(node) ? .broadcast : .elementwise))
    case .attributed(let function, _, _):
      add(node, traffic(node, 1, kind: function.isTranscendental ? .transcendental : .elementwise))
    case .clip, .select: add(node, traffic(node, 1))
    case .reduceMean, .reduce: add(node, traffic(node, 1, shape(node, 0)))
    case .transpose, .gather, .concat, .cast: add(node, traffic(node, 0))
    case .reshape, .expand, .squeeze, .unsqueeze, .flatten, .slice, .split: return
    case .defined(let defined):
      add(node, traffic(node, defined.definition.operations, defined.definition.countsInput ? shape(node, 0) : nil))
    case .costed(let costed): add(node, costed)
    }
  }

  /// Whether an operand that is no scalar is repeated over the rows: a framework's kernel then computes an address for each value. Engines
  /// generate one for the shapes at hand.
  private func repeatsAnOperand(_ node: Node) -> Bool {
    guard fusion == .none, let output = node.outputs.first else { return false }
    return node.inputs.indices.contains { index in
      let own = shape(node, index)
      return !own.allSatisfy { $0.fixedSize == 1 } && own != graph[output].shape
    }
  }

  private mutating func add(_ node: Node, _ costed: CostedOperator) {
    for work in costed.work {
      var step = PlanStep(layer: node.name, operation: node.operation.kernelName, kind: traffic(node, 0))
      switch work {
      case .product(let batch, let m, let n, let k, let source, let repetitions):
        step.kind = .gemm(batch: batch, m: m, n: n, k: k, weighted: isConstant(node, 1), source: source)
        step.repetitions = repetitions
      case .traffic(let operations, let elements): step.kind = traffic(node, operations, elements)
      }
      step.unplanned = costed.unplanned
      step.isUnsized = costed.unplanned != nil && costed.results.isEmpty
      all.append(step)
    }
  }
}
