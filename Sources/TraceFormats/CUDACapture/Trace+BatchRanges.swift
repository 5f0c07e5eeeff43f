import CheckedNumbers
public import Trace

extension Trace {
  /// Says of each launch which batch it is of: the server opens a range "MODEL: batch N, ..." on the thread that launches, just before it does.
  public mutating func nameLaunchesByRanges() {
    var batches: [NameID: Int64] = [:]
    var byThread: [Int64: [(start: Int64, end: Int64, batch: Int64)]] = [:]
    for range in ranges {
      if batches[range.text] == nil { batches[range.text] = Self.batch(named: names[range.text] ?? "") ?? Trace.unknown }
      guard let batch = batches[range.text], batch != Trace.unknown, range.thread != Trace.unknown else { continue }
      byThread[range.thread, default: []].append((range.start, range.end == Trace.unknown ? Int64.max : range.end, batch))
    }
    for thread in byThread.keys { byThread[thread]?.sort { $0.start < $1.start } }
    for call in apiCalls {
      guard let ranges = byThread[call.thread] else { continue }
      // The last one that was open when the call was made.
      var (low, high) = (0, ranges.count)
      while low < high {
        let middle = (low + high) / 2
        if ranges[middle].start <= call.start { low = middle + 1 } else { high = middle }
      }
      guard low > 0, call.start <= ranges[low - 1].end else { continue }
      launches.append(LaunchEvent(correlation: call.correlation, batch: ranges[low - 1].batch, step: -1))
    }
  }

  /// "linear: batch 12, 4 rows, size": 12; nil for any other range.
  static func batch(named text: String) -> Int64? {
    guard let mark = text.firstRange(of: ": batch ") else { return nil }
    return Int64(text[mark.upperBound...].prefix { $0.isNumber })
  }
}
