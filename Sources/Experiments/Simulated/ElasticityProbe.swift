import Vocabulary
public import Diagnosis
import Dispatch
import Glibc
public import Simulation
import Synchronization
import Workload

/// What one percent of each kind of time is worth: every kind is made 3 % longer and 3 % shorter with the same random seed.
public enum ElasticityProbe {
  /// e_i = -d ln X / d ln t_i by central differences, for every kind of time the system has.
  ///
  /// A window's edges move by a request or two; over 30,000 requests that is a thousandth of a percent of throughput a percent.
  ///
  /// - Parameters:
  ///   - rate: requests per second the system answers: sets how long the runs are.
  ///   - seeds: one pair of runs each; the interval is their spread.
  ///   - requests: that a run looks at.
  ///   - progress: told how many of the runs are done; from any of their threads.
  ///
  /// nil where a changed run answers nothing.
  public static func elasticities(
    of system: SimulationConfiguration, rate: Double, seeds: [UInt64], requests: Double = RunLengths.standard.sensitivity,
    progress: @Sendable (_ done: Int, _ all: Int) -> Void = { _, _ in }
  ) throws(ExperimentError) -> Elasticities? {
    // Every run is one of its own: side by side on all cores.
    let times = times(of: system.workload)
    let wanted = times.flatMap { time in
      seeds.flatMap { seed in [shorter, longer].map { Run(time: time, seed: seed, factor: $0) } }
    }
    let slots = Mutex<[Result<Double, ExperimentError>?]>(Array(repeating: nil, count: wanted.count))
    let done = Mutex(0)
    DispatchQueue.concurrentPerform(iterations: wanted.count) { index in
      let run = wanted[index]
      let result: Result<Double, ExperimentError>
      do throws(ExperimentError) { result = .success(try throughput(system, run, rate, requests)) } catch {
        result = .failure(error)
      }
      slots.withLock { $0[index] = result }
      progress(
        done.withLock {
          $0 += 1; return $0
        }, wanted.count)
    }
    var throughputs: [Double] = []
    for slot in slots.withLock({ $0 }) {
      guard let slot else { throw ExperimentError("a run for the throughput sensitivities was not made") }
      throughputs.append(try slot.get())
    }
    guard throughputs.allSatisfy({ $0 > 0 }) else { return nil }
    var values: [TimeTerm: Figure] = [:]
    var next = throughputs[...]
    for time in times {
      var found: [Double] = []
      for _ in seeds {
        guard let ofShorter = next.popFirst(), let ofLonger = next.popFirst() else { break }
        found.append(-(log(ofLonger) - log(ofShorter)) / (log(longer) - log(shorter)))
      }
      guard let minimum = found.min(), let maximum = found.max() else { return nil }
      let mean = found.reduce(0, +) / Double(found.count)
      values[time] = Figure(
        mean, .ratio, .simulated, source: "re-simulation at +-3 %, \(seeds.count) pairs with the same random seed",
        interval: found.count > 1 ? min(minimum, mean)...max(maximum, mean) : nil)
    }
    return values.isEmpty ? nil : Elasticities(values)
  }

  /// A time is multiplied by these.
  private static let (shorter, longer) = (0.97, 1.03)

  /// One of the runs.
  private struct Run: Sendable { var time: TimeTerm, seed: UInt64, factor: Double }

  /// The kinds of time that a system under such a load has.
  static func times(of workload: Workload) -> [TimeTerm] {
    TimeTerm.allCases.filter { time in
      switch (time, workload.load) {
      case (.interArrival, .closed), (.thinkTime, .open): false
      default: true
      }
    }
  }

  private static func throughput(
    _ system: SimulationConfiguration, _ run: Run, _ rate: Double, _ requests: Double
  ) throws(ExperimentError) -> Double {
    var changed = system.shortened(rate: rate, requests: requests)
    changed.seed = run.seed
    changed.scales[run.time] = (changed.scales[run.time] ?? 1) * run.factor
    return try changed.result("\(run.time.rawValue) made longer or shorter").throughput
  }
}
