import CheckedNumbers

/// Percentiles by nearest rank: always one of the values, never something between two of them.
public enum NearestRank {
  /// Which of `count` sorted values `percentile` percent of them do not exceed: from 1 to `count`; 0 where there are none. A percentile below 0 or
  /// above 100 is the least or the greatest.
  public static func rank(percentile: Double, of count: Int64) -> Int64 {
    guard count > 0 else { return 0 }
    // One step down: 99.9 % of 1,000 values are 999 of them, not 999.0000000000001 rounded up (as in HdrHistogram `getValueAtPercentile`).
    let rank = (min(100, max(0, percentile)).nextDown * Double(count) / 100).rounded(.up)
    return max(1, min(count, Int64(exactly: rank) ?? count))
  }

  /// The value at that rank of sorted values; nil for none.
  public static func value(percentile: Double, ofSorted values: [Int64]) -> Int64? {
    values.isEmpty ? nil : values[Int(clamping: rank(percentile: percentile, of: Int64(values.count)) - 1)]
  }
}
