public import Planning

/// A serving world run in virtual time.
public enum Simulation {
  /// Runs a world to the end of its window. Same configuration, same result, bit for bit.
  ///
  /// - Parameter progress: told the share done now and then; answering false stops the run.
  /// - Returns: nil when `progress` stopped it.
  /// - Throws: `PlanError` when the plan cannot be evaluated at a batch size that came up.
  public static func run(
    _ configuration: SimulationConfiguration, progress: (Double) -> Bool = { _ in true }
  ) throws(PlanError) -> SimulationResult? {
    var world = try World(configuration)
    return try world.run(progress: progress) ? world.result : nil
  }
}
