import Glibc
import LoadRuns
import LoadGenerator
import Console
import ArgumentParser
import CheckedNumbers
import Explanation
import FileAccess
import GPUModel
import JSONText
import ModelGraph
import Planning
import Reporting
import Threads
import TimeBase

/// A server to be explained: running, or by files that were taken from one.
struct ExplainServerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("A running server: Triton's or ours (KServe v2 over HTTP).", valueName: "URL"))
  var url: String?

  @Option(help: ArgumentHelp("Its Prometheus page.", valueName: "URL"))
  var metrics: String?

  @Option(help: ArgumentHelp("A DCGM exporter's page.", valueName: "URL"))
  var dcgm: String?

  @Option(name: .customLong("for"), help: ArgumentHelp("How long to watch it.", valueName: "seconds"))
  var duration = "10s"

  @Option(help: ArgumentHelp("Which model. (default: the one that answers most)", valueName: "name"))
  var model: String?

  @Option(help: ArgumentHelp("Latency to keep, as in 'p99<100ms'.", valueName: "goal"))
  var slo: String?

  @Option(
    help: ArgumentHelp("The model's ONNX file (or builtin:NAME): kernel time is predicted with --gpu and compared.", valueName: "file"))
  var onnx: String?

  @Option(help: "Arithmetic of the model as served.")
  var dtype: ComputeType = .fp16

  @Option(help: ArgumentHelp("Statistics (GET /v2/models/NAME/stats) at both ends of a window.", valueName: "before.json,after.json"))
  var tritonStats: String?

  @Option(help: ArgumentHelp("Metrics pages at both ends.", valueName: "before.txt,after.txt"))
  var tritonMetrics: String?

  @Option(help: ArgumentHelp("The model's configuration (GET /v2/models/NAME/config).", valueName: "file.json"))
  var tritonConfig: String?

  @Option(help: ArgumentHelp("Length of that window.", valueName: "seconds"))
  var observedSeconds: Double?

  /// A server is meant.
  var isAsked: Bool { url != nil || tritonStats != nil }

  func check() throws {
    if url != nil && tritonStats != nil { throw ValidationError("--url watches a running server, --triton-stats reads files: one of them") }
    if url == nil && tritonStats == nil {
      for (name, given) in [("--metrics", metrics), ("--dcgm", dcgm), ("--triton-metrics", tritonMetrics), ("--slo", slo)]
      where given != nil {
        throw ValidationError("\(name) belongs to a server: give --url or --triton-stats too")
      }
      return
    }
    if let tritonStats, Self.pair(tritonStats) == nil {
      throw ValidationError("--triton-stats \(tritonStats): write before.json,after.json")
    }
    if let tritonMetrics, Self.pair(tritonMetrics) == nil {
      throw ValidationError("--triton-metrics \(tritonMetrics): write before.txt,after.txt")
    }
    if tritonStats != nil, observedSeconds == nil {
      throw ValidationError("--triton-stats needs --observed-seconds: how long the window was")
    }
    if let observedSeconds, !(observedSeconds > 0 && observedSeconds <= 1e7) {
      throw ValidationError("--observed-seconds \(observedSeconds): more than 0")
    }
    if url != nil { _ = try seconds() }
    _ = try goalMilliseconds()
    for (name, text) in [("--url", url), ("--metrics", metrics), ("--dcgm", dcgm)] {
      if let text, !ServerPage.isAddress(text) {
        throw ValidationError("\(name) \(text): write http://HOST:PORT[/PATH] or https://HOST:PORT[/PATH]")
      }
    }
  }

  private static func pair(_ text: String) -> (String, String)? {
    let parts = text.split(separator: ",").map(String.init)
    return parts.count == 2 ? (parts[0], parts[1]) : nil
  }

  private func seconds() throws -> Double {
    let number = duration.hasSuffix("s") ? duration.dropLast() : Substring(duration)
    guard let value = Double(number), value >= 1, value <= 86_400 else {
      throw ValidationError("--for \(duration): 1 to 86400 seconds, as in 30s")
    }
    return value
  }

  /// 'p99<100ms', 'p99<=0.1s'.
  private func goalMilliseconds() throws -> Double? {
    guard let slo else { return nil }
    let text = slo.filter { $0 != " " && $0 != "=" }
    let parts = text.split(separator: "<")
    guard parts.count == 2, parts[0] == "p99" else { throw ValidationError("--slo \(slo): write 'p99<100ms'") }
    let value: Double?
    if parts[1].hasSuffix("ms") {
      value = Double(parts[1].dropLast(2))
    } else if parts[1].hasSuffix("s") {
      value = Double(parts[1].dropLast()).map { $0 * 1e3 }
    } else {
      value = nil
    }
    guard let value, value > 0, value <= 1e9 else { throw ValidationError("--slo \(slo): write 'p99<100ms'") }
    return value
  }

  /// Explains the server; the exit status.
  func explain(json: Bool, verbose: Bool, quiet: Bool, observed: Double?, gpus: GPUOptions, models: ModelOptions) throws -> Int32 {
    do {
      var window = try url == nil ? windowOfFiles() : watch(quiet: quiet)
      if let onnx {
        let time = try kernelMicroseconds(onnx, rows: window.rowsPerBatch, gpus: gpus, models: models)
        window.plannedKernelMicroseconds = time
      }
      let explanation = ServerExplanation(window, goalMilliseconds: try goalMilliseconds(), observed: observed)
      if json {
        let document: JSONValue = [
          "schema": "headroom.explain/3", "headroom": .string(Headroom.version), "mode": "measured", "servers": [explanation.json],
        ]
        Terminal.print(document.serialized(pretty: true))
      } else {
        Terminal.print((explanation.answer + (verbose ? explanation.verboseLines : [])).joined(separator: "\n"))
      }
      return explanation.bottleneck == .inconclusive ? 3 : 0
    } catch let error as ServerStatisticsError {
      Terminal.note("headroom explain: \(error)")
    } catch let error as LoadError {
      Terminal.note("headroom explain: \(error)")
    } catch let error as FileError {
      Terminal.note("headroom explain: \(error)")
    }
    return 1
  }

  /// The window between two readings of statistics, beside a trace of the same load.
  func windowBesideTrace() throws -> ServerWindow {
    do { return try windowOfFiles() } catch let error as ServerStatisticsError {
      Terminal.note("headroom explain: \(error)")
      throw ExitCode(1)
    }
  }

  private func windowOfFiles() throws -> ServerWindow {
    guard let tritonStats, let stats = Self.pair(tritonStats), let observedSeconds else {
      throw ServerStatisticsError("--triton-stats and --observed-seconds are needed")
    }
    func statistics(_ path: String) throws -> [ModelStatistics] {
      let document: JSONValue
      do { document = try JSONValue.parse(try Files.readText(path)) } catch let error as JSONError {
        throw ServerStatisticsError("\(path): \(error)")
      }
      do { return try ModelStatistics.all(in: document) } catch { throw ServerStatisticsError("\(path): \(error)") }
    }
    let pages = tritonMetrics.flatMap(Self.pair)
    var configuration: ServerConfiguration?
    if let tritonConfig {
      do { configuration = ServerConfiguration(try JSONValue.parse(try Files.readText(tritonConfig))) } catch let error as JSONError {
        throw ServerStatisticsError("\(tritonConfig): \(error)")
      }
    }
    return try ServerWindow(
      before: try statistics(stats.0), after: try statistics(stats.1),
      metricsBefore: try pages.map { PrometheusText(try Files.readText($0.0)) },
      metricsAfter: try pages.map { PrometheusText(try Files.readText($0.1)) },
      seconds: observedSeconds, model: model, configuration: configuration)
  }

  /// Reads the server twice, so long apart.
  private func watch(quiet: Bool) throws -> ServerWindow {
    guard let url else { throw ServerStatisticsError("--url is missing") }
    let base = url.hasSuffix("/") ? String(url.dropLast()) : url
    let progress = ProgressLine(isQuiet: quiet)
    func statistics() throws -> [ModelStatistics] {
      let path = model.map { "/v2/models/\($0)/stats" } ?? "/v2/models/stats"
      let answer = try ServerPage.get(base + path)
      do { return try ModelStatistics.all(in: try JSONValue.parse(answer)) } catch let error as JSONError {
        throw ServerStatisticsError("\(base + path): \(error)")
      }
    }
    func page(_ url: String?) throws -> PrometheusText? {
      try url.map { PrometheusText(String(decoding: try ServerPage.get($0), as: UTF8.self)) }
    }
    let before = try statistics()
    let metricsBefore = try page(metrics)
    let dcgmBefore = try page(dcgm)
    let started = MonotonicClock.now
    let end = started + TimeSpan(clampingSeconds: try seconds())
    var dcgmPages = [dcgmBefore].compactMap { $0 }
    while MonotonicClock.now < end {
      let left = (end - MonotonicClock.now).seconds
      progress.report("watching: \(Int(saturating: left.rounded(.up))) s left, \(NumberText.percent(1 - left / (try seconds()))) done")
      MonotonicClock.sleep(until: min(end, MonotonicClock.now + .milliseconds(1000)))
      if let page = try page(dcgm) { dcgmPages.append(page) }
    }
    let after = try statistics()
    let elapsed = (MonotonicClock.now - started).seconds
    let metricsAfter = try page(metrics)
    progress.clear()
    var configuration: ServerConfiguration?
    let busiest = model ?? after.max { ($0.requests, $1.name) < ($1.requests, $0.name) }?.name
    if let busiest, let answer = try? ServerPage.get("\(base)/v2/models/\(busiest)/config"), let document = try? JSONValue.parse(answer) {
      configuration = ServerConfiguration(document)
    }
    var window = try ServerWindow(
      before: before, after: after, metricsBefore: metricsBefore, metricsAfter: metricsAfter, seconds: elapsed, model: model,
      configuration: configuration)
    if !dcgmPages.isEmpty { window.add(dcgm: dcgmPages) }
    if configuration == nil { return window }
    if window.configuration != configuration { window.configuration = configuration }
    return window
  }

  /// Kernel time of a batch by the plan of a model.
  private func kernelMicroseconds(_ model: String, rows: Double, gpus: GPUOptions, models: ModelOptions) throws -> (
    value: Double, band: Double
  ) {
    guard let choice = try gpus.choose().first else { throw ValidationError("--onnx needs --gpu: which GPU runs it") }
    let graph = try models.load(model, for: .plan).graph
    let plan = try PlanBuilder(model: choice.model, type: dtype, requested: try Rewrites.passes(named: [])).plan(graph)
    let batch = try plan.at(rows: plan.fixedRows ?? max(1, Int(saturating: rows.rounded())))
    let value = batch.predictedNanoseconds / 1e3
    return (value, choice.model.calibration.errorBand(microseconds: value))
  }
}
