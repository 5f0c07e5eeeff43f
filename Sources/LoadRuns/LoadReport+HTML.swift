import ProcessContract
import Diagnosis
import LoadModel
import Reporting

extension LoadReport {
  /// The report as a page that needs nothing but itself.
  package var html: String {
    var facts: [(name: String, text: String)] = [
      ("Sent", loadText), ("Window", windowText), ("Seed", "\(result.seed)"), ("Program", "headroom \(ProgramVersion.current)"),
    ]
    if let scenario { facts.append(("MLPerf scenario", scenario.rawValue)) }
    var report = Report(
      title: "Load: \(result.name)", question: "What did this load get from the server, and are the figures the server's?", banner: nil,
      facts: facts)
    report.sections = [verdictSection, throughputSection, latencySection]
    if !result.groups.isEmpty { report.sections.append(groupSection) }
    if !parts.isEmpty { report.sections.append(partSection) }
    if let section = phaseSection { report.sections.append(section) }
    report.sections.append(healthSection)
    return report.html
  }

  private static func sentence(_ text: String) -> Sentence { Sentence(parts: [.text(text)]) }

  private static func figure(_ nanoseconds: Double?, source: String) -> Figure? {
    nanoseconds.map { value in
      let (scaled, unit): (Double, Figure.Unit) =
        value >= 1e9 ? (value / 1e9, .seconds) : value >= 1e6 ? (value / 1e6, .milliseconds) : (value / 1e3, .microseconds)
      return Figure(scaled, unit, .measured, source: source)
    }
  }

  private var verdictSection: Report.Section {
    var sentences = [Self.sentence(result.verdict.words), Self.sentence(result.stability.words)]
    for condition in conditions {
      let value = condition.value(in: result).map { condition.text(of: $0) } ?? "unknown"
      sentences.append(Self.sentence("--fail-on '\(condition.text)' \(condition.isMet(by: result) ? "FAILED" : "passed"): \(value)"))
    }
    for line in searchTexts { sentences.append(Self.sentence(line)) }
    return Report.Section(
      id: "verdict", heading: "Verdict", explanation: "Whose figures these are, and whether the window looks like one of many alike.",
      blocks: [.sentences(heading: nil, sentences)])
  }

  private var throughputSection: Report.Section {
    let seconds = result.intervals.filter { $0.lengthSeconds >= 0.5 }
    let chart = LineChart(
      title: "Throughput over time", explanation: "A point per second.", xLabel: "seconds since the start", yLabel: "responses per second",
      series: [
        .init(name: "responses/s", points: seconds.map { ($0.startSeconds, Double($0.answers) / $0.lengthSeconds) }),
        .init(name: "errors/s", points: seconds.map { ($0.startSeconds, Double($0.errors) / $0.lengthSeconds) }),
      ])
    return Report.Section(
      id: "throughput", heading: "Throughput", explanation: "Answers without a fault whose last byte came inside the window.",
      blocks: [.sentences(heading: nil, throughputTexts.filter { $0 != result.stability.words }.map(Self.sentence))]
        + (seconds.count > 1 ? [.chart(chart)] : []))
  }

  private var latencySection: Report.Section {
    var rows: [FigureTable.Row] = []
    func row(_ name: String, _ value: (LoadModel.Histogram) -> Double?) {
      rows.append(
        .init(
          name,
          [
            Self.figure(value(result.latency), source: "since the request was due"),
            Self.figure(value(result.uncorrected), source: "since it was sent"),
          ]))
    }
    row("mean", \.mean)
    row("min") { $0.minimum.map(Double.init) }
    for percentile in LoadResult.percentiles {
      row("p\(Self.name(of: percentile))") { $0.value(atPercentile: percentile).map(Double.init) }
    }
    row("max") { $0.maximum.map(Double.init) }
    var blocks: [Report.Block] = [.table(FigureTable(columns: ["latency", "since send"], rows: rows))]
    if result.latency.count > 1 { blocks.append(.chart(percentileChart)) }
    if let chart = latencyChart { blocks.append(.chart(chart)) }
    return Report.Section(id: "latency", heading: "Latency", explanation: latencyText + ".", blocks: blocks)
  }

  /// HdrHistogram's plot: each step to the right leaves a tenth of the answers.
  private var percentileChart: LineChart {
    func points(_ histogram: LoadModel.Histogram) -> [(x: Double, y: Double)] {
      (0...80).compactMap { step in
        let nines = Double(step) / 16
        var rest = 1.0
        // 10 to the minus nines, in sixteenths of a decade.
        for _ in 0..<step { rest *= 0.865_964_323_360_065_3 }
        guard Double(histogram.count) * rest >= 0.5 else { return nil }
        return histogram.value(atPercentile: 100 * (1 - rest)).map { (nines, Double($0) / 1e6) }
      }
    }
    var chart = LineChart(
      title: "Latency by percentile", explanation: "To the right of a mark lies a tenth of what lies to the right of the one before.",
      xLabel: "percentile", yLabel: "milliseconds, logarithmic",
      series: [.init(name: "latency", points: points(result.latency)), .init(name: "since send", points: points(result.uncorrected))])
    chart.isLogarithmic = true
    let maximum = chart.series.flatMap { $0.points.map(\.x) }.max() ?? 1
    chart.xMarks = [(0.0, "0"), (1, "90 %"), (2, "99 %"), (3, "99.9 %"), (4, "99.99 %"), (5, "99.999 %")].filter { $0.0 <= maximum }
    return chart
  }

  private var latencyChart: LineChart? {
    let seconds = result.intervals.filter { !$0.percentiles.isEmpty }
    guard seconds.count > 1 else { return nil }
    let series: [LineChart.Series] = [("p50", 50.0), ("p99", 99), ("max", 100)].map { name, percentile in
      let index = IntervalSummary.keptPercentiles.firstIndex(of: percentile) ?? 0
      return .init(name: name, points: seconds.map { ($0.startSeconds, Double($0.percentiles[index]) / 1e6) })
    }
    var chart = LineChart(
      title: "Latency over time", explanation: "A point per second, of the responses that came in it.", xLabel: "seconds since the start",
      yLabel: "milliseconds, logarithmic", series: series)
    chart.isLogarithmic = true
    return chart
  }

  private var groupSection: Report.Section {
    let rows = result.groups.map { group in
      FigureTable.Row(
        group.name,
        [
          Figure(Double(group.latency.count), .count, .measured, source: "responses"),
          Figure(Double(group.errors), .count, .measured, source: "faults"),
        ]
          + [50.0, 99, 100].map { Self.figure(group.latency.value(atPercentile: $0).map(Double.init), source: "since the request was due") }
      )
    }
    return Report.Section(
      id: "requests", heading: "Requests", explanation: "Each kind of request by itself.",
      blocks: [.table(FigureTable(columns: ["responses", "errors", "p50", "p99", "max"], rows: rows))])
  }

  private var partSection: Report.Section {
    let rows = parts.map { part in
      FigureTable.Row(
        part.share.text,
        cells: [
          .figure(Figure(Double(part.result.completed), .count, .measured, source: "responses in the window")),
          .figure(Figure(Double(part.result.health.lateCount), .count, .measured, source: "late sends")),
          .figure(Figure(part.result.health.busiestThreadShare, .share, .measured, source: "CPU of its busiest thread")),
          .text(part.verdict.rawValue),
        ])
    }
    return Report.Section(
      id: "parts", heading: "Parts", explanation: "The processes that shared this run; all were there and in time.",
      blocks: [.table(FigureTable(columns: ["responses", "late sends", "CPU", "verdict"], rows: rows))])
  }

  private var phaseSection: Report.Section? {
    guard let phases, let server = result.server, let mean = result.meanCompletedSinceSendSeconds, mean > 0 else { return nil }
    let rows = phases.map { phase in
      FigureTable.Row(
        phase.name,
        [
          Self.figure(phase.seconds * 1e9, source: "server's statistics and the client's clock"),
          Figure(phase.seconds / mean, .share, .measured, source: "of the mean since send"),
        ])
    }
    var blocks: [Report.Block] = [.table(FigureTable(columns: ["time", "share"], rows: rows))]
    if let batch = server.meanBatch {
      blocks.append(
        .sentences(
          heading: nil,
          [Self.sentence("Mean batch \(NumberText.significant(batch)) rows in \(NumberText.grouped(server.batches)) batches.")]))
    }
    return Report.Section(
      id: "phases", heading: "Where a request's mean time goes",
      explanation: "The server's own phases, and the remainder: network, HTTP, parsing and this program.", blocks: blocks)
  }

  private var healthSection: Report.Section {
    Report.Section(
      id: "generator", heading: "The generator itself", explanation: "What could make these figures the generator's.",
      blocks: [.sentences(heading: nil, healthTexts.map(Self.sentence))])
  }
}
