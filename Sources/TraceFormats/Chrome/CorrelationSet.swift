import CheckedNumbers

/// Correlation ids of one process: bits where the ids lie close together, as a run's do, a hash table where they do not.
struct CorrelationSet {
  private var first: Int64 = 0
  private var bits: [UInt64] = []
  private var others: Set<Int64> = []

  /// An empty set with room for ids from `lowest` to `highest`, of which about `count` are expected.
  init(lowest: Int64, highest: Int64, count: Int) {
    let (range, overflow) = highest.subtractingReportingOverflow(lowest)
    if overflow || range < 0 || range / 256 > Int64(count) { return }
    first = lowest
    bits = [UInt64](repeating: 0, count: Int(range / 64) + 1)
  }

  private func position(_ id: Int64) -> Int? {
    let (offset, overflow) = id.subtractingReportingOverflow(first)
    return overflow || offset < 0 || offset / 64 >= bits.count ? nil : Int(offset)
  }

  func contains(_ id: Int64) -> Bool {
    if let position = position(id) { return bits[position / 64] >> UInt64(clamping: position % 64) & 1 == 1 }
    return others.contains(id)
  }

  mutating func insert(_ id: Int64) {
    if let position = position(id) { bits[position / 64] |= 1 << UInt64(clamping: position % 64) } else { others.insert(id) }
  }

  /// Whether it was there; it no longer is.
  mutating func remove(_ id: Int64) -> Bool {
    guard contains(id) else { return false }
    if let position = position(id) { bits[position / 64] &= ~(1 << UInt64(clamping: position % 64)) } else { others.remove(id) }
    return true
  }
}
