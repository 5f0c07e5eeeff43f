import CheckedNumbers
import Diagnosis
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
    let simulated = try predictsFirst(note) ? simulate(progress, note) : nil
    let prediction = try simulated.flatMap { try record($0, note) }
    let measured = try measuredDevice.map { try measure(on: $0, predicted: simulated, prediction, progress, note) }
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

  private func measure(
    on device: String, predicted: BenchOutcome?, _ prediction: RecordedPrediction?, _ progress: @escaping @Sendable (String) -> Void,
    _ note: (String) -> Void
  ) throws -> BenchOutcome {
    let runner = runner(on: device, progress)
    if let suite = measuredSuite {
      say(MeasuredSuite.estimate(suite, seconds: seconds), note)
      var model = suiteModel
      if DeviceClass(deviceName: device) == .gpu { model.gpu = try GPUAtHand(deviceName: device).gpu }
      if let simulatedDevice { model.gpu = try ExperimentFile.gpu(device: simulatedDevice) }
      return BenchOutcome(
        try MeasuredSuite.run(suite, runner: runner, seconds: seconds, model: model), version: ProgramVersion.current)
    }
    guard model != nil || name == Experiment.caseStudyName || !Experiment.builtInNames.contains(name) else {
      throw ExperimentError(
        "--device \(device): \"\(name)\" is an experiment of virtual time; there are \(Experiment.caseStudyName), \(MeasuredSuite.names.joined(separator: ", ")), or a file"
      )
    }
    let chosen = try chosen(forProcessor: DeviceClass(deviceName: device) == .processor)
    say(chosen.measuredEstimate(explains: explains), note)
    let result = try runner.run(chosen)
    guard result.deviceClass == .gpu else { return BenchOutcome(result, version: ProgramVersion.current) }
    if let predicted, let prediction {
      let comparison = SimulationComparison(predicted: predicted.runs, onGPU: result)
      try BenchValidation.append(
        comparison.ledgerEntry(
          version: ProgramVersion.current, epochSeconds: Int64(time(nil)), experiment: chosen.name,
          host: "\(chosen.variants.first?.host.name ?? ""), prediction \(prediction.digest)", device: result.device), to: ledger)
    }
    return result.outcome(predicted: predicted, prediction, version: ProgramVersion.current)
  }

  private func runner(on device: String, _ progress: @escaping @Sendable (String) -> Void) -> MeasuredRunner {
    var runner = MeasuredRunner(binary: executable, progress: progress)
    runner.device = device
    runner.recordsOSCalls = recordsOSCalls
    runner.explains = explains
    return runner
  }

  private var name: String { model ?? experiment ?? suite ?? Experiment.caseStudyName }
  private var measuredSuite: String? { MeasuredSuite.names.contains(name) && measuredDevice != nil ? name : nil }

  /// Whether something runs in virtual time: what was asked to, and what is predicted of a GPU here before it runs.
  private func predictsFirst(_ note: (String) -> Void) throws -> Bool {
    guard let measuredDevice else { return true }
    if measuredSuite != nil { return false }
    if simulatedDevice != nil { return true }
    guard DeviceClass(deviceName: measuredDevice) == .gpu else { return false }
    let found = try GPUAtHand(deviceName: measuredDevice)
    if found.gpu == nil {
      note(
        "headroom bench: nothing is predicted: the catalogue has no GPU like \"\(found.name)\"; name one with a second --device sim:NAME")
    }
    return found.gpu != nil
  }

  /// A prediction for a GPU here, written down before the run.
  private func record(_ predicted: BenchOutcome, _ note: (String) -> Void) throws -> RecordedPrediction? {
    guard let measuredDevice, DeviceClass(deviceName: measuredDevice) == .gpu else { return nil }
    let prediction = RecordedPrediction(
      of: predicted.runs, experiment: name, device: measuredDevice, version: ProgramVersion.current, epochSeconds: Int64(time(nil)))
    if let folder { try prediction.write(into: folder) }
    note("headroom bench: predicted before the run, SHA-256 \(prediction.digest)")
    return prediction
  }

  /// Makes a finding's fix to a second server and runs both in pairs; the prediction stands in the ledger before the first pair.
  package func prove(progress: @escaping @Sendable (String) -> Void) throws -> ChangeProof.Outcome {
    let device = measuredDevice ?? "cpu"
    let deviceClass = DeviceClass(deviceName: device)
    var proof = ChangeProof(
      runner: runner(on: device, progress), experiment: try chosen(forProcessor: deviceClass == .processor), code: provenCode ?? "")
    proof.pairs = pairs
    if deviceClass == .gpu {
      // No simulation is fitted to a run on a GPU: the plan's predicts it.
      var simulation = ExperimentRunner(progress: progress)
      simulation.explains = true
      simulation.only = FindingCode(rawValue: proof.code)
      // What is looked at is one run's trace; more of them say how sure its requests/s are, which nothing here prints.
      var once = proof.experiment
      once.repetitions = 1
      proof.simulated = try simulation.run(once).variants.first?.assessment.ranked ?? []
    }
    let outcome = try proof.run { try BenchValidation.append($0, to: ledger) }
    try BenchValidation.append(outcome.entry, to: ledger)
    return outcome
  }

  /// Before it begins: nobody waits without knowing for what.
  private func say(_ estimate: TimeEstimate, _ note: (String) -> Void) {
    if let line = estimate.line { note("headroom bench: \(line)") }
  }

  private var cores: Int { max(1, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))) }

  /// This program's own file: it serves, and it asks.
  private var executable: String { Files.executable ?? CommandLine.arguments[0] }
}
