import CheckedNumbers

/// What load generators print instead of writing a file: wrk and wrk2, hey, ApacheBench (`ab`). Standard output, redirected.
enum PrintedReport {
  /// The run; nil where the text is none of theirs.
  static func read(_ text: String, path: String) throws(LoadResultError) -> ObservedLoad? {
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    if lines.contains(where: { $0.hasPrefix("This is ApacheBench") }) { return try ab(lines, path) }
    if lines.contains(where: { $0.hasPrefix("Running ") && $0.contains(" test @ ") }) { return try wrk(lines, path) }
    if lines.contains("Summary:"), lines.contains(where: { trimmed($0).hasPrefix("Requests/sec:") }) { return try hey(lines, path) }
    return nil
  }

  /// wg/wrk `src/wrk.c`: "Requests/sec: 748868.53"; wrk2 adds "Recorded Latency" and keeps a rate.
  private static func wrk(_ lines: [String], _ path: String) throws(LoadResultError) -> ObservedLoad {
    var load = ObservedLoad(.wrk)
    load.requestsPerSecond = try rate(value("Requests/sec:", lines), path)
    load.concurrency = lines.first { $0.contains(" connections") }.flatMap { number($0, before: "connections") }
    let isRateKept = lines.contains { $0.contains("Recorded Latency") || $0.contains("calibration") }
    load.loop = isRateKept ? .open : .closed
    if let line = lines.first(where: { $0.contains(" requests in ") }) {
      load.requests = words(line).first.flatMap { Double($0) }.map { Int64(saturating: $0) }
      load.seconds = line.ranges(of: " in ").first.flatMap { seconds(words(String(line[$0.upperBound...])).first ?? "") }
    }
    if let line = lines.first(where: { $0.contains("Non-2xx") }) {
      load.failures = words(line).last.flatMap { Double($0) }.map { Int64(saturating: $0) }
    }
    if let line = lines.first(where: { trimmed($0).hasPrefix("Latency ") && !$0.contains("Distribution") }) {
      load.meanSeconds = words(line).dropFirst().first.flatMap { seconds($0) }
      if words(line).count > 3, let most = seconds(words(line)[3]) { load.percentiles.append(.init(100, seconds: most)) }
    }
    for line in lines {
      let parts = words(line)
      if parts.count == 2, parts[0].hasSuffix("%"), let percent = Double(parts[0].dropLast()), let value = seconds(parts[1]) {
        load.percentiles.append(.init(percent, seconds: value))
      }
    }
    load.percentiles = distinct(load.percentiles)
    load.remarks = isRateKept ? [] : ["latencies count from the moment of sending: a late send is not in them"]
    return load
  }

  /// rakyll/hey `requester/print.go`: "Requests/sec: 787.0190", "50% in 0.0293 secs".
  private static func hey(_ lines: [String], _ path: String) throws(LoadResultError) -> ObservedLoad {
    var load = ObservedLoad(.hey)
    load.loop = .closed
    load.requestsPerSecond = try rate(value("Requests/sec:", lines), path)
    load.seconds = value("Total:", lines).flatMap { Double($0) }
    load.meanSeconds = value("Average:", lines).flatMap { Double($0) }
    for line in lines {
      let parts = words(line)
      if parts.count == 4, parts[1] == "in", parts[3] == "secs", parts[0].hasSuffix("%"),
        let percent = Double(parts[0].replacing("%", with: "")), let value = Double(parts[2])
      {
        load.percentiles.append(.init(percent, seconds: value))
      }
    }
    if let most = value("Slowest:", lines).flatMap({ Double($0) }) { load.percentiles.append(.init(100, seconds: most)) }
    load.percentiles = distinct(load.percentiles)
    var (all, failed) = (Int64(0), Int64(0))
    for line in lines {
      let parts = words(line)
      guard parts.count == 3, parts[2] == "responses", parts[0].hasPrefix("["), let count = Int64(parts[1]) else { continue }
      all = all.addingSaturated(count)
      if !parts[0].hasPrefix("[2") { failed = failed.addingSaturated(count) }
    }
    if all > 0 { (load.requests, load.failures) = (all, failed) }
    if all > 0, failed > 0, let rate = load.requestsPerSecond {
      load.requestsPerSecond = rate * Double(all - failed) / Double(all)
    }
    load.remarks = ["latencies count from the moment of sending: a late send is not in them"]
    return load
  }

  /// httpd `support/ab.c`: milliseconds, whole in the percentiles.
  private static func ab(_ lines: [String], _ path: String) throws(LoadResultError) -> ObservedLoad {
    var load = ObservedLoad(.ab)
    load.loop = .closed
    load.requestsPerSecond = try rate(value("Requests per second:", lines), path)
    load.concurrency = value("Concurrency Level:", lines).flatMap { Double($0) }
    load.seconds = value("Time taken for tests:", lines).flatMap { Double($0) }
    load.requests = value("Complete requests:", lines).flatMap { Double($0) }.map { Int64(saturating: $0) }
    load.failures = value("Failed requests:", lines).flatMap { Double($0) }.map { Int64(saturating: $0) }
    load.meanSeconds = value("Time per request:", lines).flatMap { Double($0) }.map { $0 / 1e3 }
    for line in lines {
      let parts = words(line)
      if parts.count >= 2, parts[0].hasSuffix("%"), let percent = Double(parts[0].dropLast()), let value = Double(parts[1]) {
        load.percentiles.append(.init(percent, seconds: value / 1e3))
      }
    }
    load.percentiles = distinct(load.percentiles)
    load.remarks = [
      "ApacheBench rounds percentiles to milliseconds", "latencies count from the moment of sending: a late send is not in them",
    ]
    return load
  }

  private static func rate(_ text: String?, _ path: String) throws(LoadResultError) -> Double {
    guard let text, let rate = Double(text), rate.isFinite, rate >= 0 else {
      throw LoadResultError(path: path, place: "Requests/sec", reason: "missing or no number: the run did not end")
    }
    return rate
  }

  /// By rising percentage, each once.
  private static func distinct(_ points: [ObservedLoad.Percentile]) -> [ObservedLoad.Percentile] {
    var seen: Set<Double> = []
    return points.filter { (0...100).contains($0.percent) && $0.seconds.isFinite && seen.insert($0.percent).inserted }
      .sorted { $0.percent < $1.percent }
  }

  private static func trimmed(_ line: String) -> Substring { line.drop { $0 == " " || $0 == "\t" } }
  private static func words(_ line: String) -> [String] { line.split { $0 == " " || $0 == "\t" }.map(String.init) }

  /// The word behind a label that begins a line.
  private static func value(_ label: String, _ lines: [String]) -> String? {
    lines.first { trimmed($0).hasPrefix(label) }.flatMap { words(String(trimmed($0).dropFirst(label.count))).first }
  }

  private static func number(_ line: String, before word: String) -> Double? {
    let parts = words(line)
    return parts.firstIndex(of: word).flatMap { $0 > 0 ? Double(parts[$0 - 1]) : nil }
  }

  /// "635.91us", "1.02ms", "30.00s", "2.00m".
  private static func seconds(_ text: String) -> Double? {
    let trimmed = text.hasSuffix(",") ? text.dropLast() : Substring(text)
    for (unit, factor) in [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)] where trimmed.hasSuffix(unit) {
      if let value = Double(trimmed.dropLast(unit.count)) { return value * factor }
    }
    return nil
  }
}
