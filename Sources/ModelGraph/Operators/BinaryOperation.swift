import Glibc

/// An elementwise operation of two tensors, broadcast as ONNX (and numpy) do.
public enum BinaryOperation: String, Sendable, Hashable, CaseIterable {
  case add, subtract, multiply, divide, power, minimum, maximum

  /// The ONNX operator that it is; Min and Max take any number of inputs and are read as several of these.
  public var onnxName: String {
    switch self {
    case .add: "Add"
    case .subtract: "Sub"
    case .multiply: "Mul"
    case .divide: "Div"
    case .power: "Pow"
    case .minimum: "Min"
    case .maximum: "Max"
    }
  }

  /// The operation of an ONNX operator's name.
  public init?(onnxName: String) {
    guard let operation = Self.allCases.first(where: { $0.onnxName == onnxName }) else { return nil }
    self = operation
  }

  /// By definition; a quotient of integers is cut off.
  public func callAsFunction(_ a: Double, _ b: Double, isInteger: Bool) -> Double {
    switch self {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: isInteger ? (a / b).rounded(.towardZero) : a / b
    case .power: pow(a, b)
    case .minimum: a.isNaN || b.isNaN ? .nan : min(a, b)
    case .maximum: a.isNaN || b.isNaN ? .nan : max(a, b)
    }
  }
}
