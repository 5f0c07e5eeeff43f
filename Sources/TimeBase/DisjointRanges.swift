import CheckedNumbers

/// Stretches of time in order and without overlaps, so that what they cover of another stretch is found by a binary search.
public struct DisjointRanges: Sendable, Hashable {
  /// In order; nanoseconds.
  public let ranges: [Range<Int64>]

  /// Of any stretches: those that touch or overlap become one.
  public init(merging given: [Range<Int64>]) {
    var merged: [Range<Int64>] = []
    for range in given.sorted(by: { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }) {
      if let last = merged.last, range.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    ranges = merged
  }

  /// Nanoseconds of a stretch that these cover.
  public func covered(_ stretch: Range<Int64>) -> Int64 {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound <= stretch.lowerBound { low = middle + 1 } else { high = middle }
    }
    var sum: Int64 = 0
    while low < ranges.count, ranges[low].lowerBound < stretch.upperBound {
      let (start, end) = (max(stretch.lowerBound, ranges[low].lowerBound), min(stretch.upperBound, ranges[low].upperBound))
      sum = sum.addingSaturated(end.subtractingSaturated(start))
      low += 1
    }
    return sum
  }
}
