import CheckedNumbers

/// Values by group, all in one array: two passes over a table, and no array per group.
struct Groups {
  private var values: [Int64] = []
  private var starts: [Int] = []

  /// Groups `count` rows: `key` gives a row's group (negative to leave it out), `value` its value.
  init(count: Int, groups: Int, key: (Int) -> Int, value: (Int) -> Int64) {
    var sizes = [Int](repeating: 0, count: groups + 1)
    for row in 0..<count {
      let group = key(row)
      if group >= 0 { sizes[group + 1] += 1 }
    }
    for group in 0..<groups { sizes[group + 1] += sizes[group] }
    starts = sizes
    values = [Int64](repeating: 0, count: sizes[groups])
    var next = sizes
    for row in 0..<count {
      let group = key(row)
      if group < 0 { continue }
      values[next[group]] = value(row)
      next[group] += 1
    }
  }

  /// The statistics of each group that has values.
  mutating func statistics() -> [(group: Int, statistics: Statistics)] {
    let starts = starts
    return values.withUnsafeMutableBufferPointer { buffer in
      (0..<max(0, starts.count - 1)).compactMap { group in
        let slice = UnsafeMutableBufferPointer(rebasing: buffer[starts[group]..<starts[group + 1]])
        return Statistics(slice).map { (group, $0) }
      }
    }
  }
}

/// Texts numbered in the order they were met.
struct Numbering<Key: Hashable> {
  private(set) var keys: [Key] = []
  private var numbers: [Key: Int] = [:]

  mutating func number(_ key: Key) -> Int {
    if let known = numbers[key] { return known }
    numbers[key] = keys.count
    keys.append(key)
    return keys.count - 1
  }
}
