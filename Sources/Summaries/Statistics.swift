import CheckedNumbers

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
    let upper = Self.select(values, count / 2)
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

  /// The value at a place of the order, with nothing larger before it (Hoare's selection). Falls back to sorting where the pivots keep
  /// missing, so that no order of values takes quadratic time.
  private static func select(_ values: UnsafeMutableBufferPointer<Int64>, _ place: Int) -> Int64 {
    var (low, high) = (0, values.count - 1)
    var rounds = 0
    while low < high {
      rounds += 1
      if rounds > 64 {
        var rest = UnsafeMutableBufferPointer(rebasing: values[low...high])
        rest.sort()
        break
      }
      let middle = low + (high - low) / 2
      let pivot = max(min(values[low], values[middle]), min(max(values[low], values[middle]), values[high]))
      var (left, right) = (low, high)
      while left <= right {
        while values[left] < pivot { left += 1 }
        while values[right] > pivot { right -= 1 }
        if left <= right {
          values.swapAt(left, right)
          left += 1
          right -= 1
        }
      }
      if place <= right { high = right } else if place >= left { low = left } else { break }
    }
    return values[place]
  }
}
