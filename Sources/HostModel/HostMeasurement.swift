import CheckedNumbers

/// One host cost as it was timed on a machine: the median of repeated measurements, how far they lie apart, and how it was done.
public struct HostMeasurement: Sendable, Hashable {
  /// What was measured.
  public var cost: HostCost
  /// Median, in the cost's unit.
  public var value: Double
  /// Lower and upper quartile.
  public var quartiles: ClosedRange<Double>
  /// Measurements.
  public var count: Int
  /// How it was measured.
  public var how: String

  /// A measurement; nil without a finite sample. Negative values, which differences of noisy times may have, count as none.
  public init?(_ cost: HostCost, _ values: [Double], how: String) {
    guard let summary = Self.summary(values.filter(\.isFinite).map { max(0, $0) }) else { return nil }
    func clamped(_ value: Double) -> Double { min(max(value, cost.range.lowerBound), cost.range.upperBound) }
    self.cost = cost
    value = clamped(summary.median)
    quartiles = clamped(summary.quartiles.lowerBound)...clamped(summary.quartiles.upperBound)
    count = summary.count
    self.how = how
  }

  /// Median and quartiles of what is finite; nil where nothing is.
  public static func summary(_ values: [Double]) -> (median: Double, quartiles: ClosedRange<Double>, count: Int)? {
    let sorted = values.filter(\.isFinite).sorted()
    guard !sorted.isEmpty else { return nil }
    /// Linear between the neighbours (Hyndman and Fan's type 7).
    func quantile(_ share: Double) -> Double {
      let place = share * Double(sorted.count - 1)
      let low = min(sorted.count - 1, Int(saturating: place))
      let high = min(sorted.count - 1, low + 1)
      return sorted[low] + (place - Double(low)) * (sorted[high] - sorted[low])
    }
    let median = quantile(0.5)
    return (median, min(quantile(0.25), median)...max(quantile(0.75), median), sorted.count)
  }

  /// What a cost is made of that was timed at two sizes: a fixed part and one a byte, pair by pair.
  ///
  /// - Parameters:
  ///   - small: Times at `smallBytes`, in any unit.
  ///   - large: Times at `largeBytes`, same unit.
  public static func affine(small: [Double], smallBytes: Double, large: [Double], largeBytes: Double) -> (
    fixed: [Double], perByte: [Double]
  ) {
    guard largeBytes > smallBytes, let base = summary(small), let top = summary(large) else { return ([], []) }
    // Each size's own spread, about the other size's median.
    let slopes = large.map { ($0 - base.median) / (largeBytes - smallBytes) } + small.map { (top.median - $0) / (largeBytes - smallBytes) }
    let slope = max(0, (top.median - base.median) / (largeBytes - smallBytes))
    return (small.map { max(0, $0 - slope * smallBytes) }, slopes.map { max(0, $0) })
  }

  /// As a profile's entry.
  public var entry: HostProfile.Entry {
    func text(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }
    let spread = count > 1 ? "; quartiles \(text(quartiles.lowerBound)) to \(text(quartiles.upperBound)) of \(count)" : ""
    return HostProfile.Entry((value * 100_000).rounded() / 100_000, .measured, how + spread)
  }
}

extension HostProfile {
  /// A profile of what was measured; what was not keeps its usual value and says so.
  public init(name: String, about: String, measurements: [HostMeasurement]) {
    var entries: [HostCost: Entry] = [:]
    for cost in HostCost.allCases { entries[cost] = Entry(cost.usual, .assumed, "usual value; not measured on this machine") }
    for measurement in measurements { entries[measurement.cost] = measurement.entry }
    self.init(name: name, about: about, entries: entries)
  }
}
