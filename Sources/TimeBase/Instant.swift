import CheckedNumbers

/// A point on one run's clock, in nanoseconds.
///
/// The clock is whatever drives the run: CLOCK_MONOTONIC when it is real, the simulation's own when it is virtual. Instants
/// of two runs are never compared. 2^63 ns are 292 years; the arithmetic saturates there. A delay or a timeout may be any number that
/// its field holds ("for ever" is often written as the largest one), and "later than everything" is what such a number means.
public struct Instant: Hashable, Comparable, Sendable {
  /// Nanoseconds since the clock's origin.
  public var nanoseconds: Int64

  /// An instant `nanoseconds` after the clock's origin.
  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The clock's origin.
  public static let zero = Instant(nanoseconds: 0)
  /// Later than anything that happens: a deadline that never comes.
  public static let distantFuture = Instant(nanoseconds: .max)

  /// Earlier or shorter comes first.
  @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
  /// The instant a span later.
  @inlinable public static func + (instant: Instant, span: TimeSpan) -> Instant {
    Instant(nanoseconds: instant.nanoseconds.addingSaturated(span.nanoseconds))
  }
  /// The time between the two.
  @inlinable public static func - (left: Instant, right: Instant) -> TimeSpan {
    TimeSpan(nanoseconds: left.nanoseconds.subtractingSaturated(right.nanoseconds))
  }
}
