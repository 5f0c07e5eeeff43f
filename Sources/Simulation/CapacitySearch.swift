import CheckedNumbers
import HostModel
public import Planning
import TimeBase
import Workload

/// The highest request rate at which a world keeps a latency goal: open loop, Poisson arrivals, its own mix of rows, and a generator that
/// costs nothing, so that what is found is the server's. By the rate it starts from upwards or downwards in steps of a half, then by
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
  }

  /// A rate that no generator of requests over sockets reaches: the search ends there.
  public static let largestRate = 1e6
  /// Rates below this are no serving load: the search ends there too.
  public static let smallestRate = 0.5
  /// Ratio of the two rates the search ends with.
  public static let precision = 1.03

  /// The world, whatever its load and trace.
  public var world: SimulationConfiguration
  /// 99th percentile of the latency, at most, milliseconds.
  public var p99Milliseconds: Double
  /// Requests of a trial, about: 10,000 leave a hundred above the 99th percentile.
  public var requests: Double

  /// A trial lasts so many goals at least: a slow overload shows only when it lasts longer than what it may make requests wait.
  public var goalsPerTrial = 10.0

  /// A search on a world.
  public init(_ world: SimulationConfiguration, p99Milliseconds: Double, requests: Double = 10_000) {
    self.world = world
    self.p99Milliseconds = p99Milliseconds
    self.requests = requests
  }

  /// Searches.
  ///
  /// - Parameter start: requests per second to begin with; near the answer it saves trials, and changes nothing else.
  public func run(from start: Double) throws(PlanError) -> Outcome {
    var world = world
    world.keepsTrace = false
    world.host = world.host.with(.clientPerRequest, 0).with(.clientPerByte, 0)
    var trials = 0
    func keepsGoal(_ rate: Double) throws(PlanError) -> Bool {
      trials += 1
      return try self.keepsGoal(&world, rate)
    }
    var low = 0.0
    var high = min(max(8, start.isFinite ? start : 8), Self.largestRate)
    if try keepsGoal(high) {
      repeat {
        low = high
        if high >= Self.largestRate { return Outcome(rate: low...low, isLowerBound: true, trials: trials) }
        high = min(high * 1.5, Self.largestRate)
      } while try keepsGoal(high)
    } else {
      low = high / 1.5
      while low > Self.smallestRate {
        if try keepsGoal(low) { break }
        high = low
        low /= 1.5
      }
      if low <= Self.smallestRate { return Outcome(rate: 0...0, isLowerBound: false, trials: trials) }
    }
    while high / low > Self.precision {
      let middle = (low * high).squareRoot()
      if try keepsGoal(middle) { low = middle } else { high = middle }
    }
    return Outcome(rate: low...high, isLowerBound: false, trials: trials)
  }

  private func keepsGoal(_ world: inout SimulationConfiguration, _ rate: Double) throws(PlanError) -> Bool {
    let seconds = min(20, max(requests / rate, goalsPerTrial * p99Milliseconds / 1000))
    world.workload.warmUp = TimeSpan(clampingSeconds: seconds / 4)
    world.workload.duration = TimeSpan(clampingSeconds: seconds)
    world.workload.load = .open(.poisson(perSecond: rate))
    guard let result = try Simulation.run(world) else { return false }
    let expected = rate * result.window.seconds
    // Nothing is said of a rate at which work piles up or is rejected.
    guard Double(result.answered) >= 0.97 * expected - 3 * expected.squareRoot(), result.refused.values.allSatisfy({ $0 == 0 }) else {
      return false
    }
    return (result.latencyMilliseconds(percentile: 99) ?? .infinity) <= p99Milliseconds
  }
}
