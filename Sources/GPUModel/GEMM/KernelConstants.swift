/// The fitted constants of the kernel-time model: what the specification sheet does not say. One set describes a kernel family, or one GPU
/// where it was measured.
public struct KernelConstants: Sendable, Hashable {
  /// Everything that is fitted, in the order of the stored arrays.
  public enum Name: Int, Sendable, CaseIterable {
    case fixedMicroseconds
    case stepClocks
    case blockClocks
    case sustainedMathShare
    case l2BytesPerClockPerSM
    case memoryShare
    case joinExponent
    case splitMicroseconds
    case splitTraffic
    case picojoulesPerFLOP
    case powerMicroseconds
    case missStart
    case missSpan
    case warmSpeedup
    case reloadShare
    case waveNanoseconds
    case epilogueNanoseconds
    case thinStepNanoseconds

    /// Whether files of constants were written before it existed.
    var isLaterAddition: Bool { self == .epilogueNanoseconds || self == .thinStepNanoseconds }

    /// The field's unit.
    public var unit: String {
      switch self {
      case .fixedMicroseconds, .splitMicroseconds, .powerMicroseconds: "us"
      case .stepClocks, .blockClocks: "clocks"
      case .l2BytesPerClockPerSM: "B/clock/SM"
      case .picojoulesPerFLOP: "pJ/FLOP"
      case .waveNanoseconds, .epilogueNanoseconds, .thinStepNanoseconds: "ns"
      default: "1"
      }
    }

    /// What it stands for, and where its bounds come from.
    public var meaning: String {
      switch self {
      case .fixedMicroseconds:
        "fixed time of a kernel's record: first block's start, prologue, drain; the gap to the next kernel is not in it"
      case .stepClocks:
        "latency of one main-loop step that nothing hides; a shared-memory round trip and a dependent matrix instruction, 20 to 400 clocks"
      case .blockClocks: "prologue and epilogue of one generation of blocks: a trip to L2 or memory takes 200 to 1,000 clocks"
      case .sustainedMathShare: "share of the specified tensor rate one SM sustains; at most 1.05, the real clock may exceed the rated one"
      case .l2BytesPerClockPerSM:
        "bytes that an SM gets from L2 per clock while all read; where fewer do each gets more, up to the 64 of its port. Over 64: multicast and L1 hits"
      case .memoryShare: "share of the specified memory bandwidth that streams reach; 0.6 to 1"
      case .joinExponent: "how sharply the largest limit wins: exponent of the norm that joins the limits, less one"
      case .splitMicroseconds: "fixed cost of reducing split-K parts"
      case .splitTraffic: "traffic of that reduction in units of writing the partial results once"
      case .picojoulesPerFLOP: "energy of one FLOP at the power limit; 0.3 to 4 by process and type"
      case .powerMicroseconds: "kernel duration at which half of the power limit is felt: regulators average over this time"
      case .missStart: "working set over L2 size at which it starts to miss; replacement and address hashing spread the edge"
      case .missSpan: "further working set over L2 size at which everything misses"
      case .warmSpeedup: "L2 bandwidth over memory bandwidth, less one"
      case .reloadShare: "share of non-ideal operand reloads that reach memory"
      case .waveNanoseconds: "cost of going from one tile to the next on an SM, which the main loop does not hide, whatever the tile"
      case .epilogueNanoseconds: "writing out a tile of 128 x 128, larger ones in proportion"
      case .thinStepNanoseconds:
        "what 64 of k cost more where Hopper's library takes its kernel for fewer than 8 rows (16-bit, over 512 and under 2,048 columns)"
      }
    }

    /// The range that physics, or the sense of the word, allows; a fit is clamped to it.
    public var bounds: ClosedRange<Double> {
      switch self {
      case .fixedMicroseconds: 0.5...4
      case .stepClocks: 20...600
      case .blockClocks: 20...2000
      case .sustainedMathShare: 0.15...1.05
      case .l2BytesPerClockPerSM: 8...256
      case .memoryShare: 0.5...1
      case .joinExponent: 0.3...4
      case .splitMicroseconds: 0.1...6
      case .splitTraffic: 0.01...4
      case .picojoulesPerFLOP: 0.3...4
      case .powerMicroseconds: 5...5000
      case .missStart: 0.02...1.5
      case .missSpan: 0.05...2
      case .warmSpeedup: 0.05...8
      case .reloadShare: 0.01...4
      case .waveNanoseconds: 10...3000
      case .epilogueNanoseconds: 1...4000
      case .thinStepNanoseconds: 10...600
      }
    }
  }

  /// One value for each name, in its order and unit.
  public private(set) var values: [Double]

  /// Values in the order of `Name.allCases`, clamped to their bounds. Nil when the count differs or one is not finite.
  public init?(values: [Double]) {
    guard values.count == Name.allCases.count, values.allSatisfy(\.isFinite) else { return nil }
    self.values = zip(Name.allCases, values).map { min(max($1, $0.bounds.lowerBound), $0.bounds.upperBound) }
  }

  /// For arrays written by our own tool, whose count a test checks: a missing value takes its lower bound.
  static func clamped(_ values: [Double]) -> KernelConstants { KernelConstants(padding: values) }

  private init(padding values: [Double]) {
    self.values = Name.allCases.map {
      $0.rawValue < values.count ? min(max(values[$0.rawValue], $0.bounds.lowerBound), $0.bounds.upperBound) : $0.bounds.lowerBound
    }
  }

  /// The value of one constant.
  public subscript(name: Name) -> Double { values[name.rawValue] }
}
