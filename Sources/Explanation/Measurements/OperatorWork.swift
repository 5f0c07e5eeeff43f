import CheckedNumbers
import GPUModel
import Trace

/// What an operator with these input shapes computes, where one kernel (or a product and its reduction) does it.
enum OperatorWork: Hashable {
  /// A product; weighted: by parameters, as far as the operator tells.
  case product(GEMM, isWeighted: Bool)
  case memory(MemoryKernel)

  /// Whether an operator of this name is looked at.
  static func isKnown(_ name: String) -> Bool { ProductUse.isProduct(name) || kinds[name] != nil }

  /// ATen's operators that are one kernel bound by memory.
  private static let kinds: [String: MemoryKernel.Kind] = [
    "aten::native_layer_norm": .layerNormalization, "aten::_softmax": .softmax, "aten::gelu": .transcendental,
    "aten::tanh": .transcendental,
    "aten::sigmoid": .transcendental, "aten::silu": .transcendental, "aten::exp": .transcendental, "aten::relu": .elementwise,
    "aten::clamp_min": .elementwise, "aten::add": .elementwise, "aten::add_": .elementwise, "aten::mul": .elementwise,
    "aten::mul_": .elementwise, "aten::sub": .elementwise, "aten::relu_": .elementwise,
  ]

  /// nil where the shapes do not fit the operator.
  init?(_ name: String, _ shapes: [[Int64]], _ types: String) {
    if ProductUse.isProduct(name) {
      guard let shape = ProductUse.shape(name, shapes, types) else { return nil }
      let isWeighted = name != "aten::bmm" && name != "aten::baddbmm" && !(name == "aten::matmul" && shape.batch > 1)
      self = .product(
        GEMM(batch: shape.batch, m: shape.m, n: shape.n, k: shape.k, type: shape.type), isWeighted: isWeighted)
      return
    }
    // Types are not in ranges' texts: bytes would be a guess.
    guard var kind = Self.kinds[name], !types.isEmpty else { return nil }
    let sizes = shapes.filter { !$0.isEmpty }
    guard let first = sizes.first, let columns = first.last, columns > 0 else { return nil }
    func count(_ shape: [Int64]) -> Double { shape.reduce(1.0) { $0 * Double(max(0, $1)) } }
    let bytes = types.contains("float") && !types.contains("Half") && !types.contains("BFloat16") ? 4 : 2
    let size = Double(bytes)
    let elements: Double
    var read: Double
    switch kind {
    case .layerNormalization:
      elements = count(first)
      read = elements + 2 * Double(columns)
    case .elementwise, .broadcast:
      elements = sizes.map(count).max() ?? 0
      read = sizes.prefix(2).reduce(0) { $0 + count($1) }
      if sizes.count > 1, count(sizes[0]) != count(sizes[1]) { kind = .broadcast }
    default:
      elements = count(first)
      read = elements
    }
    guard elements > 0, elements < 0x1p50, read < 0x1p50 else { return nil }
    let isByRow = kind == .layerNormalization || kind == .softmax
    self = .memory(
      MemoryKernel(
        warmReadBytes: read * size, writtenBytes: elements * size, kind: kind,
        rows: isByRow ? elements / Double(columns) : kind == .broadcast ? 2 : 1, columns: isByRow ? Double(columns) : nil,
        elementBytes: bytes))
  }

  /// Whether a kernel of this role does the operator's work: a fill before a product, or a cast beside it, does not.
  func isWork(of role: KernelName.Role, isReduction: Bool) -> Bool {
    switch self {
    case .product: role.isProduct || isReduction
    case .memory: !role.isProduct && role != .attention && role != .communication
    }
  }
}
