import CheckedNumbers
import FileAccess
import Glibc
import ProcessContract
import Reporting
import Trace

/// Running what `headroom bench` was asked for, in virtual time and on a real device.
extension BenchSettings {
  /// Runs it. `note` is told how long each part will take.
  ///
  /// - Throws: `ExperimentError`, `FileError`, `UsageError`.
  package func run(
    traces: TraceFiles, progress: @escaping @Sendable (String) -> Void, note: (String) -> Void
  ) throws -> BenchOutcome? {
    let simulated = measuredDevice != nil && devices.count == 1 ? nil : try simulate(progress, note)
    let measured = try measuredDevice.map { try measure(on: $0, progress, note) }
    if let simulated { try traces.write(simulated.runs, adding: "", note: note) }
    if let measured { try traces.write(measured.runs, adding: simulated == nil ? "" : "-\(measuredDevice ?? "")", note: note) }
    guard let simulated, let measured else { return simulated ?? measured }
    return simulated.followed(by: measured, version: ProgramVersion.current)
  }

  /// Measures this machine, predicts the experiment in virtual time, and runs it for real.
  package func validatePrediction(progress: @escaping @Sendable (String) -> Void) throws -> BenchValidation.Outcome {
    try BenchValidation(
      experiment: chosen(forProcessor: true), host: host.map { try ExperimentFile.host($0) }, binary: executable,
      recordsOSCalls: recordsOSCalls, progress: progress
    ).run()
  }

  private func simulate(_ progress: @escaping @Sendable (String) -> Void, _ note: (String) -> Void) throws -> BenchOutcome {
    var runner = ExperimentRunner(progress: progress)
    runner.explains = explains
    let chosen = try chosen()
    let plans = try ExperimentRunner.plans(of: chosen)
    let costs = zip(chosen.variants, plans).compactMap { SimulationCost.measured(of: $0, plan: $1) }
    // A variant that cannot be run says so in its run.
    if costs.count == plans.count { say(chosen.estimate(costs, explains: explains, cores: cores), note) }
    return BenchOutcome(try runner.run(chosen, plans: plans), version: ProgramVersion.current)
  }

  private func measure(on device: String, _ progress: @escaping @Sendable (String) -> Void, _ note: (String) -> Void) throws -> BenchOutcome
  {
    let name = model ?? experiment ?? suite ?? Experiment.caseStudyName
    var runner = MeasuredRunner(binary: executable, progress: progress)
    runner.device = device
    runner.recordsOSCalls = recordsOSCalls
    runner.explains = explains
    if MeasuredSuite.names.contains(name) {
      say(MeasuredSuite.estimate(name, seconds: seconds), note)
      return BenchOutcome(try MeasuredSuite.run(name, runner: runner, seconds: seconds), version: ProgramVersion.current)
    }
    guard model != nil || name == Experiment.caseStudyName || !Experiment.builtInNames.contains(name) else {
      throw ExperimentError(
        "--device \(device): \"\(name)\" is an experiment of virtual time; there are \(Experiment.caseStudyName), \(MeasuredSuite.names.joined(separator: ", ")), or a file"
      )
    }
    let chosen = try chosen(forProcessor: DeviceClass(deviceName: device) == .processor)
    say(chosen.measuredEstimate(explains: explains), note)
    return BenchOutcome(try runner.run(chosen), version: ProgramVersion.current)
  }

  /// Before it begins: nobody waits without knowing for what.
  private func say(_ estimate: TimeEstimate, _ note: (String) -> Void) {
    if let line = estimate.line { note("headroom bench: \(line)") }
  }

  private var cores: Int { max(1, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))) }

  /// This program's own file: it serves, and it asks.
  private var executable: String { Files.executable ?? CommandLine.arguments[0] }
}
