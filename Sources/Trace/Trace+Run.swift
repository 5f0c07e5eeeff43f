import CheckedNumbers

/// What programs read of `run`: each key stands here once.
extension Trace {
  /// The measurement window, nanoseconds on the run's clock; nil where the run names none, or one that is empty.
  public var measurementWindow: Range<Int64>? {
    get {
      guard let start = runNumber("windowStartNanoseconds"), let end = runNumber("windowEndNanoseconds"), start < end else { return nil }
      return start..<end
    }
    set {
      run["windowStartNanoseconds"] = newValue.map { String($0.lowerBound) }
      run["windowEndNanoseconds"] = newValue.map { String($0.upperBound) }
    }
  }

  /// Requests that a recording server could not keep: newer ones took their place before they were read. Nil where nobody counted.
  public var overwrittenRequests: Int64? {
    get { runNumber("overwrittenRequests") }
    set { run["overwrittenRequests"] = newValue.map { String($0) } }
  }

  private func runNumber(_ key: String) -> Int64? { run[key].flatMap { Int64($0) } }
}
