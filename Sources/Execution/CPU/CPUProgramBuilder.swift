import ModelGraph

/// Binds a rewritten graph to a number of rows: views for what moves nothing, steps for what does, and one arena in which buffers whose
/// lives do not overlap share memory.
struct CPUProgramBuilder {
  let graph: Graph
  let weights: [CPUWeightKey: Int]
  let constants: [ValueID: Int]
  let rows: Int
  let level: CPUDeviceOptions.Level
  let precision: LoadOptions.Precision
  /// Nil: the own kernels run everything.
  let engines: CPUEngines?

  var views: [ValueID: TensorView] = [:]
  private var steps: [CPUStep] = []
  private var arena = Arena()
  var scratch = 0
  var bf16Scratch = 0

  init(
    graph: Graph, weights: [CPUWeightKey: Int], constants: [ValueID: Int], rows: Int, level: CPUDeviceOptions.Level,
    precision: LoadOptions.Precision, engines: CPUEngines?
  ) {
    self.graph = graph
    self.weights = weights
    self.constants = constants
    self.rows = rows
    self.level = level
    self.precision = precision
    self.engines = engines
  }

  mutating func build() throws(DeviceError) -> CPUProgram {
    for (index, id) in graph.inputs.enumerated() { views[id] = try fresh(id, .input(index)) }
    for (id, index) in constants { views[id] = try fresh(id, .constant(index)) }
    let outputPlace = Dictionary(graph.outputs.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    for node in graph.nodes { try add(node, outputPlace) }
    var outputs: [TensorView] = []
    for (index, id) in graph.outputs.enumerated() {
      let target = try fresh(id, .output(index))
      guard let view = views[id] else { throw DeviceError(.unsupported, "output \"\(graph[id].name)\" is never written") }
      if view != target { append("copy", graph[id].name, .copy(source: view, target: target)) }
      outputs.append(target)
    }
    let inputs = try graph.inputs.enumerated().map { index, id throws(DeviceError) in try fresh(id, .input(index)) }
    let arenaBytes = place()
    return CPUProgram(
      rows: rows, steps: steps, arenaBytes: arenaBytes, scratchBytes: scratch, bf16Elements: bf16Scratch, inputs: inputs, outputs: outputs)
  }

  // MARK: - Memory

  func sizes(_ id: ValueID) throws(DeviceError) -> [Int] {
    guard let sizes = Shapes.sizes(graph[id].shape, rows: rows), Tensor.elementCount(of: sizes).map({ $0 < 1 << 40 }) == true else {
      throw DeviceError(.badInput, "\"\(graph[id].name)\" is out of range at \(rows) rows")
    }
    return sizes
  }

  private func fresh(_ id: ValueID, _ buffer: TensorView.Buffer) throws(DeviceError) -> TensorView {
    let shape = try sizes(id)
    return TensorView(buffer: buffer, offset: 0, type: graph[id].type, shape: shape, strides: TensorView.contiguousStrides(shape))
  }

  /// New memory: the output's own where the value is one, else a buffer of the arena. `offset` is the arena's address until `place`.
  mutating func target(_ id: ValueID, _ outputs: [ValueID: Int]) throws(DeviceError) -> TensorView {
    if let index = outputs[id] { return try fresh(id, .output(index)) }
    var view = try fresh(id, .arena)
    view.offset = arena.reserve(view.byteCount, from: steps.count)
    return view
  }

  private mutating func temporary(_ type: DataType, _ shape: [Int]) -> TensorView {
    let view = TensorView(buffer: .arena, offset: 0, type: type, shape: shape, strides: TensorView.contiguousStrides(shape))
    var placed = view
    placed.offset = arena.reserve(view.byteCount, from: steps.count)
    return placed
  }

  /// Offsets in place of addresses; how much memory that takes.
  private mutating func place() -> Int {
    for (index, step) in steps.enumerated() {
      step.work.forEachView { view in if view.buffer == .arena { arena.use(view.offset, at: index) } }
    }
    let placement = arena.place()
    for index in steps.indices {
      steps[index].work.mapViews { view in if view.buffer == .arena { view.offset = placement.offset(of: view.offset) } }
    }
    return placement.bytes
  }

  // MARK: - Steps

  mutating func append(_ name: String, _ layer: String, _ work: CPUStep.Work, flops: Double = 0) {
    var bytes = 0.0
    work.forEachView { bytes += Double($0.byteCount) }
    if case .linear(_, _, _, let source, let target, _) = work {
      bytes += Double(source.shape.last ?? 0) * Double(target.shape.last ?? 0) * (precision == .fp32 ? 4 : 2)
    }
    steps.append(CPUStep(name: name, layer: layer, work: work, floatingPointOperations: flops, bytes: bytes))
  }

  func fail(_ node: Node, _ reason: String) -> DeviceError {
    DeviceError(.unsupported, "layer \"\(node.name)\" (\(node.operation.name)): \(reason)")
  }

  func view(_ node: Node, _ index: Int) throws(DeviceError) -> TensorView {
    guard index < node.inputs.count, let id = node.inputs[index], let view = views[id] else {
      throw fail(node, "input \(index) is missing")
    }
    return view
  }

  func optional(_ node: Node, _ index: Int) -> TensorView? {
    guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
    return views[id]
  }

  /// The same elements without gaps.
  mutating func dense(_ view: TensorView, _ node: Node) -> TensorView {
    if view.isContiguous { return view }
    let target = temporary(view.type, view.shape)
    append("copy", node.name, .copy(source: view, target: target))
    return target
  }

  /// A view whose rows a product can read.
  mutating func rowsReadable(_ view: TensorView, _ node: Node) -> TensorView {
    guard let matrix = view.matrixRows else { return dense(view, node) }
    // Rows that repeat or overlap are no matrix.
    return matrix.rows > 1 && matrix.distance < matrix.width ? dense(view, node) : view
  }

  private mutating func add(_ node: Node, _ outputs: [ValueID: Int]) throws(DeviceError) {
    guard let output = node.outputs.first else { return }
    let shape = try sizes(output)
    switch node.operation {
    case .reshape, .flatten, .squeeze, .unsqueeze:
      let source = dense(try view(node, 0), node)
      guard let moved = source.reshaped(shape) else { throw fail(node, "cannot be viewed as \(shape)") }
      views[output] = moved
    case .transpose(let permutation):
      var source = try view(node, 0)
      (source.shape, source.strides) = (permutation.map { source.shape[$0] }, permutation.map { source.strides[$0] })
      views[output] = source
    case .expand: views[output] = try view(node, 0).broadcast(to: shape)
    case .slice(let axes, let starts, let ends, let steps): views[output] = try sliced(try view(node, 0), axes, starts, ends, steps, node)
    case .split(let axis, let sizes):
      let source = try view(node, 0)
      let along = axis < 0 ? axis + source.shape.count : axis
      var start = 0
      for (id, size) in zip(node.outputs, sizes) {
        views[id] = try sliced(source, [along], [start], [start + size], [1], node)
        start += size
      }
    case .unary(.identity): views[output] = try view(node, 0)
    case .linear(let transposeWeight, let activation):
      let source = rowsReadable(try view(node, 0), node)
      guard let weightID = node.inputs.count > 1 ? node.inputs[1] : nil,
        let weight = weights[CPUWeightKey(value: weightID, slice: 0, isTransposed: transposeWeight)]
      else { throw fail(node, "the weight is no constant") }
      let target = try target(output, outputs)
      try linear(weight, optional(node, 2), activation, source, target, node)
      views[output] = target
    case .batchedLinear(let activation): try batchedLinear(node, output, activation, outputs)
    case .matMul:
      views[output] = try product(try view(node, 0), try view(node, 1), output, outputs, node)
    case .gemm(let alpha, let beta, let transposeA, let transposeB):
      let a = transposeA ? transposed(try view(node, 0)) : try view(node, 0)
      let b = transposeB ? transposed(try view(node, 1)) : try view(node, 1)
      let target = try product(a, b, output, outputs, node)
      let c = optional(node, 2).map { $0.broadcast(to: shape) }
      if alpha != 1 || c != nil { append("scale", node.name, .scaleAdd(alpha: alpha, beta: beta, c: c, target: target)) }
      views[output] = target
    case .layerNormalization(let axis, let epsilon): try norm(node, output, axis, epsilon, .none, outputs)
    case .normalizedActivation(let axis, let epsilon, let activation): try norm(node, output, axis, epsilon, activation, outputs)
    case .softmax(let axis):
      let source = dense(try view(node, 0), node)
      try requireFloat(node, source)
      let along = axis < 0 ? axis + shape.count : axis
      let target = try target(output, outputs)
      if along == shape.count - 1 {
        append("softmax", node.name, .softmax(source: source, width: shape.last ?? 1, target: target), flops: 5 * Double(target.count))
      } else {
        append("softmax", node.name, .softmaxStrided(source: source, axis: along, target: target), flops: 5 * Double(target.count))
      }
      views[output] = target
    case .unary(let operation):
      let source = try view(node, 0)
      try requireFloat(node, source)
      let target = try target(output, outputs)
      if let activation = operation.activation, source.isContiguous {
        append(operation.rawValue, node.name, .activate(activation, source: source, target: target), flops: Double(target.count))
      } else {
        append(operation.rawValue, node.name, .unary(operation, source: dense(source, node), target: target), flops: Double(target.count))
      }
      views[output] = target
    case .binary(let operation):
      let target = try target(output, outputs)
      append(
        operation.rawValue, node.name,
        .binary(operation, try view(node, 0).broadcast(to: shape), try view(node, 1).broadcast(to: shape), target: target),
        flops: Double(target.count))
      views[output] = target
    case .clip(let minimum, let maximum):
      let source = dense(try view(node, 0), node)
      try requireFloat(node, source)
      let target = try target(output, outputs)
      append(
        "clip", node.name, .clip(minimum: minimum, maximum: maximum, source: source, target: target), flops: Double(target.count))
      views[output] = target
    case .attributed(let function, let first, let second):
      let source = dense(try view(node, 0), node)
      try requireFloat(node, source)
      let target = try target(output, outputs)
      append(
        function.rawValue.lowercased(), node.name, .attributed(function, first, second, source: source, target: target),
        flops: Double(target.count))
      views[output] = target
    case .reduceMean(let axes, _): try reduce(node, output, .mean, axes, outputs)
    case .reduce(let reduction, let axes, _): try reduce(node, output, reduction, axes, outputs)
    case .defined(let operation):
      var targets: [TensorView] = []
      for id in node.outputs { targets.append(try target(id, outputs)) }
      try defined(operation, node, targets)
      for (id, target) in zip(node.outputs, targets) { views[id] = target }
    case .costed(let costed): throw fail(node, "\(costed.type) can be planned, not run, on this device")
    case .gather(let axis):
      let source = dense(try view(node, 0), node)
      let indices = dense(try view(node, 1), node)
      guard indices.type == .int64 || indices.type == .int32 else { throw fail(node, "indices are \(indices.type)") }
      let target = try target(output, outputs)
      append(
        "gather", node.name, .gather(source: source, indices: indices, axis: axis < 0 ? axis + source.shape.count : axis, target: target))
      views[output] = target
    case .concat(let axis):
      let target = try target(output, outputs)
      let along = axis < 0 ? axis + shape.count : axis
      var start = 0
      for index in node.inputs.indices {
        let part = try view(node, index)
        var place = target
        place.shape = part.shape
        place.offset += start * target.strides[along] * target.type.memorySize
        append("concat", node.name, .copy(source: part, target: place))
        start += part.shape[along]
      }
      views[output] = target
    case .cast(let type):
      let source = try view(node, 0)
      if source.type == type {
        views[output] = source
      } else {
        let target = try target(output, outputs)
        append("cast", node.name, .cast(source: dense(source, node), target: target))
        views[output] = target
      }
    case .select:
      let target = try target(output, outputs)
      append(
        "select", node.name,
        .select(
          condition: try view(node, 0).broadcast(to: shape), try view(node, 1).broadcast(to: shape), try view(node, 2).broadcast(to: shape),
          target: target))
      views[output] = target
    }
  }

  private mutating func reduce(
    _ node: Node, _ output: ValueID, _ reduction: Reduction, _ axes: [Int], _ outputs: [ValueID: Int]
  ) throws(DeviceError) {
    let source = dense(try view(node, 0), node)
    try requireFloat(node, source)
    let target = try target(output, outputs)
    append(
      "reduce" + reduction.rawValue.lowercased(), node.name,
      .reduce(reduction, source: source, axes: Set(axes.map { $0 < 0 ? $0 + source.shape.count : $0 }).sorted(), target: target),
      flops: Double(source.count))
    views[output] = target
  }

  /// The 16-bit types come from CUDA's lowering alone: the CPU device refuses them before it binds anything.
  func requireFloat(_ node: Node, _ view: TensorView) throws(DeviceError) {
    guard [.float32, .float16, .bfloat16].contains(view.type) else {
      throw fail(node, "works on float32 here, not on \(view.type.rawValue)")
    }
  }

  func transposed(_ view: TensorView) -> TensorView {
    var view = view
    view.shape.reverse()
    view.strides.reverse()
    return view
  }

  private func sliced(_ source: TensorView, _ axes: [Int], _ starts: [Int], _ ends: [Int], _ steps: [Int], _ node: Node) throws(DeviceError)
    -> TensorView
  {
    var view = source
    for index in axes.indices {
      let axis = axes[index] < 0 ? axes[index] + source.shape.count : axes[index]
      guard
        let bounds = ShapeInference.sliceBounds(size: source.shape[axis], start: starts[index], end: ends[index], step: steps[index]),
        let count = ShapeInference.sliceCount(size: source.shape[axis], start: starts[index], end: ends[index], step: steps[index])
      else { throw fail(node, "a slice's step is zero") }
      view.offset += (count > 0 ? bounds.start : 0) * source.strides[axis] * source.type.memorySize
      view.shape[axis] = count
      view.strides[axis] = source.strides[axis] * steps[index]
    }
    return view
  }

}
