import CheckedNumbers
import Diagnosis
public import Reporting

extension TraceExplanation {
  /// Everything behind the ten lines, for `--verbose` and the page.
  public var report: Report {
    var report = Report(
      title: name, question: headline,
      banner: isSimulated ? "SIMULATED: no GPU ran; the times are modelled" : nil,
      facts: [
        (
          "trace", "\(contents.apiCalls) CUDA calls on \(contents.threads) threads, \(contents.osCalls) OS calls, \(contents.ranges) ranges"
        ),
        ("devices", devices.map(\.name).joined(separator: "; ")),
      ], notes: notes)
    if let windowText { report.facts.append(("window", "only \(windowText)")) }
    report.factsHeading = "The trace, its devices and remarks"
    report.cards = [card]
    for index in devices.indices {
      let suffix = devices.count > 1 ? " (\(devices[index].name))" : ""
      report.sections += sections(index).map { section in
        var section = section
        section.heading += suffix
        return section
      }
    }
    return report
  }

  /// The ten lines, with where time went as one bar: what the page opens with.
  private var card: Report.Card {
    let rows = answerLines.rows.filter { $0.name != Self.timeName }
    let first = findings.indices.contains(main) ? findings[main].recommendations.first?.code : nil
    return Report.Card(
      name: devices.indices.contains(main) ? devices[main].name : "No work of a GPU", setting: "", title: headline,
      lines: rows.map { row in
        Report.Card.Line(
          name: row.name, text: row.text, kind: row.kind, anchor: row.name.hasPrefix("1 ") ? first.map { anchor(of: $0, main) } : nil)
      }, parts: devices.indices.contains(main) ? parts(main) : [], diff: [])
  }

  /// Of a finding's heading on the page.
  private func anchor(of code: TraceFinding.Code, _ index: Int) -> String { "\(code.rawValue)-\(index)" }

  private func sections(_ index: Int) -> [Report.Section] {
    let device = devices[index]
    var sections = [
      verdictSection(index), timeSection(index), countersSection(device), gapsSection(device), kernelsSection(device),
    ]
    if index == main, let requests { sections.insert(requestsSection(requests, device), at: 2) }
    if let products = device.products { sections.append(productsSection(products, device)) }
    if !device.tiledProducts.isEmpty, (device.products?.coverage ?? 0) < 0.9 { sections.append(tilesSection(device)) }
    return sections + [copiesSection(device), findingsSection(index)]
  }

  private func verdictSection(_ index: Int) -> Report.Section {
    let verdict = verdicts[index]
    return Report.Section(
      id: "verdict", heading: "Verdict", explanation: "What limits, how sure that is, and what would confirm it.",
      blocks: [
        .sentences(
          heading: verdict.confidence == .inconclusive ? verdict.title : "\(verdict.title): \(verdict.confidence.phrase)",
          verdict.evidence + [Sentence(stringLiteral: "To confirm: \(verdict.confirm)")])
      ])
  }

  private func timeSection(_ index: Int) -> Report.Section {
    let device = devices[index]
    var rows: [FigureTable.Row] = [
      .init("kernels", [device.share(device.busy.kernel)], explanation: "At least one kernel ran."),
      .init("non-overlapped memcpy", [device.share(device.busy.nonOverlappedMemcpy)], explanation: "Copies or fills ran, and no kernel."),
    ]
    for cause in GapCause.allCases {
      guard let nanoseconds = device.idle.byCause[cause], nanoseconds > 0 else { continue }
      rows.append(.init("idle: " + cause.text, [device.share(nanoseconds)]))
    }
    return Report.Section(
      id: "gpu-time", heading: "GPU time",
      explanation: "Time breakdown of the span, 100 % together; not an achievable speedup.",
      blocks: [.bars(StackedBars(bars: [(device.name, parts(index))])), .table(FigureTable(columns: ["of the span"], rows: rows))])
  }

  private func parts(_ index: Int) -> [StackedBars.Part] {
    let device = devices[index]
    return [
      StackedBars.Part(label: "kernels", figure: device.share(device.busy.kernel), style: 0, isEstimated: false, isLoss: false),
      StackedBars.Part(
        label: "non-overlapped memcpy", figure: device.share(device.busy.nonOverlappedMemcpy), style: 4, isEstimated: false),
    ]
      + GapCause.Family.allCases.map { family in
        StackedBars.Part(
          label: "idle: " + (verdicts.indices.contains(index) ? verdicts[index].name(family) : TraceVerdict.name(family)),
          figure: device.share(device.idle[family]),
          style: Self.style(family), isEstimated: false)
      }
  }

  /// A cause that a run's waterfall has too keeps its colour.
  private static func style(_ family: GapCause.Family) -> Int {
    switch family {
    case .upstream: Waterfall.Step.noRequestsIdle.style
    case .loop: Waterfall.Step.hostOverheadIdle.style
    case .unknown: Waterfall.Step.unattributedIdle.style
    case .launch: 9
    case .device: 10
    case .dependency: 11
    case .transfer: 12
    case .calls: 13
    case .overhead: 14
    }
  }

  private func countersSection(_ device: DeviceExplanation) -> Report.Section {
    let measured = devices.indices.contains(main) && devices[main].ordinal == device.ordinal ? metrics : nil
    let rows = device.counters.counters.map { counter in
      FigureTable.Row(
        counter.counter.text,
        cells: [
          measured?.shares[counter.counter].map { .figure(Figure($0, .share, .measured, source: measured?.source ?? "")) } ?? .unknown,
          counter.figure.map { .figure($0) } ?? .unknown,
          counter.figure?.interval.map { .text("\(NumberText.percent($0.lowerBound)) to \(NumberText.percent($0.upperBound))") }
            ?? .unknown,
        ], explanation: counter.counter.explanation + " " + counter.note)
    }
    return Report.Section(
      id: "counters", heading: "Predicted counters", explanation: "What the counters would have shown, from \(device.counters.basis).",
      blocks: [.table(FigureTable(columns: ["measured", "predicted", "interval"], rows: rows))])
  }

  private func gapsSection(_ device: DeviceExplanation) -> Report.Section {
    func time(_ nanoseconds: Double) -> FigureTable.Cell { .text(NumberText.time(nanoseconds: nanoseconds)) }
    let commonest = device.idle.patterns.prefix(10).map { pattern in
      FigureTable.Row(
        "\(pattern.before) -> \(pattern.after)",
        cells: [
          .figure(device.share(pattern.total)), .text(NumberText.grouped(pattern.count)),
          time(Double(pattern.total) / Double(max(1, pattern.count))), .text(pattern.cause.text),
        ])
    }
    let longest = device.idle.longest.prefix(10).map { gap in
      FigureTable.Row(
        NumberText.time(nanoseconds: Double(gap.length)),
        cells: [.text(NumberText.time(nanoseconds: Double(gap.range.lowerBound - device.span.lowerBound))), .text(gap.cause.text)])
    }
    return Report.Section(
      id: "gaps", heading: "Gaps",
      explanation:
        "Stretches without any GPU work: \(NumberText.grouped(device.idle.count)), median \(NumberText.time(nanoseconds: Double(device.idle.medianLength))).",
      blocks: [
        .sentences(heading: "commonest, by what they add up to", []),
        .table(FigureTable(columns: ["of the span", "gaps", "mean", "cause"], rows: Array(commonest))),
        .sentences(heading: "longest", []), .table(FigureTable(columns: ["from the start", "cause"], rows: Array(longest))),
      ])
  }

  private func kernelsSection(_ device: DeviceExplanation) -> Report.Section {
    let total = Double(max(1, device.kernels.total))
    let rows = device.kernels.rows.prefix(25).map { row in
      FigureTable.Row(
        row.name,
        cells: [
          .figure(Figure(Double(row.total) / total, .share, device.kind, source: "trace: share of kernel time")),
          .text(NumberText.grouped(row.count)), .text(NumberText.time(nanoseconds: Double(row.median))),
          .text(row.grid.map { String($0) }.joined(separator: "x")),
          row.fit.map { .text(NumberText.significant($0.waves, digits: 2)) } ?? .unknown,
          row.fit.map { .figure(Figure($0.residentSMShare, .share, .estimated, source: "grid and SM count")) } ?? .unknown,
          .text(row.parsed.role.text),
        ], explanation: row.fullName)
    }
    return Report.Section(
      id: "kernels", heading: "Kernels",
      explanation: "By time. Waves and SMs with a resident block from grid, block, registers, shared memory and \(device.facts.source).",
      blocks: [.table(FigureTable(columns: ["of kernel time", "runs", "median", "grid", "waves", "SMs", "what"], rows: Array(rows)))])
  }

  private func copiesSection(_ device: DeviceExplanation) -> Report.Section {
    let rows = device.copies.rows.map { row in
      FigureTable.Row(
        row.name,
        cells: [
          .figure(device.share(row.nanoseconds)), .text(NumberText.grouped(row.count)),
          .figure(Figure(Double(row.bytes), .bytes, device.kind, source: "trace")),
          .figure(Figure(row.rate, .bytesPerSecond, device.kind, source: "trace: bytes over copy time")),
        ])
    }
    return Report.Section(
      id: "copies", heading: "Copies", explanation: "Sums of durations over the span; copies may overlap kernels.",
      blocks: [.table(FigureTable(columns: ["of the span", "copies", "bytes", "rate"], rows: rows))])
  }

  private func findingsSection(_ index: Int) -> Report.Section {
    let found = findings[index]
    var blocks: [Report.Block] = found.found.map { finding in
      .sentences(
        heading: "\(finding.code.rawValue) \(finding.code.title) (\(finding.confidence.phrase)): \(finding.gain.text)",
        finding.seen + [Sentence(stringLiteral: "Fix: \(finding.fix)"), Sentence(stringLiteral: Self.how(finding.gain))],
        anchor: anchor(of: finding.code, index))
    }
    if blocks.isEmpty { blocks = [.sentences(heading: "none", [])] }
    let replay =
      found.refusal.map { "Gains are not replayed: \($0)." }
      ?? "Gains by replay; the unedited trace is reproduced to within \(NumberInWords.percent(found.replayError ?? 0))."
    return Report.Section(id: "findings", heading: "Findings", explanation: replay, blocks: blocks)
  }

  private static func how(_ gain: TraceFinding.Gain) -> String {
    switch gain {
    case .replayed(let figure): "Replayed with the change made: \(figure.value >= 0 ? "+" : "")\(figure.text)."
    case .atMost(let figure): "A bound, not an estimate: at most +\(figure.text)."
    case .ifBacklogged(let figure): "Nothing at the same arrivals; +\(figure.text) where work always waits. The trace does not show which."
    case .notQuantified(let reason): "Not quantified: \(reason)."
    }
  }
}
