import CheckedNumbers

/// Memory of a program's steps, planned: buffers whose lives do not overlap share it. Pure; offsets are known once `place` has decided.
struct Arena {
  /// Where buffers begin, by number, and how much all of them take.
  struct Placement {
    var offsets: [Int]
    var bytes = 0

    /// What an address that `reserve` gave, or one within its buffer, has become.
    func offset(of address: Int) -> Int { offsets[address / Arena.span] + address % Arena.span }
  }

  /// In the order of their first steps.
  private var buffers: [(bytes: Int, firstStep: Int, lastStep: Int)] = []

  /// Buffer numbers are far apart, so that an offset within a buffer can be added before buffers are placed.
  fileprivate static let span = 1 << 42

  /// A buffer from a step on, which is no earlier one than the last buffer's: its address, to add to.
  mutating func reserve(_ bytes: Int, from step: Int) -> Int {
    buffers.append(((bytes + 63) & ~63, step, step))
    return (buffers.count - 1) * Self.span
  }

  /// A step reads or writes at an address.
  mutating func use(_ address: Int, at step: Int) {
    buffers[address / Self.span].lastStep = max(buffers[address / Self.span].lastStep, step)
  }

  /// First fit, in the order of first use.
  func place() -> Placement {
    var placement = Placement(offsets: [Int](repeating: 0, count: buffers.count))
    // By offset. Buffers come in the order of their first steps: one whose life is over when the next begins is in nobody's way any more.
    var alive: [(offset: Int, end: Int, lastStep: Int)] = []
    for (number, buffer) in buffers.enumerated() {
      alive.removeAll { $0.lastStep < buffer.firstStep }
      var offset = 0
      for other in alive where offset + buffer.bytes > other.offset { offset = max(offset, other.end) }
      placement.offsets[number] = offset
      placement.bytes = max(placement.bytes, offset + buffer.bytes)
      let position = alive.firstIndex { $0.offset > offset } ?? alive.count
      alive.insert((offset, offset + buffer.bytes, buffer.lastStep), at: position)
    }
    return placement
  }
}
