import CheckedNumbers
import JSONText

/// k6: the summary of `--summary-export`, that of `handleSummary`, and the points of `--out json`.
enum K6Result {
  static func read(_ document: JSONValue, path: String) throws(LoadResultError) -> ObservedLoad {
    guard let metrics = document["metrics"],
      let requests = values(metrics, "http_reqs") ?? values(metrics, "grpc_reqs") ?? values(metrics, "iterations")
    else {
      throw LoadResultError(
        path: path, place: "metrics", reason: "neither http_reqs nor iterations: no k6 summary, or a run without requests")
    }
    var load = ObservedLoad(.k6)
    let count = requests["count"]?.doubleValue
    let rate = requests["rate"]?.doubleValue
    load.requests = count.map { Int64(saturating: $0) }
    let failed = values(metrics, "http_req_failed")
    // The share of failed requests stands in "rate", before k6 0.50's summary in "value"; "passes" counts those for which "failed" is true.
    let share = failed?["rate"]?.doubleValue ?? failed?["value"]?.doubleValue ?? 0
    load.failures =
      failed.flatMap { $0["passes"]?.doubleValue }.map { Int64(saturating: $0) } ?? count.map { Int64(saturating: ($0 * share).rounded()) }
    load.requestsPerSecond = rate.map { $0 * (1 - share) }
    load.seconds = document["state"]?["testRunDurationMs"]?.doubleValue.map { $0 / 1e3 }
    if load.seconds == nil, let count, let rate, rate > 0 { load.seconds = count / rate }
    load.concurrency = values(metrics, "vus_max")?["value"]?.doubleValue ?? values(metrics, "vus")?["max"]?.doubleValue
    guard
      let durations = values(metrics, "http_req_duration") ?? values(metrics, "grpc_req_duration") ?? values(metrics, "iteration_duration")
    else {
      load.remarks = ["the summary has no durations"]
      return load
    }
    load.meanSeconds = durations["avg"]?.doubleValue.map { $0 / 1e3 }
    var percentiles: [ObservedLoad.Percentile] = []
    for member in durations.objectValue ?? [] {
      guard let value = member.value.doubleValue else { continue }
      switch member.name {
      case "med": percentiles.append(.init(50, seconds: value / 1e3))
      case "max": percentiles.append(.init(100, seconds: value / 1e3))
      default:
        // "p(99.9)".
        guard member.name.hasPrefix("p("), member.name.hasSuffix(")"), let percent = Double(member.name.dropFirst(2).dropLast()) else {
          continue
        }
        percentiles.append(.init(percent, seconds: value / 1e3))
      }
    }
    load.percentiles = percentiles.sorted { $0.percent < $1.percent }
    load.remarks = ["k6 counts the whole run, its ramp included; http_req_duration leaves out waiting for a connection"]
    return load
  }

  /// A metric's values: beside its type, or in it.
  private static func values(_ metrics: JSONValue, _ name: String) -> JSONValue? {
    guard let metric = metrics[name] else { return nil }
    return metric["values"] ?? metric
  }

  // MARK: Points

  /// Whether it is one JSON object per line, as `--out json` writes them.
  static func isPoints(_ content: ArraySlice<UInt8>) -> Bool {
    let line = content.prefix(4096).prefix { $0 != 0x0A }
    return line.firstRange(of: Array("\"type\":".utf8)) != nil && line.firstRange(of: Array("\"metric\":".utf8)) != nil && line.count < 4096
  }

  /// The points of http_req_duration and http_req_failed.
  static func readPoints(_ content: ArraySlice<UInt8>, path: String) throws(LoadResultError) -> ObservedLoad {
    var durations: [Double] = []
    var failures: Int64 = 0
    var users: Double = 0
    var (begin, end) = (Double.infinity, -Double.infinity)
    var number = 0
    var damaged = 0
    for line in content.split(separator: 0x0A) {
      number += 1
      guard line.firstRange(of: Array("\"Point\"".utf8)) != nil else { continue }
      guard let point = try? JSONValue.parse(Array(line)), let data = point["data"], let value = data["value"]?.doubleValue else {
        damaged += 1
        continue
      }
      switch point["metric"]?.stringValue {
      case "http_req_duration", "grpc_req_duration":
        durations.append(value / 1e3)
        if let time = data["time"]?.stringValue.flatMap(seconds) {
          // The point is made when the request ends.
          begin = min(begin, time - value / 1e3)
          end = max(end, time)
        }
      case "http_req_failed": if value != 0 { failures += 1 }
      case "vus": users = max(users, value)
      default: break
      }
    }
    if durations.isEmpty { throw LoadResultError(path: path, reason: "no point of http_req_duration in \(number) lines") }
    var load = ObservedLoad(.k6)
    load.requests = Int64(durations.count)
    load.failures = failures
    load.concurrency = users > 0 ? users : nil
    if end > begin {
      load.seconds = end - begin
      load.requestsPerSecond = Double(Int64(durations.count) - failures) / (end - begin)
    }
    load.meanSeconds = durations.reduce(0, +) / Double(durations.count)
    durations.sort()
    load.percentiles = LoadResultReader.percentiles(durations, [50, 75, 90, 95, 99, 99.9, 100])
    if damaged > 0 { load.remarks.append("\(damaged) lines could not be read") }
    return load
  }

  /// Seconds since midnight of year 0 of "2026-11-26T20:29:55.123456789+02:00"; only differences are used.
  static func seconds(_ text: String) -> Double? {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Double? {
      guard range.upperBound <= bytes.count else { return nil }
      return Double(String(decoding: bytes[range], as: UTF8.self))
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16)
    else { return nil }
    var end = 17
    while end < bytes.count, bytes[end] == UInt8(ascii: ".") || bytes[end] &- 0x30 < 10 { end += 1 }
    guard let second = number(17..<end) else { return nil }
    var offset = 0.0
    if end + 6 <= bytes.count, bytes[end] == UInt8(ascii: "+") || bytes[end] == UInt8(ascii: "-"),
      let hours = number(end + 1..<end + 3), let minutes = number(end + 4..<end + 6)
    {
      offset = (hours * 60 + minutes) * (bytes[end] == UInt8(ascii: "-") ? -60 : 60)
    }
    // Days from a civil date, counted from March (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = month <= 2 ? year - 1 : year
    let days =
      365 * shifted + (shifted / 4).rounded(.down) - (shifted / 100).rounded(.down) + (shifted / 400).rounded(.down)
      + ((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5).rounded(.down) + day
    return days * 86400 + hour * 3600 + minute * 60 + second - offset
  }
}
