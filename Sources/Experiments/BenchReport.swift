import Diagnosis
import GPUModel
import Planning
public import Reporting
import Simulation
import TimeBase
import Trace
import Workload

extension ExperimentResult {
  /// The comparison of all variants as it is shown.
  public var report: Report {
    let names = variants.map(\.variant.name)
    var report = Report(
      title: "headroom bench: \(experiment.name)", question: experiment.question,
      banner:
        "SIMULATED: no GPU ran and no request was sent. Kernel times are predictions, host costs are those of the named host profile.",
      facts: facts, notes: experiment.notes)
    report.sections = [
      verdictSection, utilizationSection(names), loadSection(names), batchSection(names), summarySection(.cudaAPI, names),
      kernelSection(names), summarySection(.gpuMemory, names), summarySection(.osRuntime, names), waterfallSection, stationSection(names),
      timelineSection, findingsSection,
    ]
    return report
  }

  private var facts: [(name: String, text: String)] {
    var facts: [(name: String, text: String)] = []
    func add(_ name: String, _ text: (VariantResult) -> String) {
      let texts = variants.map(text)
      if Set(texts).count == 1, let only = texts.first {
        facts.append((name, only))
      } else {
        facts.append((name, zip(variants, texts).map { "\($0.variant.name): \($1)" }.joined(separator: "; ")))
      }
    }
    add("device") { result in
      let measured = result.plan.model.calibration.isMeasured ? "" : "; kernel model not calibrated on this very board"
      let scale = result.variant.deviceTimeScale
      let scaled = scale == 1 ? "" : ", every kernel's time x \(NumberText.significant(scale))"
      return "sim:\(result.variant.gpu.name) (\(result.variant.gpu.smCount) SMs, \(result.variant.type.rawValue))\(scaled)\(measured)"
    }
    add("model") {
      "\($0.variant.model.text), \($0.plan.largeGEMMCount) large GEMMs, \(NumberText.grouped($0.plan.parameterCount)) parameters"
    }
    add("load") { result in
      let workload = result.variant.workload
      let rows = "\(workload.rows.text) rows a request"
      let window =
        "\(NumberText.significant(workload.duration.seconds)) s after \(NumberText.significant(workload.warmUp.seconds)) s cut off"
      switch workload.load {
      case .closed(let users, _, let think):
        return "closed loop, \(NumberText.grouped(users)) users, think \(think.text) s, \(rows), \(window)"
      case .open(let arrivals):
        return "open loop, \(NumberText.significant(arrivals.perSecond(over: workload.duration))) requests/s, \(rows), \(window)"
      }
    }
    add("serving") { result in
      guard let batching = result.variant.scheduler.batching else {
        return "no dynamic batching, \(result.variant.scheduler.instances) instances"
      }
      let preferred = batching.preferredSizes.isEmpty ? "none" : batching.preferredSizes.map { "\($0)" }.joined(separator: ", ")
      return
        "max batch \(result.variant.scheduler.maximumBatchRows) rows, preferred \(preferred), delay \(NumberText.significant(batching.maximumQueueDelay.milliseconds)) ms, \(result.variant.scheduler.instances) instance(s), issuing \(result.variant.execution.issuing.rawValue)"
    }
    add("host") { "\($0.variant.host.name): \($0.variant.host.about)" }
    add("seed") { _ in "\(experiment.seed), \(experiment.repetitions) run(s) a variant; figures are the first run's" }
    return facts
  }

  // MARK: - Verdicts

  private var verdictSection: Report.Section {
    let blocks = variants.map { result -> Report.Block in
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
        let sum = Figure(elasticities.sum, .ratio, .simulated, source: "sum of the elasticities (1 by Euler's theorem)")
        lines.append("\(prose); they add up to \(sum)")
      }
      return .sentences(heading: result.variant.name, lines)
    }
    return Report.Section(
      id: "verdict", heading: "What limits",
      explanation: "From elasticities: the stations whose time is worth more than a fifth of a percent of throughput a percent.",
      blocks: blocks)
  }

  private func littlesLaw(_ result: VariantResult) -> [Prose] {
    guard case .closed(let users)? = result.evidence.load.loop, let flight = result.evidence.load.meanInFlight,
      let outside = result.evidence.load.timeOutsideStopwatch
    else { return [] }
    var prose: Prose =
      "of \(setting: users) users \(flight) were in flight on average (Little's law); \(outside) a cycle passed outside the stopwatch"
    if let think = result.evidence.load.meanThinkTime { prose = "\(prose), \(think) of it thinking" }
    return [prose]
  }

  // MARK: - The document's tables

  private func utilizationSection(_ names: [String]) -> Report.Section {
    var rows: [FigureTable.Row] = []
    rows.append(
      .init(
        "kernel-busy (what nvidia-smi shows)", variants.map { $0.evidence.device.kernelBusy },
        explanation: "Share of wall time in which at least one kernel runs; NVML's utilization.gpu, temporal."))
    rows.append(
      .init(
        "dominant-kernel active", variants.map { $0.dominant?.active },
        explanation: "Instances of the dominant kernel x their mean time over wall time."))
    rows.append(
      .init(
        "copies alone", variants.map { $0.evidence.copies.copyOnly }, explanation: "Share of wall time in which copies run and no kernel."))
    rows.append(
      .init(
        "SM fill while busy", variants.map { $0.evidence.kernels.smFillOfAll },
        explanation: "SMs holding at least one block over all SMs, averaged over kernel time, tails included."))
    rows.append(.init("SM active (busy x fill)", variants.map { $0.smActive }, explanation: "What DCGM 1002 estimates: space times time."))
    rows.append(
      .init(
        "tensor throughput", variants.map { $0.tensorThroughput },
        explanation: "Executed FLOP/s over the dense peak; computed from the trace, never called tensor active."))
    rows.append(
      .init(
        "of it in the answer", variants.map { $0.usefulThroughput },
        explanation: "The same less work on rows that are copies of other rows."))
    return Report.Section(
      id: "gpu-utilization", heading: "GPU utilization",
      explanation: "Five different quantities that are all called GPU utilization somewhere. No row is just \"GPU utilization\".",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  private func loadSection(_ names: [String]) -> Report.Section {
    func percentile(_ result: VariantResult, _ share: Double) -> Figure? {
      result.run.latencyMilliseconds(percentile: share).map {
        Figure($0, .milliseconds, .simulated, source: "client's stopwatch, \(result.run.answered) answers")
      }
    }
    let rows: [FigureTable.Row] = [
      .init(
        "throughput", variants.map { $0.throughputFigure },
        explanation: "Answers a second in the window; the interval is of the repetitions."),
      .init("median latency", variants.map { percentile($0, 50) }, explanation: "By the generator's stopwatch."),
      .init("p95 latency", variants.map { percentile($0, 95) }), .init("p99 latency", variants.map { percentile($0, 99) }),
      .init("mean latency", variants.map { $0.evidence.load.meanLatency }),
      .init(
        "requests answered", variants.map { Figure(Double($0.run.answered), .count, .simulated, source: "answers in the window") }),
      .init(
        "requests turned away",
        variants.map { result in
          Figure(Double(result.run.refused.values.reduce(0, +)), .count, .simulated, source: "errors in the window")
        }),
      .init("users in flight", variants.map { $0.evidence.load.meanInFlight }, explanation: "Little's law: throughput x mean latency."),
      .init(
        "time outside the stopwatch", variants.map { $0.evidence.load.timeOutsideStopwatch }, explanation: "N/X - R, closed loops only."),
    ]
    var blocks: [Report.Block] = [.table(FigureTable(columns: names, rows: rows))]
    blocks.append(.histogram(latencyHistogram))
    return Report.Section(
      id: "throughput-latency", heading: "Throughput and latency",
      explanation: "As the load generator saw it. Latency is between the generator's start and stop of its watch.", blocks: blocks)
  }

  private var latencyHistogram: Histogram {
    let all = variants.compactMap { $0.run.latencies.last }.max() ?? 1
    let top = Double(all) / 1e6
    let count = 60
    let series = variants.map { result -> Histogram.Series in
      var counts = [Int](repeating: 0, count: count)
      for latency in result.run.latencies {
        counts[min(count - 1, Int(Double(latency) / 1e6 / top * Double(count)))] += 1
      }
      let width = top / Double(count)
      return Histogram.Series(
        name: result.variant.name,
        bins: counts.indices.map { (low: Double($0) * width, high: Double($0 + 1) * width, count: counts[$0]) })
    }
    return Histogram(
      title: "Latency", xLabel: "ms by the client's stopwatch", yLabel: "requests", series: series,
      explanation: "How many requests took how long. Two humps mean two kinds of requests, a long tail a queue that comes and goes.")
  }

  private func batchSection(_ names: [String]) -> Report.Section {
    func count(_ value: Int, _ source: String) -> Figure { Figure(Double(value), .count, .simulated, source: source) }
    var rows: [FigureTable.Row] = [
      .init("batches", variants.map { count($0.run.batches, "batches started in the window") }),
      .init("requests a batch", variants.map { $0.evidence.batching.meanRequests }),
      .init("rows a batch", variants.map { $0.evidence.batching.meanRows }),
      .init("kernels a batch", variants.map { $0.evidence.launches.launchesPerBatch }, explanation: "Kernel records over batches."),
    ]
    for departure in BatchDeparture.allCases where variants.contains(where: { ($0.evidence.batching.departures[departure] ?? 0) > 0 }) {
      rows.append(
        .init(
          "left: \(departure.text)", variants.map { $0.evidence.batching.share(leftBy: departure, kind: .simulated) },
          explanation: "Share of the batches that left for this reason."))
    }
    let series = variants.map { result in
      Histogram.Series(
        name: result.variant.name,
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

  private func summarySection(_ kind: Summary.Report, _ names: [String]) -> Report.Section {
    let summaries = variants.map { result in result.analysis.summaries.first { $0.report == kind } }
    var order: [String] = []
    for summary in summaries { for row in summary?.rows.prefix(6) ?? [] where !order.contains(row.name) { order.append(row.name) } }
    var rows: [FigureTable.Row] = []
    for name in order {
      rows.append(
        .init(
          name,
          summaries.map { summary in
            summary?.rows.first { $0.name == name }.map {
              Figure($0.share, .share, .simulated, source: "share of this table's own total, \($0.count) calls")
            }
          }, explanation: "Share of the summed durations of this table, not of wall time."))
      rows.append(
        .init(
          "  mean",
          summaries.map { summary in
            summary?.rows.first { $0.name == name }.map {
              Figure($0.averageNanoseconds / 1000, .microseconds, .simulated, source: "mean of \($0.count) calls")
            }
          }))
    }
    rows.append(
      .init(
        "total",
        summaries.map { summary in
          summary.map {
            Figure(Double($0.totalNanoseconds) / 1e9, .seconds, .simulated, source: "sum over all threads; may exceed wall time")
          }
        }))
    let warning: String =
      switch kind {
      case .cudaAPI:
        "Shares of time spent inside CUDA calls, summed over threads. They name no bottleneck: a wait for a busy GPU costs nothing."
      case .osRuntime: "What the modelled threads waited in. Threads a real server has beside these are not in it."
      default: "Shares of the summed durations."
      }
    return Report.Section(
      id: kind.rawValue.replacing("_", with: "-"), heading: kind.title, explanation: warning,
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  private func kernelSection(_ names: [String]) -> Report.Section {
    let rows: [FigureTable.Row] = [
      .init("dominant kernel", cells: variants.map { $0.dominant.map { .text($0.shortName) } ?? .unknown }),
      .init("instances", variants.map { $0.dominant?.instances }), .init("mean time", variants.map { $0.dominant?.mean }),
      .init("share of kernel time", variants.map { $0.dominant?.share }),
      .init("second kernel", cells: variants.map { $0.kernel(at: 1).map { .text($0.shortName) } ?? .unknown }),
      .init("mean time of the second", variants.map { $0.kernel(at: 1)?.mean }),
      .init("share of the second", variants.map { $0.kernel(at: 1)?.share }),
      .init("SM fill of GEMMs", variants.map { $0.evidence.kernels.smFill }),
      .init(
        "share of the binding roof", variants.map { $0.roofShare },
        explanation: "Larger of FLOPs over peak and bytes over bandwidth, over the time taken."),
    ]
    return Report.Section(
      id: "kernels", heading: Summary.Report.gpuKernels.title,
      explanation:
        "The kernel with the largest summed time, and the next one. Times are what a profiler would print, gaps between kernels not included.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  // MARK: - Diagnosis

  private var waterfallSection: Report.Section {
    let bars = StackedBars(
      bars: variants.map { result in
        (
          name: result.variant.name,
          parts: result.analysis.waterfall.bars.enumerated().map { index, bar in
            StackedBars.Part(label: bar.step.text, figure: bar.ofWall, style: index, isEstimated: bar.isEstimated)
          }
        )
      })
    let rows = Waterfall.Step.allCases.map { step in
      FigureTable.Row(step.text, variants.map { $0.analysis.waterfall[step]?.ofWall }, explanation: step.explanation)
    }
    let busy = Waterfall.Step.allCases.suffix(4).map { step in
      FigureTable.Row(step.text + ", of busy", variants.map { $0.analysis.waterfall[step]?.ofBusy }, explanation: step.explanation)
    }
    return Report.Section(
      id: "waterfall", heading: "Where wall time went",
      explanation: "Bookkeeping: it adds up to 100 % of wall time by construction, in an order that is a convention. No bar is a gain.",
      blocks: [.bars(bars), .table(FigureTable(columns: variants.map(\.variant.name), rows: rows + busy))])
  }

  private func stationSection(_ names: [String]) -> Report.Section {
    var rows: [FigureTable.Row] = []
    for station in Station.allCases {
      rows.append(.init("\(station.text): demand a request", variants.map { $0.evidence.stations[station]?.demand }))
      rows.append(.init("  utilization", variants.map { $0.evidence.stations[station]?.utilization }))
      rows.append(.init("  own capacity", variants.map { $0.evidence.stations[station]?.capacity }))
    }
    return Report.Section(
      id: "stations", heading: "Stations",
      explanation: "What a request asks of each place it passes, how much of itself the place uses, and what it could pass alone.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  private var timelineSection: Report.Section {
    Report.Section(
      id: "timeline", heading: "Timeline",
      explanation: "One batch, and a stretch of the run, as a profiler would draw them. On the page only.",
      blocks: variants.flatMap { [Report.Block.timeline($0.timeline(ofBatch: true)), .timeline($0.timeline(ofBatch: false))] })
  }

  private var findingsSection: Report.Section {
    var blocks: [Report.Block] = []
    for result in variants {
      let assessment = result.assessment
      for ranked in assessment.ranked {
        let finding = ranked.finding
        var lines: [Prose] = finding.observation.seen
        lines.append("why: \(finding.observation.whyBad)")
        for fix in ranked.fixes.prefix(2) { lines.append("fix: \(fix.fix.title): \(Self.gains(fix.gains))") }
        if let missing = finding.observation.missing { lines.append("would decide: \(missing.cheapestMeasurement)") }
        blocks.append(
          .sentences(
            heading: "\(result.variant.name): \(finding.code.rawValue) \(finding.name) (\(finding.observation.certainty.text))", lines))
      }
      var path: [Prose] = []
      for (index, step) in assessment.unlockPath.enumerated() {
        let codes = step.codes.map(\.rawValue).joined(separator: " + ")
        let titles = step.fixes.map(\.title).joined(separator: " and ")
        var prose: Prose = "\(setting: index + 1). \(codes): \(titles): \(Self.gains(.success(step.total)))"
        if let verdict = step.total.verdict { prose = "\(prose). Then: \(verdict.sentence)" }
        path.append(prose)
      }
      if path.isEmpty {
        let computed = assessment.ranked.contains { $0.fixes.contains { if case .success = $0.gains { true } else { false } } }
        path = [computed ? "no fix or pair of fixes is worth 2 % of the goal" : "not computed: no gain of a fix is known in this run"]
      }
      blocks.append(.sentences(heading: "\(result.variant.name): unlock path, all steps so far against the run as it is", path))
    }
    return Report.Section(
      id: "findings", heading: "Findings, best first",
      explanation:
        "Ranked by --goal. Gains: throughput and p99 at this load, capacity at the p99 goal, GPU-seconds per million rows; each by re-simulation with the same draws.",
      blocks: blocks)
  }

  static func gains(_ gains: Result<GainEstimate, GainRefusal>) -> Prose {
    switch gains {
    case .failure(let refusal): return refusal.text
    case .success(let estimate):
      var prose = Prose(parts: [])
      func add(_ name: String, _ gain: Gain?) {
        guard let gain else { return }
        let separator = prose.parts.isEmpty ? "" : ", "
        let sign = gain.change.value > 0 ? "+" : ""
        prose = "\(prose)\(separator)\(name) \(sign)\(gain.change)"
      }
      add("throughput", estimate.throughput)
      add("p99", estimate.p99Latency)
      add("capacity at the goal", estimate.capacityAtGoal)
      add("GPU-seconds a million rows", estimate.gpuSecondsPerMillionRows)
      return prose.parts.isEmpty ? "no gain known" : prose
    }
  }
}
