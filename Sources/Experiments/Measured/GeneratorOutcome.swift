import CheckedNumbers
import JSONText
import LoadModel

/// What `headroom load --json` said of a run, and its histogram.
struct GeneratorOutcome: Sendable {
  var requestsPerSecond: Double
  var rowsPerSecond: Double
  var windowSeconds: Double
  var answersInWindow: Int
  var errors: Int
  var meanMilliseconds: Double?
  /// Largest difference of the batch means to their mean that chance explains; nil for short runs.
  var meanHalfWidthMilliseconds: Double?
  var verdict: String
  var words: String
  var stability: String
  var threads: Int
  var cpuSeconds: Double
  var busiestThreadShare: Double
  var sendLagP99Milliseconds: Double?
  /// Latencies by the client's stopwatch.
  var histogram: Histogram

  /// - Throws: an error that names the missing field: the two programs are one, so it is a defect.
  init(json: JSONValue, log: HistogramLog) throws(ExperimentError) {
    func number(_ value: JSONValue?, _ path: [String]) throws(ExperimentError) -> Double {
      var place = value
      for name in path { place = place?[name] }
      guard let number = place?.doubleValue else { throw ExperimentError("the generator's report has no \(path.joined(separator: "."))") }
      return number
    }
    requestsPerSecond = try number(json, ["requestsPerSecond"])
    rowsPerSecond = try number(json, ["rowsPerSecond"])
    windowSeconds = try number(json, ["windowSeconds"])
    answersInWindow = Int(saturating: try number(json, ["answersInWindow"]))
    errors = Int(saturating: try number(json, ["errors"]))
    meanMilliseconds = json["latency"]?["meanMicroseconds"]?.doubleValue.map { $0 / 1e3 }
    meanHalfWidthMilliseconds = json["meanLatencyHalfWidthMicroseconds"]?.doubleValue.map { $0 / 1e3 }
    verdict = json["generator"]?["verdict"]?.stringValue ?? ""
    words = json["generator"]?["words"]?.stringValue ?? ""
    stability = json["stability"]?.stringValue ?? ""
    threads = Int(saturating: try number(json, ["generator", "threads"]))
    cpuSeconds = try number(json, ["generator", "cpuSeconds"])
    busiestThreadShare = try number(json, ["generator", "busiestThreadShare"])
    sendLagP99Milliseconds = json["generator"]?["sendLag"]?["p99Microseconds"]?.doubleValue.map { $0 / 1e3 }
    histogram = log.merged() ?? Histogram()
  }
}
