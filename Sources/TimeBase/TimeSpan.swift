import CheckedNumbers

/// A length of time in nanoseconds. Named apart from the standard library's `Duration`, whose 128-bit attoseconds cost
/// twice the space in a trace's columns and whose division is slow in the scheduler's inner loop.
public struct TimeSpan: Hashable, Comparable, Sendable {
  /// The length; negative when the end lies before the start.
  public var nanoseconds: Int64

  /// A span of `nanoseconds`.
  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// No time at all.
  public static let zero = TimeSpan(nanoseconds: 0)

  /// `value` nanoseconds.
  @inlinable public static func nanoseconds(_ value: Int64) -> TimeSpan { TimeSpan(nanoseconds: value) }
  /// `value` microseconds; saturates at the ends of the range.
  @inlinable public static func microseconds(_ value: Int64) -> TimeSpan { saturating(value, times: 1_000) }
  /// `value` milliseconds; saturates at the ends of the range.
  @inlinable public static func milliseconds(_ value: Int64) -> TimeSpan { saturating(value, times: 1_000_000) }
  /// `value` seconds; saturates at the ends of the range.
  @inlinable public static func seconds(_ value: Int) -> TimeSpan { saturating(Int64(value), times: 1_000_000_000) }
  /// `value` seconds, rounded to the nearest nanosecond; saturates, and reads NaN as zero, so that a number from outside cannot trap.
  @inlinable public init(clampingSeconds value: Double) {
    self.nanoseconds = Int64(saturating: (value * 1e9).rounded())
  }

  /// The span in seconds.
  @inlinable public var seconds: Double { Double(nanoseconds) / 1e9 }
  /// The span in milliseconds.
  @inlinable public var milliseconds: Double { Double(nanoseconds) / 1e6 }
  /// The span in microseconds.
  @inlinable public var microseconds: Double { Double(nanoseconds) / 1e3 }

  /// Earlier or shorter comes first.
  @inlinable public static func < (left: TimeSpan, right: TimeSpan) -> Bool { left.nanoseconds < right.nanoseconds }
  /// Both together.
  @inlinable public static func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: left.nanoseconds.addingSaturated(right.nanoseconds))
  }
  /// The time between the two.
  @inlinable public static func - (left: TimeSpan, right: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: left.nanoseconds.subtractingSaturated(right.nanoseconds))
  }
  /// Adds in place.
  @inlinable public static func += (left: inout TimeSpan, right: TimeSpan) { left = left + right }

  @usableFromInline static func saturating(_ value: Int64, times factor: Int64) -> TimeSpan {
    TimeSpan(nanoseconds: value.multipliedSaturated(by: factor))
  }
}
