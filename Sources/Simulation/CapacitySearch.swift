import CheckedNumbers
import HostModel
public import Planning
import TimeBase
import Workload

/// The highest request rate at which a system keeps a latency goal: open loop, Poisson arrivals, its own mix of rows, and a generator that
/// costs nothing, so that what is found is the server's. By the rate it starts from upwards or downwards in steps that grow to a half, then by
/// bisection to 3 %; every trial is a short run of its own.
public struct CapacitySearch: Sendable {
  /// What was found.
  public struct Outcome: Sendable, Hashable {
    /// Requests per second: the highest rate tried that keeps the goal, and the lowest that does not; both 0 where none keeps it.
    public var rate: ClosedRange<Double>
    /// True where the search ended at `largestRate` and not at the server.
    public var isLowerBound: Bool
    /// Runs that were made.
    public var trials: Int
    /// The rate that the search began with misses the goal and higher ones keep it: batches that wait to be filled fill sooner.
    public var startMisses = false
    /// Where no rate keeps the goal: what the 99th percentile is of a server with next to nothing to do, milliseconds.
    public var idleP99Milliseconds: Double?
  }

  /// A rate that no generator of requests over sockets reaches: the search ends there.
  public static let largestRate = 1e6
  /// Rates below this are no serving load: the search ends there too.
  public static let smallestRate = 0.5
  /// Ratio of the two rates the search ends with.
  public static let precision = 1.03

  /// The system, whatever its load and trace.
  public var system: SimulationConfiguration
  /// 99th percentile of the latency, at most, milliseconds.
  public var p99Milliseconds: Double
  /// Requests of a trial, about: 10,000 leave a hundred above the 99th percentile.
  public var requests: Double

  /// A trial lasts so many goals at least: a slow overload shows only when it lasts longer than what it may make requests wait.
  public var goalsPerTrial = standardGoalsPerTrial
  /// As `goalsPerTrial` is where nobody says otherwise.
  public static let standardGoalsPerTrial = 10.0

  /// A search on a system.
  public init(_ system: SimulationConfiguration, p99Milliseconds: Double, requests: Double = 10_000) {
    self.system = system
    self.p99Milliseconds = p99Milliseconds
    self.requests = requests
  }

  /// Where a search begins. It saves trials and changes nothing else.
  public enum Start: Sendable, Hashable {
    /// Requests per second; the answer may be a hundred times that.
    case far(Double)
    /// Requests per second near the answer, as that of a system little different: small steps first.
    case near(Double)

    var rate: Double {
      switch self {
      case .far(let rate), .near(let rate): rate
      }
    }

    /// The first step.
    var factor: Double {
      switch self {
      case .far: CapacitySearch.largestStep
      case .near: CapacitySearch.precision
      }
    }
  }

  /// Ratio of a rate to the one tried before it, at most.
  static let largestStep = 1.5

  /// Searches from a rate that may be far from the answer.
  public func run(from start: Double) throws(PlanError) -> Outcome { try run(from: .far(start)) }

  /// Searches.
  public func run(from start: Start) throws(PlanError) -> Outcome {
    var system = system
    system.keepsTrace = false
    system.host = system.host.with(.clientPerRequest, 0).with(.clientPerByte, 0)
    var trials = 0
    func keepsGoal(_ rate: Double) throws(PlanError) -> Bool {
      trials += 1
      return try self.keepsGoal(&system, rate)
    }
    var low = 0.0
    var high = min(max(8, start.rate.isFinite ? start.rate : 8), Self.largestRate)
    var step = start.factor
    func widened(_ step: Double) -> Double { min(step * step, Self.largestStep) }
    var startMisses = false
    var isKept = try keepsGoal(high)
    if !isKept, waitsForBatches {
      // Where requests wait for their batch to fill, a higher rate may be answered sooner.
      var higher = high
      for _ in 0..<Self.doublings where !isKept && higher < Self.largestRate {
        higher = min(2 * higher, Self.largestRate)
        isKept = try keepsGoal(higher)
      }
      if isKept { (high, step, startMisses) = (higher, Self.largestStep, true) }
    }
    if isKept {
      repeat {
        low = high
        if high >= Self.largestRate { return Outcome(rate: low...low, isLowerBound: true, trials: trials, startMisses: startMisses) }
        high = min(high * step, Self.largestRate)
        step = widened(step)
      } while try keepsGoal(high)
    } else {
      low = high / step
      while low > Self.smallestRate {
        if try keepsGoal(low) { break }
        high = low
        step = widened(step)
        low /= step
      }
      if low <= Self.smallestRate {
        return Outcome(
          rate: 0...0, isLowerBound: false, trials: trials,
          idleP99Milliseconds: try trial(&system, Self.smallestRate, until: nil)?.latencyMilliseconds(percentile: 99))
      }
    }
    while high / low > Self.precision * (1 + 1e-9) {
      let middle = (low * high).squareRoot()
      if try keepsGoal(middle) { low = middle } else { high = middle }
    }
    return Outcome(rate: low...high, isLowerBound: false, trials: trials, startMisses: startMisses)
  }

  /// Rates that are tried above one that misses the goal: up to a thousand times it.
  private static let doublings = 10

  /// Whether the batcher's delay alone may use up a good part of the goal.
  private var waitsForBatches: Bool {
    system.scheduler.batching.map { $0.maximumQueueDelay.seconds * 1000 > p99Milliseconds / 4 } ?? false
  }

  /// Of fewer requests the 99th percentile is the largest of a handful: at a low rate a trial lasts until there are so many.
  static let minimumRequests = 200.0

  private func seconds(at rate: Double) -> Double {
    Self.seconds(at: rate, requests: requests, goals: goalsPerTrial, p99Milliseconds: p99Milliseconds)
  }

  /// How long a trial's window is, seconds; a quarter of it is simulated before.
  public static func seconds(at rate: Double, requests: Double, goals: Double, p99Milliseconds: Double) -> Double {
    max(min(20, max(requests / rate, goals * p99Milliseconds / 1000)), minimumRequests / rate)
  }

  private func trial(
    _ system: inout SimulationConfiguration, _ rate: Double, until limit: LateLimit?
  ) throws(PlanError) -> SimulationResult? {
    let seconds = seconds(at: rate)
    system.workload.warmUp = TimeSpan(clampingSeconds: seconds / 4)
    system.workload.duration = TimeSpan(clampingSeconds: seconds)
    system.workload.load = .open(.poisson(perSecond: rate))
    return try Simulation.run(system, until: limit)
  }

  private func keepsGoal(_ system: inout SimulationConfiguration, _ rate: Double) throws(PlanError) -> Bool {
    // With one percent of all that can be answered beyond the goal, those that piled up during the warm-up included, the trial is lost.
    let answers = rate * seconds(at: rate) * 1.25
    let limit = LateLimit(
      latency: TimeSpan(clampingSeconds: p99Milliseconds / 1000), requests: Int(saturating: 0.01 * (answers + 6 * answers.squareRoot())) + 1
    )
    guard let result = try trial(&system, rate, until: limit) else { return false }
    let expected = rate * result.window.seconds
    // Nothing is said of a rate at which work piles up or is rejected.
    guard Double(result.answered) >= 0.97 * expected - 3 * expected.squareRoot(), result.refused.values.allSatisfy({ $0 == 0 }) else {
      return false
    }
    return (result.latencyMilliseconds(percentile: 99) ?? .infinity) <= p99Milliseconds
  }
}
