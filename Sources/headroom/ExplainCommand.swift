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

  @Flag(help: "Print one JSON object (schema headroom.explain/2).")
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

  @Option(help: ArgumentHelp("Of summaries: only inside ranges (NVTX) of that name.", valueName: "name"))
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
    if range != nil, report == nil { throw ValidationError("--range belongs to --report") }
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
    var experiment = try Experiment.builtIn("document", seconds: 2)
    experiment.variants = Array(experiment.variants.prefix(1))
    experiment.repetitions = 1
    var runner = ExperimentRunner()
    runner.explains = false
    guard let result = try runner.run(experiment).variants.first else { return 1 }
    let explanation = TraceExplanation(of: result.trace, name: "demo: the linear head behind a batching server")
    if let html { try Files.write(html, Self.page([explanation]).html) }
    if let chrome { try ChromeOutput.write(result.trace, to: chrome, all: all, quiet: quiet) }
    if json {
      Terminal.print(document([explanation], []).serialized(pretty: true))
    } else {
      Terminal.print("SIMULATED: no GPU ran; the times are modelled")
      print([explanation])
    }
    return explanation.verdict == nil ? 3 : 0
  }

  private func explainFiles() throws -> Int32 {
    let progress = ProgressLine(isQuiet: quiet || !Terminal.errorIsTerminal)
    var context = TraceContext()
    context.rate = try rate.map(Self.perSecond)
    context.steps = steps
    context.requestsPerStep = requestsPerStep
    context.device = device
    context.observed = try observations()
    if gpus.gpu != nil { context.gpu = try gpus.choose().first?.model.gpu }
    if let onnx = server.onnx {
      context.model = ModelBesideTrace(
        name: onnx, graph: try modelOptions.load(onnx, for: .plan).graph, rows: rows, type: server.dtype.rawValue)
    }
    if server.isAsked { context.server = try server.windowBesideTrace() }
    var companions = TraceCompanions()
    (companions.load, companions.tritonTrace, companions.gpuMetrics) = (load, tritonTrace, gpuMetrics)
    let requests = try reports()
    var explanations: [TraceExplanation] = []
    var failures: [(path: String, reason: String)] = []
    var paths: [String] = []
    do throws(TraceImportError) { for file in files { paths += try TraceImporters.files(at: file) } } catch {
      Terminal.note("headroom explain: \(error)")
      return 1
    }
    let (engines, traces) = try engineFiles(paths)
    if let engines { return try explainEngine(engines) }
    for path in traces {
      do throws(TraceImportError) {
        let imported = try TraceImporters.read(
          path,
          ImportOptions(progress: { bytes, total in
            let share = total.map { " \(NumberText.percent(Double(bytes) / Double(max(1, $0))))" } ?? ""
            progress.report("reading \(path):\(share)")
          }))
        let chosen = try chosenProcess(imported.trace, path)
        if report != nil {
          progress.clear()
          printReports(imported, requests, process: chosen)
          continue
        }
        var own = context
        var trace = imported.trace
        do throws(CompanionError) { try companions.read(into: &own, &trace) { try Files.readText($0) } } catch {
          progress.clear()
          Terminal.note("headroom explain: \(error)")
          return 1
        }
        own.window = window(imported.trace)
        own.process = chosen
        var explanation = TraceExplanation(of: trace, name: path, context: own) { progress.report("\(path): \($0)") }
        explanation.notes = imported.notes.map(\.text) + explanation.notes
        explanations.append(explanation)
        if let chrome { try writeChrome(trace, to: chrome) }
      } catch {
        failures.append((path, error.description))
      }
    }
    progress.clear()
    if report != nil {
      for failure in failures { Terminal.note("headroom explain: \(failure.reason)") }
      return failures.isEmpty ? 0 : 1
    }
    if let html { try Files.write(html, Self.page(explanations).html) }
    if json {
      Terminal.print(document(explanations, failures).serialized(pretty: true))
    } else {
      print(explanations)
      for failure in failures { Terminal.note("headroom explain: \(failure.reason)") }
    }
    if !failures.isEmpty { return 1 }
    return explanations.contains { $0.verdict.map { $0.confidence != .inconclusive } ?? false } ? 0 : 3
  }

  /// TensorRT's files among those given, told by content, and the rest.
  private func engineFiles(_ paths: [String]) throws -> (EngineFiles?, [String]) {
    var files = EngineFiles()
    var found: [String] = []
    var rest: [String] = []
    for path in paths {
      let head = path == "-" ? nil : (try? TraceSource(path))?.contentHead
      if let head, EngineFiles.kind(ofBeginning: String(decoding: head, as: UTF8.self)) != nil {
        found.append(path)
      } else {
        rest.append(path)
      }
    }
    if found.isEmpty { return (nil, paths) }
    if let other = rest.first { throw ValidationError("\(found[0]) is TensorRT's and \(other) is not: explain them one after the other") }
    do {
      for path in found { try files.add(try Files.readText(path), path: path) }
    } catch let error as EngineFileError {
      Terminal.note("headroom explain: \(error)")
      throw ExitCode(.failed)
    }
    return (files, [])
  }

  private func explainEngine(_ files: EngineFiles) throws -> Int32 {
    let explanation = EngineExplanation(files, gpu: gpus.gpu == nil ? nil : try gpus.choose().first?.model.gpu)
    if json {
      let document: JSONValue = [
        "schema": "headroom.explain/2", "headroom": .string(Headroom.version), "mode": "measured", "engines": [explanation.json],
      ]
      Terminal.print(document.serialized(pretty: true))
    } else {
      Terminal.print(explanation.answer.joined(separator: "\n"))
      if verbose { Terminal.print(explanation.tableLines.joined(separator: "\n")) }
      for note in explanation.notes { Terminal.note("note: \(note)") }
    }
    return explanation.total == nil ? 3 : 0
  }

  /// --from and --to, on the trace's clock.
  private func window(_ trace: Trace) -> Range<Int64>? {
    if from == nil, to == nil { return nil }
    let starts = [trace.kernels.start.min(), trace.copies.start.min(), trace.memsets.start.min()].compactMap { $0 }
    let ends = [trace.kernels.end.max(), trace.copies.end.max(), trace.memsets.end.max()].compactMap { $0 }
    guard let first = starts.min(), let last = ends.max() else { return nil }
    let low = first.addingSaturated(Int64(saturating: (from ?? 0) * 1e9))
    let high = to.map { first.addingSaturated(Int64(saturating: $0 * 1e9)) } ?? last
    return low..<max(low.addingSaturated(1), min(high, max(last, low.addingSaturated(1))))
  }

  private func print(_ explanations: [TraceExplanation]) {
    for (index, explanation) in explanations.enumerated() {
      if explanations.count > 1 { Terminal.print((index > 0 ? "\n" : "") + explanation.name) }
      Terminal.print(explanation.answer.joined(separator: "\n"))
      if verbose {
        Terminal.print(explanation.report.terminalLines(width: Terminal.width).joined(separator: "\n"))
      } else {
        for note in explanation.notes.prefix(3) { Terminal.note("note: \(note)") }
        if explanation.notes.count > 3 { Terminal.note("note: \(explanation.notes.count - 3) more with --verbose") }
      }
    }
  }

  private func document(_ explanations: [TraceExplanation], _ failures: [(path: String, reason: String)]) -> JSONValue {
    [
      "schema": "headroom.explain/2", "headroom": .string(Headroom.version),
      "mode": .string(explanations.contains { $0.isSimulated } ? "simulated" : "measured"), "traces": .array(explanations.map(\.json)),
      "failed": .array(failures.map { ["file": .string($0.path), "reason": .string($0.reason)] }),
    ]
  }

  /// One page for all files.
  static func page(_ explanations: [TraceExplanation]) -> Report {
    guard var page = explanations.first?.report else {
      return Report(title: "headroom explain", question: "nothing was read", banner: nil, facts: [])
    }
    for other in explanations.dropFirst() {
      page.sections += other.report.sections.map { section in
        var section = section
        section.heading = "\(other.name): \(section.heading)"
        return section
      }
      page.notes += other.notes.map { "\(other.name): \($0)" }
    }
    return page
  }

  private func writeChrome(_ trace: Trace, to path: String) throws(TraceImportError) {
    do { try ChromeOutput.write(trace, to: path, all: all, quiet: quiet) } catch { throw TraceImportError(path: path, reason: "\(error)") }
  }

  private func reports() throws -> [SummaryRequest] {
    try (report?.split(separator: ",") ?? []).map { name in
      do { return try SummaryRequest(parsing: String(name)) } catch { throw ValidationError("--report \(name): \(error)") }
    }
  }

  /// The global id of the process that was asked for.
  private func chosenProcess(_ trace: Trace, _ path: String) throws(TraceImportError) -> Int64? {
    guard let process else { return nil }
    let known = SummaryFilter.processes(in: trace)
    if let found = known[process] { return found }
    let list = known.keys.sorted().prefix(20).map(String.init).joined(separator: ", ")
    throw TraceImportError(
      path: path, reason: "no process \(process) in it", remedy: list.isEmpty ? "It names no processes" : "Give one of \(list)")
  }

  private func printReports(_ imported: ImportedTrace, _ requests: [SummaryRequest], process: Int64?) {
    var windows = range.map { SummaryFilter.windows(ofRange: $0, in: imported.trace) }
    if let window = window(imported.trace) {
      windows = windows.map { $0.compactMap { $0.overlaps(window) ? $0.clamped(to: window) : nil } } ?? [window]
    }
    let filter = SummaryFilter(process: process, device: device, windows: windows)
    for request in requests {
      let table = SummaryTable(request, of: imported.trace, filter: filter)
      Terminal.print(table.text(SummaryTable.Format(rawValue: format) ?? .table))
    }
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

  private func observations() throws -> [PredictedCounter.Counter: Double] {
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
