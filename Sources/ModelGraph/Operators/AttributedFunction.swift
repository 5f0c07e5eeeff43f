import Glibc

/// An elementwise function of one tensor with up to two numbers as attributes: name, attributes, cost and definition beside each other. One more
/// needs a case here and a loop for each device (`Execution/CPU/ElementLoops`, `Execution/CUDA/CUDAStep` with the kernel's number and line);
/// shapes, the reader, the writer, plans and plan files follow from this table.
public enum AttributedFunction: String, Sendable, Hashable, CaseIterable {
  case leakyRelu, elu, celu, selu, hardSigmoid, thresholdedRelu

  /// The ONNX operator that it is.
  public var onnxName: String {
    switch self {
    case .leakyRelu: "LeakyRelu"
    case .elu: "Elu"
    case .celu: "Celu"
    case .selu: "Selu"
    case .hardSigmoid: "HardSigmoid"
    case .thresholdedRelu: "ThresholdedRelu"
    }
  }

  /// The function of an ONNX operator's name.
  public init?(onnxName: String) {
    guard let function = Self.allCases.first(where: { $0.onnxName == onnxName }) else { return nil }
    self = function
  }

  /// ONNX's attributes with their defaults, in the order in which `callAsFunction` takes them.
  public var attributes: [(name: String, usual: Float)] {
    switch self {
    case .leakyRelu: [("alpha", 0.01)]
    case .elu, .celu, .thresholdedRelu: [("alpha", 1)]
    // Klambauer and others, "Self-Normalizing Neural Networks" (2017), as ONNX rounds them.
    case .selu: [("alpha", 1.673_263_2), ("gamma", 1.050_701)]
    case .hardSigmoid: [("alpha", 0.2), ("beta", 0.5)]
    }
  }

  /// Whether it takes exponentials rather than a few instructions: what a kernel of it costs.
  public var isTranscendental: Bool {
    switch self {
    case .elu, .celu, .selu: true
    case .leakyRelu, .hardSigmoid, .thresholdedRelu: false
    }
  }

  /// By definition: what every device's result is compared with. An attribute that the function has not is passed over.
  public func callAsFunction(_ x: Double, _ first: Double, _ second: Double) -> Double {
    switch self {
    case .leakyRelu: x < 0 ? first * x : x
    case .elu: x < 0 ? first * expm1(x) : x
    case .celu: max(0, x) + min(0, first * expm1(x / first))
    case .selu: second * (x > 0 ? x : first * expm1(x))
    case .hardSigmoid: max(0, min(1, first * x + second))
    case .thresholdedRelu: x > first ? x : 0
    }
  }
}
