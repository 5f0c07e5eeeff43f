import ArgumentParser
import Console
import Experiments
import Explanation
import ExplanationRuns
import JSONText
import ProcessContract

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

  @Argument(help: ArgumentHelp("Traces, or folders of them.", valueName: "FILE"), completion: .file())
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

  func validate() throws { try checked(question.check) }

  func run() throws {
    if let metric {
      guard let entry = MetricGlossary.find(metric) else {
        throw ValidationError("--metric \(metric): not known; there are \(MetricGlossary.entries.map(\.name).joined(separator: ", "))")
      }
      return Terminal.print(json ? entry.json(version: Headroom.version).serialized() : entry.lines.joined(separator: "\n"))
    }
    let status = demo ? try explainDemo() : try question.run()
    if status != .ok { throw ExitCode(status) }
  }

  /// The published case study's linear head, two seconds of it in virtual time.
  private func explainDemo() throws -> ExitStatus {
    let trace = try Experiment.demoTrace()
    let explanation = TraceExplanation(of: trace, name: "demo: the linear head behind a batching server")
    if let chrome { try question.writeChrome(trace, to: chrome) }
    try question.show(
      ExplainOutput(isVerbose: verbose, explanations: [explanation]), banner: "SIMULATED: no GPU ran; the times are modelled")
    return explanation.verdict == nil ? .inconclusive : .ok
  }

  private var question: TraceQuestion {
    var question = TraceQuestion(files: files, gpus: gpus.selection, model: modelOptions.selection)
    question.isVerbose = verbose
    question.isJSON = json
    question.isQuiet = quiet
    question.page = html
    question.chrome = chrome
    question.writesWholeTrace = all
    question.report = report
    question.format = format
    question.from = from
    question.to = to
    question.range = range
    question.device = device
    question.process = process
    question.rate = rate
    question.steps = steps
    question.requestsPerStep = requestsPerStep
    question.rows = rows
    question.load = load
    question.tritonTrace = tritonTrace
    question.gpuMetrics = gpuMetrics
    question.observed = observed
    question.asksForMetric = metric != nil
    question.isDemo = demo
    question.server = server.question
    return question
  }
}
