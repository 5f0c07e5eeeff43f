import CheckedNumbers

/// Counts of durations in fixed buckets, cumulative when printed (Prometheus' histogram).
struct LatencyHistogram: Sendable {
  /// Upper bounds in seconds: 1-2-5 steps from 10 us to 10 s, so that both an identity model and an overloaded one can be read off.
  static let bounds: [Double] = [
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
  ]
  private static let nanoseconds: [Int64] = bounds.map { Int64(saturating: $0 * 1e9 + 0.5) }

  /// One count a bound, and one above them all.
  private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  private(set) var sumNanoseconds: Int64 = 0

  var count: UInt64 { counts.reduce(0, +) }

  @inline(__always)
  mutating func add(_ duration: Int64, times: UInt64 = 1) {
    var index = 0
    Self.nanoseconds.withUnsafeBufferPointer { bounds in while index < bounds.count, duration > bounds[index] { index &+= 1 } }
    counts[index] &+= times
    sumNanoseconds &+= duration &* Int64(clamping: times)
  }
}

/// Counts of batch sizes.
struct SizeHistogram: Sendable {
  /// Powers of two, in rows.
  static let bounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]

  private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  private(set) var sum: UInt64 = 0

  mutating func add(_ rows: Int) {
    counts[Self.bounds.firstIndex { rows <= $0 } ?? Self.bounds.count] += 1
    sum += UInt64(clamping: max(0, rows))
  }
}
