import Diagnosis
import LoadModel
import Reporting
import Workload

/// A run's result as a page.
extension LoadReport {
  /// What `--html` writes.
  var page: Report {
    var facts: [(name: String, text: String)] = [("target", result.name), ("load", loadText)]
    facts.append(
      (
        "window",
        "\(NumberText.significant(result.windowSeconds)) s after \(NumberText.significant(result.warmUpSeconds)) s of warm-up, which is left out"
          + (result.wasInterrupted ? "; interrupted" : "")
      ))
    facts.append(("seed", "\(result.seed)"))
    facts.append(("headroom", Headroom.version))
    return Report(
      title: "headroom load: \(result.name)", question: "How fast does it answer under this load, and whose limit is it?", banner: nil,
      facts: facts,
      sections: [verdictSection, latencySection, timeSection] + [phaseSection].compactMap { $0 } + [healthSection] + lastSections)
  }

  private static let histogramSource = "the run's histogram, three digits"

  /// A latency in the unit that suits it.
  private static func figure(nanoseconds: Double?, source: String = histogramSource) -> Figure? {
    guard let nanoseconds else { return nil }
    let steps: [(Double, Figure.Unit)] = [(1e9, .seconds), (1e6, .milliseconds), (1e3, .microseconds)]
    for (scale, unit) in steps where nanoseconds.magnitude >= scale * 0.9995 {
      return Figure(nanoseconds / scale, unit, .measured, source: source)
    }
    return Figure(nanoseconds, .nanoseconds, .measured, source: source)
  }

  private static func figure(_ value: Double?, _ unit: Figure.Unit, source: String) -> Figure? {
    value.map { Figure($0, unit, .measured, source: source) }
  }

  private var throughput: Figure {
    let half = result.throughputInterval?.halfWidth
    return Figure(
      result.answersPerSecond, .requestsPerSecond, .measured, source: "answers in the window over its length; 95 % interval by batch means",
      interval: half.map { result.answersPerSecond - $0...result.answersPerSecond + $0 })
  }

  // MARK: Sections

  private var verdictSection: Report.Section {
    var first: Prose = "\(throughput)"
    if let median = Self.figure(nanoseconds: result.latency.value(atPercentile: 50).map(Double.init)),
      let p99 = Self.figure(nanoseconds: result.latency.value(atPercentile: 99).map(Double.init))
    {
      first = "\(first), p50 \(median), p99 \(p99)"
    }
    var lines = [first]
    let answers = Figure(Double(result.answers), .count, .measured, source: "counted")
    let errors = Figure(Double(result.errorCount), .count, .measured, source: "counted")
    var counts: Prose = "\(answers) answers, \(errors) errors"
    for (kind, count) in result.errors.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      counts = "\(counts); \(kind.rawValue): \(Figure(Double(count), .count, .measured, source: "counted"))"
    }
    lines.append(counts)
    lines.append(Prose(stringLiteral: result.verdict.words))
    lines.append(Prose(stringLiteral: result.stability.words))
    return Report.Section(
      id: "verdict", heading: "Result",
      explanation:
        "Throughput counts answers without a fault whose last byte came inside the window; latency is that of requests due in it.",
      blocks: [.sentences(heading: result.name, lines)])
  }

  private var latencySection: Report.Section {
    var rows: [FigureTable.Row] = []
    func row(_ name: String, _ explanation: String = "", _ value: (LoadModel.Histogram) -> Double?) {
      rows.append(
        .init(
          name, [Self.figure(nanoseconds: value(result.latency)), Self.figure(nanoseconds: value(result.uncorrected))],
          explanation: explanation))
    }
    row("mean", "Each value taken as the middle of its bucket.", \.mean)
    row("min") { $0.minimum.map(Double.init) }
    for percentile in LoadResult.percentiles {
      row("p\(Self.name(of: percentile))", "So many of 100 answers came in this time or less.") {
        $0.value(atPercentile: percentile).map(Double.init)
      }
    }
    row("max") { $0.maximum.map(Double.init) }
    var histogram = Reporting.Histogram(
      title: "How often each latency came", xLabel: "latency, ms; ten bins a decade", yLabel: "answers",
      series: [("latency", result.latency), ("since send", result.uncorrected)].map { name, values in
        .init(name: name, bins: values.growingBins.map { (Double($0.low) / 1e6, Double($0.high) / 1e6, Int(clamping: $0.count)) })
      },
      explanation: result.load.isClosed
        ? "Two humps mean two kinds of answers, as with and without a wait for a batch."
        : "Where the upper has a tail and the lower has none, requests were sent late: the server held every connection, or the generator lagged."
    )
    histogram.isEven = true
    return Report.Section(
      id: "latency", heading: "Latency", explanation: latencyText,
      blocks: [.table(FigureTable(columns: ["latency", "since send"], rows: rows)), .histogram(histogram)])
  }

  private var timeSection: Report.Section {
    /// A step for each second, and the last one's end.
    func points(_ value: (IntervalSummary) -> Double?) -> [(x: Double, y: Double)] {
      var points: [(x: Double, y: Double)] = result.intervals.compactMap { interval in value(interval).map { (interval.startSeconds, $0) } }
      if let last = result.intervals.last, let y = points.last?.y { points.append((last.startSeconds + last.lengthSeconds, y)) }
      return points
    }
    func perSecond(_ count: Int64, _ interval: IntervalSummary) -> Double { Double(count) / max(interval.lengthSeconds, 1e-9) }
    let latency = LineChart(
      title: "Latency over time",
      explanation: "Second by second. A p99 that climbs while throughput stays is a queue that grows; single peaks are stalls.",
      xLabel: "seconds since the start", yLabel: "latency, ms",
      series: [
        .init(name: "p50", points: points { $0.medianSeconds.map { $0 * 1e3 } }),
        .init(name: "p99", points: points { $0.p99Seconds.map { $0 * 1e3 } }),
      ])
    var series: [LineChart.Series] = [.init(name: "answers", points: points { perSecond($0.answers, $0) })]
    if result.errorCount > 0 { series.append(.init(name: "errors", points: points { perSecond($0.errors, $0) })) }
    let rate = LineChart(
      title: "Throughput over time",
      explanation: "Answers a second. Level from the first second to the last, or the warm-up was too short.",
      xLabel: "seconds since the start", yLabel: "requests/s", series: series)
    return Report.Section(
      id: "time", heading: "Over time", explanation: "The window's seconds; the warm-up is left out.",
      blocks: [.chart(latency), .chart(rate)])
  }

  private var phaseSection: Report.Section? {
    guard let phases, let mean = result.meanCompletedSinceSendSeconds, mean > 0 else { return nil }
    var rows = phases.map { phase in
      FigureTable.Row(
        phase.name,
        [
          Self.figure(nanoseconds: phase.seconds * 1e9, source: "the server's statistics"),
          Self.figure(phase.seconds / mean, .share, source: "over the mean since send"),
        ])
    }
    rows.append(
      FigureTable.Row(
        "since send, answers that came in the window",
        [Self.figure(nanoseconds: mean * 1e9, source: "this program's clock"), Self.figure(1, .share, source: "over the mean since send")]))
    var blocks: [Report.Block] = [.table(FigureTable(columns: ["time", "share"], rows: rows))]
    if let batch = result.server?.meanBatch {
      blocks.append(.sentences(heading: nil, ["mean batch \(Figure(batch, .rows, .measured, source: "the server's statistics"))"]))
    }
    return Report.Section(
      id: "phases", heading: "Where a request's mean time goes",
      explanation: "The server's own statistics over the window, and what they do not hold: network, HTTP, parsing, this program.",
      blocks: blocks)
  }

  private var healthSection: Report.Section {
    let health = result.health
    func count(_ value: some BinaryInteger) -> Figure? { Self.figure(Double(value), .count, source: "counted") }
    func lag(_ percentile: Double) -> Figure? {
      Self.figure(nanoseconds: health.sendLag.value(atPercentile: percentile).map(Double.init), source: "send less due instant")
    }
    let cpu = "the threads' CPU clocks"
    var rows: [FigureTable.Row] = [
      .init("threads", [count(health.threads)]),
      .init(
        "busiest thread", [Self.figure(health.busiestThreadShare, .share, source: cpu)],
        explanation: "Of a core. Above 90 % the figures are the generator's own."),
      .init(
        "CPU a request",
        [result.completed > 0 ? Self.figure(nanoseconds: health.cpuSeconds / Double(result.completed) * 1e9, source: cpu) : nil]),
      .init("send lag, p50", [lag(50)], explanation: "How long after its due instant a request was written."),
      .init("send lag, p99", [lag(99)]),
      .init("send lag, max", [lag(100)]),
      .init(
        "sent late", [Self.figure(result.lateShare, .share, source: "counted")],
        explanation: "By more than \(health.lateAfter.milliseconds) ms."),
      .init("connections opened", [count(health.connectionsOpened)]),
      .init("connections failed or broken", [count(health.connectionErrors)]),
      .init("due and never sent", [count(health.unsentAtEnd)]),
      .init(
        "in flight", [Self.figure(result.inFlight, .count, source: "throughput times mean latency")],
        explanation: "Little's law: requests that wait for their answers, on average."),
    ]
    if let balance = result.balance {
      rows.append(.init("users", [count(Int(balance.users))]))
      rows.append(.init("users thinking", [Self.figure(balance.thinking, .count, source: "throughput times mean think time")]))
      rows.append(
        .init(
          "users doing neither", [Self.figure(balance.outside, .count, source: "users less both")],
          explanation: "What passed outside the stopwatch: the generator itself."))
    }
    return Report.Section(
      id: "generator", heading: "The generator itself", explanation: result.verdict.words,
      blocks: [.table(FigureTable(columns: ["value"], rows: rows))])
  }

  /// What was asked besides.
  private var lastSections: [Report.Section] {
    var sections: [Report.Section] = []
    if !conditions.isEmpty {
      let rows = conditions.map { condition in
        FigureTable.Row(condition.text, cells: [.text(condition.isMet(by: result) ? "FAILED" : "passed")])
      }
      sections.append(
        .init(
          id: "conditions", heading: "Conditions", explanation: "What was given with --fail-on.",
          blocks: [.table(FigureTable(columns: ["outcome"], rows: rows))]))
    }
    if let search {
      let lines = search.trials.indices.map { Prose(stringLiteral: search.line(of: $0)) }
      let best = search.best.map { "highest rate that keeps \(search.goal): \(NumberText.significant($0)) requests/s, to 5 %" }
      sections.append(
        .init(
          id: "search", heading: "The search", explanation: best ?? "no rate tried keeps \(search.goal)",
          blocks: [.sentences(heading: nil, lines)]))
    }
    return sections
  }
}
