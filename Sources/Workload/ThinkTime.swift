import CheckedNumbers
public import TimeBase

/// How long a user of a closed loop waits between an answer and the next request.
public enum ThinkTime: Sendable, Hashable {
  /// Always the same.
  case constant(TimeSpan)
  /// Anything between the two, equally likely.
  case uniform(TimeSpan, TimeSpan)
  /// Memoryless, with this mean.
  case exponential(mean: TimeSpan)

  /// Its mean.
  public var mean: TimeSpan {
    switch self {
    case .constant(let span): span
    case .uniform(let low, let high): TimeSpan(nanoseconds: low.nanoseconds / 2 + high.nanoseconds / 2)
    case .exponential(let mean): mean
    }
  }

  /// One draw. Always takes one number, so that a changed distribution leaves everything after it as it was (common random numbers).
  @inlinable public func sample(_ random: inout SplitMix64) -> TimeSpan {
    let unit = random.nextUnitDouble()
    switch self {
    case .constant(let span): return span
    case .uniform(let low, let high):
      return TimeSpan(nanoseconds: low.nanoseconds + Int64(saturating: unit * Double(high.nanoseconds - low.nanoseconds)))
    case .exponential(let mean): return TimeSpan(clampingSeconds: -Logarithm.natural(1 - unit) * mean.seconds)
    }
  }

  /// Every time multiplied.
  public func scaled(_ factor: Double) -> ThinkTime {
    func scale(_ span: TimeSpan) -> TimeSpan { TimeSpan(clampingSeconds: span.seconds * factor) }
    return switch self {
    case .constant(let span): .constant(scale(span))
    case .uniform(let low, let high): .uniform(scale(low), scale(high))
    case .exponential(let mean): .exponential(mean: scale(mean))
    }
  }

  /// As on a command line: "constant:0.2", "uniform:0.1,0.5", "exponential:0.3", seconds. nil for anything else, with negative times and
  /// reversed ends among it.
  public init?(text: String) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let numbers = text[text.index(after: colon)...].split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    let values = numbers.compactMap { $0 }
    guard values.count == numbers.count, values.allSatisfy({ $0 >= 0 && $0 <= 86_400 }) else { return nil }
    let spans = values.map { TimeSpan(clampingSeconds: $0) }
    switch (text[..<colon], spans.count) {
    case ("constant", 1): self = .constant(spans[0])
    case ("exponential", 1): self = .exponential(mean: spans[0])
    case ("uniform", 2) where spans[0] <= spans[1]: self = .uniform(spans[0], spans[1])
    default: return nil
    }
  }

  /// As `init(text:)` reads it.
  public var text: String {
    switch self {
    case .constant(let span): "constant:\(span.seconds)"
    case .uniform(let low, let high): "uniform:\(low.seconds),\(high.seconds)"
    case .exponential(let mean): "exponential:\(mean.seconds)"
    }
  }
}
