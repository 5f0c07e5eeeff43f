public import Diagnosis

/// One setting of a sweep, with the batches that were timed in it.
public struct SweepPoint: Sendable, Hashable {
  /// "256 rows".
  public var setting: String
  /// How it was measured.
  public var what: String
  /// Rows per batch.
  public var rows: Int
  /// Time of each batch, milliseconds.
  public var milliseconds: [Double]
  /// Rows per second of all who ran at a time; nil: one batch after the other.
  public var rowsPerSecond: Double?
  /// Time of a batch as planned for this GPU before the run, milliseconds; nil where nothing plans it.
  public var predictedMilliseconds: Double?

  /// A setting without batches yet.
  public init(_ setting: String, _ what: String, rows: Int, predictedMilliseconds: Double? = nil) {
    self.setting = setting
    self.what = what
    self.rows = rows
    self.predictedMilliseconds = predictedMilliseconds
    milliseconds = []
  }

  /// Median time of a batch, with its interval.
  public var time: Figure {
    Figure(
      Bootstrap.median(milliseconds), .milliseconds, .measured, source: "\(what), median of \(milliseconds.count) batches",
      interval: Bootstrap.medianInterval(milliseconds))
  }

  /// Rows per second: of those who ran at a time, else of one batch after the other.
  public var capacity: Double {
    if let rowsPerSecond { return rowsPerSecond }
    let time = Bootstrap.median(milliseconds)
    return time > 0 ? Double(rows) / time * 1000 : 0
  }

  /// This one's time over another's less one; the interval is the widest that both intervals allow.
  func change(from other: SweepPoint) -> Figure {
    let (own, theirs) = (time, other.time)
    guard theirs.value > 0 else { return Figure(0, .share, .measured, source: "nothing to compare with") }
    var interval: ClosedRange<Double>?
    if let high = own.interval, let low = theirs.interval, low.lowerBound > 0 {
      interval = (high.lowerBound / low.upperBound - 1)...(high.upperBound / low.lowerBound - 1)
    }
    return Figure(own.value / theirs.value - 1, .share, .measured, source: "\(setting) against \(other.setting)", interval: interval)
  }
}

extension Figure {
  /// A change of which every value of its interval is at least `threshold`, in one direction.
  func isAtLeast(_ threshold: Double) -> Bool {
    guard let interval else { return false }
    return interval.lowerBound >= threshold || interval.upperBound <= -threshold
  }

  /// A change that its interval does not let be nothing, and larger than `threshold`.
  func isSureChange(beyond threshold: Double) -> Bool {
    guard value.magnitude > threshold else { return false }
    guard let interval else { return false }
    return interval.lowerBound > 0 || interval.upperBound < 0
  }
}
