import Glibc

/// What a reduction makes of the elements along its axes (ONNX Reduce*).
public enum Reduction: String, Sendable, Hashable, CaseIterable {
  case sum, mean, maximum, minimum, product, l1, l2, sumOfSquares, logarithmOfSum, logarithmOfSumOfExponentials

  /// The ONNX operator that it is.
  public var onnxName: String {
    switch self {
    case .sum: "ReduceSum"
    case .mean: "ReduceMean"
    case .maximum: "ReduceMax"
    case .minimum: "ReduceMin"
    case .product: "ReduceProd"
    case .l1: "ReduceL1"
    case .l2: "ReduceL2"
    case .sumOfSquares: "ReduceSumSquare"
    case .logarithmOfSum: "ReduceLogSum"
    case .logarithmOfSumOfExponentials: "ReduceLogSumExp"
    }
  }

  /// The reduction of an ONNX operator's name.
  public init?(onnxName: String) {
    guard let reduction = Self.allCases.first(where: { $0.onnxName == onnxName }) else { return nil }
    self = reduction
  }

  /// By definition, of all elements along the axes; of none it gives the neutral element.
  public func callAsFunction(_ values: [Double]) -> Double {
    func extreme(_ isBetter: (Double, Double) -> Bool, _ start: Double) -> Double {
      values.reduce(start) { $0.isNaN || $1.isNaN ? .nan : isBetter($1, $0) ? $1 : $0 }
    }
    switch self {
    case .sum: return values.reduce(0, +)
    case .mean: return values.reduce(0, +) / Double(values.count)
    case .maximum: return extreme(>, -.infinity)
    case .minimum: return extreme(<, .infinity)
    case .product: return values.reduce(1, *)
    case .l1: return values.reduce(0) { $0 + abs($1) }
    case .l2: return values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    case .sumOfSquares: return values.reduce(0) { $0 + $1 * $1 }
    case .logarithmOfSum: return log(values.reduce(0, +))
    case .logarithmOfSumOfExponentials:
      let largest = extreme(>, -.infinity)
      // The largest is taken out, so that no power overflows.
      return largest.isFinite ? largest + log(values.reduce(0) { $0 + exp($1 - largest) }) : largest
    }
  }
}
