import HostModel
import Diagnosis
public import Planning
public import Reporting
import Simulation

/// A plan, shared by the runs of a fit.
public struct PlanBox: Sendable {
  /// The plan.
  public let plan: Plan

  /// Holds a plan.
  public init(_ plan: Plan) { self.plan = plan }
}

/// Three explanations of the case study's table, each fitted to Linear and SeqLen, each asked to predict Stacked.
public enum Hypotheses {
  /// The hypotheses: what is free in each.
  public static func all() -> [(name: String, fit: HypothesisFit, separates: String)] {
    let base = HostProfile.triton
    let free = base.with(.clientPerRequest, 20).with(.clientCores, 8)
    return [
      (
        "client",
        HypothesisFit(
          host: base, start: [(.clientMicroseconds, 850), (.thinkMilliseconds, 300), (.handOffMicroseconds, 250)]),
        "`pidstat -t -p PID 5 1` on the generator: one core at 100 %; or the same users from two processes: throughput rises"
      ),
      (
        "front end",
        HypothesisFit(
          host: free.with(.frontEndCores, 1),
          start: [(.frontEndMicroseconds, 780), (.thinkMilliseconds, 400), (.handOffMicroseconds, 250)]),
        "`pidstat -t -p PID 5 1` on the server: one thread at 100 %; or two generator processes: throughput stays"
      ),
      (
        "think time only", HypothesisFit(host: free, start: [(.thinkMilliseconds, 800), (.handOffMicroseconds, 250)]),
        "the latency itself: without a queue it is some 10 ms, not 440"
      ),
    ]
  }

  /// The case study's three variants with plans, short windows.
  static func variants() throws(ExperimentError) -> [(variant: Variant, plan: PlanBox, row: PublishedTable.Row)] {
    let experiment = try Experiment.caseStudy(seconds: 30)
    var list: [(variant: Variant, plan: PlanBox, row: PublishedTable.Row)] = []
    for (variant, row) in zip(experiment.variants, PublishedTable.rows) { list.append((variant, PlanBox(try variant.plan()), row)) }
    return list
  }

  /// Fits all three and lays their errors side by side.
  public static func report(progress: (String) -> Void) throws(ExperimentError) -> Report {
    let variants = try variants()
    let inputs = variants.filter { $0.variant.name != "stacked" }
    var columns = ["published"]
    var fitted: [(name: String, values: [(String, Double)], error: Double)] = []
    var runs: [[SimulationResult]] = []
    for hypothesis in all() {
      progress("\(hypothesis.name): fitting")
      let best = try hypothesis.fit.fit(inputs)
      fitted.append((hypothesis.name, zip(hypothesis.fit.start, best.values).map { ($0.0.parameter.text, $0.1) }, best.error))
      var results: [SimulationResult] = []
      for entry in variants {
        let changed = hypothesis.fit.configured(entry.variant, best.values)
        results.append(try changed.system(entry.plan.plan, seed: 1).result("\(hypothesis.name), \(entry.variant.name)"))
      }
      runs.append(results)
      columns += [hypothesis.name, "error"]
      progress("\(hypothesis.name): done")
    }
    var rows: [FigureTable.Row] = []
    func line(_ label: String, _ unit: Figure.Unit, _ document: Double, _ ours: [Double]) {
      var cells: [FigureTable.Cell] = [.figure(Figure(document, unit, .measured, source: "published case study"))]
      for value in ours {
        cells.append(.figure(Figure(value, unit, .simulated, source: "fitted system")))
        cells.append(.figure(Figure(value / document - 1, .share, .simulated, source: "simulated over published, less one")))
      }
      rows.append(FigureTable.Row(label, cells: cells))
    }
    for (index, entry) in variants.enumerated() {
      let blind = entry.variant.name == "stacked" ? " (blind)" : " (input)"
      line("\(entry.row.name) throughput\(blind)", .requestsPerSecond, entry.row.throughput, runs.map { $0[index].throughput })
      line("\(entry.row.name) mean latency\(blind)", .milliseconds, entry.row.mean, runs.map { $0[index].meanLatencyMilliseconds ?? 0 })
      line(
        "\(entry.row.name) outside the measured latency", .milliseconds,
        PublishedTable.users / entry.row.throughput * 1000 - entry.row.mean,
        runs.map { PublishedTable.users / $0[index].throughput * 1000 - ($0[index].meanLatencyMilliseconds ?? 0) })
      line(
        "\(entry.row.name) batches per second\(blind)", .count, entry.row.batchesPerSecond,
        runs.map { Double($0[index].batches) / max(1e-9, $0[index].window.seconds) })
    }
    var blocks: [Report.Block] = [.table(FigureTable(columns: columns, rows: rows))]
    for (hypothesis, found) in zip(all(), fitted) {
      var lines: [Sentence] = found.values.map { name, value in
        "\(name): \(Figure(value, .count, .fitted, source: "least squared log errors of throughput, mean latency and batches per second, Linear and SeqLen"))"
      }
      let root = (found.error / 6).squareRoot()
      lines.append("root mean square error of the six inputs: \(Figure(root, .share, .simulated, source: "log errors"))")
      lines.append("to confirm: \(hypothesis.separates)")
      blocks.append(.sentences(heading: "hypothesis: \(hypothesis.name)", lines))
    }
    return Report(
      title: "headroom bench --hypotheses",
      question: "Which of three hypotheses explains the case study's table, and what would tell them apart?",
      banner: "SIMULATED: each hypothesis is fitted to the case study's Linear and SeqLen rows and run in virtual time.",
      facts: [
        ("observations", "throughput, mean latency and batches per second of Linear and SeqLen (6); Stacked and all else are blind"),
        ("device", "sim:RTX PRO 6000 Blackwell WS"),
      ],
      sections: [
        Report.Section(
          id: "hypotheses", heading: "Three hypotheses against one table",
          explanation:
            "A hypothesis whose errors on the inputs are large is ruled out; between those that fit, only a further measurement decides.",
          blocks: blocks)
      ])
  }
}
