import CheckedNumbers
import Glibc

/// How far predictions lie from measurements.
public struct ErrorSummary: Sendable, Hashable {
  /// Pairs compared.
  public var count: Int
  /// Mean of |predicted - measured| / measured.
  public var mean: Double
  /// Median of the same.
  public var median: Double
  /// 90th percentile of the same.
  public var p90: Double
  /// Mean of the worst tenth.
  public var worstTenth: Double
  /// Geometric mean of predicted / measured, less one: negative where predictions are too fast.
  public var bias: Double

  /// Of pairs (predicted, measured).
  public init(_ pairs: [(predicted: Double, measured: Double)]) {
    let errors = pairs.map { abs($0.predicted - $0.measured) / $0.measured }.sorted()
    count = errors.count
    guard count > 0 else {
      (mean, median, p90, worstTenth, bias) = (.nan, .nan, .nan, .nan, .nan)
      return
    }
    mean = errors.reduce(0, +) / Double(count)
    median = Self.quantile(errors, 0.5)
    p90 = Self.quantile(errors, 0.9)
    let worst = errors[min(count - 1, count * 9 / 10)...]
    worstTenth = worst.reduce(0, +) / Double(worst.count)
    bias = exp(pairs.reduce(0) { $0 + log($1.predicted / $1.measured) } / Double(count)) - 1
  }

  /// Linear interpolation between order statistics.
  static func quantile(_ sorted: [Double], _ share: Double) -> Double {
    guard let last = sorted.last else { return .nan }
    let position = share * Double(sorted.count - 1)
    let index = Int(saturating: position)
    guard index + 1 < sorted.count else { return last }
    return sorted[index] + (position - Double(index)) * (sorted[index + 1] - sorted[index])
  }

  /// 80th percentile of the error for kernels under 10 us, 10 to 100 us, and longer; too few points take the fallback.
  public static func bands(_ pairs: [(predicted: Double, measured: Double)], fallback: [Double]) -> [Double] {
    (0..<3).map { bucket in
      let inside = pairs.filter { ($0.predicted < 10 ? 0 : $0.predicted < 100 ? 1 : 2) == bucket }
      let errors = inside.map { abs($0.predicted - $0.measured) / $0.measured }.sorted()
      if errors.count < 5 { return bucket < fallback.count ? fallback[bucket] : 0.5 }
      return (quantile(errors, 0.8) * 1000).rounded() / 1000
    }
  }
}
