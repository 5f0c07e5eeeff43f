import CheckedNumbers

/// Locust's `--csv` files: `NAME_stats.csv` and `NAME_stats_history.csv` (locustio/locust `locust/stats.py`).
enum LocustResult {
  static func recognizes(_ table: CSVTable) -> Bool {
    table.column("Name") != nil && table.column("Requests/s") != nil && (table.column("Request Count") != nil || isHistory(table))
  }

  private static func isHistory(_ table: CSVTable) -> Bool { table.column("User Count") != nil && table.column("Timestamp") != nil }

  static func read(_ table: CSVTable, path: String) throws(LoadResultError) -> [ObservedLoad] {
    if table.rows.isEmpty { throw LoadResultError(path: path, reason: "no rows: the run ended before its first statistics") }
    return isHistory(table) ? [try history(table, path: path)] : try stats(table, path: path)
  }

  /// Percentile columns are named "50%", ..., "100%".
  private static func percentiles(_ table: CSVTable, _ row: Int) -> [ObservedLoad.Percentile] {
    table.header.compactMap { name -> ObservedLoad.Percentile? in
      guard name.hasSuffix("%"), let percent = Double(name.dropLast()), let milliseconds = table.number(row, name) else { return nil }
      return ObservedLoad.Percentile(percent, seconds: milliseconds / 1e3)
    }
  }

  /// Percentiles are of response times rounded to two digits, as Locust keeps them.
  private static let rounding = "Locust rounds response times to two significant digits before it takes percentiles"

  private static func stats(_ table: CSVTable, path: String) throws(LoadResultError) -> [ObservedLoad] {
    var loads: [ObservedLoad] = []
    for row in table.rows.indices {
      let isTotal = table.text(row, "Name") == "Aggregated"
      var load = ObservedLoad(
        .locust, name: isTotal ? "" : [table.text(row, "Type"), table.text(row, "Name")].compactMap { $0 }.joined(separator: " "))
      guard let count = table.number(row, "Request Count"), count >= 0, let rate = table.number(row, "Requests/s") else {
        throw LoadResultError(path: path, place: "line \(table.rows[row].line)", reason: "Request Count and Requests/s are not numbers")
      }
      let failures = table.number(row, "Failure Count") ?? 0
      let failureRate = table.number(row, "Failures/s") ?? 0
      load.requests = Int64(saturating: count)
      load.failures = Int64(saturating: failures)
      // Locust's rate counts failed requests too.
      load.requestsPerSecond = rate - failureRate
      load.seconds = rate > 0 ? count / rate : nil
      load.loop = .closed
      load.meanSeconds = table.number(row, "Average Response Time").map { $0 / 1e3 }
      load.percentiles = percentiles(table, row)
      load.remarks = [rounding]
      if isTotal { loads.insert(load, at: 0) } else { loads.append(load) }
    }
    return loads
  }

  /// The second half of the history of the total: users are there, and the start is behind.
  private static func history(_ table: CSVTable, path: String) throws(LoadResultError) -> ObservedLoad {
    let rows = table.rows.indices.filter { table.text($0, "Name") == "Aggregated" && table.number($0, "Timestamp") != nil }
    guard let first = rows.first, let last = rows.last, let begin = table.number(first, "Timestamp"),
      let end = table.number(last, "Timestamp")
    else { throw LoadResultError(path: path, reason: "no row called Aggregated with a Timestamp") }
    let middle = begin + (end - begin) / 2
    let half = rows.first { (table.number($0, "Timestamp") ?? 0) >= middle } ?? first
    var load = ObservedLoad(.locust)
    load.loop = .closed
    load.concurrency = table.number(last, "User Count")
    let seconds = end - (table.number(half, "Timestamp") ?? begin)
    if seconds > 0, let after = table.number(last, "Total Request Count"), let before = table.number(half, "Total Request Count") {
      let failures = (table.number(last, "Total Failure Count") ?? 0) - (table.number(half, "Total Failure Count") ?? 0)
      load.seconds = seconds
      load.requests = Int64(saturating: after - before)
      load.failures = Int64(saturating: failures)
      load.requestsPerSecond = (after - before - failures) / seconds
    } else {
      load.requestsPerSecond = table.number(last, "Requests/s")
    }
    load.meanSeconds = table.number(last, "Total Average Response Time").map { $0 / 1e3 }
    load.percentiles = percentiles(table, last)
    load.remarks = ["the rate is of the second half of the history, mean and percentiles as the last row has them", rounding]
    return load
  }
}
