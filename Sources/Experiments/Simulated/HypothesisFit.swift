public import HostModel
import Glibc
import KernelFitting
import Simulation
import TimeBase
import Workload

/// A system with free parameters, fitted to two of the case study's three variants; the third is predicted.
public struct HypothesisFit: Sendable {
  /// A parameter that is free in a system.
  public enum Parameter: String, Sendable, Hashable, CaseIterable {
    /// Generator CPU time per request.
    case clientMicroseconds
    /// Front-end time per request, on one thread.
    case frontEndMicroseconds
    /// Mean think time; its half-width stays 0.2 s, or the mean where that is less.
    case thinkMilliseconds
    /// From a batch's forming to its gathering.
    case handOffMicroseconds

    /// As printed.
    public var text: String {
      switch self {
      case .clientMicroseconds: "client time per request (us, one core)"
      case .frontEndMicroseconds: "front-end time per request (us, one thread)"
      case .thinkMilliseconds: "mean think time (ms)"
      case .handOffMicroseconds: "batch hand-off (us)"
      }
    }
  }

  /// What is free, with the start of the search.
  public var start: [(parameter: Parameter, value: Double)]
  /// The system before parameters are set.
  public var host: HostProfile

  /// A system.
  public init(host: HostProfile, start: [(parameter: Parameter, value: Double)]) {
    self.host = host
    self.start = start
  }

  /// The variant's system with these values.
  public func configured(_ variant: Variant, _ values: [Double]) -> Variant {
    var changed = variant
    changed.host = host
    for (index, entry) in start.enumerated() {
      let value = max(0, values[index])
      switch entry.parameter {
      case .clientMicroseconds: changed.host = changed.host.with(.clientPerRequest, value, .fitted, "hypothesis")
      case .frontEndMicroseconds: changed.host = changed.host.with(.frontEndPerRequest, value, .fitted, "hypothesis")
      case .handOffMicroseconds: changed.host = changed.host.with(.batchHandOff, value, .fitted, "hypothesis")
      case .thinkMilliseconds:
        guard case .closed(let users, let spawn, _) = variant.workload.load else { continue }
        let half = min(200, value)
        changed.workload.load = .closed(
          users: users, spawnRate: spawn,
          think: .uniform(TimeSpan(clampingSeconds: (value - half) / 1000), TimeSpan(clampingSeconds: (value + half) / 1000)))
      }
    }
    return changed
  }

  /// Finds the values with the least squared log errors of throughput, mean latency and batches per second on the given variants.
  ///
  /// - Parameter variants: with their plans and the case study's rows.
  ///
  /// - Throws: why a system could not be run.
  public func fit(
    _ variants: [(variant: Variant, plan: PlanBox, row: PublishedTable.Row)], evaluations: Int = 70
  ) throws(ExperimentError) -> (values: [Double], error: Double) {
    // The search takes no errors: what failed first is told after it.
    var failure: ExperimentError?
    func misfit(_ values: [Double]) -> Double {
      var sum = 0.0
      for value in values where value < 0 { sum += value * value }
      for entry in variants {
        let changed = configured(entry.variant, values)
        let system = changed.system(entry.plan.plan, seed: 1).shortened(rate: entry.row.throughput, requests: 12_000)
        let run: SimulationResult
        do throws(ExperimentError) { run = try system.result("\(entry.variant.name), fitted") } catch {
          failure = failure ?? error
          return 1e6
        }
        // A system that answers nothing is far from one that does.
        guard run.throughput > 0, let latency = run.meanLatencyMilliseconds else { return 1e6 }
        let rate = log(run.throughput / entry.row.throughput)
        let time = log(latency / entry.row.mean)
        let batches = log(Double(run.batches) / max(1e-9, run.window.seconds) / entry.row.batchesPerSecond)
        sum += rate * rate + time * time + batches * batches
      }
      return sum
    }
    let best = NelderMead.minimize(from: start.map(\.value), spread: start.map { $0.value * 0.3 }, evaluations: evaluations, misfit)
    if let failure { throw failure }
    return (best.point.map { max(0, $0) }, best.value)
  }
}
