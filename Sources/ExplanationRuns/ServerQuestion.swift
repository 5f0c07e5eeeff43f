import CheckedNumbers
import Diagnosis
import Explanation
import FileAccess
import GPUModel
import JSONText
import LoadGenerator
import LoadRuns
import ModelGraph
import PlanReports
import Planning
import ProcessContract
import Reporting
import Threads
import TimeBase

/// A server to be explained: running, or by files that were taken from one.
package struct ServerQuestion: Sendable {
  /// A running server, KServe v2 over HTTP.
  package var url: String?
  /// Its Prometheus page.
  package var metrics: String?
  /// A DCGM exporter's page.
  package var dcgm: String?
  /// How long it is watched: "30s", or seconds.
  package var duration = "10s"
  /// Which model; nil: the one that answers most.
  package var model: String?
  /// Latency to keep, "p99<100ms".
  package var goal: String?
  /// The model's ONNX file, or a built-in one's name.
  package var onnx: String?
  /// Arithmetic of the model as served.
  package var type = ComputeType.fp16
  /// "before.json,after.json": statistics at both ends of a window.
  package var statistics: String?
  /// "before.txt,after.txt": metrics pages at both ends.
  package var statisticsPages: String?
  /// File with the model's configuration.
  package var configurationFile: String?
  /// Length of the window, seconds.
  package var observedSeconds: Double?

  /// Nothing is asked for yet.
  package init() {}

  /// A server is meant.
  package var isAsked: Bool { url != nil || statistics != nil }

  /// - Throws: the option that cannot be meant.
  package func check() throws(UsageError) {
    if url != nil && statistics != nil { throw UsageError("--url watches a running server, --triton-stats reads files: one of them") }
    if url == nil && statistics == nil {
      for (name, given) in [("--metrics", metrics), ("--dcgm", dcgm), ("--triton-metrics", statisticsPages), ("--slo", goal)]
      where given != nil {
        throw UsageError("\(name) belongs to a server: give --url or --triton-stats too")
      }
      return
    }
    if let statistics, Self.pair(statistics) == nil {
      throw UsageError("--triton-stats \(statistics): write before.json,after.json")
    }
    if let statisticsPages, Self.pair(statisticsPages) == nil {
      throw UsageError("--triton-metrics \(statisticsPages): write before.txt,after.txt")
    }
    if statistics != nil, observedSeconds == nil {
      throw UsageError("--triton-stats needs --observed-seconds: how long the window was")
    }
    if let observedSeconds, !(observedSeconds > 0 && observedSeconds <= 1e7) {
      throw UsageError("--observed-seconds \(observedSeconds): more than 0")
    }
    if url != nil { _ = try seconds() }
    _ = try latencyGoal()
    for (name, text) in [("--url", url), ("--metrics", metrics), ("--dcgm", dcgm)] {
      if let text, !ServerPage.isAddress(text) {
        throw UsageError("\(name) \(text): write http://HOST:PORT[/PATH] or https://HOST:PORT[/PATH]")
      }
    }
  }

  private static func pair(_ text: String) -> (String, String)? {
    let parts = text.split(separator: ",").map(String.init)
    return parts.count == 2 ? (parts[0], parts[1]) : nil
  }

  private func seconds() throws(UsageError) -> Double {
    let number = duration.hasSuffix("s") ? duration.dropLast() : Substring(duration)
    guard let value = Double(number), value >= 1, value <= 86_400 else {
      throw UsageError("--for \(duration): 1 to 86400 seconds, as in 30s")
    }
    return value
  }

  private func latencyGoal() throws(UsageError) -> LatencyGoal? {
    guard let goal else { return nil }
    guard let known = LatencyGoal(text: goal) else { throw UsageError("--slo \(goal): write 'p99<100ms'") }
    return known
  }

  /// Watches the server, or reads its files.
  ///
  /// - Throws: `ServerStatisticsError`, `LoadError`, `FileError`, and what planning the model throws.
  package func explain(
    observed: Double?, gpus: GPUSelection, models: ModelSelection, progress: (String) -> Void
  ) throws -> ServerExplanation {
    var window = try url == nil ? windowOfFiles() : watch(progress)
    if let onnx {
      window.plannedKernelMicroseconds = try kernelMicroseconds(onnx, rows: window.rowsPerBatch, gpus: gpus, models: models)
      window.planned = gpus.names.map { (onnx, $0) }
    }
    return ServerExplanation(window, goalMilliseconds: try latencyGoal()?.p99Milliseconds, observed: observed)
  }

  /// The window between two readings of statistics.
  package func windowOfFiles() throws -> ServerWindow {
    guard let statistics, let stats = Self.pair(statistics), let observedSeconds else {
      throw ServerStatisticsError("--triton-stats and --observed-seconds are needed")
    }
    func read(_ path: String) throws -> [ModelStatistics] {
      let document: JSONValue
      do { document = try JSONValue.parse(try Files.readText(path)) } catch let error as JSONError {
        throw ServerStatisticsError("\(path): \(error)")
      }
      do { return try ModelStatistics.all(in: document) } catch { throw ServerStatisticsError("\(path): \(error)") }
    }
    let pages = statisticsPages.flatMap(Self.pair)
    var configuration: ServerConfiguration?
    if let file = configurationFile {
      do { configuration = ServerConfiguration(try JSONValue.parse(try Files.readText(file))) } catch let error as JSONError {
        throw ServerStatisticsError("\(file): \(error)")
      }
    }
    return try ServerWindow(
      before: try read(stats.0), after: try read(stats.1),
      metricsBefore: try pages.map { PrometheusText(try Files.readText($0.0)) },
      metricsAfter: try pages.map { PrometheusText(try Files.readText($0.1)) },
      seconds: observedSeconds, model: model, configuration: configuration)
  }

  /// Readings of a window, at least: as many slices as a trend is looked for in, and some more.
  private static let slices = 12

  /// Reads the server at both ends of a window, and in between for whether its load is the same throughout.
  private func watch(_ report: (String) -> Void) throws -> ServerWindow {
    guard let url else { throw ServerStatisticsError("--url is missing") }
    let base = url.hasSuffix("/") ? String(url.dropLast()) : url
    func readings() throws -> [ModelStatistics] {
      let path = model.map { "/v2/models/\($0)/stats" } ?? "/v2/models/stats"
      let answer = try ServerPage.get(base + path)
      do { return try ModelStatistics.all(in: try JSONValue.parse(answer)) } catch let error as JSONError {
        throw ServerStatisticsError("\(base + path): \(error)")
      }
    }
    func page(_ url: String?) throws -> PrometheusText? {
      try url.map { PrometheusText(String(decoding: try ServerPage.get($0), as: UTF8.self)) }
    }
    let before = try readings()
    let metricsBefore = try page(metrics)
    let dcgmBefore = try page(dcgm)
    let started = MonotonicClock.now
    let end = started + TimeSpan(clampingSeconds: try seconds())
    var dcgmPages = [dcgmBefore].compactMap { $0 }
    // Often enough for a trend in the shortest window, and once a second at most.
    let pause = TimeSpan(clampingSeconds: min(1, try seconds() / Double(Self.slices)))
    var seen = [(time: started, models: before)]
    var nextPage = started + .seconds(1)
    while MonotonicClock.now < end {
      let left = (end - MonotonicClock.now).seconds
      report("watching: \(Int(saturating: left.rounded(.up))) s left, \(NumberText.percent(1 - left / (try seconds()))) done")
      MonotonicClock.sleep(until: min(end, MonotonicClock.now + pause))
      let now = MonotonicClock.now
      seen.append((now, try readings()))
      if now >= nextPage, let page = try page(dcgm) {
        dcgmPages.append(page)
        nextPage = now + .seconds(1)
      }
    }
    let after = try readings()
    let elapsed = (MonotonicClock.now - started).seconds
    let metricsAfter = try page(metrics)
    var configuration: ServerConfiguration?
    let busiest = model ?? after.max { ($0.requests, $1.name) < ($1.requests, $0.name) }?.name
    if let busiest, let answer = try? ServerPage.get("\(base)/v2/models/\(busiest)/config"), let document = try? JSONValue.parse(answer) {
      configuration = ServerConfiguration(document)
    }
    var window = try ServerWindow(
      before: before, after: after, metricsBefore: metricsBefore, metricsAfter: metricsAfter, seconds: elapsed, model: model,
      configuration: configuration)
    if !dcgmPages.isEmpty { window.add(dcgm: dcgmPages) }
    window.add(readings: seen)
    if configuration == nil { return window }
    if window.configuration != configuration { window.configuration = configuration }
    return window
  }

  /// Kernel time of a batch by the plan of a model.
  private func kernelMicroseconds(_ model: String, rows: Double, gpus: GPUSelection, models: ModelSelection) throws -> (
    value: Double, band: Double
  ) {
    guard let choice = try gpus.choose().first else { throw UsageError("--onnx needs --gpu: which GPU runs it") }
    let graph = try models.load(model, for: .plan).graph
    let plan = try PlanBuilder(model: choice.model, type: type, requested: try Rewrites.passes(named: [])).plan(graph)
    let batch = try plan.at(rows: plan.fixedRows ?? max(1, Int(saturating: rows.rounded())))
    let value = batch.predictedNanoseconds / 1e3
    return (value, choice.model.calibration.errorBand(microseconds: value))
  }
}
