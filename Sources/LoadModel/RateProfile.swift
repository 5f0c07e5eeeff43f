/// How many requests per second an open loop offers, over time: steps and ramps, one after the other.
public struct RateProfile: Sendable, Hashable {
  /// A stretch in which the rate goes from one value to another in a straight line.
  public struct Segment: Sendable, Hashable {
    /// Requests per second at its start.
    public var from: Double
    /// Requests per second at its end.
    public var to: Double
    /// How long; infinite in a last one.
    public var seconds: Double

    /// Requests of the whole segment.
    var arrivals: Double { seconds.isInfinite ? (from > 0 ? .infinity : 0) : (from + to) / 2 * seconds }
  }

  /// In their order.
  public var segments: [Segment]

  /// Always the same rate.
  public init(perSecond: Double) { segments = [Segment(from: perSecond, to: perSecond, seconds: .infinity)] }

  /// "500" (always), "0-1000:30" (a ramp over 30 s), "100:10,200:10,400" (steps; a last one without a length holds). nil for anything else.
  public init?(text: String) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    segments = []
    for (index, part) in parts.enumerated() {
      let halves = part.split(separator: ":", omittingEmptySubsequences: false)
      let ends = (halves.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { Double($0) }
      guard (1...2).contains(halves.count), (1...2).contains(ends.count), let from = ends[0], let to = ends[ends.count - 1],
        [from, to].allSatisfy({ $0 >= 0 && $0 <= 1e7 })
      else { return nil }
      var seconds = Double.infinity
      if halves.count == 2 {
        guard let given = Double(halves[1]), given > 0, given <= 86_400 * 365 else { return nil }
        seconds = given
      } else if index != parts.count - 1 || from != to {
        return nil
      }
      segments.append(Segment(from: from, to: to, seconds: seconds))
    }
    guard segments.contains(where: { $0.from > 0 || $0.to > 0 }) else { return nil }
  }

  /// As `init(text:)` reads it.
  public var text: String {
    segments.map { segment in
      let rate = segment.from == segment.to ? "\(segment.from)" : "\(segment.from)-\(segment.to)"
      return segment.seconds.isInfinite ? rate : "\(rate):\(segment.seconds)"
    }.joined(separator: ",")
  }

  /// Whether the rate never changes.
  public var isConstant: Bool { segments.count == 1 && segments[0].from == segments[0].to && segments[0].seconds.isInfinite }

  /// The largest rate.
  public var peakPerSecond: Double { segments.reduce(0) { max($0, $1.from, $1.to) } }

  /// When so many requests are due, in seconds: the inverse of the rate's integral. nil when the profile ends before.
  ///
  /// In a segment, x = f t + (g - f) t^2 / (2 d); solved as t = 2 x / (f + sqrt(f^2 + 2 x (g - f) / d)), which does not cancel.
  public func seconds(untilArrivals wanted: Double) -> Double? {
    var start = 0.0
    var left = wanted
    for segment in segments {
      if left < segment.arrivals || (left == 0 && segment.from > 0) {
        if segment.from == segment.to { return start + left / segment.from }
        let slope = (segment.to - segment.from) / segment.seconds
        let denominator = segment.from + max(0, segment.from * segment.from + 2 * left * slope).squareRoot()
        return denominator > 0 ? start + 2 * left / denominator : start
      }
      left -= segment.arrivals
      start += segment.seconds
    }
    return nil
  }
}
