import CheckedNumbers
import JSONText

/// GenAI-Perf and AIPerf: `profile_export_genai_perf.json` and `.csv` (a metric per member or row, milliseconds). The per-request file they
/// write beside it is perf_analyzer's.
enum GenAIPerfResult {
  static func recognizes(_ document: JSONValue) -> Bool { document["request_throughput"]?["avg"] != nil }

  static func recognizes(_ table: CSVTable) -> Bool {
    table.column("Metric") != nil && (table.column("avg") != nil || table.column("Value") != nil)
  }

  static func read(_ document: JSONValue, path: String) throws(LoadResultError) -> ObservedLoad {
    guard let rate = document["request_throughput"]?["avg"]?.doubleValue, rate >= 0 else {
      throw LoadResultError(path: path, place: "request_throughput.avg", reason: "no number")
    }
    var load = ObservedLoad(.genAIPerf)
    load.requestsPerSecond = rate
    load.requests = document["request_count"]?["avg"]?.doubleValue.map { Int64(saturating: $0) }
    let latency = document["request_latency"]
    load.meanSeconds = latency?["avg"]?.doubleValue.map { $0 / 1e3 }
    for (name, percent) in percents {
      if let value = latency?[name]?.doubleValue { load.percentiles.append(.init(percent, seconds: value / 1e3)) }
    }
    load.remarks = [remark]
    return load
  }

  static func read(_ table: CSVTable, path: String) throws(LoadResultError) -> ObservedLoad {
    var load = ObservedLoad(.genAIPerf)
    for row in table.rows.indices {
      // Thousands are grouped: "1,066.05".
      func number(_ column: Int) -> Double? {
        table.rows[row].cells.indices.contains(column) ? Double(table.rows[row].cells[column].replacing(",", with: "")) : nil
      }
      switch table.rows[row].cells.first {
      case "Request Throughput (per sec)", "Request Throughput (requests/sec)": load.requestsPerSecond = number(1)
      case "Request Count (count)", "Request Count": load.requests = number(1).map { Int64(saturating: $0) }
      case "Request Latency (ms)":
        load.meanSeconds = number(1).map { $0 / 1e3 }
        for (name, percent) in percents {
          if let column = table.column(name), let value = number(column) { load.percentiles.append(.init(percent, seconds: value / 1e3)) }
        }
      default: break
      }
    }
    guard let rate = load.requestsPerSecond, rate >= 0 else {
      throw LoadResultError(path: path, place: "Request Throughput (per sec)", reason: "no such row, or no number in it")
    }
    load.remarks = [remark]
    return load
  }

  private static let percents: [(String, Double)] = [
    ("p25", 25), ("p50", 50), ("p75", 75), ("p90", 90), ("p95", 95), ("p99", 99), ("max", 100),
  ]
  private static let remark = "a request is a whole answer: tokens, time to the first and between them are not used here"
}
