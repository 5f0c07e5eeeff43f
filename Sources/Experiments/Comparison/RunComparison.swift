import CheckedNumbers
import Diagnosis
import Reporting
import Trace
import Vocabulary

/// Runs side by side, simulated or measured: the sections of a report that need no plan.
struct RunComparison {
  let runs: [ComparedRun]

  var names: [String] { runs.map(\.name) }
  /// What ran the batches: all runs are on one.
  var deviceClass: DeviceClass { runs.first?.evidence.deviceClass ?? .gpu }
  /// Of what is counted here: all runs are of one kind.
  var kind: Figure.Kind { runs.first?.analysis.kind ?? .measured }

  // MARK: - Verdicts

  var verdictSection: Report.Section {
    let blocks = runs.map { result -> Report.Block in
      var lines: [Prose] = ["\(result.assessment.verdict.sentence)"]
      lines += littlesLaw(result)
      if let missing = result.assessment.verdict.missing {
        lines.append("would decide: \(missing.cheapestMeasurement)")
      }
      if let elasticities = result.evidence.elasticities {
        let parts = TimeTerm.allCases.compactMap { term in elasticities.values[term].map { (term, $0) } }
          .filter { $0.1.value.magnitude >= 0.02 }.sorted { $0.1.value > $1.1.value }
        var prose: Prose = "one percent less of it is worth so many percent of throughput: "
        for (index, part) in parts.enumerated() { prose = "\(prose)\(index == 0 ? "" : ", ")\(part.0.text) \(part.1)" }
        let sum = Figure(elasticities.sum, .ratio, kind, source: "sum of the elasticities (1 by Euler's theorem)")
        lines.append("\(prose); they add up to \(sum)")
      }
      return .sentences(heading: result.name, lines)
    }
    return Report.Section(
      id: "verdict", heading: "What limits",
      explanation: "From elasticities: the stations whose time is worth more than a fifth of a percent of throughput a percent.",
      blocks: blocks)
  }

  func littlesLaw(_ result: ComparedRun) -> [Prose] {
    guard case .closed(let users)? = result.evidence.load.loop, let flight = result.evidence.load.meanInFlight,
      let outside = result.evidence.load.timeOutsideStopwatch
    else { return [] }
    guard outside.value >= 0 else {
      return [
        "of \(setting: users) users \(flight) were in flight on average (Little's law): more than there are; the window holds too few answers for the law"
      ]
    }
    var prose: Prose =
      "of \(setting: users) users \(flight) were in flight on average (Little's law); \(outside) a cycle passed outside the stopwatch"
    if let think = result.evidence.load.meanThinkTime { prose = "\(prose), \(think) of it thinking" }
    return [prose]
  }

  var loadSection: Report.Section {
    func percentile(_ result: ComparedRun, _ share: Double) -> Figure? {
      result.run.latencyMilliseconds(percentile: share).map {
        Figure($0, .milliseconds, kind, source: "client's stopwatch, \(result.run.answered) answers")
      }
    }
    let rows: [FigureTable.Row] = [
      .init(
        "throughput", runs.map { $0.throughputFigure },
        explanation: "Answers a second in the window; the interval is of the repetitions."),
      .init("median latency", runs.map { percentile($0, 50) }, explanation: "By the generator's stopwatch."),
      .init("p95 latency", runs.map { percentile($0, 95) }), .init("p99 latency", runs.map { percentile($0, 99) }),
      .init("mean latency", runs.map { $0.evidence.load.meanLatency }),
      .init(
        "requests answered", runs.map { Figure(Double($0.run.answered), .count, kind, source: "answers in the window") }),
      .init(
        "requests turned away",
        runs.map { result in
          Figure(Double(result.run.refused), .count, kind, source: "errors in the window")
        }),
      .init("users in flight", runs.map { $0.evidence.load.meanInFlight }, explanation: "Little's law: throughput x mean latency."),
      .init(
        "time outside the stopwatch", runs.map { $0.evidence.load.timeOutsideStopwatch }, explanation: "N/X - R, closed loops only."),
    ]
    var blocks: [Report.Block] = [.table(FigureTable(columns: names, rows: rows))]
    blocks.append(.histogram(latencyHistogram))
    return Report.Section(
      id: "throughput-latency", heading: "Throughput and latency",
      explanation: "As the load generator saw it. Latency is between the generator's start and stop of its watch.", blocks: blocks)
  }

  var latencyHistogram: Histogram {
    let all = runs.compactMap { $0.run.latencies.last?.nanoseconds }.max() ?? 1
    let top = Double(max(1, all)) / 1e6
    let count = 60
    let series = runs.map { result -> Histogram.Series in
      var counts = [Int](repeating: 0, count: count)
      for latency in result.run.latencies {
        counts[max(0, min(count - 1, Int(saturating: Double(latency.nanoseconds) / 1e6 / top * Double(count))))] += latency.count
      }
      let width = top / Double(count)
      return Histogram.Series(
        name: result.name,
        bins: counts.indices.map { (low: Double($0) * width, high: Double($0 + 1) * width, count: counts[$0]) })
    }
    return Histogram(
      title: "Latency", xLabel: "ms by the client's stopwatch", yLabel: "requests", series: series,
      explanation: "How many requests took how long. Two humps mean two kinds of requests, a long tail a queue that comes and goes.")
  }

  var batchSection: Report.Section {
    func count(_ value: Int, _ source: String) -> Figure { Figure(Double(value), .count, kind, source: source) }
    var rows: [FigureTable.Row] = [
      .init("batches", runs.map { count($0.run.batches, "batches started in the window") }),
      .init("requests a batch", runs.map { $0.evidence.batching.meanRequests }),
      .init("rows a batch", runs.map { $0.evidence.batching.meanRows }),
      .init("kernels a batch", runs.map { $0.evidence.launches.launchesPerBatch }, explanation: "Kernel records over batches."),
    ]
    for departure in DepartureReason.allCases where runs.contains(where: { ($0.evidence.batching.departures[departure] ?? 0) > 0 }) {
      rows.append(
        .init(
          "left: \(departure.text)", runs.map { $0.evidence.batching.share(leftBy: departure, kind: kind) },
          explanation: "Share of the batches that left for this reason."))
    }
    let series = runs.map { result in
      Histogram.Series(
        name: result.name,
        bins: result.analysis.batchSizes.sorted { $0.key < $1.key }.map { (low: Double($0.key), high: Double($0.key), count: $0.value) })
    }
    let histogram = Histogram(
      title: "Batch sizes", xLabel: "rows a batch", yLabel: "batches", series: series,
      explanation:
        "How many batches held how many rows. Mass far below max_batch_size is capacity that each batch pays for and does not use.")
    return Report.Section(
      id: "batches", heading: "Batches", explanation: "What the batcher made of the requests, and why each batch left.",
      blocks: [.table(FigureTable(columns: names, rows: rows)), .histogram(histogram)])
  }

  func summarySection(_ report: Summary.Report) -> Report.Section {
    let summaries = runs.map { result in result.analysis.summaries.first { $0.report == report } }
    var order: [String] = []
    for summary in summaries { for row in summary?.rows.prefix(6) ?? [] where !order.contains(row.name) { order.append(row.name) } }
    var rows: [FigureTable.Row] = []
    for name in order {
      rows.append(
        .init(
          name,
          summaries.map { summary in
            summary?.rows.first { $0.name == name }.map {
              Figure($0.share, .share, kind, source: "share of this table's own total, \($0.count) calls")
            }
          }, explanation: "Share of the summed durations of this table, not of wall time."))
      rows.append(
        .init(
          "  mean",
          summaries.map { summary in
            summary?.rows.first { $0.name == name }.map {
              Figure($0.averageNanoseconds / 1000, .microseconds, kind, source: "mean of \($0.count) calls")
            }
          }))
    }
    rows.append(
      .init(
        "total",
        summaries.map { summary in
          summary.map {
            Figure(Double($0.totalNanoseconds) / 1e9, .seconds, kind, source: "sum over all threads; may exceed wall time")
          }
        }))
    let warning: String =
      switch report {
      case .cudaAPI:
        "Shares of time spent inside CUDA calls, summed over threads. They name no bottleneck: a wait for a busy GPU costs nothing."
      case .osRuntime: "What the modelled threads waited in. Threads a real server has beside these are not in it."
      default: "Shares of the summed durations."
      }
    return Report.Section(
      id: report.rawValue.replacing("_", with: "-"), heading: report.title(on: deviceClass), explanation: warning,
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  // MARK: - Diagnosis

  var waterfallSection: Report.Section {
    let bars = StackedBars(
      bars: runs.map { result in
        (
          name: result.name,
          parts: result.analysis.waterfall.bars.enumerated().map { index, bar in
            StackedBars.Part(label: bar.step.text, figure: bar.ofWall, style: index, isEstimated: bar.isEstimated)
          }
        )
      })
    let rows = Waterfall.Step.allCases.map { step in
      FigureTable.Row(step.text, runs.map { $0.analysis.waterfall[step]?.ofWall }, explanation: step.explanation)
    }
    let busy = Waterfall.Step.allCases.suffix(4).map { step in
      FigureTable.Row(step.text + ", of busy", runs.map { $0.analysis.waterfall[step]?.ofBusy }, explanation: step.explanation)
    }
    return Report.Section(
      id: "waterfall", heading: "Where wall time went",
      explanation: "Bookkeeping: it adds up to 100 % of wall time by construction, in an order that is a convention. No bar is a gain.",
      blocks: [.bars(bars), .table(FigureTable(columns: runs.map(\.name), rows: rows + busy))])
  }

  var stationSection: Report.Section {
    var rows: [FigureTable.Row] = []
    for station in Station.allCases {
      rows.append(.init("\(station.text(on: deviceClass)): demand a request", runs.map { $0.evidence.stations[station]?.demand }))
      rows.append(.init("  utilization", runs.map { $0.evidence.stations[station]?.utilization }))
      rows.append(.init("  own capacity", runs.map { $0.evidence.stations[station]?.capacity }))
    }
    return Report.Section(
      id: "stations", heading: "Stations",
      explanation: "What a request asks of each place it passes, how much of itself the place uses, and what it could pass alone.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  var timelineSection: Report.Section {
    Report.Section(
      id: "timeline", heading: "Timeline",
      explanation: "One batch, and a stretch of the run, as a profiler would draw them. On the page only.",
      blocks: runs.flatMap { [Report.Block.timeline($0.timeline(ofBatch: true)), .timeline($0.timeline(ofBatch: false))] })
  }

  var findingsSection: Report.Section {
    var blocks: [Report.Block] = []
    for result in runs {
      let assessment = result.assessment
      for ranked in assessment.ranked {
        let finding = ranked.finding
        var lines: [Prose] = finding.observation.seen
        lines.append("why: \(finding.observation.whyBad)")
        for fix in ranked.fixes.prefix(2) { lines.append("fix: \(fix.fix.title): \(ComparedRun.gains(fix.gains, on: deviceClass))") }
        if let missing = finding.observation.missing { lines.append("would decide: \(missing.cheapestMeasurement)") }
        blocks.append(
          .sentences(
            heading: "\(result.name): \(finding.code.rawValue) \(finding.name) (\(finding.observation.certainty.text))", lines))
      }
      var path: [Prose] = []
      for (index, step) in assessment.unlockPath.enumerated() {
        let codes = step.codes.map(\.rawValue).joined(separator: " + ")
        let titles = step.fixes.map(\.title).joined(separator: " and ")
        var prose: Prose = "\(setting: index + 1). \(codes): \(titles): \(ComparedRun.gains(.success(step.total), on: deviceClass))"
        if let verdict = step.total.verdict { prose = "\(prose). Then: \(verdict.sentence)" }
        if let unknown = step.unknownLimit { prose = "\(prose). Then: unknown (\(unknown.text))" }
        path.append(prose)
      }
      if path.isEmpty {
        let computed = assessment.ranked.contains { $0.fixes.contains { if case .success = $0.gains { true } else { false } } }
        path = [computed ? "no fix or pair of fixes is worth 2 % of the goal" : "not computed: no gain of a fix is known in this run"]
      }
      blocks.append(.sentences(heading: "\(result.name): unlock path, all steps so far against the run as it is", path))
    }
    return Report.Section(
      id: "findings", heading: "Findings, best first",
      explanation:
        "Ranked by --goal. Gains: throughput and p99 at this load, capacity at the p99 goal, \(deviceClass.noun)-seconds per million rows; each by re-simulation with the same draws.",
      blocks: blocks)
  }
}
