import ArgumentParser
import Console
import Diagnosis
import Experiments
import Explanation
import FileAccess
import JSONText
import Reporting

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
        headroom bench --device cuda:0        # a GPU here, predicted first
        headroom bench --device cuda:0 --suite batch
        headroom bench --device cpu --variant linear --apply HR121 --prove
        headroom bench --validate    # how well virtual time predicts this machine
        headroom bench iso-m
        headroom bench --hypotheses

      EXIT CODES
        0 answered; 1 failed; 2 --prove: a miss; 3 inconclusive (a variant was not
        steady, or nothing can be told of it); 64 usage.
      """)

  @Argument(
    help: "An experiment file (YAML), or a built-in experiment: case-study, parts, iso-m.", completion: .file(extensions: ["yaml", "yml"]))
  var experiment: String?

  @OptionGroup(title: "One model in place of an experiment") var ownModel: BenchModel
  @OptionGroup(title: "A suite's heads") var suiteOptions: BenchSuiteOptions
  @OptionGroup(title: "A change, for real") var proof: BenchProofOptions

  @Option(
    help:
      "A built-in experiment by name, as the argument; with a real device also isolate, clients, batch, graphs (a GPU's), instances, seq, residency; planted scores `explain` on made-up programs' files (--out keeps them); hopper and triton-h200 predict known programs and a Triton on an H200 and an H100 beside what was measured."
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
      "Device of every variant: sim:NAME in virtual time; cpu, or cuda:0 for a GPU here, and real requests; one of each may be given.",
      valueName: "sim:name|cpu|cuda:0"), completion: .devices)
  var device: [String] = []

  @Flag(help: "With a real device: runs of 120 s instead of 20 s; nothing else changes.")
  var full = false

  @Flag(help: "With a real device: do not record the servers' operating-system calls.")
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
  var goal: Goal?

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

  func validate() throws { try checked(settings.check) }

  func run() throws {
    if printsTemplate { return Terminal.print(ExperimentFile.template) }
    let progress = ProgressLine(isQuiet: quiet)
    do {
      defer { progress.clear() }
      if try runPredictions() { return }
      if validation { return Terminal.print(try Validation.page { progress.report($0) }) }
      if hypotheses { return Terminal.print(try fitHypotheses(progress).joined(separator: "\n")) }
      if validatesPrediction { return show(try validate(progress)) }
      if proof.prove { return try prove(progress) }
      // Found out now, not after the run.
      if !noFiles { try Files.createFolder(out) }
      let traces = TraceFiles(trace: trace, chrome: chrome, writesWholeTrace: all)
      guard let outcome = try settings.run(traces: traces, progress: { progress.report($0) }, note: note) else { return }
      progress.clear()
      if !noFiles { try outcome.write(into: out) }
      let written = noFiles ? [] : ["\nwritten: " + BenchOutcome.fileNames.map { "\(out)/\($0)" }.joined(separator: ", ")]
      show((outcome.json, outcome.lines(isVerbose: verbose, width: Terminal.width) + written))
      if outcome.isInconclusive { throw ExitCode(.inconclusive) }
    } catch  where error is ExperimentError || error is FileError {
      progress.clear()
      throw failed(Self.self, error)
    }
  }

  /// Suites that score what was written down beforehand; false where none was asked for.
  private func runPredictions() throws -> Bool {
    switch suite ?? experiment {
    case "planted":
      let progress = ProgressLine(isQuiet: quiet)
      // The files are kept where a folder is named.
      let suite = try PlantedSuite(folder: out == "report" ? nil : out) { progress.report($0) }
      progress.clear()
      for failure in suite.failures { Terminal.note("headroom bench: \(failure)") }
      show((suite.json(version: Headroom.version), suite.lines))
      if !suite.isMet { throw ExitCode(.thresholdCrossed) }
    case "triton-h200":
      let suite = try TritonSuite()
      show((suite.json(version: Headroom.version), suite.lines(width: Terminal.width)))
    case "hopper":
      let suite = try HopperSuite()
      show((suite.json(version: Headroom.version), suite.lines(width: Terminal.width)))
    default: return false
    }
    return true
  }

  private func fitHypotheses(_ progress: ProgressLine) throws -> [String] {
    // Measured: 15 s of CPU time, one fit after the other.
    if let line = TimeEstimate(seconds: 15, work: "three fits in virtual time").line { note("headroom bench: \(line)") }
    let report = try Hypotheses.report { progress.report($0) }
    progress.clear()
    return report.terminalLines(width: Terminal.width)
  }

  private func validate(_ progress: ProgressLine) throws -> (JSONValue, [String]) {
    let outcome = try settings.validatePrediction { progress.report($0) }
    progress.clear()
    try BenchValidation.append(outcome.entry, to: ledger)
    return (outcome.entry, outcome.report.terminalLines(width: Terminal.width) + ["\nadded to \(ledger)"])
  }

  private func prove(_ progress: ProgressLine) throws {
    let outcome = try settings.prove { progress.report($0) }
    progress.clear()
    show((outcome.entry, outcome.report.terminalLines(width: Terminal.width) + ["\nadded to \(ledger)"]))
    if outcome.proof.outcome == .undecided { throw ExitCode(.inconclusive) }
    if outcome.proof.outcome == .miss { throw ExitCode(.thresholdCrossed) }
  }

  private func show(_ result: (json: JSONValue, lines: [String])) {
    Terminal.print(json ? result.json.serialized(pretty: true) : result.lines.joined(separator: "\n"))
  }

  private func note(_ text: String) { if !quiet { Terminal.note(text) } }

  private var settings: BenchSettings {
    var settings = BenchSettings()
    settings.experiment = experiment
    settings.suite = suite
    settings.model = ownModel.model
    settings.rate = ownModel.rate
    settings.configuration = ownModel.config
    settings.dimensions = ownModel.dimensions
    settings.devices = device
    settings.isFull = full
    settings.recordsOSCalls = !noOsCalls
    settings.explains = !noGains
    settings.validatesPrediction = validatesPrediction
    settings.host = host
    (settings.provenCode, settings.proves, settings.pairs) = (proof.apply, proof.prove, proof.pairs)
    settings.suiteModel = suiteOptions.model
    settings.folder = noFiles ? nil : out
    settings.ledger = ledger
    settings.variants = variant
    settings.seconds = seconds
    settings.users = users
    settings.rows = rows
    settings.repetitions = repetitions
    settings.seed = seed
    settings.goal = goal
    settings.latencyGoal = slo
    settings.p99GoalMilliseconds = p99GoalMilliseconds
    return settings
  }
}

extension Goal: ExpressibleByArgument {}
