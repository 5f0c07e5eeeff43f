/// Instants and whose they are, earliest first: a binary heap in an array.
struct TimerHeap {
  private var entries: [(due: Int64, user: Int32)] = []

  var first: Int64? { entries.first?.due }

  mutating func push(_ due: Int64, _ user: Int32) {
    entries.append((due, user))
    var child = entries.count - 1
    while child > 0, entries[child].due < entries[(child - 1) / 2].due {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// The earliest one's user; call only when there is one.
  mutating func pop() -> Int32 {
    let user = entries[0].user
    entries[0] = entries[entries.count - 1]
    entries.removeLast()
    var parent = 0
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child].due < entries[smallest].due {
        smallest = child
      }
      if smallest == parent { return user }
      entries.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
