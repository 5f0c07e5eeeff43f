/// What a part of a GPU's constants was calibrated from, and when.
public struct CalibrationOrigin: Sendable, Hashable {
  /// The part: a class of kernels (`KernelClass`), or "memory".
  public var part: String
  /// Measurements that went in: sizes, each of one or more runs.
  public var measurements: Int
  /// The file they came from.
  public var file: String
  /// When, UTC: "2026-11-27T03:40:00Z".
  public var date: String
  /// Mean error on these measurements before and after, as shares; not held out.
  public var errorBefore: Double
  /// See `errorBefore`.
  public var errorAfter: Double

  /// Every field stated.
  public init(part: String, measurements: Int, file: String, date: String, errorBefore: Double, errorAfter: Double) {
    self.part = part
    self.measurements = measurements
    self.file = file
    self.date = date
    self.errorBefore = errorBefore
    self.errorAfter = errorAfter
  }
}
