import CheckedNumbers
import JSONText

/// perf_analyzer: the CSV of `-f` (one row per concurrency or rate, microseconds) and the JSON of `--profile-export-file` (every request's
/// time stamps, nanoseconds).
enum PerfAnalyzerResult {
  static func recognizes(_ table: CSVTable) -> Bool { table.column("Inferences/Second") != nil }

  static func read(_ table: CSVTable, path: String) throws(LoadResultError) -> [ObservedLoad] {
    var loads: [ObservedLoad] = []
    for row in table.rows.indices {
      guard let rate = table.number(row, "Inferences/Second") else {
        throw LoadResultError(path: path, place: "line \(table.rows[row].line)", reason: "Inferences/Second is not a number")
      }
      var load = ObservedLoad(.perfAnalyzer)
      if let concurrency = table.number(row, "Concurrency") {
        load.loop = .closed
        load.concurrency = concurrency
        load.name = "concurrency \(plain(concurrency))"
      } else if let requested = table.number(row, "Request Rate") {
        load.loop = .open
        load.name = "rate \(plain(requested))/s"
      }
      // An inference is a row: with -b 8 a request holds eight.
      load.rowsPerSecond = rate
      load.remarks = ["Inferences/Second counts rows: requests/s is that divided by the batch size (-b) the run was given"]
      func seconds(_ name: String) -> Double? { table.number(row, name).map { $0 / 1e6 } }
      for name in table.header where name.hasPrefix("p") && name.hasSuffix(" latency") {
        if let percent = Double(name.dropFirst().dropLast(8)), let value = seconds(name) {
          load.percentiles.append(.init(percent, seconds: value))
        }
      }
      load.meanSeconds = seconds("Avg latency")
      let server = ObservedLoad.ServerTimes(
        queue: seconds("Server Queue"), computeInput: seconds("Server Compute Input"), computeInfer: seconds("Server Compute Infer"),
        computeOutput: seconds("Server Compute Output"))
      if server != ObservedLoad.ServerTimes() { load.server = server }
      loads.append(load)
    }
    if loads.isEmpty { throw LoadResultError(path: path, reason: "no rows: the run ended before its first stable measurement") }
    return loads
  }

  private static func plain(_ value: Double) -> String { value == value.rounded() ? String(Int64(saturating: value)) : String(value) }

  static func read(_ document: JSONValue, path: String) throws(LoadResultError) -> [ObservedLoad] {
    guard let experiments = document["experiments"]?.arrayValue else {
      throw LoadResultError(path: path, place: "experiments", reason: "no list: perf_analyzer --profile-export-file writes one")
    }
    var loads: [ObservedLoad] = []
    for (index, experiment) in experiments.enumerated() {
      guard let requests = experiment["requests"]?.arrayValue else {
        throw LoadResultError(path: path, place: "experiments[\(index)].requests", reason: "no list")
      }
      var load = ObservedLoad(.perfAnalyzer)
      let value = experiment["experiment"]?["value"]?.doubleValue
      switch experiment["experiment"]?["mode"]?.stringValue {
      case "concurrency":
        load.loop = .closed
        load.concurrency = value
        load.name = "concurrency \(plain(value ?? 0))"
      case "request_rate":
        load.loop = .open
        load.name = "rate \(plain(value ?? 0))/s"
      default: break
      }
      // Only requests that ended within the measured windows count, where these are given.
      let bounds = experiment["window_boundaries"]?.arrayValue?.compactMap(\.doubleValue) ?? []
      let window = bounds.count >= 2 ? bounds[0]...max(bounds[0], bounds[bounds.count - 1]) : nil
      var latencies: [Double] = []
      var (begin, end) = (Double.infinity, -Double.infinity)
      var failures: Int64 = 0
      for request in requests {
        guard let sent = request["timestamp"]?.doubleValue else { continue }
        guard let done = request["response_timestamps"]?.arrayValue?.last?.doubleValue, done >= sent else {
          failures += 1
          continue
        }
        if let window, !window.contains(done) { continue }
        latencies.append((done - sent) / 1e9)
        begin = min(begin, sent)
        end = max(end, done)
      }
      load.failures = failures
      load.requests = Int64(latencies.count).addingSaturated(failures)
      let seconds = window.map { ($0.upperBound - $0.lowerBound) / 1e9 } ?? (end > begin ? (end - begin) / 1e9 : 0)
      if seconds > 0 {
        load.seconds = seconds
        load.requestsPerSecond = Double(latencies.count) / seconds
      }
      if !latencies.isEmpty {
        load.meanSeconds = latencies.reduce(0, +) / Double(latencies.count)
        latencies.sort()
        load.percentiles = LoadResultReader.percentiles(latencies, [50, 75, 90, 95, 99, 99.9, 100])
      }
      loads.append(load)
    }
    if loads.isEmpty { throw LoadResultError(path: path, place: "experiments", reason: "empty") }
    return loads
  }
}
