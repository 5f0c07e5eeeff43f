import CheckedNumbers
import Trace

/// Rows of `SCHED_EVENTS`, paired: from a thread's scheduling-out to its next scheduling-in it ran on no processor. Rows come in any order, and
/// a thread's first or last may be missing.
struct ThreadSchedule {
  private var events: [Int64: [(time: Int64, isIn: Bool)]] = [:]
  private let wanted: Set<Int64>

  /// Of these threads only: a recording of the whole system holds thousands.
  init(of threads: Set<Int64>) { wanted = threads }

  /// Takes a row. One without a time or a direction says nothing.
  mutating func add(time: Int64, isScheduledIn: Int64, thread: Int64) {
    guard time != Trace.unknown, isScheduledIn != Trace.unknown, wanted.contains(thread) else { return }
    events[thread, default: []].append((time, isScheduledIn != 0))
  }

  /// The table.
  consuming func table() -> OffCPUTable {
    var table = OffCPUTable()
    for (thread, rows) in events.sorted(by: { $0.key < $1.key }) {
      table.recordedThreads.insert(thread)
      var out: Int64?
      // A thread that is scheduled out and in again at one moment did not stop.
      for row in rows.sorted(by: { ($0.time, $0.isIn ? 1 : 0) < ($1.time, $1.isIn ? 1 : 0) }) {
        if row.isIn {
          if let start = out, row.time > start, row.time.subtractingSaturated(start) <= ImportLimits.longestNanoseconds {
            table.append(OffCPUEvent(start: start, end: row.time, thread: thread))
          }
          out = nil
        } else if out == nil {
          out = row.time
        }
      }
    }
    return table
  }
}
