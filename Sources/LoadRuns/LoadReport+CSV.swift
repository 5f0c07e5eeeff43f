import CheckedNumbers
import FileAccess
import LoadModel
import Reporting

/// Locust's files (locustio/locust `locust/stats.py`): the same columns, so that what reads those reads these. Times are milliseconds, not rounded
/// to two digits, and those of answers without a fault.
extension LoadReport {
  private static let percentileNames = IntervalSummary.keptPercentiles.map { name(of: $0) + "%" }

  /// Nanoseconds as milliseconds.
  private static func milliseconds(_ nanoseconds: Double?) -> String { nanoseconds.map { "\(($0 / 1e3).rounded() / 1e3)" } ?? "N/A" }

  private static func milliseconds(_ nanoseconds: Int64?) -> String { milliseconds(nanoseconds.map(Double.init)) }

  package func writeCSV(prefix: String, startEpochSeconds: Double) throws(FileError) {
    try Files.write(prefix + "_stats.csv", statistics)
    try Files.write(prefix + "_stats_history.csv", history(startEpochSeconds))
    try Files.write(prefix + "_failures.csv", failures)
  }

  private var meanAnswerBytes: Double { result.completed > 0 ? Double(result.bytesReceived) / Double(result.completed) : 0 }

  private var statistics: String {
    let header = [
      "Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time", "Min Response Time",
      "Max Response Time", "Average Content Size", "Requests/s", "Failures/s",
    ]
    var rows = result.groups.map { row("HTTP", $0.name, $0.latency, $0.errors) }
    if rows.isEmpty { rows.append(row("HTTP", result.name, result.latency, result.errorCount)) }
    rows.append(row("", "Aggregated", result.latency, result.errorCount))
    return CSVText.table(header: header + Self.percentileNames, rows: rows)
  }

  private func row(_ type: String, _ name: String, _ latency: Histogram, _ errors: Int64) -> [String] {
    let seconds = max(result.windowSeconds, 1e-9)
    return [
      type, name, "\(latency.count + errors)", "\(errors)", Self.milliseconds(latency.value(atPercentile: 50)),
      Self.milliseconds(latency.mean),
      Self.milliseconds(latency.minimum), Self.milliseconds(latency.maximum), "\(meanAnswerBytes)",
      "\(Double(latency.count + errors) / seconds)", "\(Double(errors) / seconds)",
    ] + IntervalSummary.keptPercentiles.map { Self.milliseconds(latency.value(atPercentile: $0)) }
  }

  private func history(_ startEpochSeconds: Double) -> String {
    let header =
      ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"] + Self.percentileNames + [
        "Total Request Count", "Total Failure Count", "Total Median Response Time", "Total Average Response Time",
        "Total Min Response Time", "Total Max Response Time", "Total Average Content Size",
      ]
    var (answers, errors, latencySeconds): (Int64, Int64, Double) = (0, 0, 0)
    var maximum: Int64?
    let rows = result.intervals.map { interval in
      let length = max(interval.lengthSeconds, 1e-9)
      answers += interval.answers
      errors += interval.errors
      latencySeconds += interval.latencySeconds
      maximum = [maximum, interval.percentiles.last].compactMap { $0 }.max()
      let percentiles = interval.percentiles.isEmpty ? Self.percentileNames.map { _ in "N/A" } : interval.percentiles.map(Self.milliseconds)
      return [
        "\(Int64(saturating: startEpochSeconds + interval.startSeconds))", "\(interval.users)", "", "Aggregated",
        "\(Double(interval.answers + interval.errors) / length)", "\(Double(interval.errors) / length)",
      ] + percentiles + [
        "\(answers + errors)", "\(errors)", "N/A", Self.milliseconds(answers > 0 ? latencySeconds / Double(answers) * 1e9 : nil), "N/A",
        Self.milliseconds(maximum), "\(meanAnswerBytes)",
      ]
    }
    return CSVText.table(header: header, rows: rows)
  }

  private var failures: String {
    let rows = result.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { kind, count in
      ["HTTP", result.name, kind.rawValue + (result.errorSamples[kind].map { ": \($0)" } ?? ""), "\(count)", "", ""]
    }
    return CSVText.table(header: ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"], rows: rows)
  }
}
