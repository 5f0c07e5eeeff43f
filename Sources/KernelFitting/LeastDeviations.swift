import Glibc

/// Minimizes a weighted sum of absolute residuals and a ridge, within bounds: Levenberg and Marquardt's damped least squares (Marquardt, "An
/// algorithm for least-squares estimation of nonlinear parameters", 1963) with each residual weighed by the inverse of its size (Schlossmacher,
/// "An iterative technique for absolute deviations curve fitting", 1973). Derivatives are differences: residuals may have kinks, such as a
/// minimum over tiles has, for a step is only taken where the sum itself falls.
struct LeastDeviations {
  /// What each residual counts.
  var weights: [Double]
  /// Where the search stays.
  var bounds: [ClosedRange<Double>]
  /// Weight of the squared distance from `center`, for each coordinate.
  var ridge: Double
  /// Where the ridge pulls to.
  var center: [Double]
  /// Steps tried at most.
  var steps: Int
  /// All residuals at a point; nil where there is none.
  var residuals: ([Double]) -> [Double]?

  /// A residual under it counts as if it were so large: the inverse of zero is no weight.
  private static let smallestResidual = 0.02
  /// Of a coordinate, for differences.
  private static let difference = 0.01

  /// The sum at a point with these residuals.
  private func sum(_ point: [Double], _ residuals: [Double]) -> Double {
    var total = 0.0
    for index in residuals.indices { total += weights[index] * abs(residuals[index]) }
    for index in point.indices { total += ridge * (point[index] - center[index]) * (point[index] - center[index]) }
    return total
  }

  private func clamped(_ point: [Double]) -> [Double] {
    zip(point, bounds).map { min(max($0, $1.lowerBound), $1.upperBound) }
  }

  /// The best point found from `start`, and its sum.
  func minimized(from start: [Double]) -> (point: [Double], value: Double) {
    var point = clamped(start)
    guard var here = residuals(point) else { return (point, .infinity) }
    var value = sum(point, here)
    var damping = 1e-2
    var tried = 0
    while tried < steps {
      guard let (hessian, gradient) = system(point, here) else { break }
      var hasFallen = false
      while tried < steps, damping < 1e6 {
        tried += 1
        guard let step = Self.solved(hessian, gradient, damping: damping) else { break }
        let next = clamped(zip(point, step).map { $0 - $1 })
        if let there = residuals(next) {
          let fallen = sum(next, there)
          if fallen < value {
            hasFallen = value - fallen > 1e-6 * value
            (point, here, value) = (next, there, fallen)
            damping = max(1e-6, damping / 5)
            break
          }
        }
        damping *= 4
      }
      if !hasFallen { break }
    }
    return (point, value)
  }

  /// The normal equations at a point: the weighted products of the derivatives, and their products with the residuals.
  private func system(_ point: [Double], _ here: [Double]) -> (hessian: [[Double]], gradient: [Double])? {
    let count = point.count
    var columns: [[Double]] = []
    for index in 0..<count {
      // Towards the inside where the coordinate stands at its upper bound.
      let step = point[index] + Self.difference > bounds[index].upperBound ? -Self.difference : Self.difference
      var beside = point
      beside[index] += step
      guard let there = residuals(beside) else { return nil }
      columns.append(zip(there, here).map { ($0 - $1) / step })
    }
    let scaled = here.indices.map { weights[$0] / max(abs(here[$0]), Self.smallestResidual) }
    var hessian = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
    var gradient = [Double](repeating: 0, count: count)
    for left in 0..<count {
      for index in here.indices { gradient[left] += scaled[index] * columns[left][index] * here[index] }
      gradient[left] += 2 * ridge * (point[left] - center[left])
      for right in 0...left {
        var product = 0.0
        for index in here.indices { product += scaled[index] * columns[left][index] * columns[right][index] }
        if left == right { product += 2 * ridge }
        hessian[left][right] = product
        hessian[right][left] = product
      }
    }
    // A coordinate at a bound that the sum would push further out stays.
    for index in 0..<count
    where (point[index] <= bounds[index].lowerBound && gradient[index] > 0)
      || (point[index] >= bounds[index].upperBound && gradient[index] < 0)
    {
      for other in 0..<count { (hessian[index][other], hessian[other][index]) = (0, 0) }
      (hessian[index][index], gradient[index]) = (1, 0)
    }
    return (hessian, gradient)
  }

  /// Solves (hessian + damping x its diagonal) x step = gradient by Cholesky's decomposition; nil where it is not positive definite.
  private static func solved(_ hessian: [[Double]], _ gradient: [Double], damping: Double) -> [Double]? {
    let count = gradient.count
    var lower = hessian
    for index in 0..<count { lower[index][index] += damping * hessian[index][index] + 1e-9 }
    for row in 0..<count {
      for column in 0...row {
        var value = lower[row][column]
        for inner in 0..<column { value -= lower[row][inner] * lower[column][inner] }
        if row == column {
          guard value > 0 else { return nil }
          lower[row][row] = value.squareRoot()
        } else {
          lower[row][column] = value / lower[column][column]
        }
      }
    }
    var step = gradient
    for row in 0..<count {
      for inner in 0..<row { step[row] -= lower[row][inner] * step[inner] }
      step[row] /= lower[row][row]
    }
    for row in (0..<count).reversed() {
      for below in (row + 1)..<max(count, row + 1) { step[row] -= lower[below][row] * step[below] }
      step[row] /= lower[row][row]
    }
    return step
  }
}
