/// A change of a graph that keeps its outputs: fewer or larger operations, same function.
public protocol RewritePass: Sendable {
  /// The name that `--rewrite` takes and plans record.
  static var name: String { get }
  /// The rewritten graph. Passes leave what they do not recognize alone.
  static func apply(_ graph: Graph) throws(GraphError) -> Graph
}

/// The passes by name.
public enum Rewrites {
  /// Those that every plan applies, in order: they change how the work is cut into kernels, not how much there is.
  public static let standard: [any RewritePass.Type] = [
    RecomposeNormalization.self, RecomposeGelu.self, FuseLinear.self, FuseConvolution.self,
    FuseNormalizationActivation.self,
  ]
  /// Those that are applied when asked for: they change what runs.
  public static let onRequest: [any RewritePass.Type] = [StackHeads.self, SinkBroadcast.self]

  /// A pass on request by its name.
  public static func named(_ name: String) -> (any RewritePass.Type)? { onRequest.first { $0.name == name } }
}

extension Graph {
  /// The graph after these passes, unused nodes and constants removed.
  ///
  /// - Throws: `GraphError` where a pass fails, and where one changes what a request brings or an answer carries.
  public func rewritten(by passes: [any RewritePass.Type]) throws(GraphError) -> Graph {
    var graph = self
    for pass in passes {
      let next = try pass.apply(graph).withoutUnusedNodes()
      try graph.requireSameInterface(next, after: pass.name)
      graph = next
    }
    return graph
  }

  /// Clients address inputs and outputs by name, in the order of the file: no pass may drop, merge, rename or reshape one.
  private func requireSameInterface(_ other: Graph, after pass: String) throws(GraphError) {
    for (kind, before, after) in [
      ("input", interface(inputs), other.interface(other.inputs)), ("output", interface(outputs), other.interface(other.outputs)),
    ]
    where before != after {
      throw GraphError(node: name, reason: "the rewrite \(pass) changed the \(kind)s from \(before) to \(after)")
    }
  }

  private func interface(_ ids: [ValueID]) -> [String] {
    ids.map { "\(self[$0].name): \(self[$0].type.rawValue) \(Shapes.text(self[$0].shape))" }
  }

  /// Without nodes and constants that no output depends on.
  public func withoutUnusedNodes() -> Graph {
    var graph = self
    var needed = Set(outputs)
    var kept: [Node] = []
    // A node whose results are not known writes nothing here, and is there to be counted.
    for node in nodes.reversed() where node.outputs.isEmpty || node.outputs.contains(where: needed.contains) {
      kept.append(node)
      for case .some(let id) in node.inputs { needed.insert(id) }
    }
    graph.nodes = kept.reversed()
    graph.constants = constants.filter { needed.contains($0.key) }
    return graph
  }
}

/// Who writes and who reads what, for recognizing patterns.
struct GraphIndex {
  let graph: Graph
  let producers: [ValueID: Int]
  let reads: [ValueID: Int]

  init(_ graph: Graph) {
    self.graph = graph
    producers = graph.producers
    reads = graph.readCounts
  }

  /// The node that writes `value`.
  func producer(_ value: ValueID?) -> Node? { value.flatMap { producers[$0] }.map { graph.nodes[$0] } }

  /// The value of a constant with one element.
  func scalar(_ value: ValueID?) -> Double? {
    guard let value, let tensor = graph.constants[value], tensor.elementCount == 1 else { return nil }
    return tensor.doubles.first
  }

  /// The two operands when `value` is written by this elementwise operation.
  func operands(_ value: ValueID?, _ operation: BinaryOperation) -> (ValueID, ValueID)? {
    guard let node = producer(value), node.operation == .binary(operation), node.inputs.count == 2, let left = node.inputs[0],
      let right = node.inputs[1]
    else { return nil }
    return (left, right)
  }

  /// The operand when `value` is written by this elementwise operation.
  func operand(_ value: ValueID?, _ operation: UnaryOperation) -> ValueID? {
    guard let node = producer(value), node.operation == .unary(operation) else { return nil }
    return node.inputs.first.flatMap { $0 }
  }

  /// For a commutative operation: the other operand when one is a constant near `constant`.
  func other(_ value: ValueID?, _ operation: BinaryOperation, near constant: Double) -> ValueID? {
    guard let (left, right) = operands(value, operation) else { return nil }
    // Exporters write constants as fp32, and sqrt(2) as 1.4142135: a relative 1e-4 tells 0.044715 from its neighbours and no more.
    if let found = scalar(right), abs(found - constant) <= 1e-4 * abs(constant) { return left }
    if let found = scalar(left), abs(found - constant) <= 1e-4 * abs(constant) { return right }
    return nil
  }
}
