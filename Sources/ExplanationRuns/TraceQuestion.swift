import Explanation
import PlanReports
import ProcessContract
import Summaries

/// What `headroom explain` is asked of traces, and of a server beside or in place of them.
package struct TraceQuestion: Sendable {
  /// Traces, or folders of them.
  package var files: [String]
  /// Everything behind the ten lines.
  package var isVerbose = false
  /// One JSON object.
  package var isJSON = false
  /// No progress.
  package var isQuiet = false
  /// Page that is written.
  package var page: String?
  /// Chrome JSON that is written.
  package var chrome: String?
  /// Of the Chrome JSON: the whole trace, however large.
  package var writesWholeTrace = false
  /// Names of summaries in place of the verdict, by comma.
  package var report: String?
  /// Of summaries.
  package var format = "table"
  /// Seconds after the first GPU work.
  package var from: Double?
  /// As `from`.
  package var to: Double?
  /// Only while ranges of that name were open.
  package var range: String?
  /// Only the device of this ordinal.
  package var device: Int64?
  /// Only the process of this number.
  package var process: Int64?
  /// Steps per second without the profiler, "1344/s".
  package var rate: String?
  /// In the trace; nil: found from the kernels' counts.
  package var steps: Double?
  /// A load generator's result.
  package var load: String?
  /// Triton's request trace.
  package var tritonTrace: String?
  /// What counters said: files.
  package var gpuMetrics: [String] = []
  /// Of a step, for the model.
  package var rows: Int?
  /// Of a step, for the load's rate.
  package var requestsPerStep: Double?
  /// What somebody saw: "gpu-util=30%" each.
  package var observed: [String] = []
  /// The meaning of a metric is asked for, not an explanation.
  package var asksForMetric = false
  /// A trace of our own.
  package var isDemo = false
  /// For models and for GPUs that a trace does not name.
  package var gpus: GPUSelection
  /// Sizes of a built-in model.
  package var model: ModelSelection
  /// A server.
  package var server = ServerQuestion()

  /// Of these files.
  package init(files: [String], gpus: GPUSelection, model: ModelSelection) {
    (self.files, self.gpus, self.model) = (files, gpus, model)
  }

  /// - Throws: the option that cannot be meant.
  package func check() throws(UsageError) {
    // Statistics of a server may stand beside its trace.
    let isServer = server.isAsked && !(server.url == nil && !files.isEmpty)
    let sources = (files.isEmpty ? 0 : 1) + (isServer ? 1 : 0) + (asksForMetric ? 1 : 0) + (isDemo ? 1 : 0)
    if sources != 1 {
      throw UsageError(
        sources == 0
          ? "nothing to explain: give a trace, --url, --triton-stats or --demo"
          : "give traces, or a server (--url, --triton-stats), or --metric, or --demo: one of them")
    }
    for (name, value) in [("--from", from), ("--to", to)] {
      if let value, !(value >= 0 && value <= 1e9) { throw UsageError("\(name) \(value): seconds from 0 to 1e9") }
    }
    if let from, let to, to <= from { throw UsageError("--to \(to) is not after --from \(from)") }
    if let requestsPerStep, !(requestsPerStep > 0 && requestsPerStep <= 1e9) {
      throw UsageError("--requests-per-step \(requestsPerStep): more than 0")
    }
    if let rows, !(rows > 0 && rows <= 1 << 20) { throw UsageError("--rows \(rows): 1 to 1048576") }
    if let steps, !(steps > 0 && steps <= 1e12) { throw UsageError("--steps \(steps): more than 0") }
    if SummaryTable.Format(rawValue: format) == nil { throw UsageError("--format \(format): table, csv or json") }
    _ = try ratePerSecond()
    _ = try observations()
    _ = try reports()
    try server.check()
  }

  /// "1344/s", "1344", "80 steps/s".
  package func ratePerSecond() throws(UsageError) -> Double? {
    guard let rate else { return nil }
    var number = Substring(rate.filter { $0 != "," && $0 != " " })
    for ending in ["steps/s", "batches/s", "req/s", "requests/s", "/s"] where number.hasSuffix(ending) {
      number = number.dropLast(ending.count)
      break
    }
    guard let value = Double(number), value > 0, value <= 1e12 else {
      throw UsageError("--rate \(rate): a number per second, as in 1344/s")
    }
    return value
  }

  package func observations() throws(UsageError) -> [PredictedCounter.Counter: Double] {
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
        throw UsageError("--observed \(text): write gpu-util=30%, sm-active=5%, tensor-active=1%, graphics=25% or dram-active=10%")
      }
      let isPercent = parts[1].hasSuffix("%")
      guard let value = Double(parts[1].filter { $0 != "%" && $0 != " " }), value >= 0, value <= 100 else {
        throw UsageError("--observed \(text): a percentage from 0 to 100")
      }
      // 0.3 without a sign is a share; 30 can only be percent.
      seen[counter] = isPercent || value > 1 ? value / 100 : value
    }
    return seen
  }

  /// Summaries by their names.
  package func reports() throws(UsageError) -> [SummaryRequest] {
    var requests: [SummaryRequest] = []
    for name in report?.split(separator: ",") ?? [] {
      do { requests.append(try SummaryRequest(parsing: String(name))) } catch { throw UsageError("--report \(name): \(error)") }
    }
    return requests
  }
}
