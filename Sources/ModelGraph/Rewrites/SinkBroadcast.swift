/// Work on copies of a row -> work on the row, copied afterwards where anybody reads the copies.
///
/// An Expand along axis a makes values that do not depend on the index along a. If f treats indices along a independently and alike (a linear
/// layer over another axis, an elementwise function, a normalization within the row, ...), then f(copies of v) = copies of f(v): by induction
/// every value up to the first operation that mixes or tells apart the indices can be computed once, with size 1 along a. Reading some
/// of them, by a slice or an index along a, reads the one. Where a value leaves this region it is expanded to its old shape.
public enum SinkBroadcast: RewritePass {
  /// "sink-broadcast".
  public static let name = "sink-broadcast"

  /// Rebuilds the graph node by node, with collapsed values where the proof above holds.
  public static func apply(_ graph: Graph) throws(GraphError) -> Graph {
    var sinking = Sinking(graph)
    for node in graph.nodes { try sinking.visit(node) }
    return try sinking.finish()
  }
}

/// The rebuilding: old values, the new values that stand for them, and along which axis a new one stands for copies of itself.
struct Sinking {
  let old: Graph
  var new: Graph
  /// The new value that stands for an old one.
  var values: [ValueID: ValueID] = [:]
  /// Axis along which the new value has size 1 where the old one has copies.
  var collapsed: [ValueID: Int] = [:]
  /// Old values already expanded back.
  var restored: [ValueID: ValueID] = [:]

  init(_ graph: Graph) {
    old = graph
    new = Graph(name: graph.name)
    for id in graph.inputs { values[id] = new.addInput(graph[id].name, graph[id].type, graph[id].shape) }
    for (id, tensor) in graph.constants.sorted(by: { $0.key < $1.key }) { values[id] = new.addConstant(graph[id].name, tensor) }
  }

  mutating func visit(_ node: Node) throws(GraphError) {
    if case .expand = node.operation, try sink(expansion: node) { return }
    let axes = node.inputs.map { $0.flatMap { collapsed[$0] } }
    if axes.contains(where: { $0 != nil }), try visitCollapsed(node, axes) { return }
    var inputs: [ValueID?] = []
    for input in node.inputs { inputs.append(try whole(input)) }
    let outputs = try new.append(node.operation, node.name, inputs, outputNames: node.outputs.map { old[$0].name })
    for (before, after) in zip(node.outputs, outputs) { values[before] = after }
  }

  /// An expansion along exactly one axis becomes nothing; along more, or of a scalar's new dimensions, it stays.
  private mutating func sink(expansion node: Node) throws(GraphError) -> Bool {
    guard let input = node.inputs[0], let output = node.outputs.first, collapsed[input] == nil else { return false }
    let (from, to) = (old[input].shape, old[output].shape)
    guard from.count == to.count else { return false }
    let widened = from.indices.filter { from[$0] != to[$0] }
    guard widened.count == 1, let axis = widened.first, let value = values[input] else { return false }
    values[output] = value
    collapsed[output] = axis
    return true
  }

  /// Applies an operation to collapsed inputs; false where it tells copies apart.
  private mutating func visitCollapsed(_ node: Node, _ axes: [Int?]) throws(GraphError) -> Bool {
    guard let first = node.inputs[0], let output = node.outputs.first else { return false }
    let rank = old[first].shape.count
    var operation = node.operation
    /// Axis of the result along which copies remain; nil when the result has none.
    var resultAxis = axes[0]
    func positive(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
    /// Whether all inputs but the first are untouched by copies.
    let onlyFirst = axes.dropFirst().allSatisfy { $0 == nil }
    switch node.operation {
    case .unary, .clip, .attributed, .cast: break
    case .linear:
      guard onlyFirst, let axis = axes[0], axis != rank - 1 else { return false }
    case .layerNormalization(let from, _), .normalizedActivation(let from, _, _):
      guard onlyFirst, let axis = axes[0], axis < positive(from) else { return false }
    case .softmax(let along):
      guard let axis = axes[0], axis != positive(along) else { return false }
    case .reduceMean(let over, let keep):
      guard let axis = axes[0] else { return false }
      let reduced = Set(over.map(positive))
      // The mean of copies is the copy.
      resultAxis = reduced.contains(axis) ? nil : keep ? axis : axis - reduced.count { $0 < axis }
    case .binary:
      guard let axis = alignedAxis(node, axes) else { return false }
      resultAxis = axis
    case .transpose(let permutation): resultAxis = axes[0].flatMap { permutation.firstIndex(of: $0) }
    case .squeeze(let removed):
      guard let axis = axes[0] else { return false }
      let gone = Set(removed.map(positive))
      // The old value has size 1 there: nothing was copied, and the axis may go.
      resultAxis = gone.contains(axis) ? nil : axis - gone.count { $0 < axis }
    case .unsqueeze(let added):
      guard var axis = axes[0] else { return false }
      for place in added.map({ $0 < 0 ? $0 + rank + added.count : $0 }).sorted() where place <= axis { axis += 1 }
      resultAxis = axis
    case .slice(let along, let starts, let ends, let steps):
      guard let axis = axes[0] else { return false }
      let kept = along.indices.filter { positive(along[$0]) != axis }
      operation = .slice(
        axes: kept.map { along[$0] }, starts: kept.map { starts[$0] }, ends: kept.map { ends[$0] }, steps: kept.map { steps[$0] })
      if old[output].shape[axis] == .fixed(0) { return false }
      if old[output].shape[axis] == .fixed(1) { resultAxis = nil }
    case .gather(let along):
      // Taking single copies by a constant index: every copy is the first.
      guard onlyFirst, let axis = axes[0], positive(along) == axis, let indices = node.inputs[1], let tensor = old.constants[indices],
        tensor.elementCount == 1, let index = tensor.integers?.first, let size = old[first].shape[axis].fixedSize, index >= -size,
        index < size,
        let zero = Tensor(int64: [0], shape: tensor.shape)
      else { return false }
      let start = new.addConstant(node.name + ".first", zero)
      values[output] = try new.apply(.gather(axis: along), node.name, [values[first], start])
      return true
    case .matMul:
      guard let axis = productAxis(node, axes) else { return false }
      resultAxis = axis
    default: return false
    }
    if case .slice(let along, _, _, _) = operation, along.isEmpty {
      values[output] = values[first]
    } else {
      var inputs: [ValueID?] = []
      for (input, axis) in zip(node.inputs, axes) { inputs.append(axis == nil ? try whole(input) : input.flatMap { values[$0] }) }
      let outputs = try new.append(operation, node.name, inputs, outputNames: node.outputs.map { old[$0].name })
      if outputs.count != 1 { return false }
      values[output] = outputs[0]
    }
    collapsed[output] = resultAxis
    return true
  }

  /// For an elementwise operation: the result's axis, where every other input has copies along the same axis or does not vary along it.
  private func alignedAxis(_ node: Node, _ axes: [Int?]) -> Int? {
    guard let output = node.outputs.first else { return nil }
    let rank = old[output].shape.count
    var aligned: Int?
    for case (.some(let input), .some(let axis)) in zip(node.inputs, axes) {
      let place = axis + rank - old[input].shape.count
      if let aligned, aligned != place { return nil }
      aligned = place
    }
    guard let aligned else { return nil }
    for case (.some(let input), nil) in zip(node.inputs, axes) {
      let place = aligned - (rank - old[input].shape.count)
      if place >= 0 && old[input].shape[place] != .fixed(1) { return nil }
    }
    return aligned
  }

  /// For a product with copies in one input: they must lie along A's rows or along a leading dimension that the other input does not have.
  private func productAxis(_ node: Node, _ axes: [Int?]) -> Int? {
    guard axes.count == 2, axes[1] == nil, let axis = axes[0], let a = node.inputs[0], let b = node.inputs[1] else { return nil }
    let (rankA, rankB) = (old[a].shape.count, old[b].shape.count)
    if axis == rankA - 1 { return nil }
    let rank = max(rankA, rankB)
    let place = axis + rank - rankA
    if axis == rankA - 2 { return place }
    let other = place - (rank - rankB)
    return other < 0 || old[b].shape[other] == .fixed(1) ? place : nil
  }

  /// The new value for an old one at its old shape.
  private mutating func whole(_ value: ValueID?) throws(GraphError) -> ValueID? {
    guard let value else { return nil }
    guard collapsed[value] != nil else { return values[value] }
    if let done = restored[value] { return done }
    let expanded = try new.apply(.expand(old[value].shape), old[value].name + ".copies", [values[value]])
    restored[value] = expanded
    return expanded
  }

  mutating func finish() throws(GraphError) -> Graph {
    for id in old.outputs {
      // Two outputs may have become one value, and a restored one has a name of its own.
      if let value = try whole(id) { try new.addOutput(value, named: old[id].name) }
    }
    return new.withoutUnusedNodes()
  }
}
