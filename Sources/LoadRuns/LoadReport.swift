import CheckedNumbers
import LoadModel
import Reporting
import Workload

/// Another module has one too.
package typealias Histogram = LoadModel.Histogram

/// A run's result for people, programs and spreadsheets.
package struct LoadReport {
  package var result: LoadResult
  package var conditions: [FailCondition]
  package var scenario: MLPerfScenario?
  package var search: RateSearch?
  /// The parts of a run that several shared.
  package var parts: [RunPart] = []

  /// Of a run; `search` is how its rate was found, `parts` are those of a run that several shared.
  package init(
    result: LoadResult, conditions: [FailCondition], scenario: MLPerfScenario? = nil, search: RateSearch? = nil, parts: [RunPart] = []
  ) {
    self.result = result
    self.conditions = conditions
    self.scenario = scenario
    self.search = search
    self.parts = parts
  }

  // MARK: Text

  /// For a terminal of that width: tables as they are, sentences wrapped.
  package func lines(width: Int) -> [String] {
    func wrapped(_ text: String, indent: String = "") -> [String] {
      Report.wrap(text, width: width, indent: indent + "  ", first: indent)
    }
    var lines = searchTexts.flatMap { wrapped($0) }
    if !lines.isEmpty { lines.append("") }
    lines += wrapped("\(result.name): \(loadText)")
    lines += wrapped(windowText) + [""]
    for text in throughputTexts { lines += wrapped(text) }
    lines.append("")
    if result.answers > 0 { lines += latencyTable + wrapped(latencyText) + [""] }
    if let groups = groupTable { lines += groups + [""] }
    if let parts = partTable { lines += parts + [""] }
    if let (table, texts) = phaseTable { lines += table + texts.flatMap { wrapped($0) } + [""] }
    lines.append("the generator itself")
    for text in healthTexts { lines += wrapped(text, indent: "  ") }
    if !conditions.isEmpty { lines.append("") }
    for condition in conditions {
      let isMet = condition.isMet(by: result)
      let value = condition.value(in: result).map { condition.text(of: $0) } ?? "unknown"
      lines.append("\(isMet ? "FAILED" : "passed")  --fail-on '\(condition.text)': \(value)")
    }
    return lines
  }

  /// What was offered.
  package var loadText: String {
    let share = result.share.count > 1 ? ", share \(result.share.text)" : ""
    switch result.load {
    case .closed(let users, let spawnRate, let think):
      let spawn = spawnRate >= Double(users) ? "" : ", \(NumberText.significant(spawnRate)) started per second"
      let thinking = think.mean.nanoseconds == 0 ? "no think time" : "think time \(think.text) s"
      return "closed loop, \(NumberText.grouped(users)) user\(users == 1 ? "" : "s")\(spawn), \(thinking)\(share)"
    case .open(let profile, let isPoisson):
      return "open loop, \(isPoisson ? "Poisson" : "evenly spaced") arrivals, \(Self.text(of: profile))\(share)"
    case .replay(let times): return "open loop, \(NumberText.grouped(times.count)) recorded arrivals\(share)"
    }
  }

  private static func text(of profile: RateProfile) -> String {
    profile.segments.map { segment in
      let from = NumberText.significant(segment.from)
      let rate = segment.from == segment.to ? from : "from \(from) to \(NumberText.significant(segment.to))"
      return rate + " requests/s" + (segment.seconds.isInfinite ? "" : " for \(NumberText.significant(segment.seconds)) s")
    }.joined(separator: ", then ")
  }

  package var windowText: String {
    let warmUp =
      result.warmUpSeconds > 0
      ? "after a warm-up of \(NumberText.significant(result.warmUpSeconds)) s, which is left out" : "without warm-up"
    return "window \(NumberText.significant(result.windowSeconds)) s \(warmUp)" + (result.wasInterrupted ? "; interrupted" : "")
      + (parts.isEmpty ? "" : "; \(parts.count) parts, seed \(result.seed)")
  }

  package var throughputTexts: [String] {
    var line = "\(NumberText.significant(result.answersPerSecond, digits: 4)) requests/s"
    if let interval = result.throughputInterval {
      let (low, high) = (max(0, interval.mean - interval.halfWidth), interval.mean + interval.halfWidth)
      line += " (95 % confidence interval \(NumberText.significant(low, digits: 4)) to \(NumberText.significant(high, digits: 4)))"
    }
    line += ", \(NumberText.significant(result.rowsPerSecond, digits: 4)) rows/s"
    line += ", \(NumberText.scaled(Double(result.bytesReceived) / max(result.windowSeconds, 1e-9), unit: "B"))/s received"
    var lines = [
      line,
      "\(NumberText.grouped(result.answers)) responses, \(NumberText.grouped(result.errorCount)) errors"
        + (result.errorCount > 0 ? " (\(NumberText.percent(result.errorShare))): " + errorText : ""),
    ]
    lines.append(result.stability.words)
    if let scenario { lines.append(scenarioText(scenario)) }
    return lines
  }

  package var errorText: String {
    result.errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { kind, count in
      "\(kind.rawValue) \(NumberText.grouped(count))" + (result.errorSamples[kind].map { " (first: \($0))" } ?? "")
    }.joined(separator: ", ")
  }

  /// MLPerf LoadGen's results (mlcommons/inference `loadgen/test_settings.h`): what each scenario is judged by.
  private func scenarioText(_ scenario: MLPerfScenario) -> String {
    func time(_ percentile: Double) -> String { Self.time(result.latency.value(atPercentile: percentile).map(Double.init)) }
    return switch scenario {
    case .singleStream: "MLPerf SingleStream: 90th percentile \(time(90))"
    case .multiStream: "MLPerf MultiStream: 99th percentile of a query \(time(99))"
    case .server:
      "MLPerf Server: 99th percentile \(time(99)), \((result.latencySeconds(percentile: 99) ?? 1) <= 0.1 ? "valid" : "not valid") at the default bound of 100 ms"
    case .offline: "MLPerf Offline: \(NumberText.significant(result.rowsPerSecond, digits: 4)) samples/s"
    }
  }

  package static func time(_ nanoseconds: Double?) -> String { nanoseconds.map { NumberText.time(nanoseconds: $0) } ?? "-" }

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
      let (low, high) = (max(0, interval.mean - interval.halfWidth) * 1e9, (interval.mean + interval.halfWidth) * 1e9)
      lines.append("mean, 95 % confidence interval: \(NumberText.time(nanoseconds: low)) to \(NumberText.time(nanoseconds: high))")
    }
    return lines
  }

  /// How the two columns of latency are to be read.
  package var latencyText: String {
    result.load.isClosed
      ? "latency counts from the end of think time. In a closed loop the difference to \"since send\" shows only the generator's own lag: "
        + "while the server stalls, its users ask nothing"
      : "latency counts from the instant a request was due; \"since send\" is what a generator shows that is not corrected for coordinated omission"
  }

  /// "50", "99.9".
  package static func name(of percentile: Double) -> String {
    percentile == percentile.rounded() ? "\(Int(saturating: percentile))" : "\(percentile)"
  }

  /// A line for each kind of request where there are several.
  private var groupTable: [String]? {
    guard !result.groups.isEmpty else { return nil }
    var table = TextTable([.init("request", .left)] + ["responses", "errors", "mean", "p50", "p99", "max"].map { .init($0) })
    for group in result.groups {
      func time(_ percentile: Double) -> String { Self.time(group.latency.value(atPercentile: percentile).map(Double.init)) }
      table.add([
        group.name, NumberText.grouped(group.latency.count), NumberText.grouped(group.errors), Self.time(group.latency.mean), time(50),
        time(99),
        time(100),
      ])
    }
    return table.lines
  }

  /// A line for each part of a shared run.
  private var partTable: [String]? {
    guard !parts.isEmpty else { return nil }
    var table = TextTable([.init("part", .left)] + ["responses", "errors", "late sends", "CPU", "verdict"].map { .init($0) })
    for part in parts.sorted(by: { $0.share.index < $1.share.index }) {
      table.add([
        part.share.text, NumberText.grouped(part.result.completed), NumberText.grouped(part.result.errorCount),
        NumberText.grouped(part.result.health.lateCount), NumberText.percent(part.result.health.busiestThreadShare), part.verdict.rawValue,
      ])
    }
    return table.lines
  }

  /// The parts of a request's mean time in the window, longest road first; nil without the server's statistics.
  package var phases: [(name: String, seconds: Double)]? {
    guard let server = result.server, let remainder = result.remainderSeconds else { return nil }
    var phases = [
      ("server: queue", server.queueSeconds), ("server: inputs", server.inputSeconds), ("server: model", server.inferSeconds),
      ("server: outputs", server.outputSeconds),
    ]
    if let rest = server.restSeconds { phases.append(("server: rest of its own total", rest)) }
    return phases + [("remainder: network, HTTP, parsing, this program", remainder)]
  }

  private var phaseTable: (table: [String], texts: [String])? {
    guard let phases, let server = result.server, let mean = result.meanCompletedSinceSendSeconds else { return nil }
    var table = TextTable([.init("where a request's mean time goes", .left), .init("time"), .init("share")])
    for phase in phases { table.add([phase.name, Self.time(phase.seconds * 1e9), NumberText.percent(phase.seconds / mean)]) }
    table.addRule()
    table.add(["since send, responses that came in the window", Self.time(mean * 1e9), NumberText.percent(1)])
    var texts: [String] = []
    if let remainder = result.remainderSeconds, remainder < 0 {
      texts.append(
        "the remainder is negative because the server's counters were read a moment after the window's ends; a longer window shrinks it")
    }
    if let batch = server.meanBatch {
      texts.append(
        "mean batch \(NumberText.significant(batch)) rows (\(NumberText.grouped(server.batches)) batches in the window, server's statistics)"
      )
    }
    return (table.lines, texts)
  }

  package var healthTexts: [String] {
    let health = result.health
    let perRequest = result.completed > 0 ? health.cpuSeconds / Double(result.completed) * 1e6 : nil
    func percentiles(_ histogram: Histogram) -> String {
      func time(_ percentile: Double) -> String { Self.time(histogram.value(atPercentile: percentile).map(Double.init)) }
      return "p50 \(time(50)), p99 \(time(99)), max \(time(100))"
    }
    var lines = [
      "CPU: busiest of \(health.threads) thread\(health.threads == 1 ? "" : "s") at \(NumberText.percent(health.busiestThreadShare)) of a core"
        + (perRequest.map { ", \(NumberText.significant($0)) us per request" } ?? ""),
      "scheduling lag of its threads: \(percentiles(health.schedulingLag))",
      "send lag: \(percentiles(health.sendLag)); late by more than \(NumberText.time(nanoseconds: Double(health.lateAfter.nanoseconds))): "
        + "\(NumberText.grouped(health.lateCount)) (\(NumberText.percent(result.lateShare)))",
      "connections: \(NumberText.grouped(health.connectionsOpened)) opened, \(NumberText.grouped(health.connectionErrors)) failed or broken"
        + (health.unsentAtEnd > 0 ? "; \(NumberText.grouped(health.unsentAtEnd)) requests were due and never sent" : ""),
    ]
    if let balance = result.balance {
      lines.append(
        "users (Little's law): \(NumberText.significant(balance.inFlight)) of \(NumberText.grouped(Int(saturating: balance.users))) in flight, "
          + "\(NumberText.significant(balance.thinking)) thinking, \(NumberText.significant(balance.outside)) neither: "
          + "\(NumberText.time(nanoseconds: balance.outsideSeconds * 1e9)) of a cycle outside the measured latency")
    } else if let inFlight = result.inFlight {
      lines.append("in flight (Little's law): \(NumberText.significant(inFlight))")
    }
    return lines + [result.verdict.words]
  }

  /// Every trial of a search and what came of them; empty without one.
  package var searchTexts: [String] {
    guard let search else { return [] }
    var lines = search.trials.indices.map { search.line(of: $0) }
    if let best = search.best {
      lines.append("highest rate that keeps \(search.goal): \(NumberText.significant(best)) requests/s, to 5 %")
    } else {
      lines.append("no rate tried keeps \(search.goal)")
    }
    if search.endedClientBound { lines.append("a trial was client-bound: the server may take more") }
    return lines
  }
}

extension FailCondition {
  /// A value of its metric in the metric's unit.
  package func text(of value: Double) -> String {
    switch metric {
    case .percentile, .mean, .maximum: NumberText.time(nanoseconds: value * 1e9)
    case .errors: NumberText.grouped(Int64(saturating: value))
    case .errorShare, .lateShare, .cpuShare: NumberText.percent(value)
    case .answersPerSecond: NumberText.significant(value, digits: 4) + " requests/s"
    }
  }
}

extension RateSearch {
  /// One trial in words.
  package func line(of index: Int) -> String {
    let trial = trials[index]
    let value = trial.value.map { condition.text(of: $0) } ?? "unknown"
    return
      "\(NumberText.significant(trial.rate)) requests/s: \(goal) \(trial.holds ? "holds" : "does not hold") (\(value)), \(trial.verdict.rawValue)"
  }
}
