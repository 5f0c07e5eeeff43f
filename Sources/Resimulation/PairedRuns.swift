public import Diagnosis
public import Simulation

/// Runs of a simulation as it is and with changes made, one pair per random seed: what the changes do, with the interval of the paired
/// differences.
public struct PairedRuns {
  /// Without the changes, one per seed.
  public var before: [SimulationResult]
  /// With them, in the same order.
  public var after: [SimulationResult]
  /// Simulated, or estimated where the simulation was fitted to a running server.
  public var kind: Figure.Kind
  /// Where the figures come from.
  public var source: String

  /// Pairs.
  public init(before: [SimulationResult], after: [SimulationResult], kind: Figure.Kind, source: String) {
    self.before = before
    self.after = after
    self.kind = kind
    self.source = source
  }

  /// The change of one quantity, from the smallest to the largest paired difference; nil where a run does not have it, or had none of it.
  public func gain(_ unit: Figure.Unit, _ value: (SimulationResult) -> Double?) -> Gain? {
    let (old, new) = (before.compactMap(value), after.compactMap(value))
    guard !before.isEmpty, old.count == before.count, new.count == before.count, old.allSatisfy({ $0 > 0 }) else { return nil }
    let ratios = zip(old, new).map { $1 / $0 - 1 }
    guard let minimum = ratios.min(), let maximum = ratios.max() else { return nil }
    func figure(_ values: [Double]) -> Figure {
      Figure(values.reduce(0, +) / Double(values.count), unit, kind, source: source)
    }
    return Gain(before: figure(old), after: figure(new), changeInterval: minimum...maximum)
  }

  /// Everything but the highest rate, which needs a search of its own.
  public func estimate(tellsLatency: Bool, maximumRateAtGoal: Gain?) -> GainEstimate {
    GainEstimate(
      throughput: gain(.requestsPerSecond) { $0.throughput },
      medianLatency: tellsLatency ? gain(.milliseconds) { $0.latencyMilliseconds(percentile: 50) } : nil,
      p99Latency: tellsLatency ? gain(.milliseconds) { $0.latencyMilliseconds(percentile: 99) } : nil, maximumRateAtGoal: maximumRateAtGoal,
      gpuSecondsPerMillionInferences: gain(.seconds) { result in
        result.answeredRows > 0 ? result.busy.kernels / 1e9 / Double(result.answeredRows) * 1e6 : nil
      })
  }

  /// The change of the highest rate that keeps a goal. What one step of the bisection cannot tell apart is no change; nil where no rate
  /// kept the goal before.
  public static func maximumRate(
    before old: ClosedRange<Double>, after new: ClosedRange<Double>, kind: Figure.Kind, source: String
  ) -> Gain? {
    guard old.lowerBound > 0 else { return nil }
    func figure(_ range: ClosedRange<Double>) -> Figure {
      Figure(range.lowerBound, .requestsPerSecond, kind, source: source, interval: range)
    }
    let minimum = new.lowerBound / old.upperBound - 1
    let maximum = max(minimum, new.upperBound / old.lowerBound - 1)
    return Gain(before: figure(old), after: figure(new), changeInterval: minimum...maximum)
  }
}
