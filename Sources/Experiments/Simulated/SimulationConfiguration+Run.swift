import Planning
import Simulation

extension SimulationConfiguration {
  /// Runs this system to its end.
  ///
  /// - Throws: an error that begins with `what`: a system that cannot be planned, or batches beyond the plan's rows.
  func result(_ what: @autoclosure () -> String) throws(ExperimentError) -> SimulationResult {
    do throws(PlanError) {
      if let result = try Simulation.run(self) { return result }
    } catch { throw ExperimentError("\(what()): \(error)") }
    // Only a progress handler stops a run, and there is none.
    throw ExperimentError("\(what()): the simulation was stopped")
  }
}
