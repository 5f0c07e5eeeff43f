import CheckedNumbers
import Synchronization

/// Counts what a piece of work costs in simulation: every run of a configuration that carries it adds its events, stopped ones too. The time a
/// simulation takes is proportional to them.
public final class SimulationMeter: Sendable {
  private let count = Mutex(0)

  /// A meter at zero.
  public init() {}

  /// Events processed so far, by all runs.
  public var events: Int { count.withLock { $0 } }

  func add(_ events: Int) { count.withLock { $0 = $0.addingSaturated(events) } }
}
