/// A number as it may be shown: with its unit, how it came about, where from and, where known, its interval. Printers take nothing else.
public struct Figure: Sendable, Hashable {
  /// How a number came about, strongest first.
  public enum Kind: String, Sendable, Hashable, Comparable, CaseIterable {
    /// Read off a clock or a counter.
    case measured
    /// Computed from measured figures by a model.
    case estimated
    /// Taken from a simulated run.
    case simulated
    /// A parameter chosen so that a model meets observations.
    case fitted
    /// Nobody looked.
    case assumed

    /// Weaker is smaller.
    public static func < (left: Kind, right: Kind) -> Bool { left.strength < right.strength }

    private var strength: Int {
      switch self {
      case .measured: 4
      case .estimated: 3
      case .simulated: 2
      case .fitted: 1
      case .assumed: 0
      }
    }
  }

  /// What a number counts.
  public enum Unit: String, Sendable, Hashable, CaseIterable {
    /// 0...1 of a whole.
    case share
    /// How many.
    case count
    /// Time.
    case seconds
    /// Time.
    case milliseconds
    /// Time.
    case microseconds
    /// Time.
    case nanoseconds
    /// Memory or traffic.
    case bytes
    /// Samples.
    case rows
    /// Throughput in requests.
    case requestsPerSecond = "requests/s"
    /// Throughput in samples.
    case rowsPerSecond = "rows/s"
    /// Throughput in bytes.
    case bytesPerSecond = "bytes/s"
    /// One quantity over another of its kind.
    case ratio
  }

  /// The number, in `unit`.
  public var value: Double
  /// What it counts.
  public var unit: Unit
  /// How it came about.
  public var kind: Kind
  /// Where it comes from, in a few words: table, capture, constant.
  public var source: String
  /// Where the true value lies, where known.
  public var interval: ClosedRange<Double>?

  /// A figure with its pedigree.
  public init(_ value: Double, _ unit: Unit, _ kind: Kind, source: String, interval: ClosedRange<Double>? = nil) {
    self.value = value
    self.unit = unit
    self.kind = kind
    self.source = source
    self.interval = interval
  }

  /// This over another, of the weaker of both kinds; nil where the divisor is zero or its interval holds zero, or the result is not finite.
  public func ratio(to other: Figure, as unit: Unit = .ratio) -> Figure? {
    let quotient = value / other.value
    if !quotient.isFinite { return nil }
    var interval: ClosedRange<Double>?
    if self.interval != nil || other.interval != nil {
      let above = self.interval ?? value...value
      let below = other.interval ?? other.value...other.value
      if below.contains(0) { return nil }
      let corners = [
        above.lowerBound / below.lowerBound, above.lowerBound / below.upperBound, above.upperBound / below.lowerBound,
        above.upperBound / below.upperBound,
      ]
      if let minimum = corners.min(), let maximum = corners.max(), minimum.isFinite, maximum.isFinite { interval = minimum...maximum }
    }
    let source = source == other.source ? source : "\(source) / \(other.source)"
    return Figure(quotient, unit, min(kind, other.kind), source: source, interval: interval)
  }
}
