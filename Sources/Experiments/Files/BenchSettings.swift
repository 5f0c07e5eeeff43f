import CheckedNumbers
import Diagnosis
import FileAccess
import Glibc
import HostModel
import ONNXFormat
import ProcessContract
import Reporting
import Trace
import Workload

/// What `headroom bench` is asked to run: an experiment and what the command line changes in it.
package struct BenchSettings: Sendable {
  /// A file, or a built-in experiment's name.
  package var experiment: String?
  /// The same, where it was given as a suite.
  package var suite: String?
  /// A model in place of an experiment.
  package var model: String?
  /// Of the model: requests per second, an open loop.
  package var rate: Double?
  /// Of the model: its config.pbtxt.
  package var configuration: String?
  /// "NAME=SIZE" each, of every ONNX file.
  package var dimensions: [String] = []
  /// "sim:NAME", "cpu", "cuda:0".
  package var devices: [String] = []
  /// On a real device: runs of 120 s.
  package var isFull = false
  /// Of the servers.
  package var recordsOSCalls = true
  /// Sensitivities and what changes would buy.
  package var explains = true
  /// Virtual time is held against this machine.
  package var validatesPrediction = false
  /// A finding whose first fix is made to a second server, and proven.
  package var provenCode: String?
  /// Whether it is.
  package var proves = false
  /// Pairs of runs that prove it.
  package var pairs = 5
  /// Sizes of a suite's heads.
  package var suiteModel = SuiteModel()
  /// The report's folder, for a prediction; nil where no files are written.
  package var folder: String?
  /// Where predictions and what came of them are added.
  package var ledger = "validation.jsonl"
  /// Host profile of every variant.
  package var host: String?
  /// Only these.
  package var variants: [String] = []
  /// Of the measurement window.
  package var seconds: Double?
  /// Of every closed loop.
  package var users: Int?
  /// "50", "1-100".
  package var rows: String?
  /// Runs of each variant.
  package var repetitions: Int?
  /// Of the first run.
  package var seed: UInt64?
  /// What findings are ranked by.
  package var goal: Goal?
  /// "p99<100ms".
  package var latencyGoal: String?
  /// The same in milliseconds.
  package var p99GoalMilliseconds: Double?

  /// Of a model, where no device is named.
  package static let defaultDevice = "sim:rtx-pro-6000"

  /// The built-in experiment as it is.
  package init() {}

  /// - Throws: the option that cannot be meant, or not beside another.
  package func check() throws(UsageError) {
    if let seconds, !(seconds >= 1 && seconds <= 86_400) { throw UsageError("--seconds \(seconds): from 1 to 86400") }
    if let users, !(1...1_000_000).contains(users) { throw UsageError("--users \(users): from 1 to 1000000") }
    if let repetitions, !(1...100).contains(repetitions) { throw UsageError("--repetitions \(repetitions): from 1 to 100") }
    if let slo = latencyGoal, LatencyGoal(text: slo) == nil { throw UsageError("--slo \(slo): write 'p99<100ms'") }
    if latencyGoal != nil, p99GoalMilliseconds != nil { throw UsageError("give the latency goal once: --slo or --p99-goal-ms") }
    if let p99GoalMilliseconds, !(p99GoalMilliseconds > 0 && p99GoalMilliseconds <= 3_600_000) {
      throw UsageError("--p99-goal-ms \(p99GoalMilliseconds): above 0, at most 3600000")
    }
    if let rows, RowDistribution(text: rows) == nil { throw UsageError("--rows \(rows): write 50 or 1-100") }
    for name in devices where DeviceClass(deviceName: name) == .gpu && !name.hasPrefix("cuda:") {
      throw UsageError(
        "--device \(name): write sim:\(name) for a GPU in virtual time, cpu for this processor, or cuda:0 for a GPU here")
    }
    if devices.count(where: { DeviceClass(deviceName: $0) == .simulatedGPU }) > 1 {
      throw UsageError("--device: one simulated device at a time")
    }
    if devices.count(where: { DeviceClass(deviceName: $0) != .simulatedGPU }) > 1 {
      throw UsageError("--device: one real device at a time")
    }
    if validatesPrediction && !devices.isEmpty {
      throw UsageError("--validate runs in virtual time and on the processor: leave out --device")
    }
    if isFull && (measuredDevice == nil || seconds != nil) { throw UsageError("--full goes with a real --device, and without --seconds") }
    if let code = provenCode, !code.hasPrefix("HR") || Int(code.dropFirst(2)) == nil {
      throw UsageError("--apply \(code): write a finding's code, as HR121")
    }
    if (provenCode != nil) != proves { throw UsageError("--apply CODE and --prove go together") }
    if proves, measuredDevice == nil { throw UsageError("--prove makes a change for real: name --device cpu or cuda:0") }
    if !(3...100).contains(pairs) { throw UsageError("--pairs \(pairs): from 3 to 100") }
    if !(2...1000).contains(suiteModel.layers) { throw UsageError("--layers \(suiteModel.layers): from 2 to 1000") }
    if !(8...65_536).contains(suiteModel.hidden) { throw UsageError("--hidden \(suiteModel.hidden): from 8 to 65536") }
    if !(1...65_536).contains(suiteModel.largestRows) { throw UsageError("--max-rows \(suiteModel.largestRows): from 1 to 65536") }
    if experiment != nil, suite != nil { throw UsageError("give the experiment once: as the argument or with --suite") }
    try checkModel()
  }

  private func checkModel() throws(UsageError) {
    if let experiment = experiment ?? suite, experiment.hasSuffix(".onnx") || experiment.hasSuffix(".plan") {
      throw UsageError("\(experiment) is a model, not an experiment: headroom bench --model \(experiment)")
    }
    if model != nil, let experiment = experiment ?? suite { throw UsageError("give --model or an experiment (\(experiment)), not both") }
    if model == nil, rate != nil { throw UsageError("--rate goes with --model; an experiment file has workload: {rate: N}") }
    if model == nil, configuration != nil { throw UsageError("--config goes with --model; an experiment file has serving: {config: FILE}") }
    if let rate, !(rate >= 0.001 && rate <= 10_000_000) { throw UsageError("--rate \(rate): from 0.001 to 10000000 requests/s") }
    _ = try ONNXReader.Options.dynamicSizes(dimensions)
  }

  /// The device that is not a model of one; nil where there is none.
  package var measuredDevice: String? { devices.first { DeviceClass(deviceName: $0) != .simulatedGPU } }
  /// The model of one; nil where there is none.
  package var simulatedDevice: String? { devices.first { DeviceClass(deviceName: $0) == .simulatedGPU } }

  /// All that `--suite` takes; isolate and clients want a real device.
  package static var suiteNames: [String] {
    Experiment.builtInNames + MeasuredSuite.names.map { "\($0) (with --device cpu or cuda:0)" } + ["planted", "hopper", "triton-h200"]
  }

  /// The experiment with the command line's changes.
  package func chosen(forProcessor: Bool = false) throws -> Experiment {
    let name = experiment ?? suite ?? Experiment.caseStudyName
    let chosen: Experiment
    if let model = model {
      chosen = try Experiment.ofModel(model, device: simulatedDevice ?? Self.defaultDevice, modelSettings)
    } else if forProcessor, name == Experiment.caseStudyName {
      chosen = try Experiment.caseStudyOnProcessor(seconds: seconds ?? (isFull ? 120 : 20))
    } else if let measuredDevice, DeviceClass(deviceName: measuredDevice) == .gpu, name == Experiment.caseStudyName {
      // Without a prediction the plan's GPU says nothing; it stands for the run's bytes alone.
      let gpu = try GPUAtHand(deviceName: measuredDevice).gpu ?? ExperimentFile.gpu(device: Self.defaultDevice)
      chosen = try Experiment.caseStudyOnGPU(seconds: seconds ?? (isFull ? 120 : 20), gpu: gpu)
    } else if Experiment.builtInNames.contains(name) {
      chosen = try Experiment.builtIn(name, seconds: seconds)
    } else if suite != nil {
      throw ExperimentError("no suite is called \"\(name)\"; there are \(Self.suiteNames.joined(separator: ", "))")
    } else {
      chosen = try ExperimentFile.read(path: name)
    }
    var changes = ExperimentChanges()
    changes.variants = variants
    changes.device = simulatedDevice
    changes.host = host
    changes.seconds = seconds
    changes.users = users
    changes.rows = rows.flatMap { RowDistribution(text: $0) }
    changes.repetitions = repetitions
    changes.seed = seed
    changes.goal = goal
    changes.latencyGoal = latencyGoal.flatMap { LatencyGoal(text: $0) } ?? p99GoalMilliseconds.map { LatencyGoal(p99Milliseconds: $0) }
    changes.dimensions = try ONNXReader.Options.dynamicSizes(dimensions)
    return try changes.applied(to: chosen)
  }

  private var modelSettings: Experiment.ModelSettings {
    var settings = Experiment.ModelSettings()
    (settings.configuration, settings.rate) = (configuration, rate)
    if let users { settings.users = users }
    return settings
  }
}
