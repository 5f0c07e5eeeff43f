import CheckedNumbers

/// Which API call caused a piece of device work: the join on (process, correlation). A correlation alone is not enough, as every process
/// counts its own.
public struct CorrelationIndex: Sendable {
  /// The calls of one process.
  private struct Calls: Sendable {
    var first: Int64 = 0
    /// Row of the call of `first` + position, -1 for none: correlations are mostly counted one by one.
    var dense: [Int32] = []
    /// Where they are not.
    var sparse: [Int64: Int32] = [:]

    mutating func add(_ correlation: Int64, _ row: Int32, _ starts: [Int64]) {
      if dense.isEmpty {
        if let known = sparse[correlation], starts[Int(known)] <= starts[Int(row)] { return }
        sparse[correlation] = row
      } else {
        let place = Int(truncatingIfNeeded: correlation &- first)
        let known = dense[place]
        if known >= 0, starts[Int(known)] <= starts[Int(row)] { return }
        dense[place] = row
      }
    }

    func row(_ correlation: Int64) -> Int? {
      let (offset, overflow) = correlation.subtractingReportingOverflow(first)
      if !overflow, offset >= 0, offset < Int64(dense.count) {
        let row = dense[Int(offset)]
        return row < 0 ? nil : Int(row)
      }
      return sparse[correlation].map { Int($0) }
    }
  }

  private var numbers: [Int64: Int] = [:]
  private var processes: [Calls] = []

  /// Indexes a trace's API calls. Where several calls carry one correlation the one that started first counts: a driver's call inside a
  /// runtime's. Takes 4 to 16 bytes per call where correlations are dense.
  public init(_ trace: Trace) { self.init(trace.apiCalls) }

  /// Indexes API calls.
  public init(_ calls: APICallTable) {
    var ranges: [(low: Int64, high: Int64, count: Int64)] = []
    let rows = min(calls.count, Int(Int32.max))
    // Calls of one process mostly follow each other.
    var last: (process: Int64, number: Int)?
    for row in 0..<rows where calls.correlation[row] != Trace.unknown {
      let process = GlobalID.process(ofThread: calls.thread[row])
      let correlation = calls.correlation[row]
      if last?.process != process {
        let number = numbers[process] ?? numbers.count
        numbers[process] = number
        if number == ranges.count { ranges.append((.max, .min, 0)) }
        last = (process, number)
      }
      let number = last?.number ?? 0
      ranges[number].low = min(ranges[number].low, correlation)
      ranges[number].high = max(ranges[number].high, correlation)
      ranges[number].count += 1
    }
    for range in ranges {
      var entry = Calls()
      let width = range.high.subtractingSaturated(range.low).addingSaturated(1)
      if width <= range.count.multipliedSaturated(by: 4).addingSaturated(1024) {
        entry.first = range.low
        entry.dense = [Int32](repeating: -1, count: Int(clamping: width))
      }
      processes.append(entry)
    }
    last = nil
    for row in 0..<rows where calls.correlation[row] != Trace.unknown {
      let process = GlobalID.process(ofThread: calls.thread[row])
      if last?.process != process { last = (process, numbers[process] ?? 0) }
      processes[last?.number ?? 0].add(calls.correlation[row], Int32(clamping: row), calls.start)
    }
  }

  /// The row in `Trace.apiCalls`; nil where the trace has none, as when the capture began after the call. Work of an unknown process
  /// joins a correlation that one process alone has.
  public func apiCall(process: Int64, correlation: Int64) -> Int? {
    if correlation == Trace.unknown { return nil }
    if process != Trace.unknown {
      guard let number = numbers[process] ?? numbers[Trace.unknown] else { return nil }
      return processes[number].row(correlation)
    }
    var found: Int?
    for calls in processes {
      if let row = calls.row(correlation) {
        if found != nil { return nil }
        found = row
      }
    }
    return found
  }
}
