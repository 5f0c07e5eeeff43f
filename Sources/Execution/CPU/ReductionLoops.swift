import Glibc
import ModelGraph

/// Reductions over any axes, with the neighbouring ones joined first: what is left is [outer, reduced, inner] as a rule.
enum ReductionLoops {
  static func run(
    _ reduction: Reduction, _ x: UnsafePointer<Float>, shape: [Int], axes: [Int], _ y: UnsafeMutablePointer<Float>, count: Int
  ) {
    let size = axes.reduce(1) { $0 * shape[$1] }
    let places = Places(shape: shape, axes: axes)
    /// `add(sum, element)` for all elements of each group, starting from `start`.
    func fold(_ start: Float, _ add: (Float, Float) -> Float) {
      for index in 0..<count { y[index] = start }
      places.forEach { source, target in y[target] = add(y[target], x[source]) }
    }
    switch reduction {
    case .sum, .mean, .logarithmOfSum: fold(0, +)
    case .l1: fold(0) { $0 + abs($1) }
    case .l2, .sumOfSquares: fold(0) { $0 + $1 * $1 }
    case .product: fold(1, *)
    // NaN stays NaN, as in ONNX Runtime.
    case .maximum: fold(-.infinity) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
    case .minimum: fold(.infinity) { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }
    case .logarithmOfSumOfExponentials:
      var largest = [Float](repeating: -.infinity, count: count)
      places.forEach { source, target in
        let (maximum, next) = (largest[target], x[source])
        largest[target] = maximum.isNaN || next.isNaN ? .nan : max(maximum, next)
      }
      for index in 0..<count { y[index] = 0 }
      places.forEach { source, target in
        // The largest is taken out, so that no power overflows; an infinite one is the result.
        if largest[target].isFinite { y[target] += expf(x[source] - largest[target]) }
      }
      for index in 0..<count { y[index] = largest[index].isFinite ? largest[index] + logf(y[index]) : largest[index] }
    }
    switch reduction {
    case .mean:
      // Of nothing: 0 / 0, not a number.
      for index in 0..<count { y[index] /= Float(size) }
    case .l2: for index in 0..<count { y[index] = y[index].squareRoot() }
    case .logarithmOfSum: for index in 0..<count { y[index] = logf(y[index]) }
    default: break
    }
  }

  /// Source and target offsets of every element, in the source's order.
  private struct Places {
    /// Sizes of joined axes, outermost first, with how far the target moves for one step along each (0: reduced).
    private var sizes: [Int] = []
    private var strides: [Int] = []

    init(shape: [Int], axes: [Int]) {
      let reduced = Set(axes)
      var stride = 1
      var flags: [Bool] = []
      for axis in shape.indices.reversed() {
        let isReduced = reduced.contains(axis)
        if flags.last == isReduced {
          sizes[sizes.count - 1] *= shape[axis]
        } else {
          sizes.append(shape[axis])
          strides.append(isReduced ? 0 : stride)
          flags.append(isReduced)
        }
        if !isReduced { stride *= shape[axis] }
      }
      sizes.reverse()
      strides.reverse()
    }

    func forEach(_ body: (Int, Int) -> Void) {
      guard !sizes.contains(0) else { return }
      let width = sizes.last ?? 1
      let step = strides.last ?? 0
      var position = [Int](repeating: 0, count: max(0, sizes.count - 1))
      var (source, base) = (0, 0)
      while true {
        for index in 0..<width { body(source + index, base + index * step) }
        source += width
        var axis = position.count - 1
        while axis >= 0 {
          position[axis] += 1
          base += strides[axis]
          if position[axis] < sizes[axis] { break }
          base -= strides[axis] * sizes[axis]
          position[axis] = 0
          axis -= 1
        }
        if axis < 0 { return }
      }
    }
  }
}
