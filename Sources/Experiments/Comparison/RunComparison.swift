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

  // MARK: - The answer

  /// One for each run, for the top of the page.
  var cards: [Report.Card] {
    runs.map { run in
      let answer = run.answer
      // The bar and its legend are the line of where time went.
      let lines = answer.rows.filter { $0.name != answer.timeName }.map { row in
        let change = answer.changes.first { row.name == "\((answer.changes.firstIndex(of: $0) ?? 0) + 1) \($0.effect.rawValue)" }
        return Report.Card.Line(
          name: row.name, text: row.text, kind: row.kind, anchor: change.map { "\($0.code.rawValue)-\(run.name)" })
      }
      let parts = run.analysis.waterfall.bars.map {
        StackedBars.Part(
          label: $0.step.text, figure: $0.ofWall, style: $0.step.style, letter: $0.step.letter, isEstimated: $0.isEstimated,
          isLoss: $0.step != .useful)
      }
      return Report.Card(
        name: run.name, setting: answer.setting, title: answer.bottleneck, lines: lines, parts: parts,
        diff: answer.changes.first?.diff ?? [])
    }
  }

  /// The first lines of tables and CSV: how much more each run can take.
  var headroomSection: Report.Section {
    let rows: [FigureTable.Row] = [
      .init(
        "max requests/s at \(runs.first?.headroom.goal.text ?? "the goal")", runs.map(\.headroom.maximumRate),
        explanation: "The highest request rate that keeps the latency goal: open loop, Poisson arrivals, the same mix of rows."),
      .init("times today's rate", runs.map(\.headroom.times)), .init("requests/s today", runs.map(\.headroom.today)),
    ]
    let lines = runs.map { run -> Sentence in "\(run.name): \(run.headroom.text) [\(run.headroom.kindText)]" }
    return Report.Section(
      id: "headroom", heading: "Headroom", explanation: "How much more each variant can take before it misses the latency goal.",
      blocks: [.table(FigureTable(columns: names, rows: rows)), .sentences(heading: nil, lines)])
  }

  // MARK: - Verdicts

  var verdictSection: Report.Section {
    let blocks = runs.map { result -> Report.Block in
      var lines: [Sentence] = ["\(result.assessment.verdict.sentence)"]
      lines += littlesLaw(result)
      if let missing = result.assessment.verdict.missing {
        lines.append("to confirm: \(missing.cheapestMeasurement)")
      }
      if let elasticities = result.evidence.elasticities {
        let parts = TimeTerm.allCases.compactMap { term in elasticities.values[term].map { (term, $0) } }
          .filter { $0.1.value.magnitude >= 0.02 }.sorted { $0.1.value > $1.1.value }
        var sentence: Sentence = "throughput sensitivity (% per 1 % less time): "
        for (index, part) in parts.enumerated() { sentence = "\(sentence)\(index == 0 ? "" : ", ")\(part.0.text) \(part.1)" }
        let sum = Figure(elasticities.sum, .ratio, kind, source: "sum of the elasticities (1 by Euler's theorem)")
        lines.append("\(sentence); sum \(sum) (expected 1)")
      }
      return .sentences(heading: result.name, lines)
    }
    return Report.Section(
      id: "verdict", heading: "What limits",
      explanation: "From throughput sensitivities: the pipeline stages where 1 % less time is worth more than 0.2 % of throughput.",
      blocks: blocks)
  }

  func littlesLaw(_ result: ComparedRun) -> [Sentence] {
    guard case .closed(let users)? = result.evidence.load.loop, let flight = result.evidence.load.meanInFlight,
      let outside = result.evidence.load.thinkAndClientQueueTime
    else { return [] }
    guard outside.value >= 0 else {
      return [
        "of \(setting: users) users \(flight) were in flight on average (Little's law): more than there are; the window holds too few answers for the law"
      ]
    }
    var sentence: Sentence =
      "of \(setting: users) users \(flight) were in flight on average (Little's law); \(outside) per request cycle passed outside the measured latency"
    if let think = result.evidence.load.meanThinkTime { sentence = "\(sentence), \(think) of it think time" }
    return [sentence]
  }

  var loadSection: Report.Section {
    func percentile(_ result: ComparedRun, _ share: Double) -> Figure? {
      result.run.latencyMilliseconds(percentile: share).map {
        Figure($0, .milliseconds, kind, source: "client-side latency, \(result.run.answered) responses")
      }
    }
    let rows: [FigureTable.Row] = [
      .init(
        "throughput", runs.map { $0.throughputFigure },
        explanation: "Responses per second in the measurement window; the interval is of the repetitions."),
      .init("median latency", runs.map { percentile($0, 50) }, explanation: "As the load generator measured it."),
      .init("p95 latency", runs.map { percentile($0, 95) }), .init("p99 latency", runs.map { percentile($0, 99) }),
      .init("mean latency", runs.map { $0.evidence.load.meanLatency }),
      .init(
        "requests answered", runs.map { Figure(Double($0.run.answered), .count, kind, source: "answers in the window") }),
      .init(
        "requests rejected",
        runs.map { result in
          Figure(Double(result.run.refused), .count, kind, source: "errors in the window")
        }),
      .init("users in flight", runs.map { $0.evidence.load.meanInFlight }, explanation: "Little's law: throughput x mean latency."),
      .init(
        "think time plus client-side queueing", runs.map { $0.evidence.load.thinkAndClientQueueTime },
        explanation: "N/X - R, closed loops only."),
    ]
    var blocks: [Report.Block] = [.table(FigureTable(columns: names, rows: rows))]
    blocks.append(.histogram(latencyHistogram))
    return Report.Section(
      id: "throughput-latency", heading: "Throughput and latency",
      explanation: "As the load generator measured it: client-side latency.", blocks: blocks)
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
      title: "Latency", xLabel: "ms, client-side", yLabel: "requests", series: series,
      explanation: "How many requests took how long. Two humps mean two kinds of requests, a long tail a queue that comes and goes.")
  }

  var batchSection: Report.Section {
    func count(_ value: Int, _ source: String) -> Figure { Figure(Double(value), .count, kind, source: source) }
    var rows: [FigureTable.Row] = [
      .init("batches", runs.map { count($0.run.batches, "batches started in the window") }),
      .init("requests per batch", runs.map { $0.evidence.batching.meanRequests }),
      .init("rows per batch", runs.map { $0.evidence.batching.meanRows }),
      .init("kernels per batch", runs.map { $0.evidence.launches.launchesPerBatch }, explanation: "Kernel records over batches."),
    ]
    for departure in DispatchReason.allCases where runs.contains(where: { ($0.evidence.batching.dispatchReasons[departure] ?? 0) > 0 }) {
      rows.append(
        .init(
          "dispatched: \(departure.text)", runs.map { $0.evidence.batching.share(dispatchedBy: departure, kind: kind) },
          explanation: "Share of the batches with this dispatch reason."))
    }
    let series = runs.map { result in
      Histogram.Series(
        name: result.name,
        bins: result.analysis.batchSizes.sorted { $0.key < $1.key }.map { (low: Double($0.key), high: Double($0.key), count: $0.value) })
    }
    let histogram = Histogram(
      title: "Batch sizes", xLabel: "rows per batch", yLabel: "batches", series: series,
      explanation:
        "How many batches held how many rows. Mass far below max_batch_size is capacity that each batch pays for and does not use.")
    return Report.Section(
      id: "batches", heading: "Batches", explanation: "Size and dispatch reason of the batches.",
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
          parts: result.analysis.waterfall.bars.filter { $0.ofWall.value > 0 }.map { bar in
            StackedBars.Part(
              label: bar.step.text, figure: bar.ofWall, style: bar.step.style, letter: bar.step.letter, isEstimated: bar.isEstimated,
              isLoss: bar.step != .useful)
          }
        )
      })
    // Names of idle time that no run's verdict gives are left out.
    let steps = Waterfall.Step.allCases.filter { step in runs.contains { $0.analysis.waterfall[step] != nil } }
    let rows = steps.map { step in
      FigureTable.Row(step.text, runs.map { $0.analysis.waterfall[step]?.ofWall }, explanation: step.explanation)
    }
    let busy = Waterfall.Step.allCases.suffix(4).map { step in
      FigureTable.Row(step.text + ", of busy", runs.map { $0.analysis.waterfall[step]?.ofBusy }, explanation: step.explanation)
    }
    return Report.Section(
      id: "waterfall", heading: "Where wall time went",
      explanation: "Time breakdown: it adds up to 100 % of wall time, in an order that is a convention. Not an achievable speedup.",
      blocks: [.bars(bars), .table(FigureTable(columns: runs.map(\.name), rows: rows + busy))])
  }

  var stationSection: Report.Section {
    var rows: [FigureTable.Row] = []
    for stage in PipelineStage.allCases {
      rows.append(.init("\(stage.text(on: deviceClass)): service time per request", runs.map { $0.evidence.stages[stage]?.serviceTime }))
      rows.append(.init("  utilization", runs.map { $0.evidence.stages[stage]?.utilization }))
      rows.append(.init("  stage capacity", runs.map { $0.evidence.stages[stage]?.capacity }))
    }
    return Report.Section(
      id: "stages", heading: "Pipeline stages",
      explanation: "Service time per request, utilization and stage capacity.",
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
        var lines: [Sentence] = finding.observation.seen
        lines.append("why: \(finding.observation.whyBad)")
        for fix in ranked.fixes.prefix(2) { lines.append("fix: \(fix.fix.title): \(ComparedRun.gains(fix.gains, on: deviceClass))") }
        if let missing = finding.observation.missing { lines.append("to confirm: \(missing.cheapestMeasurement)") }
        blocks.append(
          .sentences(
            heading: "\(result.name): \(finding.code.rawValue) \(finding.name) (\(finding.observation.confidence.phrase))", lines,
            anchor: "\(finding.code.rawValue)-\(result.name)"))
      }
      var path: [Sentence] = []
      for (index, step) in assessment.improvementPlan.enumerated() {
        let codes = step.codes.map(\.rawValue).joined(separator: " + ")
        let titles = step.fixes.map(\.title).joined(separator: " and ")
        var sentence: Sentence = "\(setting: index + 1). \(codes): \(titles): \(ComparedRun.gains(.success(step.total), on: deviceClass))"
        if !step.costs.isEmpty { sentence = "\(sentence); this step costs \(Self.text(step.costs))" }
        if let verdict = step.total.verdict { sentence = "\(sentence). Then: \(verdict.sentence)" }
        if let unknown = step.unknownLimit { sentence = "\(sentence). Then: unknown (\(unknown.text))" }
        path.append(sentence)
      }
      if path.isEmpty {
        let computed = assessment.ranked.contains { $0.fixes.contains { if case .success = $0.gains { true } else { false } } }
        path = [
          computed
            ? "no change or pair of changes is worth 2 % of the goal without making cost or latency worse (--goal takes those too)"
            : "not quantified: no change's effect is known in this run"
        ]
      }
      blocks.append(.sentences(heading: "\(result.name): cumulative improvement plan, each step with all before it", path))
    }
    return Report.Section(
      id: "findings", heading: "Recommendations by impact",
      explanation:
        "Ranked by --goal. Effects: throughput and p99 at this load, max requests/s at the p99 goal, \(deviceClass.noun)-seconds per million inferences; each by re-simulation with the same random seed.",
      blocks: blocks)
  }

  private static func text(_ costs: [StepCost]) -> Sentence {
    var sentence = Sentence(parts: [])
    for cost in costs {
      let name =
        switch cost.quantity {
        case .gpuSecondsPerMillionInferences: "device time per inference"
        case .p99Latency: "p99"
        case .throughput: "throughput"
        }
      sentence = "\(sentence)\(sentence.parts.isEmpty ? "" : ", ")\(name) \(cost.change.value > 0 ? "+" : "")\(cost.change)"
    }
    return sentence
  }
}
