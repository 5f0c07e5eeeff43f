import Diagnosis
import JSONText
import Reporting
import CheckedNumbers

extension SimulationComparison {
  /// What is aimed at on a GPU: kernel times within 10 %, requests/s within 15 %.
  public init(predicted: [ComparedRun], onGPU measured: MeasuredResult) {
    self.init(predicted: predicted, measured: measured.variants.map(\.compared))
    for index in lines.indices {
      switch lines[index].quantity {
      case "requests/s": lines[index].aim = 0.15
      default: lines[index].aim = nil
      }
    }
    for run in predicted {
      guard let variant = measured.variants.first(where: { $0.variant.name == run.name }), let predicted = run.kernelTimePerBatch,
        let seen = variant.onGPU?.kernelTimePerBatch
      else { continue }
      let place = lines.lastIndex { $0.variant == run.name }.map { $0 + 1 } ?? lines.count
      lines.insert(Line(variant: run.name, quantity: "kernel time per batch", predicted: predicted, measured: seen, aim: 0.1), at: place)
    }
  }

  /// For the report of the run: predicted, measured, hit or miss.
  func section(_ prediction: RecordedPrediction) -> Report.Section {
    let table = FigureTable(
      columns: ["predicted", "measured", "error", "aim"],
      rows: lines.map { line in
        let error = line.error.map { Figure($0, .share, .measured, source: "predicted over measured, less one") }
        let aim = line.aim.map { "within \(Int(saturating: ($0 * 100).rounded())) %: \(line.isMet == true ? "hit" : "miss")" } ?? "none"
        return FigureTable.Row(
          "\(line.variant): \(line.quantity)",
          cells: [.figure(line.predicted), .figure(line.measured), error.map { .figure($0) } ?? .unknown, .text(aim)])
      })
    return Report.Section(
      id: "prediction", heading: "Predicted before the run",
      explanation:
        "Written down before the first request, SHA-256 \(prediction.digest.prefix(16))...: a kernel time per batch is of as many rows as its run's batches had.",
      blocks: [.table(table)])
  }
}

extension MeasuredResult {
  /// The run's report with the prediction, and the published table, beside it.
  public func outcome(predicted: BenchOutcome?, _ prediction: RecordedPrediction?, version: String) -> BenchOutcome {
    var outcome = BenchOutcome(self, version: version)
    var sections = outcome.report.sections
    func add(_ section: Report.Section?, behind id: String) {
      guard var section else { return }
      section.id = "gpu-" + section.id
      section.tag = "MEASURED"
      let place = sections.firstIndex { $0.id == id }.map { $0 + 1 } ?? sections.count
      sections.insert(section, at: place)
    }
    add(publishedSection(predicted: predicted?.runs ?? []), behind: "gpu-throughput-latency")
    if let predicted, let prediction {
      add(SimulationComparison(predicted: predicted.runs, onGPU: self).section(prediction), behind: "gpu-throughput-latency")
    }
    outcome.report.sections = sections
    return outcome
  }
}
