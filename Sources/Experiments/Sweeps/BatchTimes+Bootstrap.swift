import CheckedNumbers
import TimeBase

/// Medians of samples and how sure they are: the percentile bootstrap (Efron and Tibshirani 1993, chapter 13), with a seed, so that the same
/// samples give the same interval.
enum Bootstrap {
  /// Of samples in any order; 0 for none.
  static func median(_ samples: [Double]) -> Double {
    if samples.isEmpty { return 0 }
    let sorted = samples.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// Where the median lies, 95 %; nil for fewer than three samples.
  static func medianInterval(_ samples: [Double], seed: UInt64 = 1) -> ClosedRange<Double>? {
    interval(count: samples.count, seed: seed) { draws in median(draws.map { samples[$0] }) }
  }

  /// Where the mean of differences or ratios lies, 95 %; nil for fewer than three.
  static func meanInterval(_ samples: [Double], seed: UInt64 = 1) -> ClosedRange<Double>? {
    interval(count: samples.count, seed: seed) { draws in draws.reduce(0) { $0 + samples[$1] } / Double(draws.count) }
  }

  private static func interval(count: Int, seed: UInt64, _ statistic: ([Int]) -> Double) -> ClosedRange<Double>? {
    guard count >= 3 else { return nil }
    var random = SplitMix64(seed: seed)
    // More samples than this move no interval, and would only take time.
    let size = min(count, 400)
    var values: [Double] = []
    for _ in 0..<400 { values.append(statistic((0..<size).map { _ in Int.random(in: 0..<count, using: &random) })) }
    values.sort()
    return values[9]...values[390]
  }
}
