// How a number from outside (a configuration, JSON, a protobuf field, a flag, a header, a file) becomes one of ours: it is saturated, with these
// and the standard library's `init(clamping:)`, or refused, with `init(exactly:)`.

extension FixedWidthInteger {
  /// The nearest value of this type; NaN is zero.
  @inlinable public init(saturating value: Double) {
    let whole = value.rounded(.towardZero)
    // By way of Int64, whose own conversion is a comparison and an instruction: the one that the protocol has for any type takes the number
    // apart, by calls into the standard library, and cost virtual time a tenth of its speed.
    if let exact = Int64(exactly: whole) {
      self = Self(clamping: exact)
    } else if let exact = Self(exactly: whole) {
      self = exact
    } else {
      self = value.isNaN ? 0 : value < 0 ? .min : .max
    }
  }

  /// The sum, or the end of the range that it lies beyond.
  @inlinable public func addingSaturated(_ other: Self) -> Self {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  /// The difference, or the end of the range that it lies beyond.
  @inlinable public func subtractingSaturated(_ other: Self) -> Self {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }

  /// The product, or the end of the range that it lies beyond.
  @inlinable public func multipliedSaturated(by other: Self) -> Self {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? ((self < 0) == (other < 0) ? .max : .min) : product
  }
}

extension Sequence where Element: FixedWidthInteger {
  /// The product of all elements, nil where it does not fit: how many elements a shape from outside has.
  @inlinable public var checkedProduct: Element? {
    var product: Element = 1
    for factor in self {
      let (next, overflow) = product.multipliedReportingOverflow(by: factor)
      if overflow { return nil }
      product = next
    }
    return product
  }
}
