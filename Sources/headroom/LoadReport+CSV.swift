import FileAccess
import LoadModel
import Reporting

extension LoadReport {
  /// Locust's percentiles (locustio/locust `locust/stats.py`, PERCENTILES_TO_REPORT).
  private static let locustPercentiles: [(name: String, value: Double)] = [
    ("50%", 50), ("66%", 66), ("75%", 75), ("80%", 80), ("90%", 90), ("95%", 95), ("98%", 98), ("99%", 99), ("99.9%", 99.9),
    ("99.99%", 99.99),
    ("100%", 100),
  ]

  /// Milliseconds as Locust has them, but not rounded to two digits.
  private static func milliseconds(_ nanoseconds: Double?) -> String { nanoseconds.map { "\(($0 / 1e3).rounded() / 1e3)" } ?? "N/A" }

  func writeCSV(prefix: String, startEpochSeconds: Double) throws(FileError) {
    let type = "HTTP"
    let failures = result.errorCount
    let failuresPerSecond = result.windowSeconds > 0 ? Double(failures) / result.windowSeconds : 0
    let size = result.completed > 0 ? Double(result.bytesReceived) / Double(result.completed) : 0
    let latency = result.latency
    var row = [
      type, result.name, "\(latency.count + failures)", "\(failures)", Self.milliseconds(latency.value(atPercentile: 50).map(Double.init)),
    ]
    row += [
      Self.milliseconds(latency.mean), Self.milliseconds(latency.minimum.map(Double.init)),
      Self.milliseconds(latency.maximum.map(Double.init)),
    ]
    row += ["\(size)", "\(result.answersPerSecond)", "\(failuresPerSecond)"]
    row += Self.locustPercentiles.map { Self.milliseconds(latency.value(atPercentile: $0.value).map(Double.init)) }
    var total = row
    (total[0], total[1]) = ("", "Aggregated")
    let header = [
      "Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time", "Min Response Time",
      "Max Response Time", "Average Content Size", "Requests/s", "Failures/s",
    ]
    let names = Self.locustPercentiles.map(\.name)
    try Files.write(prefix + "_stats.csv", CSVText.table(header: header + names, rows: [row, total]))

    let history = result.intervals.map { interval in
      let length = max(interval.lengthSeconds, 1e-9)
      let mean = interval.answers > 0 ? Self.milliseconds(interval.latencySeconds / Double(interval.answers) * 1e9) : "N/A"
      return [
        "\(Int64(startEpochSeconds + interval.startSeconds))", "\(interval.users)", "", "Aggregated",
        "\(Double(interval.answers) / length)",
        "\(Double(interval.errors) / length)",
      ] + names.map { _ in "N/A" } + ["\(interval.answers + interval.errors)", "\(interval.errors)", "N/A", mean, "N/A", "N/A", "\(size)"]
    }
    let historyHeader =
      ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"] + names + [
        "Total Request Count", "Total Failure Count", "Total Median Response Time", "Total Average Response Time",
        "Total Min Response Time",
        "Total Max Response Time", "Total Average Content Size",
      ]
    try Files.write(prefix + "_stats_history.csv", CSVText.table(header: historyHeader, rows: history))

    let errors = result.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map {
      [type, result.name, $0.key.rawValue, "\($0.value)", "", ""]
    }
    try Files.write(
      prefix + "_failures.csv", CSVText.table(header: ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"], rows: errors))
  }
}
