extension Histogram {
  /// A stretch of values and how many fell into it.
  public struct Bin: Sendable, Hashable {
    /// Smallest value of it.
    public var low: Int64
    /// Where the next begins.
    public var high: Int64
    /// Values in it.
    public var count: Int64
  }

  /// Ten edges a decade (Renard's R10, ISO 3): evenly spaced to the eye, and numbers people write.
  private static let renard: [Int64] = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800]

  /// Bins that grow with the value, from the first one with a value to the last; none where nothing was counted. A bucket lies in the bin
  /// of its smallest value.
  public var growingBins: [Bin] {
    guard let least = counts.firstIndex(where: { $0 != 0 }), let most = counts.lastIndex(where: { $0 != 0 }) else { return [] }
    var edges: [Int64] = [0, 1, 2, 5, 10, 20, 50]
    var scale: Int64 = 1
    // 8 * 10^17 is the last edge below 2^63.
    for _ in 0..<16 {
      edges += Self.renard.map { $0 * scale }
      scale *= 10
    }
    edges.append(.max)
    let (first, last) = (bucket(at: least).low, bucket(at: most).low)
    let begin = max(0, (edges.firstIndex { $0 > first } ?? 1) - 1)
    let end = edges.firstIndex { $0 > last } ?? edges.count - 1
    var bins = (begin..<end).map { Bin(low: edges[$0], high: edges[$0 + 1], count: 0) }
    var current = 0
    for index in least...most where counts[index] != 0 {
      let low = bucket(at: index).low
      while current < bins.count - 1, low >= bins[current].high { current += 1 }
      bins[current].count &+= counts[index]
    }
    return bins
  }
}
