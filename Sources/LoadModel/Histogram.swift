import CheckedNumbers
import TimeBase

/// A histogram with a fixed number of significant digits over a huge range: counts of values in buckets whose width grows with the value
/// (Tene's HdrHistogram; layout as in HdrHistogram/HdrHistogram `AbstractHistogram.java`). Values are integers of 1 and up; the generator
/// records nanoseconds.
///
/// Counts exist up to the largest value seen, so an empty histogram costs nothing and a steady one never allocates.
public struct Histogram: Sendable, Equatable {
  /// Decimal digits that are kept of a value.
  public let significantDigits: Int
  /// What larger values are counted as.
  public let highestTrackable: Int64
  /// Values below 2 to this power share a bucket.
  let unitMagnitude: Int
  let subBucketHalfMagnitude: Int
  var counts: [Int64] = []

  /// How many values are counted.
  public private(set) var count: Int64 = 0
  /// How many of them were larger than `highestTrackable`.
  public private(set) var saturatedCount: Int64 = 0
  private var minimumRecorded = Int64.max
  private var maximumRecorded: Int64 = 0

  /// An hour in nanoseconds: nobody waits longer for an answer.
  public static let hourNanoseconds: Int64 = 3_600_000_000_000

  /// An empty histogram of nanoseconds with three digits.
  public init() { self.init(unitMagnitude: 0, highestTrackable: Self.hourNanoseconds, significantDigits: 3) }

  /// An empty histogram. nil for digits outside 1...5, a lowest value below 1, or a highest below twice the lowest.
  public init?(lowestDiscernible: Int64, highestTrackable: Int64, significantDigits: Int) {
    guard (1...5).contains(significantDigits), lowestDiscernible >= 1, highestTrackable / 2 >= lowestDiscernible else { return nil }
    self.init(
      unitMagnitude: 63 - lowestDiscernible.leadingZeroBitCount, highestTrackable: highestTrackable, significantDigits: significantDigits)
    // The largest sub-bucket must fit 63 bits.
    if unitMagnitude + subBucketHalfMagnitude + 1 > 61 { return nil }
  }

  private init(unitMagnitude: Int, highestTrackable: Int64, significantDigits: Int) {
    self.significantDigits = significantDigits
    self.highestTrackable = highestTrackable
    self.unitMagnitude = unitMagnitude
    // 2 * 10^digits values must differ at single-unit resolution; the next power of two holds them.
    var resolution = 2
    for _ in 0..<significantDigits { resolution *= 10 }
    subBucketHalfMagnitude = Int.bitWidth - (resolution - 1).leadingZeroBitCount - 1
  }

  private var subBucketMask: Int64 { ((2 << subBucketHalfMagnitude) - 1) << unitMagnitude }

  /// The lowest value that differs from 0.
  public var lowestDiscernible: Int64 { 1 << unitMagnitude }

  /// Counts a full histogram has: what an index from outside is checked against.
  var indexLimit: Int { index(of: highestTrackable) + 1 }

  func index(of value: Int64) -> Int {
    let bucket = 64 - (value | subBucketMask).leadingZeroBitCount - unitMagnitude - (subBucketHalfMagnitude + 1)
    let subBucket = Int(value >> (bucket + unitMagnitude))
    return (bucket << subBucketHalfMagnitude) + subBucket
  }

  /// The smallest value of an index's bucket and the bucket's width.
  func bucket(at index: Int) -> (low: Int64, width: Int64) {
    var bucket = (index >> subBucketHalfMagnitude) - 1
    var subBucket = (index & ((1 << subBucketHalfMagnitude) - 1)) + (1 << subBucketHalfMagnitude)
    if bucket < 0 {
      subBucket -= 1 << subBucketHalfMagnitude
      bucket = 0
    }
    return (Int64(subBucket) << (bucket + unitMagnitude), 1 << (bucket + unitMagnitude))
  }

  /// Counts a value; below 0 counts as 0, above the highest as the highest.
  public mutating func record(_ value: Int64, count added: Int64 = 1) {
    var value = max(0, value)
    if value > highestTrackable {
      saturatedCount += added
      value = highestTrackable
    }
    add(added, at: index(of: value))
    minimumRecorded = min(minimumRecorded, value)
    maximumRecorded = max(maximumRecorded, value)
  }

  private mutating func add(_ added: Int64, at index: Int) {
    if index >= counts.count {
      // A whole power of two of values at once: growth ends after a few.
      let rounded = ((index >> subBucketHalfMagnitude) + 1) << subBucketHalfMagnitude
      counts.append(contentsOf: repeatElement(0, count: rounded - counts.count))
    }
    counts[index] &+= added
    count &+= added
  }

  /// Counts read from a file: extremes are those of their buckets. False where the index or the sum cannot be.
  mutating func addDecoded(_ added: Int64, at index: Int) -> Bool {
    guard added > 0, index >= 0, index < indexLimit, !count.addingReportingOverflow(added).overflow else { return false }
    add(added, at: index)
    let (low, width) = bucket(at: index)
    minimumRecorded = min(minimumRecorded, low)
    maximumRecorded = max(maximumRecorded, min(low + (width - 1), highestTrackable))
    return true
  }

  /// Counts everything of another histogram. Exact when both have the same layout; otherwise its values move to the middle of their bucket.
  public mutating func add(_ other: Histogram) {
    if other.count == 0 { return }
    if other.unitMagnitude == unitMagnitude, other.significantDigits == significantDigits, other.maximumRecorded <= highestTrackable {
      for (index, added) in other.counts.enumerated() where added != 0 { add(added, at: index) }
      minimumRecorded = min(minimumRecorded, other.minimumRecorded)
      maximumRecorded = max(maximumRecorded, other.maximumRecorded)
      saturatedCount += other.saturatedCount
    } else {
      for (index, added) in other.counts.enumerated() where added != 0 {
        let (low, width) = other.bucket(at: index)
        record(low + width / 2, count: added)
      }
    }
  }

  /// Forgets everything, keeps the memory.
  public mutating func removeAll() {
    for index in counts.indices { counts[index] = 0 }
    (count, saturatedCount, minimumRecorded, maximumRecorded) = (0, 0, .max, 0)
  }

  /// The smallest value; nil when empty.
  public var minimum: Int64? { count == 0 ? nil : minimumRecorded }
  /// The largest value; nil when empty.
  public var maximum: Int64? { count == 0 ? nil : maximumRecorded }

  /// The mean, each value taken as the middle of its bucket; nil when empty.
  public var mean: Double? {
    if count == 0 { return nil }
    var sum = 0.0
    for (index, added) in counts.enumerated() where added != 0 { sum += Double(added) * middle(of: index) }
    return sum / Double(count)
  }

  /// Standard deviation; nil when empty.
  public var standardDeviation: Double? {
    guard let mean else { return nil }
    var sum = 0.0
    for (index, added) in counts.enumerated() where added != 0 {
      let distance = middle(of: index) - mean
      sum += Double(added) * distance * distance
    }
    return (sum / Double(count)).squareRoot()
  }

  private func middle(of index: Int) -> Double {
    let (low, width) = bucket(at: index)
    return Double(low) + Double(width - 1) / 2
  }

  /// The value that `percentile` of 100 values do not exceed: the nearest rank, read at the upper end of its bucket and never above the
  /// maximum. nil when empty.
  public func value(atPercentile percentile: Double) -> Int64? {
    guard count > 0, !percentile.isNaN else { return nil }
    let wanted = NearestRank.rank(percentile: percentile, of: count)
    var seen: Int64 = 0
    for (index, added) in counts.enumerated() where added != 0 {
      seen &+= added
      if seen >= wanted {
        let (low, width) = bucket(at: index)
        return max(minimumRecorded, min(low + (width - 1), maximumRecorded))
      }
    }
    return maximumRecorded
  }

  /// How many values lie above `value`, to the width of a bucket.
  public func count(above value: Int64) -> Int64 {
    guard value >= 0 else { return count }
    guard value < highestTrackable else { return 0 }
    let first = index(of: value) + 1
    return first < counts.count ? counts[first...].reduce(0, &+) : 0
  }

  /// Same layout and counts; how much memory each has grown to is nobody's business.
  public static func == (left: Histogram, right: Histogram) -> Bool {
    guard left.unitMagnitude == right.unitMagnitude, left.significantDigits == right.significantDigits, left.count == right.count else {
      return false
    }
    return (0..<max(left.counts.count, right.counts.count)).allSatisfy { index in
      (index < left.counts.count ? left.counts[index] : 0) == (index < right.counts.count ? right.counts[index] : 0)
    }
  }
}
