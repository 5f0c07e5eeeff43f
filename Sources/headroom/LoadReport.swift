import FileAccess
import JSONText
import LoadModel
import Reporting
import Workload

/// Another module has one too.
typealias Histogram = LoadModel.Histogram

/// A run's result for people, programs and spreadsheets.
struct LoadReport {
  var result: LoadResult
  var conditions: [FailCondition]
  var scenario: LoadPaceOptions.Scenario?
  var search: RateSearch?

  // MARK: Text

  var lines: [String] {
    var lines = searchLines
    lines.append("\(result.name): \(loadText)")
    lines.append(
      "window \(NumberText.significant(result.windowSeconds)) s after a warm-up of \(NumberText.significant(result.warmUpSeconds)) s, which is left out"
        + (result.wasInterrupted ? "; interrupted" : ""))
    lines.append("")
    lines += throughputLines
    lines.append("")
    lines += latencyTable
    lines.append(
      result.load.isClosed
        ? "latency counts from the end of think time. In a closed loop the difference to \"since send\" shows only the generator's own lag: "
          + "while the server stalls, its users ask nothing"
        : "latency counts from the instant a request was due; \"since send\" is what a generator shows that forgets how late it sent")
    lines.append("")
    if let phases = phaseLines { lines += phases + [""] }
    lines += healthLines
    if !conditions.isEmpty { lines.append("") }
    for condition in conditions {
      let isMet = condition.isMet(by: result)
      lines.append("\(isMet ? "FAILED" : "passed")  --fail-on '\(condition.text)'")
    }
    return lines
  }

  private var loadText: String {
    let share = result.share.count > 1 ? ", share \(result.share.text)" : ""
    return switch result.load {
    case .closed(let users, let spawnRate, let think):
      "closed loop, \(NumberText.grouped(users)) users, \(NumberText.significant(spawnRate)) started a second, think \(think.text) s\(share)"
    case .open(let profile, let isPoisson):
      "open loop, \(isPoisson ? "Poisson" : "evenly spaced") arrivals, \(profile.text) requests/s\(share)"
    case .replay(let times): "open loop, \(NumberText.grouped(times.count)) recorded arrivals\(share)"
    }
  }

  private var throughputLines: [String] {
    var line = "\(NumberText.significant(result.answersPerSecond, digits: 4)) requests/s"
    if let interval = result.throughputInterval {
      line += " (95 % interval +- \(NumberText.significant(interval.halfWidth)), \(interval.batches) batches)"
    }
    line += ", \(NumberText.significant(result.rowsPerSecond, digits: 4)) rows/s"
    var lines = [line + ", \(NumberText.scaled(Double(result.bytesReceived) / max(result.windowSeconds, 1e-9), unit: "B"))/s received"]
    lines.append(
      "\(NumberText.grouped(result.answers)) answers, \(NumberText.grouped(result.errorCount)) errors"
        + (result.errorCount > 0 ? " (\(NumberText.percent(result.errorShare))): " + errorText : ""))
    lines.append(result.stability.words)
    if let scenario { lines.append(scenarioText(scenario)) }
    return lines
  }

  var errorText: String {
    result.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key.rawValue) \(NumberText.grouped($0.value))" }
      .joined(separator: ", ")
  }

  /// MLPerf LoadGen's results (mlcommons/inference `loadgen/test_settings.h`): what each scenario is judged by.
  private func scenarioText(_ scenario: LoadPaceOptions.Scenario) -> String {
    func time(_ percentile: Double) -> String { Self.time(result.latency.value(atPercentile: percentile).map(Double.init)) }
    return switch scenario {
    case .singleStream: "MLPerf SingleStream: 90th percentile \(time(90))"
    case .multiStream: "MLPerf MultiStream: 99th percentile of a query \(time(99))"
    case .server:
      "MLPerf Server: 99th percentile \(time(99)), \((result.latencySeconds(percentile: 99) ?? 1) <= 0.1 ? "valid" : "not valid") at the default bound of 100 ms"
    case .offline: "MLPerf Offline: \(NumberText.significant(result.rowsPerSecond, digits: 4)) samples/s"
    }
  }

  private static func time(_ nanoseconds: Double?) -> String { nanoseconds.map { NumberText.time(nanoseconds: $0) } ?? "-" }

  private var latencyTable: [String] {
    var table = TextTable([.init("", .left), .init("latency"), .init("since send")])
    func row(_ name: String, _ value: (Histogram) -> Double?) {
      table.add([name, Self.time(value(result.latency)), Self.time(value(result.uncorrected))])
    }
    row("mean", \.mean)
    row("min") { $0.minimum.map(Double.init) }
    for percentile in LoadResult.percentiles {
      row("p\(Self.name(of: percentile))") { $0.value(atPercentile: percentile).map(Double.init) }
    }
    row("max") { $0.maximum.map(Double.init) }
    var lines = table.lines
    if let interval = result.latencyInterval {
      lines.append(
        "mean by batches \(NumberText.time(nanoseconds: interval.mean * 1e9)), 95 % interval +- "
          + "\(NumberText.time(nanoseconds: interval.halfWidth * 1e9))")
    }
    return lines
  }

  /// "50", "99.9".
  static func name(of percentile: Double) -> String {
    percentile == percentile.rounded() ? "\(Int(percentile))" : "\(percentile)"
  }

  private var phaseLines: [String]? {
    guard let server = result.server, let mean = result.uncorrected.mean else { return nil }
    var table = TextTable([.init("where a request's mean time goes", .left), .init("time"), .init("share")])
    func row(_ name: String, _ seconds: Double) { table.add([name, Self.time(seconds * 1e9), NumberText.percent(seconds * 1e9 / mean)]) }
    row("server: queue", server.queueSeconds)
    row("server: inputs", server.inputSeconds)
    row("server: model", server.inferSeconds)
    row("server: outputs", server.outputSeconds)
    let rest = server.totalSeconds - server.queueSeconds - server.inputSeconds - server.inferSeconds - server.outputSeconds
    row("server: rest of its own total", rest)
    row("remainder: network, HTTP, parsing, this program", result.remainderSeconds ?? 0)
    table.addRule()
    row("since send", mean / 1e9)
    var lines = table.lines
    if let batch = server.meanBatch {
      lines.append(
        "mean batch \(NumberText.significant(batch)) rows (\(NumberText.grouped(server.batches)) batches in the window, server's statistics)"
      )
    }
    return lines
  }

  private var healthLines: [String] {
    let health = result.health
    var lines = ["the generator itself"]
    let perRequest = result.completed > 0 ? health.cpuSeconds / Double(result.completed) * 1e6 : nil
    lines.append(
      "  CPU: busiest of \(health.threads) thread\(health.threads == 1 ? "" : "s") at \(NumberText.percent(health.busiestThreadShare)) of a core"
        + (perRequest.map { ", \(NumberText.significant($0)) us a request" } ?? "")
        + (result.meanUnreadSeconds.map { "; answers lay unread \(Self.time($0 * 1e9)) on average while it waited for one" } ?? ""))
    func lag(_ percentile: Double) -> String { Self.time(health.sendLag.value(atPercentile: percentile).map(Double.init)) }
    lines.append(
      "  send lag: p50 \(lag(50)), p99 \(lag(99)), max \(lag(100)); late by more than \(health.lateAfter.milliseconds) ms: "
        + "\(NumberText.grouped(health.lateCount)) (\(NumberText.percent(result.lateShare)))")
    lines.append(
      "  connections: \(NumberText.grouped(health.connectionsOpened)) opened, \(NumberText.grouped(health.connectionErrors)) failed or broken"
        + (health.unsentAtEnd > 0 ? "; \(NumberText.grouped(health.unsentAtEnd)) requests were due and never sent" : ""))
    if let balance = result.balance {
      lines.append(
        "  users (Little's law): \(NumberText.significant(balance.inFlight)) of \(NumberText.grouped(Int(balance.users))) in flight, "
          + "\(NumberText.significant(balance.thinking)) thinking, \(NumberText.significant(balance.outside)) neither: "
          + "\(NumberText.time(nanoseconds: balance.outsideSeconds * 1e9)) of a cycle outside the stopwatch")
    } else if let inFlight = result.inFlight {
      lines.append("  in flight (Little's law): \(NumberText.significant(inFlight))")
    }
    return lines + ["  " + result.verdict.words]
  }

  private var searchLines: [String] {
    guard let search else { return [] }
    var lines = search.trials.indices.map { search.line(of: $0) }
    if let best = search.best {
      lines.append("highest rate that keeps \(search.goal): \(NumberText.significant(best)) requests/s, to 5 %")
    } else {
      lines.append("no rate tried keeps \(search.goal)")
    }
    if search.endedClientBound { lines.append("a trial was client-bound: the server may take more") }
    return lines + [""]
  }
}

extension RateSearch {
  /// One trial in words.
  func line(of index: Int) -> String {
    let trial = trials[index]
    let value = trial.value.map { NumberText.significant($0) } ?? "unknown"
    return
      "\(NumberText.significant(trial.rate)) requests/s: \(goal) \(trial.holds ? "holds" : "does not hold") (\(value)), \(trial.verdict)"
  }
}

// MARK: JSON

extension LoadReport {
  var json: JSONValue {
    let health = result.health
    return [
      "schema": "headroom.load/1", "headroom": .string(Headroom.version), "mode": "measured", "name": .string(result.name),
      "load": loadJSON, "share": .string(result.share.text), "seed": JSONValue(result.seed),
      "warmUpSeconds": JSONValue(result.warmUpSeconds),
      "windowSeconds": JSONValue(result.windowSeconds), "interrupted": .bool(result.wasInterrupted),
      "requestsPerSecond": JSONValue(result.answersPerSecond),
      "requestsPerSecondHalfWidth": JSONValue(result.throughputInterval?.halfWidth), "rowsPerSecond": JSONValue(result.rowsPerSecond),
      "bytesReceivedPerSecond": JSONValue(result.windowSeconds > 0 ? Double(result.bytesReceived) / result.windowSeconds : nil),
      "answers": JSONValue(result.answers), "answersInWindow": JSONValue(result.completed), "errors": JSONValue(result.errorCount),
      "errorsByKind": .object(
        result.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, JSONValue($0.value)) }),
      "stability": .string(result.stability.words), "latency": Self.latency(result.latency),
      "meanLatencyHalfWidthMicroseconds": JSONValue(result.latencyInterval.map { $0.halfWidth * 1e6 }),
      "latencySinceSend": Self.latency(result.uncorrected),
      "server": serverJSON,
      "generator": [
        "verdict": .string(result.verdict.code), "words": .string(result.verdict.words), "threads": JSONValue(health.threads),
        "cpuSeconds": JSONValue(health.cpuSeconds), "busiestThreadShare": JSONValue(health.busiestThreadShare),
        "unreadMicroseconds": JSONValue(result.meanUnreadSeconds.map { $0 * 1e6 }),
        "sendLag": Self.latency(health.sendLag), "lateAfterMicroseconds": JSONValue(health.lateAfter.microseconds),
        "lateCount": JSONValue(health.lateCount), "lateShare": JSONValue(result.lateShare),
        "connectionsOpened": JSONValue(health.connectionsOpened), "connectionErrors": JSONValue(health.connectionErrors),
        "reachedConnectionLimit": .bool(health.reachedConnectionLimit), "unsentAtEnd": JSONValue(health.unsentAtEnd),
        "inFlight": JSONValue(result.inFlight), "usersThinking": JSONValue(result.balance?.thinking),
        "usersOutside": JSONValue(result.balance?.outside),
        "outsideMicroseconds": JSONValue(result.balance.map { $0.outsideSeconds * 1e6 }),
      ],
      "failOn": .array(conditions.map { ["condition": .string($0.text), "met": .bool($0.isMet(by: result))] }),
      "search": searchJSON,
      "intervals": .array(
        result.intervals.map {
          [
            "startSeconds": JSONValue($0.startSeconds), "lengthSeconds": JSONValue($0.lengthSeconds), "answers": JSONValue($0.answers),
            "errors": JSONValue($0.errors),
            "meanLatencyMicroseconds": JSONValue($0.answers > 0 ? $0.latencySeconds / Double($0.answers) * 1e6 : nil),
            "connections": JSONValue($0.users),
          ]
        }),
    ]
  }

  private var loadJSON: JSONValue {
    switch result.load {
    case .closed(let users, let spawnRate, let think):
      ["kind": "closed", "users": JSONValue(users), "spawnRatePerSecond": JSONValue(spawnRate), "think": .string(think.text)]
    case .open(let profile, let isPoisson): ["kind": "open", "rate": .string(profile.text), "poisson": .bool(isPoisson)]
    case .replay(let times): ["kind": "replay", "arrivals": JSONValue(times.count)]
    }
  }

  private var serverJSON: JSONValue {
    guard let server = result.server else { return .null }
    return [
      "requests": JSONValue(server.requests), "rows": JSONValue(server.rows), "batches": JSONValue(server.batches),
      "meanBatchRows": JSONValue(server.meanBatch), "totalMicroseconds": JSONValue(server.totalSeconds * 1e6),
      "queueMicroseconds": JSONValue(server.queueSeconds * 1e6), "computeInputMicroseconds": JSONValue(server.inputSeconds * 1e6),
      "computeInferMicroseconds": JSONValue(server.inferSeconds * 1e6), "computeOutputMicroseconds": JSONValue(server.outputSeconds * 1e6),
      "remainderMicroseconds": JSONValue(result.remainderSeconds.map { $0 * 1e6 }),
    ]
  }

  private var searchJSON: JSONValue {
    guard let search else { return .null }
    return [
      "goal": .string(search.goal), "bestRequestsPerSecond": JSONValue(search.best), "clientBound": .bool(search.endedClientBound),
      "trials": .array(
        search.trials.map {
          ["rate": JSONValue($0.rate), "holds": .bool($0.holds), "value": JSONValue($0.value), "verdict": .string($0.verdict)]
        }),
    ]
  }

  /// Microseconds; percentiles by name.
  static func latency(_ histogram: Histogram) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("count", JSONValue(histogram.count)), .init("meanMicroseconds", JSONValue(histogram.mean.map { $0 / 1e3 })),
      .init("deviationMicroseconds", JSONValue(histogram.standardDeviation.map { $0 / 1e3 })),
      .init("minMicroseconds", JSONValue(histogram.minimum.map { Double($0) / 1e3 })),
    ]
    for percentile in LoadResult.percentiles {
      let key = "p" + name(of: percentile).replacing(".", with: "_") + "Microseconds"
      members.append(.init(key, JSONValue(histogram.value(atPercentile: percentile).map { Double($0) / 1e3 })))
    }
    members.append(.init("maxMicroseconds", JSONValue(histogram.maximum.map { Double($0) / 1e3 })))
    return .object(members)
  }
}

// MARK: CSV

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

/// What `load merge` prints of one kind of values.
struct LoadMergePage {
  var tag: String?
  var histogram: Histogram
  var files: Int

  var lines: [String] {
    func time(_ value: Double?) -> String { value.map { NumberText.time(nanoseconds: $0) } ?? "-" }
    var table = TextTable([.init(tag ?? "latency", .left), .init("value")])
    table.add(["mean", time(histogram.mean)])
    table.add(["min", time(histogram.minimum.map(Double.init))])
    for percentile in LoadResult.percentiles {
      table.add(["p" + LoadReport.name(of: percentile), time(histogram.value(atPercentile: percentile).map(Double.init))])
    }
    table.add(["max", time(histogram.maximum.map(Double.init))])
    return ["\(NumberText.grouped(histogram.count)) values of \(files) file\(files == 1 ? "" : "s"), taken as nanoseconds"] + table.lines
      + [""]
  }

  static func json(_ pages: [LoadMergePage]) -> JSONValue {
    [
      "schema": "headroom.load-merge/1", "headroom": .string(Headroom.version), "mode": "measured",
      "histograms": .array(pages.map { ["tag": JSONValue($0.tag), "values": LoadReport.latency($0.histogram)] }),
    ]
  }
}
