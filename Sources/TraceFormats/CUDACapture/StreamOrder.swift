import CheckedNumbers
import Trace

/// What the order of a stream says of its kernels' times, where no call is there that would.
///
/// A stream runs one kernel after the other. With programmatic dependent launch the next begins before the one before it has ended, but not before that
/// one has begun, and it does not end before it: in the order of starts, ends do not fall. Of kernels that break this, times cannot be: those without which
/// the most others agree (all rows that are not in every longest run of ends that do not fall; of a pair of which nobody knows which is wrong, both).
/// Nodes of graphs may run beside each other, and are not judged.
enum StreamOrder {
  /// Rows of kernels whose times cannot be, of a table in the order of starts.
  static func rowsAcrossOthers(_ kernels: KernelTable) -> Set<Int> {
    var latest: [Int64] = []
    var suspected: Set<StreamID> = []
    func isJudged(_ row: Int) -> Bool {
      // The others are left out for themselves.
      kernels.graphNode[row] == Trace.unknown && kernels.start[row] > 0 && kernels.end[row] >= kernels.start[row]
    }
    // Nearly always nothing is wrong, and this pass is all.
    for row in kernels.start.indices where isJudged(row) {
      let stream = Int(kernels.stream[row].rawValue)
      while latest.count <= stream { latest.append(.min) }
      if kernels.end[row] < latest[stream] { suspected.insert(kernels.stream[row]) } else { latest[stream] = kernels.end[row] }
    }
    var bad: Set<Int> = []
    for stream in suspected {
      let rows = kernels.start.indices.filter { kernels.stream[$0] == stream && isJudged($0) }
      let before = lengths(rows.lazy.map { kernels.end[$0] }, count: rows.count)
      // From the end, upside down: what follows each row.
      let after = lengths(rows.reversed().lazy.map { -kernels.end[$0] }, count: rows.count)
      let longest = before.max() ?? 0
      func isOnLongest(_ index: Int) -> Bool { before[index] + after[rows.count - 1 - index] - 1 == longest }
      var alternatives = [Int32](repeating: 0, count: Int(longest) + 1)
      for index in rows.indices where isOnLongest(index) { alternatives[Int(before[index])] += 1 }
      for index in rows.indices where !isOnLongest(index) || alternatives[Int(before[index])] > 1 { bad.insert(rows[index]) }
    }
    return bad
  }

  /// Of each value, how long a run of values that do not fall can be that ends with it.
  private static func lengths(_ values: some Sequence<Int64>, count: Int) -> [Int32] {
    var lengths: [Int32] = []
    lengths.reserveCapacity(count)
    // The least value with which a run of so many can end.
    var least: [Int64] = []
    for value in values {
      var (low, high) = (0, least.count)
      if let last = least.last, last <= value { low = high }
      while low < high {
        let middle = (low + high) / 2
        if least[middle] <= value { low = middle + 1 } else { high = middle }
      }
      if low == least.count { least.append(value) } else { least[low] = value }
      lengths.append(Int32(clamping: low + 1))
    }
    return lengths
  }
}
