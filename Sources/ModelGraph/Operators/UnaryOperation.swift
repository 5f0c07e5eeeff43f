import Glibc

/// An elementwise operation of one tensor: with its name, cost and definition beside each other. One more needs a case with its rows here and
/// a loop for each device (`Execution/CPU/ElementLoops`, `Execution/CUDA/CUDAStep` with the kernel's line); shapes, the reader, the writer and
/// plans follow from this table.
public enum UnaryOperation: String, Sendable, Hashable, CaseIterable {
  case squareRoot, erf, tanh, sigmoid, relu, identity
  case absolute, negate, exponential, logarithm, reciprocal, floor, ceiling, round, sign, sine, cosine
  case softplus, softsign, hardSwish
  /// x * Phi(x), exact (erf).
  case gelu
  /// The tanh approximation (ONNX Gelu, `approximate = "tanh"`).
  case geluTanh

  /// The ONNX operator of one input and no attributes that it is; nil where there is none.
  public var onnxName: String? {
    switch self {
    case .squareRoot: "Sqrt"
    case .erf: "Erf"
    case .tanh: "Tanh"
    case .sigmoid: "Sigmoid"
    case .relu: "Relu"
    case .absolute: "Abs"
    case .negate: "Neg"
    case .exponential: "Exp"
    case .logarithm: "Log"
    case .reciprocal: "Reciprocal"
    case .floor: "Floor"
    case .ceiling: "Ceil"
    case .round: "Round"
    case .sign: "Sign"
    case .sine: "Sin"
    case .cosine: "Cos"
    case .softplus: "Softplus"
    case .softsign: "Softsign"
    case .hardSwish: "HardSwish"
    // Identity is read as a second name of its input; an attribute tells the two Gelus apart.
    case .identity, .gelu, .geluTanh: nil
    }
  }

  /// The operation of an ONNX operator's name.
  public init?(onnxName: String) {
    guard let operation = Self.named[onnxName] else { return nil }
    self = operation
  }

  private static let named = Dictionary(
    allCases.compactMap { operation in operation.onnxName.map { ($0, operation) } }, uniquingKeysWith: { first, _ in first })

  /// Whether it takes exponentials or the like rather than a few instructions: what a kernel of it costs.
  public var isTranscendental: Bool {
    switch self {
    case .erf, .tanh, .sigmoid, .exponential, .logarithm, .sine, .cosine, .softplus, .gelu, .geluTanh: true
    case .squareRoot, .relu, .identity, .absolute, .negate, .reciprocal, .floor, .ceiling, .round, .sign, .softsign, .hardSwish: false
    }
  }

  /// By definition: what every device's result is compared with.
  public func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .squareRoot: x.squareRoot()
    case .erf: Glibc.erf(x)
    case .tanh: Glibc.tanh(x)
    case .sigmoid: 1 / (1 + exp(-x))
    case .relu: max(0, x)
    case .identity: x
    case .absolute: abs(x)
    case .negate: -x
    case .exponential: exp(x)
    case .logarithm: log(x)
    case .reciprocal: 1 / x
    case .floor: x.rounded(.down)
    case .ceiling: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .sign: x > 0 ? 1 : x < 0 ? -1 : x
    case .sine: sin(x)
    case .cosine: cos(x)
    case .softplus: max(x, 0) + log1p(exp(-abs(x)))
    case .softsign: x / (1 + abs(x))
    case .hardSwish: x * max(0, min(1, x / 6 + 0.5))
    case .gelu: x * 0.5 * (1 + Glibc.erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + Glibc.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }
  }
}
