import CheckedNumbers

/// How long batches of a model take on a device, by rows: what was measured, and what lies between.
///
/// A batch of more rows never takes less time than a smaller one: where noise says otherwise, the points concerned share their mean (pool
/// adjacent violators, Ayer et al. 1955). Between points the time is a straight line, beyond the last one that line goes on, and batches
/// smaller than the first take its time.
public struct BatchDurations: Sendable, Hashable {
  /// A measured size.
  public struct Point: Sendable, Hashable {
    /// Rows of the batches.
    public var rows: Int
    /// Median, nanoseconds.
    public var nanoseconds: Double
    /// Lower and upper quartile, nanoseconds.
    public var quartiles: ClosedRange<Double>
    /// Batches timed.
    public var batches: Int
    /// How single batches lie about the median: its multiples at evenly spaced quantiles, from the shortest to the longest. One number
    /// where all are alike.
    public var spread: [Double]

    /// A point with every field stated.
    public init(rows: Int, nanoseconds: Double, quartiles: ClosedRange<Double>, batches: Int, spread: [Double] = [1]) {
      self.rows = rows
      self.nanoseconds = nanoseconds
      self.quartiles = quartiles
      self.batches = batches
      self.spread = spread
    }

    /// From times of single batches; nil without any.
    public init?(rows: Int, times: [Double]) {
      let sorted = times.filter { $0.isFinite && $0 >= 0 }.sorted()
      guard let first = sorted.first, let last = sorted.last, rows > 0 else { return nil }
      func rank(_ share: Double) -> Double { sorted[min(sorted.count - 1, Int(saturating: share * Double(sorted.count)))] }
      let middle = sorted.count / 2
      let median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
      let (low, high) = (max(first, min(rank(0.25), median)), min(last, max(rank(0.75), median)))
      let quantiles = (0...Self.spreadSteps).map { step in
        median > 0 ? sorted[(sorted.count - 1) * step / Self.spreadSteps] / median : 1
      }
      self.init(rows: rows, nanoseconds: median, quartiles: low...high, batches: sorted.count, spread: quantiles)
    }

    /// Quantiles kept: every twentieth.
    private static let spreadSteps = 20

    /// The multiple of the median that this share of batches stays below.
    func multiple(at share: Double) -> Double {
      guard spread.count > 1, let last = spread.last else { return spread.first ?? 1 }
      let place = min(max(share, 0), 1) * Double(spread.count - 1)
      let low = min(spread.count - 2, Int(saturating: place))
      return low + 1 < spread.count ? spread[low] + (place - Double(low)) * (spread[low + 1] - spread[low]) : last
    }
  }

  /// What was measured, by rows.
  public let points: [Point]
  /// Times that rise with the rows, of the same sizes.
  private let rising: [Double]

  /// A table; nil where it would be empty, or a point has no rows or no sensible time. Of points of equal rows the last one counts.
  public init?(_ points: [Point]) {
    let byRows = Dictionary(points.map { ($0.rows, $0) }, uniquingKeysWith: { $1 })
    let sorted = byRows.values.sorted { $0.rows < $1.rows }
    guard !sorted.isEmpty, sorted.allSatisfy({ $0.rows > 0 && $0.nanoseconds.isFinite && $0.nanoseconds > 0 }),
      sorted.allSatisfy({ $0.spread.allSatisfy { $0.isFinite && $0 >= 0 } })
    else { return nil }
    self.points = sorted
    rising = Self.rising(sorted.map(\.nanoseconds))
  }

  /// The nearest sequence that never falls.
  private static func rising(_ values: [Double]) -> [Double] {
    var pools: [(sum: Double, count: Int)] = []
    for value in values {
      pools.append((value, 1))
      while pools.count > 1 {
        let (last, before) = (pools[pools.count - 1], pools[pools.count - 2])
        guard before.sum / Double(before.count) > last.sum / Double(last.count) else { break }
        pools.removeLast(2)
        pools.append((before.sum + last.sum, before.count + last.count))
      }
    }
    return pools.flatMap { [Double](repeating: $0.sum / Double($0.count), count: $0.count) }
  }

  /// Time of a batch, nanoseconds.
  public func nanoseconds(rows: Int) -> Double {
    guard let last = points.last, let first = points.first else { return 0 }
    if rows <= first.rows { return rising[0] }
    // The first point that is large enough, or the last one: the line through it and its predecessor.
    let upper = points.firstIndex { $0.rows >= rows } ?? points.count - 1
    guard upper > 0 else { return rising[0] * Double(rows) / Double(last.rows) }
    let (left, right) = (points[upper - 1], points[upper])
    let share = (Double(rows) - Double(left.rows)) / (Double(right.rows) - Double(left.rows))
    return rising[upper - 1] + share * (rising[upper] - rising[upper - 1])
  }

  /// Time of a batch that is slower than this share (0...1) of its like, nanoseconds: what a drawn number becomes.
  public func nanoseconds(rows: Int, at share: Double) -> Double {
    let upper = points.firstIndex { $0.rows >= rows } ?? points.count - 1
    guard points.indices.contains(upper) else { return 0 }
    var multiple = points[upper].multiple(at: share)
    if upper > 0, rows < points[upper].rows {
      let (left, right) = (points[upper - 1], points[upper])
      let weight = (Double(rows) - Double(left.rows)) / (Double(right.rows) - Double(left.rows))
      multiple = left.multiple(at: share) * (1 - weight) + multiple * weight
    }
    return nanoseconds(rows: rows) * multiple
  }

  /// Sizes worth measuring for batches of up to `maximum` rows: powers of two, the largest itself, and what is named.
  public static func sizes(maximum: Int, preferred: [Int] = []) -> [Int] {
    var sizes: Set<Int> = [max(1, maximum)]
    var size = 1
    while size < maximum {
      sizes.insert(size)
      size *= 2
    }
    return sizes.union(preferred.filter { (1...max(1, maximum)).contains($0) }).sorted()
  }
}
