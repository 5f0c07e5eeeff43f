import CheckedNumbers
import Trace

/// Stretches of time by thread, in order and without overlaps, so that what they cover of another stretch is found quickly.
struct ThreadStretches: Sendable {
  private var byThread: [Int64: [Range<Int64>]] = [:]

  /// None.
  init() {}

  /// Of three columns of a table, nanoseconds and global thread ids. Rows that end before they start, or at no time of a clock, are left out.
  init(_ starts: [Int64], _ ends: [Int64], _ threads: [Int64]) {
    var lists: [Int64: [Range<Int64>]] = [:]
    for row in starts.indices
    where ends[row] > starts[row] && starts[row] > -DeviceActivity.largestTime && ends[row] < DeviceActivity.largestTime {
      lists[threads[row], default: []].append(starts[row]..<ends[row])
    }
    for (thread, list) in lists {
      var merged: [Range<Int64>] = []
      for range in list.sorted(by: { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }) {
        if let last = merged.last, range.lowerBound <= last.upperBound {
          merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
        } else {
          merged.append(range)
        }
      }
      byThread[thread] = merged
    }
  }

  /// Nanoseconds of a stretch that those of a thread cover.
  func covered(_ thread: Int64, _ stretch: Range<Int64>) -> Int64 {
    guard !stretch.isEmpty, let list = byThread[thread] else { return 0 }
    var (low, high) = (0, list.count)
    while low < high {
      let middle = (low + high) / 2
      if list[middle].upperBound <= stretch.lowerBound { low = middle + 1 } else { high = middle }
    }
    var sum: Int64 = 0
    while low < list.count, list[low].lowerBound < stretch.upperBound {
      sum += min(stretch.upperBound, list[low].upperBound) - max(stretch.lowerBound, list[low].lowerBound)
      low += 1
    }
    return sum
  }
}
