import Glibc

/// Fitted constants of kernels bound by memory on one GPU.
public struct MemoryConstants: Sendable, Hashable {
  /// What a kind of kernel costs beside its bytes. Clocks, so that they carry over between GPUs.
  public struct KindCosts: Sendable, Hashable {
    /// Time on top of the shortest kernel's, us; for 16-bit values where a thread's values follow each other (`extraMicroseconds(_:bytes:)`).
    public var extraMicroseconds: Double
    /// Latency of a row, for each of its values: what a single warp or block works off alone.
    public var clocksPerColumn: Double
    /// Instructions of an SM for each row.
    public var clocksPerRow: Double
    /// Instructions of an SM for each 16-bit value.
    public var clocksPer16BitElement: Double
    /// Instructions of an SM for each 32-bit value.
    public var clocksPer32BitElement: Double

    /// In the order of the fields.
    public init(_ values: [Double]) {
      func value(_ index: Int) -> Double { index < values.count ? max(0, values[index]) : 0 }
      extraMicroseconds = value(0)
      clocksPerColumn = value(1)
      clocksPerRow = value(2)
      clocksPer16BitElement = value(3)
      clocksPer32BitElement = value(4)
    }

    /// In the order of the fields.
    public var values: [Double] { [extraMicroseconds, clocksPerColumn, clocksPerRow, clocksPer16BitElement, clocksPer32BitElement] }

    /// What a kind takes on top of the shortest kernel. A framework's kernel with computed addresses has a thread work off four 16-bit values or
    /// two of 32 bits one after the other: 1.75 and 1.27 us for a kernel of 8 rows whose vectorized sister takes 0.88.
    func extraMicroseconds(_ kind: MemoryKernel.Kind, bytes: Int) -> Double {
      kind == .broadcast && bytes >= 4 ? extraMicroseconds / 2 : extraMicroseconds
    }

    func clocksPerElement(bytes: Int) -> Double { bytes >= 4 ? clocksPer32BitElement : clocksPer16BitElement }
  }

  /// Time of the shortest kernel, us.
  public var fixedMicroseconds: Double
  /// Bytes an SM gets from L2 per clock.
  public var l2BytesPerClockPerSM: Double
  /// Share of the specified memory bandwidth that streams reach.
  public var memoryShare: Double
  /// Working set over L2 size at which it starts to miss.
  public var missStart: Double
  /// Further working set over L2 size at which everything misses.
  public var missSpan: Double
  /// Exponent of the norm that joins bytes and instructions.
  public var joinExponent: Double
  /// Costs by kind, in the order of `MemoryKernel.Kind.allCases`.
  public var kinds: [KindCosts]
  /// 80 % error band for kernels under 2 us, 2 to 10 us, and longer; from cross-validation.
  public var errorBands: [Double]

  /// The six figures of the GPU, the kinds' costs, and the bands. Missing ones are 0.
  public init(_ values: [Double], kinds: [[Double]], errorBands: [Double]) {
    func value(_ index: Int, _ minimum: Double) -> Double { max(minimum, index < values.count ? values[index] : 0) }
    fixedMicroseconds = value(0, 0)
    l2BytesPerClockPerSM = value(1, 1)
    memoryShare = value(2, 0.1)
    missStart = value(3, 0)
    missSpan = value(4, 0.01)
    joinExponent = value(5, 1)
    self.kinds = kinds.map(KindCosts.init)
    self.errorBands = errorBands
  }

  /// The six figures of the GPU.
  public var values: [Double] { [fixedMicroseconds, l2BytesPerClockPerSM, memoryShare, missStart, missSpan, joinExponent] }

  /// The kind whose costs count. With a single row nothing is repeated: a broadcast is an elementwise kernel.
  func taken(_ kind: MemoryKernel.Kind, rows: Double) -> MemoryKernel.Kind { kind == .broadcast && rows <= 1 ? .elementwise : kind }

  /// A kind's costs.
  func costs(_ kind: MemoryKernel.Kind) -> KindCosts { kind.rawValue < kinds.count ? kinds[kind.rawValue] : KindCosts([]) }

  func errorBand(microseconds: Double) -> Double {
    let index = microseconds < 2 ? 0 : microseconds < 10 ? 1 : 2
    return index < errorBands.count ? errorBands[index] : 0.5
  }
}

/// Glibc's pow under a name that the other files need not import it for.
func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
