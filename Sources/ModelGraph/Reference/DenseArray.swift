/// Elements in Double with their sizes, row-major: what the reference evaluator computes with. Integers and truth values are Doubles too.
public struct DenseArray: Sendable, Equatable {
  /// Sizes, outermost first.
  public var shape: [Int]
  /// Elements, as many as the product of the sizes.
  public var values: [Double]

  /// Nil when the count does not match the shape.
  public init?(shape: [Int], values: [Double]) {
    guard Tensor.elementCount(of: shape) == values.count else { return nil }
    self.shape = shape
    self.values = values
  }

  init(unchecked shape: [Int], _ values: [Double]) {
    self.shape = shape
    self.values = values
  }

  /// Euclidean norm.
  public var norm: Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// Norm of the difference over the norm of `other`; infinite where shapes differ.
  public func relativeDistance(to other: DenseArray) -> Double {
    if shape != other.shape { return .infinity }
    let difference = zip(values, other.values).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    return other.norm > 0 ? difference / other.norm : (difference == 0 ? 0 : .infinity)
  }

  /// Elements between neighbours along each dimension.
  static func strides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for index in shape.indices.dropLast().reversed() { strides[index] = strides[index + 1] * shape[index + 1] }
    return strides
  }

  /// An array whose element at each position is `element(position)`.
  static func build(_ shape: [Int], _ element: ([Int]) -> Double) -> DenseArray {
    let count = shape.reduce(1, *)
    var position = [Int](repeating: 0, count: shape.count)
    var values: [Double] = []
    values.reserveCapacity(count)
    for _ in 0..<count {
      values.append(element(position))
      for index in shape.indices.reversed() {
        position[index] += 1
        if position[index] < shape[index] { break }
        position[index] = 0
      }
    }
    return DenseArray(unchecked: shape, values)
  }

  /// The element at a position.
  subscript(position: [Int]) -> Double { values[zip(position, Self.strides(shape)).reduce(0) { $0 + $1.0 * $1.1 }] }

  /// The array of those sizes whose element at a position lies at the sum of position x strides, counted from `offset`: a transposition, a
  /// slice or a broadcast (strides of zero), copied out.
  func view(_ sizes: [Int], strides: [Int], offset: Int = 0) -> DenseArray {
    let count = sizes.reduce(1, *)
    var result: [Double] = []
    result.reserveCapacity(count)
    var position = [Int](repeating: 0, count: sizes.count)
    var place = offset
    for _ in 0..<count {
      result.append(values[place])
      var axis = sizes.count - 1
      while axis >= 0 {
        position[axis] += 1
        place += strides[axis]
        if position[axis] < sizes[axis] { break }
        place -= strides[axis] * sizes[axis]
        position[axis] = 0
        axis -= 1
      }
    }
    return DenseArray(unchecked: sizes, result)
  }

  /// What broadcasting to a larger shape makes of it.
  func broadcast(to target: [Int]) -> DenseArray {
    if shape == target { return self }
    let own = zip(shape, Self.strides(shape)).map { $0 == 1 ? 0 : $1 }
    return view(target, strides: [Int](repeating: 0, count: target.count - own.count) + own)
  }
}
