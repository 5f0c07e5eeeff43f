/// Intervals of time that do not touch, in order. Nanoseconds.
struct Intervals: Sendable, Hashable {
  var starts: [Int64] = []
  var ends: [Int64] = []

  var count: Int { starts.count }

  /// The union of intervals given by columns, cut to a window.
  init(_ start: [Int64], _ end: [Int64], in window: Range<Int64>) {
    add(start, end, in: window)
  }

  init() {}

  /// The union of several tables' intervals.
  init(_ tables: [(start: [Int64], end: [Int64])], in window: Range<Int64>) {
    var start: [Int64] = []
    var end: [Int64] = []
    for table in tables {
      start += table.start
      end += table.end
    }
    add(start, end, in: window)
  }

  private mutating func add(_ start: [Int64], _ end: [Int64], in window: Range<Int64>) {
    // Captures are nearly in order; sorting is needed only where they are not.
    var isSorted = true
    for index in start.indices.dropFirst() where start[index] < start[index - 1] {
      isSorted = false
      break
    }
    let order = isSorted ? Array(start.indices) : start.indices.sorted { start[$0] < start[$1] }
    for index in order {
      let from = max(start[index], window.lowerBound)
      let to = min(end[index], window.upperBound)
      guard to > from else { continue }
      if let last = ends.last, from <= last {
        if to > last { ends[ends.count - 1] = to }
      } else {
        starts.append(from)
        ends.append(to)
      }
    }
  }

  /// Sum of their lengths.
  var total: Int64 {
    var sum: Int64 = 0
    for index in starts.indices { sum += ends[index] - starts[index] }
    return sum
  }

  /// What lies between them in a window.
  func gaps(in window: Range<Int64>) -> [Range<Int64>] {
    var gaps: [Range<Int64>] = []
    var from = window.lowerBound
    for index in starts.indices {
      if starts[index] > from { gaps.append(from..<starts[index]) }
      from = max(from, ends[index])
    }
    if from < window.upperBound { gaps.append(from..<window.upperBound) }
    return gaps
  }
}
