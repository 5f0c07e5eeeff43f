import CheckedNumbers
import TimeBase

/// What a summary says of some values, as `nsys stats` counts: the median of an even number is the mean of the two middle ones, the
/// deviation is that of a sample (n - 1) and 0 for one value.
public struct Statistics: Sendable, Hashable {
  /// Values.
  public var count: Int
  /// Their sum.
  public var total: Int64
  /// Their mean.
  public var average: Double
  /// The middle one.
  public var median: Double
  /// The smallest.
  public var minimum: Int64
  /// The largest.
  public var maximum: Int64
  /// Sample deviation.
  public var deviation: Double

  /// The statistics of values, which are reordered; nil for none.
  public init?(_ values: UnsafeMutableBufferPointer<Int64>) {
    guard let first = values.first else { return nil }
    count = values.count
    var (low, high, sum) = (first, first, Int64(0))
    for value in values {
      low = min(low, value)
      high = max(high, value)
      sum = sum.addingSaturated(value)
    }
    (minimum, maximum, total) = (low, high, sum)
    let mean = Double(sum) / Double(count)
    average = mean
    var squares = 0.0
    for value in values {
      let difference = Double(value) - mean
      squares += difference * difference
    }
    deviation = count > 1 ? (squares / Double(count - 1)).squareRoot() : 0
    let upper = Selection.value(values, rank: count / 2) ?? first
    if count % 2 == 1 {
      median = Double(upper)
    } else {
      // Selection leaves what is not larger before the place.
      var lower = values[0]
      for index in 0..<count / 2 { lower = max(lower, values[index]) }
      median = (Double(lower) + Double(upper)) / 2
    }
  }

  /// The statistics of values; nil for none.
  public init?(_ values: [Int64]) {
    var copy = values
    guard let statistics = copy.withUnsafeMutableBufferPointer({ Statistics($0) }) else { return nil }
    self = statistics
  }
}
