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

  private var views: [ValueID: TensorView] = [:]
  private var steps: [CPUStep] = []
  /// Buffers of the arena, by their number, before they are placed.
  private var buffers: [(bytes: Int, firstStep: Int, lastStep: Int)] = []
  private var scratch = 0
  private var bf16Scratch = 0

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
    place()
    return CPUProgram(
      rows: rows, steps: steps, arenaBytes: arenaBytes, scratchBytes: scratch, bf16Elements: bf16Scratch, inputs: inputs, outputs: outputs)
  }

  private var arenaBytes = 0

  // MARK: - Memory

  private func sizes(_ id: ValueID) throws(DeviceError) -> [Int] {
    guard let sizes = Shapes.sizes(graph[id].shape, rows: rows), Tensor.elementCount(of: sizes).map({ $0 < 1 << 40 }) == true else {
      throw DeviceError(.badInput, "\"\(graph[id].name)\" is out of range at \(rows) rows")
    }
    return sizes
  }

  private func fresh(_ id: ValueID, _ buffer: TensorView.Buffer) throws(DeviceError) -> TensorView {
    let shape = try sizes(id)
    return TensorView(buffer: buffer, offset: 0, type: graph[id].type, shape: shape, strides: TensorView.contiguousStrides(shape))
  }

  /// New memory: the output's own where the value is one, else a buffer of the arena. `offset` holds the buffer's number until `place`.
  private mutating func target(_ id: ValueID, _ outputs: [ValueID: Int]) throws(DeviceError) -> TensorView {
    if let index = outputs[id] { return try fresh(id, .output(index)) }
    var view = try fresh(id, .arena)
    view.offset = reserve(view.byteCount)
    return view
  }

  private mutating func temporary(_ type: DataType, _ shape: [Int]) -> TensorView {
    let view = TensorView(buffer: .arena, offset: 0, type: type, shape: shape, strides: TensorView.contiguousStrides(shape))
    var placed = view
    placed.offset = reserve(view.byteCount)
    return placed
  }

  /// Buffer numbers are far apart, so that a view's offset within its buffer can be added before buffers are placed.
  private static let span = 1 << 42

  private mutating func reserve(_ bytes: Int) -> Int {
    buffers.append(((bytes + 63) & ~63, steps.count, steps.count))
    return (buffers.count - 1) * Self.span
  }

  private mutating func place() {
    for (index, step) in steps.enumerated() {
      step.work.forEachView { view in
        if view.buffer == .arena { buffers[view.offset / Self.span].lastStep = max(buffers[view.offset / Self.span].lastStep, index) }
      }
    }
    // First fit, in the order of first use.
    var placed: [(offset: Int, end: Int, lastStep: Int)] = []
    var offsets = [Int](repeating: 0, count: buffers.count)
    for (number, buffer) in buffers.enumerated() {
      let alive = placed.filter { $0.lastStep >= buffer.firstStep }.sorted { $0.offset < $1.offset }
      var offset = 0
      for other in alive where offset + buffer.bytes > other.offset { offset = max(offset, other.end) }
      offsets[number] = offset
      placed.append((offset, offset + buffer.bytes, buffer.lastStep))
      arenaBytes = max(arenaBytes, offset + buffer.bytes)
    }
    for index in steps.indices {
      steps[index].work.mapViews { view in
        if view.buffer == .arena { view.offset = offsets[view.offset / Self.span] + view.offset % Self.span }
      }
    }
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

  private func optional(_ node: Node, _ index: Int) -> TensorView? {
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
  private mutating func rowsReadable(_ view: TensorView, _ node: Node) -> TensorView {
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
      let target = try target(output, outputs)
      try defined(operation, node, target)
      views[output] = target
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

  private func transposed(_ view: TensorView) -> TensorView {
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

  private mutating func linear(
    _ weight: Int, _ bias: TensorView?, _ activation: Activation, _ source: TensorView, _ target: TensorView, _ node: Node
  ) throws(DeviceError) {
    let (k, n) = (source.shape.last ?? 0, target.shape.last ?? 0)
    let rows = source.matrixRows?.rows ?? 0
    let even = (k + 1) / 2 * 2
    if precision == .bf16 { bf16Scratch = max(bf16Scratch, rows * even) }
    let product = try engines?.product(
      CPUEngines.Shape(k: k, n: n, hasBias: bias != nil, activation: activation), rows: rows,
      sourceDistance: precision == .bf16 ? even : max(source.matrixRows?.distance ?? 0, k))
    let suffix = activation == .none ? "" : "+\(activation.rawValue.lowercased())"
    append(
      "gemm_\(precision.kernelName)_\(product == nil ? "\(level)" : "onednn")_linear\(suffix)", node.name,
      .linear(weight: weight, bias: bias, activation: activation, source: source, target: target, oneDNN: product),
      flops: 2 * Double(rows) * Double(k) * Double(n))
  }

  private mutating func batchedLinear(_ node: Node, _ output: ValueID, _ activation: Activation, _ outputs: [ValueID: Int])
    throws(DeviceError)
  {
    var source = try view(node, 0)
    let target = try target(output, outputs)
    guard let heads = target.shape.first, target.shape.count == 3, let weightID = node.inputs.count > 1 ? node.inputs[1] : nil else {
      throw fail(node, "is not [heads, m, n]")
    }
    if source.shape.count == 2 { source = source.broadcast(to: [heads] + source.shape) }
    if source.strides.last != 1 && source.shape.last != 1 { source = dense(source, node) }
    let bias = optional(node, 2)
    for head in 0..<heads {
      guard let weight = weights[CPUWeightKey(value: weightID, slice: head, isTransposed: false)] else {
        throw fail(node, "the weight is no constant")
      }
      let part = rowsReadable(Self.part(source, head), node)
      try linear(weight, bias.map { Self.part($0, head) }, activation, part, Self.part(target, head), node)
    }
    views[output] = target
  }

  /// One element of the first dimension.
  private static func part(_ view: TensorView, _ index: Int) -> TensorView {
    var part = view
    part.offset += (view.shape[0] == 1 ? 0 : index) * view.strides[0] * view.type.memorySize
    part.shape.removeFirst()
    part.strides.removeFirst()
    return part
  }

  private mutating func product(_ a: TensorView, _ b: TensorView, _ output: ValueID, _ outputs: [ValueID: Int], _ node: Node)
    throws(DeviceError)
    -> TensorView
  {
    try requireFloat(node, a)
    try requireFloat(node, b)
    guard a.shape.count >= 2, b.shape.count >= 2 else { throw fail(node, "operands need two dimensions") }
    let target = try target(output, outputs)
    let leading = Array(target.shape.dropLast(2))
    var left = a
    if a.strides.last != 1 && a.shape.last != 1 { left = dense(a, node) }
    left = left.broadcast(to: leading + a.shape.suffix(2))
    let right = b.broadcast(to: leading + b.shape.suffix(2))
    let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
    let packed = (n + 31) / 32 * 32 * k * 4
    scratch = max(scratch, packed + 4096)
    append(
      "gemm_f32_\(level)_product", node.name, .product(a: left, b: right, target: target, scratch: packed),
      flops: 2 * Double(leading.reduce(1, *)) * Double(m) * Double(k) * Double(n))
    return target
  }

  private mutating func norm(
    _ node: Node, _ output: ValueID, _ axis: Int, _ epsilon: Float, _ activation: Activation, _ outputs: [ValueID: Int]
  ) throws(DeviceError) {
    let source = dense(try view(node, 0), node)
    try requireFloat(node, source)
    let first = axis < 0 ? axis + source.shape.count : axis
    let width = source.shape[first...].reduce(1, *)
    let inner = Array(source.shape[first...])
    let scale = dense(try view(node, 1).broadcast(to: inner), node)
    let bias = optional(node, 2).map { dense($0.broadcast(to: inner), node) }
    let target = try target(output, outputs)
    let suffix = activation == .none ? "" : "+\(activation.rawValue.lowercased())"
    append(
      "layernorm\(suffix)", node.name,
      .layerNorm(source: source, scale: scale, bias: bias, epsilon: epsilon, activation: activation, width: max(1, width), target: target),
      flops: 8 * Double(source.count))
    views[output] = target
  }
}

/// A packed weight's origin: a constant, one of its matrices, and how it is stored.
struct CPUWeightKey: Hashable {
  var value: ValueID
  var slice: Int
  var isTransposed: Bool
}

extension LoadOptions.Precision {
  /// As kernel names have it.
  var kernelName: String { self == .fp32 ? "f32" : self == .bf16 ? "bf16" : "f16" }
}

extension UnaryOperation {
  /// The same as a fused activation, where there is one.
  var activation: Activation? {
    switch self {
    case .relu: .relu
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    case .tanh: .tanh
    case .sigmoid: .sigmoid
    default: nil
    }
  }
}

extension CPUStep.Work {
  /// Every view it reads or writes.
  func forEachView(_ visit: (TensorView) -> Void) {
    var copy = self
    copy.mapViews { visit($0) }
  }

  /// Changes every view.
  mutating func mapViews(_ change: (inout TensorView) -> Void) {
    func changed(_ view: TensorView) -> TensorView {
      var view = view
      change(&view)
      return view
    }
    switch self {
    case .linear(let weight, let bias, let activation, let source, let target, let product):
      self = .linear(
        weight: weight, bias: bias.map(changed), activation: activation, source: changed(source), target: changed(target), oneDNN: product)
    case .product(let a, let b, let target, let scratch):
      self = .product(a: changed(a), b: changed(b), target: changed(target), scratch: scratch)
    case .layerNorm(let source, let scale, let bias, let epsilon, let activation, let width, let target):
      self = .layerNorm(
        source: changed(source), scale: changed(scale), bias: bias.map(changed), epsilon: epsilon, activation: activation, width: width,
        target: changed(target))
    case .softmax(let source, let width, let target): self = .softmax(source: changed(source), width: width, target: changed(target))
    case .softmaxStrided(let source, let axis, let target):
      self = .softmaxStrided(source: changed(source), axis: axis, target: changed(target))
    case .activate(let activation, let source, let target): self = .activate(activation, source: changed(source), target: changed(target))
    case .unary(let operation, let source, let target): self = .unary(operation, source: changed(source), target: changed(target))
    case .binary(let operation, let a, let b, let target): self = .binary(operation, changed(a), changed(b), target: changed(target))
    case .clip(let minimum, let maximum, let source, let target):
      self = .clip(minimum: minimum, maximum: maximum, source: changed(source), target: changed(target))
    case .attributed(let function, let first, let second, let source, let target):
      self = .attributed(function, first, second, source: changed(source), target: changed(target))
    case .reduce(let reduction, let source, let axes, let target):
      self = .reduce(reduction, source: changed(source), axes: axes, target: changed(target))
    case .copy(let source, let target): self = .copy(source: changed(source), target: changed(target))
    case .cast(let source, let target): self = .cast(source: changed(source), target: changed(target))
    case .gather(let source, let indices, let axis, let target):
      self = .gather(source: changed(source), indices: changed(indices), axis: axis, target: changed(target))
    case .select(let condition, let a, let b, let target):
      self = .select(condition: changed(condition), changed(a), changed(b), target: changed(target))
    case .defined(var step):
      (step.sources, step.target) = (step.sources.map(changed), changed(step.target))
      self = .defined(step)
    case .fill(let bits, let target): self = .fill(bits, target: changed(target))
    case .scaleAdd(let alpha, let beta, let c, let target):
      self = .scaleAdd(alpha: alpha, beta: beta, c: c.map(changed), target: changed(target))
    }
  }
}
