import Vocabulary
public import Diagnosis
import Glibc
public import Simulation

/// What one percent of each kind of time is worth: every kind is made 3 % longer and 3 % shorter with the same random seed.
public enum ElasticityProbe {
  /// e_i = -d ln X / d ln t_i by central differences, for every kind of time the world has.
  ///
  /// A window's edges move by a request or two; over 30,000 requests that is a thousandth of a percent of throughput a percent.
  ///
  /// - Parameters:
  ///   - rate: requests per second the world answers: sets how long the runs are.
  ///   - seeds: one pair of runs each; the interval is their spread.
  ///
  /// nil where a changed run answers nothing.
  public static func elasticities(
    of world: SimulationConfiguration, rate: Double, seeds: [UInt64]
  ) throws(ExperimentError) -> Elasticities? {
    var values: [TimeTerm: Figure] = [:]
    for time in TimeTerm.allCases {
      switch (time, world.workload.load) {
      case (.interArrival, .closed), (.thinkTime, .open): continue
      default: break
      }
      var found: [Double] = []
      for seed in seeds {
        let (shorter, longer) = (try throughput(world, time, 0.97, seed, rate), try throughput(world, time, 1.03, seed, rate))
        guard shorter > 0, longer > 0 else { return nil }
        found.append(-(log(longer) - log(shorter)) / (log(1.03) - log(0.97)))
      }
      guard let minimum = found.min(), let maximum = found.max() else { return nil }
      let mean = found.reduce(0, +) / Double(found.count)
      values[time] = Figure(
        mean, .ratio, .simulated, source: "re-simulation at +-3 %, \(seeds.count) pairs with common draws",
        interval: found.count > 1 ? min(minimum, mean)...max(maximum, mean) : nil)
    }
    return values.isEmpty ? nil : Elasticities(values)
  }

  private static func throughput(
    _ world: SimulationConfiguration, _ time: TimeTerm, _ factor: Double, _ seed: UInt64, _ rate: Double
  ) throws(ExperimentError) -> Double {
    var changed = world.shortened(rate: rate, requests: 30_000)
    changed.seed = seed
    changed.scales[time] = (changed.scales[time] ?? 1) * factor
    return try changed.result("\(time.rawValue) made longer or shorter").throughput
  }
}
