/// Products of one to four rows with 32-bit elements, which libraries give to matrix-vector kernels: fixed time + bytes / bandwidth, or a chain of k.
public struct VectorConstants: Sendable, Hashable {
  /// Fixed time, us.
  public var fixedMicroseconds: Double
  /// Share of the specified memory bandwidth with one row.
  public var memoryShare: Double
  /// The same with two to four rows.
  public var fewRowsMemoryShare: Double
  /// Clocks for one element of k with two to four rows, where few columns leave nothing to hide them.
  public var clocksPerDepth: Double

  /// Every field stated.
  public init(fixedMicroseconds: Double, memoryShare: Double, fewRowsMemoryShare: Double, clocksPerDepth: Double) {
    self.fixedMicroseconds = fixedMicroseconds
    self.memoryShare = memoryShare
    self.fewRowsMemoryShare = fewRowsMemoryShare
    self.clocksPerDepth = clocksPerDepth
  }

  /// Rows that such kernels take at most.
  static let maximumRows = 4

  /// Before a fit: 2 us, and the bandwidth shares of a plain stream.
  public static let usual = VectorConstants(fixedMicroseconds: 2, memoryShare: 0.8, fewRowsMemoryShare: 0.55, clocksPerDepth: 8)

  /// Time of a product.
  func microseconds(_ gemm: GEMM, on gpu: GPU) -> Double {
    let share = gemm.m == 1 ? memoryShare : fewRowsMemoryShare
    let stream = gemm.bytes / (gpu.memoryGigabytesPerSecond * 1e3 * share)
    let chain = gemm.m == 1 ? 0 : Double(gemm.k) * clocksPerDepth / (gpu.modelGigahertz * 1e3)
    return fixedMicroseconds + max(stream, chain)
  }
}
