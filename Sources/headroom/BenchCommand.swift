import Console
import ArgumentParser
import ProcessContract
import Diagnosis
import Experiments
import Explanation
import FileAccess
import GPUModel
import Glibc
import JSONText
import Reporting
import Simulation
import TimeBase
import Trace
import TraceFormats
import Workload

/// `headroom bench`: an experiment from question to answer.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Run an experiment: plan, serve, load, trace and diagnose every variant, and compare them.",
    discussion: """
      Without an argument: the published case study (three classification heads behind one Triton configuration, 1,000 users), \
      in virtual time. Everything simulated says so. With --device cpu the same heads are served for real: each variant's server and the \
      load generator are processes of this program, and the same diagnosis reads the server's trace.

      Prints headroom and an answer in ten lines per variant (--verbose: every table behind them), and writes report.html, figures.csv \
      and report.json into --out. Headroom is the highest request rate that keeps the latency goal: --slo, else 100 ms at p99.

      EXAMPLES
        headroom bench
        headroom bench --seconds 30 --goal cost
        headroom bench experiment.yaml --slo 'p99<25ms'
        headroom bench --variant seqlen --device sim:h100 --trace run.sqlite \\
          --chrome run.json
        headroom bench --model model.onnx --device sim:l40s --rate 900
        headroom bench --init > experiment.yaml
        headroom bench experiment.yaml
        headroom bench --device cpu            # 2.5 minutes; --full: 120 s per run
        # both devices, one report
        headroom bench --device sim:rtx-pro-6000 --device cpu
        headroom bench --device cpu --suite isolate
        headroom bench --validate    # how well virtual time predicts this machine
        headroom bench iso-m
        headroom bench --hypotheses

      EXIT CODES
        0 answered; 1 failed; 3 inconclusive (a variant was not steady, or nothing
        can be told of it); 64 usage.
      """)

  @Argument(help: "An experiment file (YAML), or a built-in experiment: case-study, parts, iso-m.")
  var experiment: String?

  @OptionGroup(title: "One model in place of an experiment") var ownModel: BenchModel

  @Option(
    help:
      "A built-in experiment by name, as the argument; with --device cpu also isolate and clients; planted scores `explain` on made-up programs' files (--out keeps them); hopper and triton-h200 predict known programs and a Triton on an H200 and an H100 beside what was measured."
  )
  var suite: String?

  @Flag(name: .customLong("init"), help: "Print a commented experiment file and end.")
  var printsTemplate = false

  @Flag(help: "Fit three hypotheses (client, front end, think time only) to the published case study's table and print each one's errors.")
  var hypotheses = false

  @Flag(help: "Print the published figures, ours, errors and sensitivities as Markdown (Docs/validation.md).")
  var validation = false

  @Flag(
    name: .customLong("validate"),
    help:
      "Measure this machine (or take --host FILE), predict the experiment in virtual time, then run it for real; the errors are printed and added to --ledger."
  )
  var validatesPrediction = false

  @Option(help: ArgumentHelp("Where --validate adds its line.", valueName: "file.jsonl"))
  var ledger = "validation.jsonl"

  @Option(
    help: ArgumentHelp(
      "Device of every variant: sim:NAME in virtual time, cpu for this machine's processor and real requests; both may be given.",
      valueName: "sim:name|cpu"))
  var device: [String] = []

  @Flag(help: "With --device cpu: runs of 120 s instead of 20 s; nothing else changes.")
  var full = false

  @Flag(help: "With --device cpu: do not record the servers' operating-system calls.")
  var noOsCalls = false

  @Option(help: "Host profile of every variant: a name (triton-26.02-locust, headroom-local) or a JSON file.")
  var host: String?

  @Option(help: "Only this variant; may be repeated.")
  var variant: [String] = []

  @Option(help: "Length of the measurement window, seconds of virtual time.")
  var seconds: Double?

  @Option(help: "Users of every closed loop.")
  var users: Int?

  @Option(help: "Rows per request, as 50 or 1-100.")
  var rows: String?

  @Option(help: "Runs of each variant with seeds of their own.")
  var repetitions: Int?

  @Option(help: "Seed of the first run.")
  var seed: UInt64?

  @Option(help: "Rank findings by throughput, latency or cost. (default: throughput in a closed loop, latency in an open one)")
  var goal: GoalArgument?

  @Option(
    help: ArgumentHelp("Latency goal at which headroom is stated, as 'p99<100ms'. (default: the file's, else 100 ms)", valueName: "goal"))
  var slo: String?

  @Option(name: .customLong("p99-goal-ms"), help: "The same in milliseconds.")
  var p99GoalMilliseconds: Double?

  @Flag(help: "Print every table, not only the ten lines of each variant.")
  var verbose = false

  @Option(help: ArgumentHelp("Keep the trace as SQLite; with several variants their names are added.", valueName: "file.sqlite"))
  var trace: String?

  @Option(
    help: ArgumentHelp("Write the trace as Chrome JSON, for Perfetto; with several variants their names are added.", valueName: "file.json")
  )
  var chrome: String?

  @Flag(help: "With --chrome: the whole trace, however large; otherwise about 100 MB of it.")
  var all = false

  @Option(help: "Folder for report.html, figures.csv and report.json.")
  var out = "report"

  @Flag(help: "Write no report files.")
  var noFiles = false

  @Flag(help: "Leave out throughput sensitivities and what changes would buy: most of the time.")
  var noGains = false

  @Flag(help: "Print one JSON object in place of the tables.")
  var json = false

  @Flag(help: "No progress.")
  var quiet = false

  func validate() throws {
    if let seconds, !(seconds >= 1 && seconds <= 86_400) { throw ValidationError("--seconds \(seconds): from 1 to 86400") }
    if let users, !(1...1_000_000).contains(users) { throw ValidationError("--users \(users): from 1 to 1000000") }
    if let repetitions, !(1...100).contains(repetitions) { throw ValidationError("--repetitions \(repetitions): from 1 to 100") }
    if let slo, LatencyGoal(text: slo) == nil { throw ValidationError("--slo \(slo): write 'p99<100ms'") }
    if slo != nil, p99GoalMilliseconds != nil { throw ValidationError("give the latency goal once: --slo or --p99-goal-ms") }
    if let p99GoalMilliseconds, !(p99GoalMilliseconds > 0 && p99GoalMilliseconds <= 3_600_000) {
      throw ValidationError("--p99-goal-ms \(p99GoalMilliseconds): above 0, at most 3600000")
    }
    if let rows, RowDistribution(text: rows) == nil { throw ValidationError("--rows \(rows): write 50 or 1-100") }
    for name in device where DeviceClass(deviceName: name) == .gpu && !name.hasPrefix("cuda:") {
      throw ValidationError(
        "--device \(name): write sim:\(name) for a GPU in virtual time, cpu for this processor, or cuda:0 for a GPU here")
    }
    if device.count(where: { DeviceClass(deviceName: $0) == .simulatedGPU }) > 1 {
      throw ValidationError("--device: one simulated device at a time")
    }
    if device.count(where: { DeviceClass(deviceName: $0) != .simulatedGPU }) > 1 {
      throw ValidationError("--device: one real device at a time")
    }
    if validatesPrediction && !device.isEmpty {
      throw ValidationError("--validate runs in virtual time and on the processor: leave out --device")
    }
    if full && (measuredDevice != "cpu" || seconds != nil) { throw ValidationError("--full goes with --device cpu, and without --seconds") }
    if experiment != nil, suite != nil { throw ValidationError("give the experiment once: as the argument or with --suite") }
    try ownModel.check(experiment: experiment ?? suite)
  }

  func run() throws {
    if printsTemplate { return Terminal.print(ExperimentFile.template) }
    let progress = ProgressLine(isQuiet: quiet)
    do {
      if try runPredictions() { return }
      if hypotheses {
        // Measured: 15 s of CPU time, one fit after the other.
        say(TimeEstimate(seconds: 15, work: "three fits in virtual time"))
        let report = try Hypotheses.report { progress.report($0) }
        progress.clear()
        return Terminal.print(report.terminalLines(width: Terminal.width).joined(separator: "\n"))
      }
      if validation {
        let page = try Validation.page { progress.report($0) }
        progress.clear()
        return Terminal.print(page)
      }
      if validatesPrediction { return try validatePrediction(progress) }
      // Found out now, not after the run.
      if !noFiles { try Files.createFolder(out) }
      let simulated = measuredDevice != nil && device.count == 1 ? nil : try simulate(progress)
      let measured = try measuredDevice.map { try measure(on: $0, progress) }
      progress.clear()
      if let simulated { try writeTraces(simulated.runs) }
      if let measured { try writeTraces(measured.runs, adding: simulated == nil ? "" : "-\(measuredDevice ?? "")") }
      guard var outcome = simulated ?? measured else { return }
      if let simulated, let measured { outcome = simulated.followed(by: measured, version: Headroom.version) }
      if !noFiles { try outcome.write(into: out) }
      if json {
        Terminal.print(outcome.json.serialized(pretty: true))
      } else {
        Terminal.print(outcome.lines(isVerbose: verbose, width: Terminal.width).joined(separator: "\n"))
        if !noFiles { Terminal.print("\nwritten: " + BenchOutcome.fileNames.map { "\(out)/\($0)" }.joined(separator: ", ")) }
      }
      if outcome.isInconclusive { throw ExitCode(.inconclusive) }
    } catch let error as ExperimentError {
      progress.clear()
      Terminal.note("headroom bench: \(error)")
      throw ExitCode(.failed)
    } catch let error as FileError {
      progress.clear()
      Terminal.note("headroom bench: \(error)")
      throw ExitCode(.failed)
    }
  }

  /// Suites that score what was written down beforehand; false where none was asked for.
  private func runPredictions() throws -> Bool {
    func show(_ json: JSONValue, _ lines: [String]) {
      Terminal.print(self.json ? json.serialized(pretty: true) : lines.joined(separator: "\n"))
    }
    switch suite ?? experiment {
    case "planted":
      let progress = ProgressLine(isQuiet: quiet)
      // The files are kept where a folder is named.
      let suite = try PlantedSuite(folder: out == "report" ? nil : out) { progress.report($0) }
      progress.clear()
      for failure in suite.failures { Terminal.note("headroom bench: \(failure)") }
      show(suite.json(version: Headroom.version), suite.lines)
      if !suite.isMet { throw ExitCode(.thresholdCrossed) }
    case "triton-h200":
      let suite = try TritonSuite()
      show(suite.json(version: Headroom.version), suite.lines(width: Terminal.width))
    case "hopper":
      let suite = try HopperSuite()
      show(suite.json(version: Headroom.version), suite.lines(width: Terminal.width))
    default: return false
    }
    return true
  }

  private func validatePrediction(_ progress: ProgressLine) throws {
    let outcome = try BenchValidation(
      experiment: chosen(forProcessor: true), host: host.map { try ExperimentFile.host($0) }, binary: Self.executable,
      recordsOSCalls: !noOsCalls
    ) { progress.report($0) }.run()
    progress.clear()
    try BenchValidation.append(outcome.entry, to: ledger)
    if json {
      Terminal.print(outcome.entry.serialized(pretty: true))
    } else {
      Terminal.print(outcome.report.terminalLines(width: Terminal.width).joined(separator: "\n"))
      Terminal.print("\nadded to \(ledger)")
    }
  }

  /// The device that is not a model of one; nil where there is none.
  private var measuredDevice: String? { device.first { DeviceClass(deviceName: $0) != .simulatedGPU } }
  private var simulatedDevice: String? { device.first { DeviceClass(deviceName: $0) == .simulatedGPU } }

  private func simulate(_ progress: ProgressLine) throws -> BenchOutcome {
    var runner = ExperimentRunner { progress.report($0) }
    runner.explains = !noGains
    let chosen = try chosen()
    let plans = try ExperimentRunner.plans(of: chosen)
    say(chosen.estimate(SimulationSpeed(cores: Self.cores), explains: !noGains, plans: plans))
    return BenchOutcome(try runner.run(chosen, plans: plans), version: Headroom.version)
  }

  private func measure(on device: String, _ progress: ProgressLine) throws -> BenchOutcome {
    let name = ownModel.model ?? experiment ?? suite ?? Experiment.caseStudyName
    var runner = MeasuredRunner(binary: Self.executable) { progress.report($0) }
    runner.device = device
    runner.recordsOSCalls = !noOsCalls
    runner.explains = !noGains
    if MeasuredSuite.names.contains(name) {
      say(MeasuredSuite.estimate(name, seconds: seconds))
      return BenchOutcome(try MeasuredSuite.run(name, runner: runner, seconds: seconds), version: Headroom.version)
    }
    guard ownModel.model != nil || name == Experiment.caseStudyName || !Experiment.builtInNames.contains(name) else {
      throw ExperimentError(
        "--device \(device): \"\(name)\" is an experiment of virtual time; there are \(Experiment.caseStudyName), \(MeasuredSuite.names.joined(separator: ", ")), or a file"
      )
    }
    let chosen = try chosen(forProcessor: DeviceClass(deviceName: device) == .processor)
    say(chosen.measuredEstimate(explains: !noGains))
    return BenchOutcome(try runner.run(chosen), version: Headroom.version)
  }

  /// How long it will take, before it begins: nobody waits without knowing for what.
  private func say(_ estimate: TimeEstimate) {
    if !quiet, let line = estimate.line { Terminal.note("headroom bench: \(line)") }
  }

  private static var cores: Int { max(1, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))) }

  /// This program's own file.
  private static var executable: String { Files.executable ?? CommandLine.arguments[0] }

  /// The experiment with the command line's changes.
  private func chosen(forProcessor: Bool = false) throws -> Experiment {
    let name = experiment ?? suite ?? Experiment.caseStudyName
    let chosen: Experiment
    if let model = ownModel.model {
      chosen = try Experiment.ofModel(model, device: simulatedDevice ?? BenchModel.defaultDevice, ownModel.settings(users: users))
    } else if forProcessor, name == Experiment.caseStudyName {
      chosen = try Experiment.caseStudyOnProcessor(seconds: seconds ?? (full ? 120 : 20))
    } else if Experiment.builtInNames.contains(name) {
      chosen = try Experiment.builtIn(name, seconds: seconds)
    } else if suite != nil {
      throw ExperimentError("no suite is called \"\(name)\"; there are \(Self.suiteNames.joined(separator: ", "))")
    } else {
      chosen = try ExperimentFile.read(path: name)
    }
    var changes = ExperimentChanges()
    changes.variants = variant
    changes.device = simulatedDevice
    changes.host = host
    changes.seconds = seconds
    changes.users = users
    changes.rows = rows.flatMap { RowDistribution(text: $0) }
    changes.repetitions = repetitions
    changes.seed = seed
    changes.goal = goal?.goal
    changes.latencyGoal = slo.flatMap { LatencyGoal(text: $0) } ?? p99GoalMilliseconds.map { LatencyGoal(p99Milliseconds: $0) }
    changes.dimensions = try ownModel.sizes()
    return try changes.applied(to: chosen)
  }

  /// All that `--suite` takes; isolate and clients want a real device.
  private static var suiteNames: [String] {
    Experiment.builtInNames + MeasuredSuite.names.map { "\($0) (with --device cpu)" } + ["planted", "hopper", "triton-h200"]
  }

  private func writeTraces(_ runs: [ComparedRun], adding suffix: String = "") throws {
    for run in runs {
      if let trace { try write(run, to: trace) { try TraceStore.write(run.trace, to: $0) } }
      if let chrome {
        try write(run, to: chrome) { try ChromeOutput.write(run.trace, to: $0, all: all, note: quiet ? { _ in } : Terminal.note) }
      }
    }
    func write(_ run: ComparedRun, to path: String, _ body: (String) throws -> Void) throws {
      let name = runs.count == 1 && suffix.isEmpty ? path : OutputPath.adding(run.name + suffix, to: path)
      do { try body(name) } catch { throw ExperimentError("\(error)") }
      if !quiet { Terminal.note("trace of \(run.name): \(name)") }
    }
  }
}

/// What findings are ranked by, as an option.
enum GoalArgument: String, ExpressibleByArgument, CaseIterable {
  case throughput, latency, cost

  var goal: Goal {
    switch self {
    case .throughput: .throughput
    case .latency: .latency
    case .cost: .cost
    }
  }
}
