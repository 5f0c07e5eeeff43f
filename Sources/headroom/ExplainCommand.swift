import Console
import ArgumentParser
import ProcessContract
import CheckedNumbers
import Diagnosis
import Experiments
import Explanation
import FileAccess
import JSONText
import Reporting
import Summaries
import Trace
import TraceFormats

/// `headroom explain`: a trace of anybody's, or a running server, and what limits it.
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what limits a recorded program or a running server, and what each change would buy.",
    usage: """
      headroom explain [options] FILE ...
      headroom explain --url URL [--metrics URL] [--for SECONDS] [options]
      headroom explain --triton-stats B,A --observed-seconds S [options]
      headroom explain --metric NAME
      headroom explain --demo
      """,
    discussion: """
      Reads Nsight Systems exports (nsys export --type sqlite), PyTorch profiler traces (.json, .json.gz; a folder holds one per rank) and \
      headroom's own traces; the kind is told by content, "-" is standard input. Ten lines first: bottleneck with confidence, headroom, where \
      GPU time went, what counters would have shown, at most three changes with what each buys, how to confirm. --verbose, --html and --json \
      say everything.

      A profiler slows what it measures: where the rate without it is known, give it with --rate.

      EXAMPLES
        headroom explain report.sqlite
        headroom explain trace.json.gz --rate 1344/s --html page.html
        headroom explain rank0.json rank1.json
        headroom explain report.sqlite --triton-trace trace.json --load locust.csv
        headroom explain trace.json --onnx m.onnx --rows 256 \\
          --gpu-metrics smi.csv
        headroom explain report.sqlite --range decode_step
        headroom explain report.sqlite --report cuda_gpu_kern_sum --format csv
        headroom explain --url http://gpu7:8000 --metrics http://gpu7:8002/metrics \\
          --for 30s --slo 'p99<100ms' --observed gpu-util=30%
        headroom explain --triton-stats before.json,after.json \\
          --triton-metrics before.txt,after.txt --observed-seconds 9
        headroom explain --metric "GPU-Util"

      EXIT CODES
        0 a verdict, 1 failed (a file that cannot be read), 3 inconclusive: no
        verdict for any input, 64 usage.
      """)

  @Argument(help: ArgumentHelp("Traces, or folders of them.", valueName: "FILE"))
  var files: [String] = []

  @Flag(name: [.short, .long], help: "Everything behind the ten lines.")
  var verbose = false

  @Flag(help: "Print one JSON object (schema headroom.explain/3).")
  var json = false

  @Flag(help: "No progress.")
  var quiet = false

  @Option(help: ArgumentHelp("Write a page.", valueName: "file.html"))
  var html: String?

  @Option(help: ArgumentHelp("Write the trace as Chrome JSON, for Perfetto.", valueName: "file.json"))
  var chrome: String?

  @Flag(help: "With --chrome: the whole trace, however large; otherwise about 100 MB of it.")
  var all = false

  @Option(
    help: ArgumentHelp(
      "Summaries in place of the verdict, as `nsys stats` prints them, by comma: cuda_gpu_kern_sum, cuda_api_sum:base, ...; unknown names list all.",
      valueName: "names"))
  var report: String?

  @Option(help: ArgumentHelp("Of summaries: table, csv or json.", valueName: "format"))
  var format = "table"

  @Option(help: ArgumentHelp("Only from so many seconds after the first GPU work on.", valueName: "seconds"))
  var from: Double?

  @Option(help: ArgumentHelp("Only up to so many seconds after the first GPU work.", valueName: "seconds"))
  var to: Double?

  @Option(
    help: ArgumentHelp(
      "Only while ranges (NVTX, record_function) of that name were open; a name that the trace does not have lists those it has. Cuts verdict and summaries.",
      valueName: "name"))
  var range: String?

  @Option(help: ArgumentHelp("Only the device of this ordinal.", valueName: "ordinal"))
  var device: Int64?

  @Option(
    help: ArgumentHelp("Only the process of this number; a number that the trace does not have lists those it has.", valueName: "pid"))
  var process: Int64?

  @Option(help: ArgumentHelp("Steps (batches, iterations) per second without the profiler, as in 1344/s.", valueName: "number/s"))
  var rate: String?

  @Option(help: ArgumentHelp("Steps in the trace. (default: found from the kernels' counts)", valueName: "number"))
  var steps: Double?

  @Option(
    help: ArgumentHelp(
      "Result of a load generator beside the trace: Locust CSV, k6 JSON, perf_analyzer CSV or JSON, vegeta JSON, ours. Its rate stands for --rate.",
      valueName: "file"))
  var load: String?

  @Option(
    help: ArgumentHelp(
      "Triton's request trace of the same time (--trace-config triton,file=...,rate=1,level=TIMESTAMPS): its clock is joined with the trace's, and says where requests were while the GPU idled.",
      valueName: "file"))
  var tritonTrace: String?

  @Option(
    help: ArgumentHelp(
      "What counters said: a DCGM exporter's page, or CSV of nvidia-smi, --query-gpu (utilization.gpu, clocks.sm, clocks.max.sm, power.draw, power.limit, clocks_event_reasons.active) or --query-compute-apps (pid). May be given several times.",
      valueName: "file"))
  var gpuMetrics: [String] = []

  @Option(help: ArgumentHelp("Rows of a step, for --onnx. (default: those of the trace's batches)", valueName: "number"))
  var rows: Int?

  @Option(
    help: ArgumentHelp("Requests of a step, for the rate of --load. (default: those of the trace's batches, else 1)", valueName: "number"))
  var requestsPerStep: Double?

  @Option(help: ArgumentHelp("What somebody saw: gpu-util=30%, sm-active=5%, tensor-active=1%.", valueName: "name=value"))
  var observed: [String] = []

  @Option(
    help: ArgumentHelp("What a metric means, and what it is mistaken for: \"GPU-Util\", DCGM_FI_PROF_SM_ACTIVE, ...", valueName: "name"))
  var metric: String?

  @Flag(help: "A trace of our own: the linear head behind a batching server, simulated.")
  var demo = false

  @OptionGroup var gpus: GPUOptions
  @OptionGroup var server: ExplainServerOptions
  @OptionGroup(visibility: .hidden) var modelOptions: ModelOptions

  func validate() throws {
    // Statistics of a server may stand beside its trace.
    let isServer = server.isAsked && !(server.url == nil && !files.isEmpty)
    let sources = (files.isEmpty ? 0 : 1) + (isServer ? 1 : 0) + (metric == nil ? 0 : 1) + (demo ? 1 : 0)
    if sources != 1 {
      throw ValidationError(
        sources == 0
          ? "nothing to explain: give a trace, --url, --triton-stats or --demo"
          : "give traces, or a server (--url, --triton-stats), or --metric, or --demo: one of them")
    }
    for (name, value) in [("--from", from), ("--to", to)] {
      if let value, !(value >= 0 && value <= 1e9) { throw ValidationError("\(name) \(value): seconds from 0 to 1e9") }
    }
    if let from, let to, to <= from { throw ValidationError("--to \(to) is not after --from \(from)") }
    if let requestsPerStep, !(requestsPerStep > 0 && requestsPerStep <= 1e9) {
      throw ValidationError("--requests-per-step \(requestsPerStep): more than 0")
    }
    if let rows, !(rows > 0 && rows <= 1 << 20) { throw ValidationError("--rows \(rows): 1 to 1048576") }
    if let steps, !(steps > 0 && steps <= 1e12) { throw ValidationError("--steps \(steps): more than 0") }
    if SummaryTable.Format(rawValue: format) == nil { throw ValidationError("--format \(format): table, csv or json") }
    _ = try rate.map(Self.perSecond)
    _ = try observations()
    _ = try reports()
    try server.check()
  }

  func run() throws {
    if let metric {
      guard let entry = MetricGlossary.find(metric) else {
        throw ValidationError("--metric \(metric): not known; there are \(MetricGlossary.entries.map(\.name).joined(separator: ", "))")
      }
      Terminal.print(json ? entry.json(version: Headroom.version).serialized() : entry.lines.joined(separator: "\n"))
      return
    }
    if server.isAsked, files.isEmpty {
      let status = try server.explain(
        json: json, verbose: verbose, quiet: quiet, observed: try observations()[.nvidiaSMI], gpus: gpus, models: modelOptions)
      if status != 0 { throw ExitCode(status) }
      return
    }
    let status = demo ? try explainDemo() : try explainFiles()
    if status != 0 { throw ExitCode(status) }
  }

  /// The published case study's linear head, two seconds of it in virtual time.
  private func explainDemo() throws -> Int32 {
    var experiment = try Experiment.builtIn("case-study", seconds: 2)
    experiment.variants = Array(experiment.variants.prefix(1))
    experiment.repetitions = 1
    var runner = ExperimentRunner()
    runner.explains = false
    guard let result = try runner.run(experiment).variants.first else { return 1 }
    let explanation = TraceExplanation(of: result.trace, name: "demo: the linear head behind a batching server")
    let output = ExplainOutput(explanations: [explanation], failures: [], isVerbose: verbose)
    if let html { try Files.write(html, output.page.html) }
    if let chrome { try ChromeOutput.write(result.trace, to: chrome, all: all, note: quiet ? { _ in } : Terminal.note) }
    if json {
      Terminal.print(output.document.serialized(pretty: true))
    } else {
      Terminal.print("SIMULATED: no GPU ran; the times are modelled")
      output.print()
    }
    return explanation.verdict == nil ? 3 : 0
  }

  /// "1344/s", "1344", "80 steps/s".
  static func perSecond(_ text: String) throws -> Double {
    var number = Substring(text.filter { $0 != "," && $0 != " " })
    for ending in ["steps/s", "batches/s", "req/s", "requests/s", "/s"] where number.hasSuffix(ending) {
      number = number.dropLast(ending.count)
      break
    }
    guard let value = Double(number), value > 0, value <= 1e12 else {
      throw ValidationError("--rate \(text): a number per second, as in 1344/s")
    }
    return value
  }

  func observations() throws -> [PredictedCounter.Counter: Double] {
    var seen: [PredictedCounter.Counter: Double] = [:]
    for text in observed {
      let parts = text.split(separator: "=", maxSplits: 1)
      let counter: PredictedCounter.Counter? =
        switch parts.first.map({ $0.lowercased() }) {
        case "gpu-util", "nvidia-smi", "gpu": .nvidiaSMI
        case "graphics", "gr-engine": .graphicsActive
        case "sm-active", "sm": .smActive
        case "tensor-active", "tensor": .tensorActive
        case "dram-active", "dram", "memory": .memoryActive
        default: nil
        }
      guard let counter, parts.count == 2 else {
        throw ValidationError("--observed \(text): write gpu-util=30%, sm-active=5%, tensor-active=1%, graphics=25% or dram-active=10%")
      }
      let isPercent = parts[1].hasSuffix("%")
      guard let value = Double(parts[1].filter { $0 != "%" && $0 != " " }), value >= 0, value <= 100 else {
        throw ValidationError("--observed \(text): a percentage from 0 to 100")
      }
      // 0.3 without a sign is a share; 30 can only be percent.
      seen[counter] = isPercent || value > 1 ? value / 100 : value
    }
    return seen
  }
}
