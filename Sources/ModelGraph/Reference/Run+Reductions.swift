import Glibc

extension Run {
  /// ONNX's Reduce* by their definitions, element by element; a reduction of nothing gives its neutral element.
  func reduced(_ x: DenseArray, _ reduction: Reduction, _ axes: Set<Int>, _ keep: Bool) -> DenseArray {
    let kept = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
    let strides = DenseArray.strides(kept)
    var groups = [[Double]](repeating: [], count: kept.reduce(1, *))
    var cursor = 0
    _ = DenseArray.build(x.shape) { position in
      let place = position.indices.reduce(0) { $0 + (axes.contains($1) ? 0 : position[$1] * strides[$1]) }
      groups[place].append(x.values[cursor])
      cursor += 1
      return 0
    }
    let shape = keep ? kept : x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] }
    return DenseArray(unchecked: shape, groups.map { Self.reduce($0, reduction) })
  }

  static func reduce(_ values: [Double], _ reduction: Reduction) -> Double {
    func extreme(_ isBetter: (Double, Double) -> Bool, _ start: Double) -> Double {
      values.reduce(start) { $0.isNaN || $1.isNaN ? .nan : isBetter($1, $0) ? $1 : $0 }
    }
    switch reduction {
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
