import Calibration
import Diagnosis
import Execution
import Experiments
import PlanReports
import ProcessContract
import Testing

/// Options of `headroom bench` and `headroom calibrate`: what they refuse, and what an experiment becomes.
@Suite struct BenchSettingsTests {
  private static func settings(_ change: (inout BenchSettings) -> Void = { _ in }) -> BenchSettings {
    var settings = BenchSettings()
    change(&settings)
    return settings
  }

  private static let refused: [(String, @Sendable (inout BenchSettings) -> Void)] = [
    ("--seconds 0.5", { $0.seconds = 0.5 }),
    ("--users 0", { $0.users = 0 }),
    ("--repetitions 101", { $0.repetitions = 101 }),
    ("--slo soon", { $0.latencyGoal = "soon" }),
    ("give the latency goal once", { ($0.latencyGoal, $0.p99GoalMilliseconds) = ("p99<1ms", 1) }),
    ("--p99-goal-ms nan", { $0.p99GoalMilliseconds = .nan }),
    ("--rows x", { $0.rows = "x" }),
    ("--device h100", { $0.devices = ["h100"] }),
    ("--device: one simulated", { $0.devices = ["sim:h100", "sim:l4"] }),
    ("--device: one real", { $0.devices = ["cpu", "cuda:0"] }),
    ("--validate runs", { ($0.validatesPrediction, $0.devices) = (true, ["cpu"]) }),
    ("--full goes", { $0.isFull = true }),
    ("--full goes", { ($0.isFull, $0.devices, $0.seconds) = (true, ["cpu"], 3) }),
    ("give the experiment once", { ($0.experiment, $0.suite) = ("iso-m", "parts") }),
    ("m.onnx is a model", { $0.experiment = "m.onnx" }),
    ("give --model or an experiment", { ($0.model, $0.experiment) = ("linear", "iso-m") }),
    ("--rate goes with --model", { $0.rate = 3 }),
    ("--config goes with --model", { $0.configuration = "config.pbtxt" }),
    ("--rate 0.0", { ($0.model, $0.rate) = ("linear", 0) }),
    ("--dimension x", { $0.dimensions = ["x"] }),
  ]

  @Test(arguments: refused.indices) func whatCannotBeMeantIsNamed(index: Int) throws {
    try Self.settings().check()
    let error = #expect(throws: UsageError.self) { try Self.settings(Self.refused[index].1).check() }
    #expect(error?.description.hasPrefix(Self.refused[index].0) == true, "\(error?.description ?? "")")
  }

  @Test func devicesAreToldApart() throws {
    let both = Self.settings { $0.devices = ["cuda:0", "sim:h100"] }
    try both.check()
    #expect(both.measuredDevice == "cuda:0" && both.simulatedDevice == "sim:h100")
    #expect(Self.settings().measuredDevice == nil)
  }

  @Test func anExperimentIsChangedByTheCommandLine() throws {
    let chosen = try Self.settings {
      ($0.variants, $0.seconds, $0.users, $0.repetitions) = (["linear"], 3, 7, 2)
      ($0.latencyGoal, $0.goal, $0.devices) = ("p99<25ms", .cost, ["sim:h100"])
    }.chosen()
    #expect(chosen.variants.map(\.name) == ["linear"] && chosen.repetitions == 2)
    #expect(chosen.latencyGoal.p99Milliseconds == 25 && chosen.variants[0].gpu.name.contains("H100"))
    #expect(throws: ExperimentError.self) { try Self.settings { $0.suite = "nonsense" }.chosen() }
    #expect(throws: ExperimentError.self) { try Self.settings { $0.experiment = "/nowhere.yaml" }.chosen() }
  }

  // MARK: - Calibration

  @Test func aMachineIsMeasuredInOneWay() throws {
    func machine(_ change: (inout MachineMeasurement) -> Void) -> MachineMeasurement {
      var machine = MachineMeasurement(model: ModelSelection(), output: nil)
      change(&machine)
      return machine
    }
    #expect(!machine { _ in }.isAsked && machine { $0.measuresHost = true }.isAsked)
    try machine { $0.processorModel = "linear" }.check()
    #expect(throws: UsageError.self) { try machine { ($0.measuresHost, $0.processorModel) = (true, "linear") }.check() }
    #expect(throws: UsageError.self) { try machine { $0.seconds = 0 }.check() }
    #expect(throws: UsageError.self) { try machine { $0.maximumBatchRows = 0 }.check() }
    #expect(throws: UsageError.self) { try machine { $0.threads = 1025 }.check() }
  }

  @Test func aGPUIsFittedToOneSource() throws {
    func gpu(_ change: (inout GPUCalibration) -> Void) -> GPUCalibration {
      var gpu = GPUCalibration(gpu: GPUSelection(names: nil), sizes: ModelSelection(), output: nil)
      change(&gpu)
      return gpu
    }
    try gpu { ($0.trace, $0.model, $0.rows) = ("t.json", "linear", 8) }.check()
    #expect(throws: UsageError.self) { try gpu { ($0.trace, $0.measurements) = ("t.json", "m.csv") }.check() }
    #expect(throws: UsageError.self) { try gpu { $0.model = "linear" }.check() }
    #expect(throws: UsageError.self) { try gpu { ($0.trace, $0.model) = ("t.json", "linear") }.check() }
    #expect(throws: UsageError.self) { try gpu { ($0.trace, $0.steps) = ("t.json", 0) }.check() }
    #expect(throws: UsageError.self) { try gpu { $0.gpu = GPUSelection(names: "h200") }.fitMeasurements { _ in } }
    #expect(throws: UsageError.self) { try gpu { $0.gpu = GPUSelection(names: "no such card") }.fit(trace: "t", width: 80) { _ in } }
  }
}
