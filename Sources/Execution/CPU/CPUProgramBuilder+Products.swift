import ModelGraph

/// Steps that multiply, and normalizations.
extension CPUProgramBuilder {
  mutating func linear(
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

  mutating func batchedLinear(_ node: Node, _ output: ValueID, _ activation: Activation, _ outputs: [ValueID: Int])
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

  mutating func product(_ a: TensorView, _ b: TensorView, _ output: ValueID, _ outputs: [ValueID: Int], _ node: Node)
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

  mutating func norm(
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
