import Diagnosis
import Explanation
public import JSONText
import LoadModel
public import Reporting
import TimeBase
import Workload

extension MeasuredResult {
  /// What was compared, as it is shown. Every section says MEASURED: it may stand beside simulated ones.
  public var report: Report {
    var report = Report(
      title: "headroom bench: \(experiment.name), measured on this machine", question: experiment.question, banner: nil,
      facts: facts,
      notes: notes)
    let shared = RunComparison(runs: variants.map(\.compared))
    var verdict = shared.verdictSection
    verdict.explanation =
      "From the pipeline stages' utilization: the one that has no time left is the limit. Where a simulation fitted to this run reproduces it, from the throughput sensitivity to 3 % of each kind of time there; medium confidence at most, for it was fitted."
    report.cards = shared.cards
    report.sections = [shared.headroomSection, verdict, utilizationSection, countersSection, shared.loadSection, shared.batchSection]
      .compactMap { $0 }
    if variants.contains(where: { $0.atEqualRows != nil }) { report.sections.append(equalRowsSection) }
    report.sections += [
      kernelSection, apiSection(shared), osSection(shared), deviceClass == .processor ? waterfallSection : shared.waterfallSection,
      shared.stationSection, shared.timelineSection, findingsSection(shared),
    ]
    .compactMap { $0 }
    report.sections = report.sections.map { section in
      var section = section
      section.id = (deviceClass == .processor ? "cpu-" : "gpu-") + section.id
      section.tag = "MEASURED"
      return section
    }
    return report
  }

  private var notes: [String] {
    var notes = experiment.notes
    notes.append("server and generator share this machine's cores: what one uses the other lacks")
    for variant in variants {
      if variant.generator.kind == .clientBound { notes.append("\(variant.variant.name): \(variant.generator.clause)") }
      if let foreign = variant.foreignCores, foreign.value > 0.12 {
        notes.append("\(variant.variant.name): other programs used \(foreign.text) cores meanwhile; its figures are unreliable")
      }
      if variant.stability.kind == .drifting { notes.append("\(variant.variant.name): \(variant.stability.words)") }
    }
    return notes
  }

  private var facts: [(name: String, text: String)] {
    var facts = [("device", device)]
    func add(_ name: String, _ text: (Variant) -> String) {
      let texts = variants.map { text($0.variant) }
      if Set(texts).count == 1, let only = texts.first {
        facts.append((name, only))
      } else {
        facts.append((name, zip(variants, texts).map { "\($0.variant.name): \($1)" }.joined(separator: "; ")))
      }
    }
    add("model") { $0.model.text }
    add("load") { variant in
      let workload = variant.workload
      let window =
        "\(workload.rows.text) row\(workload.rows == .fixed(1) ? "" : "s") per request, \(NumberText.significant(workload.duration.seconds)) s after \(NumberText.significant(workload.warmUp.seconds)) s warm-up"
      switch workload.load {
      case .closed(let users, _, let think): return "closed loop, \(NumberText.grouped(users)) users, think \(think.text) s, \(window)"
      case .open(let arrivals):
        return "open loop, \(NumberText.significant(arrivals.perSecond(over: workload.duration))) requests/s, \(window)"
      }
    }
    add("serving") { variant in
      guard let batching = variant.scheduler.batching else { return "no dynamic batching, \(variant.scheduler.instances) instances" }
      let preferred = batching.preferredSizes.isEmpty ? "none" : batching.preferredSizes.map { "\($0)" }.joined(separator: ", ")
      return
        "max batch \(variant.scheduler.maximumBatchRows) rows, preferred \(preferred), delay \(NumberText.significant(batching.maximumQueueDelay.milliseconds)) ms, \(variant.scheduler.instances) instance(s)"
    }
    return facts
  }

  private var names: [String] { variants.map(\.variant.name) }

  private var utilizationSection: Report.Section {
    let rows: [FigureTable.Row] = [
      .init(
        "busy time (kernels)", variants.map { $0.compared.evidence.device.gpuBusy },
        explanation: "Share of wall time in which at least one kernel runs on the instance; temporal, not a share of the cores."),
      .init("dominant kernel's share of time", variants.map { $0.dominant?.active }),
      .init(
        "server CPU per request", variants.map { $0.serverCPUPerRequest },
        explanation: "User and system time of all the server's threads over answers."),
      .init(
        "event loops", variants.map { $0.compared.evidence.frontEnd.coreShare },
        explanation: "CPU time of the front end's threads over their wall time."),
      .init(
        "generator's busiest thread", variants.map { $0.compared.evidence.client.fullestShare },
        explanation: "Near 100 % the generator is the limit, and the figures are its own."),
      .init(
        "cores used by others", variants.map { $0.foreignCores }, explanation: "Other programs of this machine, over the window."),
    ]
    return Report.Section(
      id: "utilization", heading: "Utilization",
      explanation: "Busy is temporal: a kernel ran. It does not say how much of the cores' arithmetic it used.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  private var equalRowsSection: Report.Section {
    func row(_ label: String, _ figure: (MeasuredVariant.EqualRows) -> Figure?, _ explanation: String = "") -> FigureTable.Row {
      .init(label, variants.map { $0.atEqualRows.flatMap(figure) }, explanation: explanation)
    }
    let rows = [
      row("rows offered", { $0.offered }, "Four fifths of what the slowest variant did."), row("rows answered", { $0.answered }),
      row("server CPU per million inferences", { $0.cpuSecondsPerMillionRows }, "What a row costs, whatever share of the time is busy."),
      row("kernel time per million inferences", { $0.kernelSecondsPerMillionRows }), row("rows per batch", { $0.rowsPerBatch }),
      row("busy time (kernels)", { $0.gpuBusy }), row("median latency", { $0.medianLatency }, "From the instant a request was due."),
      row("p99 latency", { $0.p99Latency }),
    ]
    return Report.Section(
      id: "equal-rows", heading: "At equal rows per second",
      explanation: "An open loop at a rate that every variant can serve: a busier device is here a costlier row, nothing else.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  private var kernelSection: Report.Section {
    let rows: [FigureTable.Row] = [
      .init("dominant kernel", cells: variants.map { $0.kernel(0).map { .text(ComparedRun.shortened($0.name)) } ?? .unknown }),
      .init("instances", variants.map { $0.dominant?.instances }), .init("mean time", variants.map { $0.dominant?.mean }),
      .init("share of kernel time", variants.map { $0.dominant?.share }),
      .init("second kernel", cells: variants.map { $0.kernel(1).map { .text(ComparedRun.shortened($0.name)) } ?? .unknown }),
      .init(
        "share of the second",
        variants.map { result in result.kernel(1).map { Figure($0.share, .share, .measured, source: "kernel summary") } }),
    ]
    return Report.Section(
      id: "kernels", heading: "Kernel summary",
      explanation: "Steps of a batch by name, by their summed wall time on the instance's thread.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  /// On a GPU that was recorded: the calls that launch, copy and wait.
  private func apiSection(_ shared: RunComparison) -> Report.Section? {
    variants.contains { $0.compared.trace.apiCalls.count > 0 } ? shared.summarySection(.cudaAPI) : nil
  }

  /// Steps before the kernels as everywhere; what the kernels made of the cores is not in the trace.
  private var waterfallSection: Report.Section {
    let idle = Waterfall.Step.allCases.filter { step in
      !step.isBusy && variants.contains { $0.compared.analysis.waterfall[step] != nil }
    }
    var rows = idle.map { step in
      FigureTable.Row(step.text, variants.map { $0.compared.analysis.waterfall[step]?.ofWall }, explanation: step.explanation)
    }
    rows.append(
      .init(
        "busy: kernels ran", variants.map { $0.compared.evidence.device.gpuBusy },
        explanation: "How much of the cores' arithmetic or bandwidth they used is not in the trace."))
    return Report.Section(
      id: "waterfall", heading: "Where wall time went",
      explanation: "Time breakdown: it adds up to 100 % of wall time. Not an achievable speedup.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }

  private func findingsSection(_ shared: RunComparison) -> Report.Section {
    var section = shared.findingsSection
    let remarks = variants.compactMap { variant in variant.fittedRemark.map { "\(variant.variant.name): \($0)" as Sentence } }
    if !remarks.isEmpty {
      section.blocks.insert(.sentences(heading: "How well the fitted simulations reproduce their runs", remarks), at: 0)
    }
    section.explanation +=
      " What was seen is measured. Effects and the improvement plan are simulated: each change is made to a simulation fitted to the run, which must reproduce the run's requests/s and busy time to 3 %."
    return section
  }

  private func osSection(_ shared: RunComparison) -> Report.Section? {
    guard variants.contains(where: { $0.compared.trace.osCalls.count > 0 }) else { return nil }
    var section = shared.summarySection(.osRuntime)
    section.explanation =
      "Calls of the server's threads into the operating system, as interposed: each under its own name. Raw system calls are not seen."
    return section
  }

  /// Everything that is said, for machines.
  public func json(version: String) -> JSONValue {
    [
      "schema": "headroom.bench-measured/4", "headroom": .string(version), "mode": "measured", "experiment": .string(experiment.name),
      "question": .string(experiment.question), "device": .string(device),
      "seed": JSONValue(Int64(truncatingIfNeeded: experiment.seed)),
      "p99GoalMilliseconds": JSONValue(experiment.latencyGoal.p99Milliseconds),
      "notes": .array(notes.map { .string($0) }),
      "variants": .array(variants.map(\.json)),
    ]
  }
}

extension MeasuredVariant {
  func kernel(_ rank: Int) -> Summary.Row? {
    guard let rows = compared.analysis.summaries.first(where: { $0.report == .gpuKernels })?.rows, rows.indices.contains(rank) else {
      return nil
    }
    return rows[rank]
  }

  var dominant: (instances: Figure, mean: Figure, share: Figure, active: Figure)? {
    guard let row = kernel(0) else { return nil }
    let source = "kernel summary, \(row.count) records"
    let wall = Double(max(1, compared.analysis.device.wall))
    return (
      Figure(Double(row.count), .count, .measured, source: source),
      Figure(row.averageNanoseconds / 1000, .microseconds, .measured, source: source), Figure(row.share, .share, .measured, source: source),
      Figure(Double(row.totalNanoseconds) / wall, .share, .measured, source: source)
    )
  }

  var json: JSONValue {
    let figures = compared.figures(
      own: [
        ("dominantKernelInstances", dominant?.instances), ("dominantKernelMeanMicroseconds", dominant?.mean),
        ("serverCPUPerRequestMicroseconds", serverCPUPerRequest), ("generatorCoreShare", compared.evidence.client.fullestShare),
        ("foreignCores", foreignCores), ("equalRowsOffered", atEqualRows?.offered),
        ("equalRowsCPUSecondsPerMillionRows", atEqualRows?.cpuSecondsPerMillionRows),
        ("equalRowsKernelSecondsPerMillionRows", atEqualRows?.kernelSecondsPerMillionRows),
        ("equalRowsMedianLatencyMilliseconds", atEqualRows?.medianLatency), ("equalRowsP99LatencyMilliseconds", atEqualRows?.p99Latency),
      ])
    return .object(
      compared.members + [
        .init("model", .string(variant.model.text)), .init("figures", figures),
        .init("onGPU", onGPU?.json ?? .null), .init("reproductionError", reproductionError?.json ?? .null),
        .init("fittedSimulation", JSONValue(fittedRemark)),
        .init(
          "generator",
          [
            "isClientBound": .bool(generator.kind == .clientBound), "words": .string(generator.words),
            "stability": .string(stability.words),
          ]),
      ])
  }
}

extension Report {
  /// Both in one: this one's sections, then the other's. Each section of either says which kind it is.
  public func followed(by other: Report) -> Report {
    var both = self
    both.sections =
      sections.map { section in
        var section = section
        section.tag = section.tag ?? (banner == nil ? "MEASURED" : "SIMULATED")
        return section
      } + other.sections
    let kind = banner == nil ? "" : "simulated: "
    both.facts = facts.map { (kind + $0.name, $0.text) } + other.facts.map { ("measured: " + $0.name, $0.text) }
    both.notes = notes + other.notes
    both.cards = cards + other.cards
    if banner != nil {
      both.banner =
        "Sections marked SIMULATED: no GPU ran and no request was sent. Sections marked MEASURED ran on this machine's processor."
    }
    return both
  }
}
