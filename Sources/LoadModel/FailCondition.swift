/// What must not come true: "p99>50ms", "late>1%", "errors>0", "rps<1000".
public struct FailCondition: Sendable, Hashable {
  /// What is compared.
  public enum Metric: Sendable, Hashable {
    /// Latency that this share of 100 does not exceed.
    case percentile(Double)
    case mean, maximum, errors, errorShare, lateShare, answersPerSecond, cpuShare
  }

  /// Which side is bad.
  public enum Comparison: String, Sendable, Hashable {
    case above = ">"
    case atLeast = ">="
    case below = "<"
    case atMost = "<="

    func holds(_ value: Double, _ limit: Double) -> Bool {
      switch self {
      case .above: value > limit
      case .atLeast: value >= limit
      case .below: value < limit
      case .atMost: value <= limit
      }
    }
  }

  /// What is compared.
  public let metric: Metric
  /// Which side is bad.
  public let comparison: Comparison
  /// In seconds, a share of one, or a count.
  public let limit: Double
  /// As it was written.
  public let text: String

  /// Metrics: p50 to p99.99, mean, max (times: ns, us, ms, s); errors (a count or %); late, cpu (%); rps. nil for anything else.
  public init?(text: String) {
    let squeezed = text.filter { $0 != " " }
    guard let sign = squeezed.firstIndex(where: { $0 == "<" || $0 == ">" }) else { return nil }
    let name = squeezed[..<sign].lowercased()
    var rest = squeezed[squeezed.index(after: sign)...]
    var symbol = String(squeezed[sign])
    if rest.first == "=" {
      symbol += "="
      rest = rest.dropFirst()
    }
    let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let comparison = Comparison(rawValue: symbol), let value = Double(number), value.isFinite else { return nil }
    let unit = rest[number.endIndex...].lowercased()
    let scales = ["ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0]
    switch (name, unit) {
    case ("mean", _), ("avg", _):
      guard let scale = scales[unit] else { return nil }
      (metric, limit) = (.mean, value * scale)
    case ("max", _):
      guard let scale = scales[unit] else { return nil }
      (metric, limit) = (.maximum, value * scale)
    case ("errors", ""): (metric, limit) = (.errors, value)
    case ("errors", "%"): (metric, limit) = (.errorShare, value / 100)
    case ("late", "%"): (metric, limit) = (.lateShare, value / 100)
    case ("cpu", "%"): (metric, limit) = (.cpuShare, value / 100)
    case ("rps", ""): (metric, limit) = (.answersPerSecond, value)
    default:
      guard name.hasPrefix("p"), let percentile = Double(name.dropFirst()), percentile > 0, percentile <= 100, let scale = scales[unit]
      else {
        return nil
      }
      (metric, limit) = (.percentile(percentile), value * scale)
    }
    self.comparison = comparison
    self.text = text
  }

  /// The metric's value; nil when it is unknown.
  public func value(in result: LoadResult) -> Double? {
    switch metric {
    case .percentile(let percentile): result.latencySeconds(percentile: percentile)
    case .mean: result.meanLatencySeconds
    case .maximum: result.latency.maximum.map { Double($0) / 1e9 }
    case .errors: Double(result.errorCount)
    case .errorShare: result.errorShare
    case .lateShare: result.lateShare
    case .answersPerSecond: result.answersPerSecond
    case .cpuShare: result.health.busiestThreadShare
    }
  }

  /// Whether it came true. What is unknown counts as true: a run without an answer must not pass.
  public func isMet(by result: LoadResult) -> Bool { value(in: result).map { comparison.holds($0, limit) } ?? true }
}
