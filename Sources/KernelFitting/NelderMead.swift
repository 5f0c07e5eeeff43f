/// Nelder and Mead's simplex search ("A simplex method for function minimization", 1965) with the dimension-adapted coefficients of Gao and
/// Han (2012). It needs no derivatives, which the minimum over tiles does not have.
public enum NelderMead {
  /// The best point and its value after at most `evaluations` calls of `function`.
  public static func minimize(
    from start: [Double], spread: [Double], evaluations: Int, _ function: ([Double]) -> Double
  ) -> (point: [Double], value: Double) {
    let count = start.count
    let dimension = Double(max(2, count))
    let (expansion, contraction, shrink) = (1 + 2 / dimension, 0.75 - 1 / (2 * dimension), 1 - 1 / dimension)
    var simplex = [(point: start, value: function(start))]
    for index in 0..<count {
      var point = start
      point[index] += spread[index]
      simplex.append((point, function(point)))
    }
    var used = count + 1
    simplex.sort { $0.value < $1.value }
    while used < evaluations {
      let worst = simplex[count]
      var center = [Double](repeating: 0, count: count)
      for vertex in simplex.dropLast() {
        for index in 0..<count { center[index] += vertex.point[index] / Double(count) }
      }
      func along(_ factor: Double) -> (point: [Double], value: Double) {
        let point = (0..<count).map { center[$0] + factor * (worst.point[$0] - center[$0]) }
        used += 1
        return (point, function(point))
      }
      let reflected = along(-1)
      if reflected.value < simplex[0].value {
        let expanded = along(-expansion)
        simplex[count] = expanded.value < reflected.value ? expanded : reflected
      } else if reflected.value < simplex[count - 1].value {
        simplex[count] = reflected
      } else {
        let contracted = reflected.value < worst.value ? along(-contraction) : along(contraction)
        if contracted.value < min(reflected.value, worst.value) {
          simplex[count] = contracted
        } else {
          for vertex in 1...count {
            let point = (0..<count).map { simplex[0].point[$0] + shrink * (simplex[vertex].point[$0] - simplex[0].point[$0]) }
            simplex[vertex] = (point, function(point))
          }
          used += count
        }
      }
      simplex.sort { $0.value < $1.value }
    }
    return simplex[0]
  }
}
