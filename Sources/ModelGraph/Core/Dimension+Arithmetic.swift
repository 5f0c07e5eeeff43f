extension Dimension {
  /// Sum; nil on overflow.
  public func adding(_ other: Dimension) -> Dimension? {
    let (constant, first) = constant.addingReportingOverflow(other.constant)
    let (perRow, second) = perRow.addingReportingOverflow(other.perRow)
    return first || second ? nil : Dimension(constant: constant, perRow: perRow)
  }

  /// Product; nil on overflow, and where both factors depend on the rows (rows squared is not affine).
  public func multiplied(by other: Dimension) -> Dimension? {
    if perRow != 0 && other.perRow != 0 { return nil }
    let (symbolic, factor) = perRow != 0 ? (self, other.constant) : (other, constant)
    let (constant, first) = symbolic.constant.multipliedReportingOverflow(by: factor)
    let (perRow, second) = symbolic.perRow.multipliedReportingOverflow(by: factor)
    return first || second ? nil : Dimension(constant: constant, perRow: perRow)
  }

  /// Quotient where it is exact for every number of rows: both parts divisible by a fixed divisor, or the two proportional.
  public func divided(by other: Dimension) -> Dimension? {
    if let divisor = other.fixedSize {
      guard divisor > 0, constant % divisor == 0, perRow % divisor == 0 else { return nil }
      return Dimension(constant: constant / divisor, perRow: perRow / divisor)
    }
    guard other.perRow > 0, perRow % other.perRow == 0 else { return nil }
    let factor = perRow / other.perRow
    let (product, overflow) = other.constant.multipliedReportingOverflow(by: factor)
    return !overflow && product == constant ? .fixed(factor) : nil
  }
}

/// Shapes as text and as numbers.
public enum Shapes {
  /// "[rows, 128, 1024]".
  public static func text(_ shape: Shape) -> String { "[" + shape.map(\.description).joined(separator: ", ") + "]" }

  /// Number of elements, affine in the rows; nil on overflow or where two dimensions depend on the rows.
  public static func elementCount(_ shape: Shape) -> Dimension? {
    shape.reduce(Dimension.fixed(1)) { count, dimension in count.flatMap { $0.multiplied(by: dimension) } }
  }

  /// Number of elements as a polynomial in the rows, coefficients from the constant up, the highest not zero: attention over the batch has
  /// rows squared. Nil on overflow.
  public static func elementPolynomial(_ shape: Shape) -> [Int]? {
    var product = [1]
    for dimension in shape {
      var next = [Int](repeating: 0, count: product.count + 1)
      for (power, factor) in product.enumerated() {
        for (shift, term) in [dimension.constant, dimension.perRow].enumerated() where term != 0 && factor != 0 {
          let (value, first) = term.multipliedReportingOverflow(by: factor)
          let (sum, second) = next[power + shift].addingReportingOverflow(value)
          if first || second { return nil }
          next[power + shift] = sum
        }
      }
      while let last = next.last, last == 0 { next.removeLast() }
      product = next
    }
    return product
  }

  /// The one dimension that `known` lacks to have the elements of `total`; nil where there is none for every number of rows.
  static func missingDimension(of total: [Int], known: [Int]) -> Dimension? {
    guard let divisor = known.last, divisor > 0 else { return nil }
    if total.isEmpty { return .fixed(0) }
    let degree = total.count - known.count
    guard degree == 0 || degree == 1 else { return nil }
    // Long division, which must come out even.
    var rest = total
    var quotient = [0, 0]
    for power in (0...degree).reversed() {
      let top = rest[power + known.count - 1]
      guard top % divisor == 0 else { return nil }
      let factor = top / divisor
      for (place, coefficient) in known.enumerated() {
        let (product, first) = coefficient.multipliedReportingOverflow(by: factor)
        let (difference, second) = rest[power + place].subtractingReportingOverflow(product)
        if first || second { return nil }
        rest[power + place] = difference
      }
      quotient[power] = factor
    }
    return rest.allSatisfy { $0 == 0 } ? Dimension(constant: quotient[0], perRow: quotient[1]) : nil
  }

  /// Sizes at a number of rows; nil where one overflows or is negative.
  public static func sizes(_ shape: Shape, rows: Int) -> [Int]? {
    var sizes: [Int] = []
    for dimension in shape {
      guard let size = dimension.size(rows: rows), size >= 0 else { return nil }
      sizes.append(size)
    }
    return sizes
  }

  /// Two-way broadcast as numpy and ONNX define it: trailing dimensions are matched, and 1 takes the other's size. Nil where they differ.
  public static func broadcast(_ left: Shape, _ right: Shape) -> Shape? {
    var result: Shape = []
    for offset in 1..<(max(left.count, right.count) + 1) {
      let a = offset <= left.count ? left[left.count - offset] : .fixed(1)
      let b = offset <= right.count ? right[right.count - offset] : .fixed(1)
      if a == b || b == .fixed(1) {
        result.append(a)
      } else if a == .fixed(1) {
        result.append(b)
      } else {
        return nil
      }
    }
    return result.reversed()
  }

  /// A reshape's target, where -1 is to be worked out and 0 copies the input's dimension (ONNX Reshape, allowzero = 0).
  /// Nil where the element counts cannot be equal for every number of rows.
  public static func resolve(reshape input: Shape, to target: [Dimension?]) -> Shape? {
    guard let total = elementPolynomial(input), let known = elementPolynomial(target.compactMap { $0 }) else { return nil }
    let unknown = target.count { $0 == nil }
    if unknown == 0 { return known == total ? target.compactMap { $0 } : nil }
    guard unknown == 1, let missing = missingDimension(of: total, known: known) else { return nil }
    return target.map { $0 ?? missing }
  }
}
