import CheckedNumbers

/// What recording costs a program: runs with it and without, in turn, so that what drifts falls on all alike.
public struct RecordingCost: Sendable, Hashable {
  /// What was recorded in a run: nil for a run without a recording.
  public typealias Mode = CUDARecording.Calls?
  /// All of them.
  public static let modes: [Mode] = [nil] + CUDARecording.Calls.allCases.map { $0 }

  /// Wall time of each run by round and mode, nanoseconds.
  public private(set) var rounds: [[Mode: Int64]] = []
  /// Launches of one run, as a recording counted them.
  public var launches = 0

  /// Nothing measured yet.
  public init() {}

  /// Adds a round.
  public mutating func add(_ round: [Mode: Int64]) { rounds.append(round) }

  /// In which order the runs of a round are made: turned by one every second round, and backwards in the one
  /// between, so that no mode is always first.
  public static func order(round: Int) -> [Mode] {
    let turned = modes.indices.map { modes[($0 + max(0, round) / 2) % modes.count] }
    return round % 2 == 0 ? turned : turned.reversed()
  }

  /// One mode's cost.
  public struct Cost: Sendable, Hashable {
    /// Which.
    public var mode: CUDARecording.Calls
    /// Added wall time of a run, median of the rounds, nanoseconds; below zero where runs differ by more than that.
    public var added: Double
    /// The least and the largest of the rounds.
    public var range: ClosedRange<Double>
    /// The same per launch; nil where the program launched nothing.
    public var addedPerLaunch: Double?
  }

  /// Of each mode against the run without a recording of the same round.
  public var costs: [Cost] {
    CUDARecording.Calls.allCases.compactMap { mode in
      let added = rounds.compactMap { round -> Double? in
        guard let with = round[mode], let without = round[nil] else { return nil }
        return Double(with.subtractingSaturated(without))
      }.sorted()
      guard let least = added.first, let largest = added.last else { return nil }
      let middle = added.count / 2
      let median = added.count % 2 == 1 ? added[middle] : (added[middle - 1] + added[middle]) / 2
      return Cost(
        mode: mode, added: median, range: least...largest, addedPerLaunch: launches > 0 ? median / Double(launches) : nil)
    }
  }

  /// The cheapest mode that records calls; nil where nothing was measured.
  public var cheapest: CUDARecording.Calls? { costs.min { $0.added < $1.added }?.mode }
}
