import TimeBase
import Trace

/// Stretches of time by thread, in order and without overlaps, so that what they cover of another stretch is found quickly.
struct ThreadStretches: Sendable {
  private var byThread: [Int64: DisjointRanges] = [:]

  /// None.
  init() {}

  /// Of three columns of a table, nanoseconds and global thread ids. Rows that end before they start, or at no time of a clock, are left out.
  init(_ starts: [Int64], _ ends: [Int64], _ threads: [Int64]) {
    var lists: [Int64: [Range<Int64>]] = [:]
    for row in starts.indices
    where ends[row] > starts[row] && starts[row] > -DeviceActivity.largestTime && ends[row] < DeviceActivity.largestTime {
      lists[threads[row], default: []].append(starts[row]..<ends[row])
    }
    byThread = lists.mapValues { DisjointRanges(merging: $0) }
  }

  /// Nanoseconds of a stretch that those of a thread cover.
  func covered(_ thread: Int64, _ stretch: Range<Int64>) -> Int64 {
    stretch.isEmpty ? 0 : byThread[thread]?.covered(stretch) ?? 0
  }
}
