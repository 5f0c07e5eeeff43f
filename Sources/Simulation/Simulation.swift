public import Planning

/// A serving system run in virtual time.
public enum Simulation {
  /// Runs a system to the end of its window. Same configuration, same result, bit for bit.
  ///
  /// - Parameters:
  ///   - limit: stops the run once it is passed.
  ///   - progress: told the share done now and then; answering false stops the run.
  /// - Returns: nil when `limit` or `progress` stopped it.
  /// - Throws: `PlanError` when the plan cannot be evaluated at a batch size that came up.
  public static func run(
    _ configuration: SimulationConfiguration, until limit: LateLimit? = nil, progress: (Double) -> Bool = { _ in true }
  ) throws(PlanError) -> SimulationResult? {
    var system = try SimulatedSystem(configuration)
    system.lateLimit = limit
    defer { configuration.meter?.add(system.result.events) }
    return try system.run(progress: progress) ? system.result : nil
  }
}
