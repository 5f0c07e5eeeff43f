import CheckedNumbers
public import Diagnosis
public import JSONText
public import Reporting

/// A prediction in virtual time beside the run it predicted: five figures a variant, their errors, and what was aimed at.
public struct SimulationComparison: Sendable, Hashable {
  /// One figure.
  public struct Line: Sendable, Hashable {
    /// Of which variant.
    public var variant: String
    /// "requests/s", "rows per batch", "GPU busy time", "p50", "p95".
    public var quantity: String
    /// Before the run.
    public var predicted: Figure
    /// In the run.
    public var measured: Figure
    /// Largest error aimed at; nil where none is.
    public var aim: Double?

    /// Predicted over measured, less one; nil where nothing was measured.
    public var error: Double? { measured.value != 0 ? predicted.value / measured.value - 1 : nil }
    /// Whether the aim was met; nil where there is none.
    public var isMet: Bool? {
      guard let aim, let error else { return nil }
      return error.magnitude <= aim
    }
  }

  /// In the experiment's order.
  public var lines: [Line]

  /// Compares the variants that both have.
  public init(predicted: [ComparedRun], measured: [ComparedRun]) {
    var lines: [Line] = []
    for simulated in predicted {
      guard let real = measured.first(where: { $0.name == simulated.name }) else { continue }
      func add(_ quantity: String, _ predicted: Figure?, _ measured: Figure?, aim: Double?) {
        if let predicted, let measured {
          lines.append(Line(variant: simulated.name, quantity: quantity, predicted: predicted, measured: measured, aim: aim))
        }
      }
      func latency(_ run: ComparedRun, _ percentile: Double) -> Figure? {
        run.run.latencyMilliseconds(percentile: percentile).map {
          Figure($0, .milliseconds, run.analysis.kind, source: "client-side latency, percentile \(percentile)")
        }
      }
      add("requests/s", simulated.throughputFigure, real.throughputFigure, aim: 0.1)
      add("rows per batch", simulated.evidence.batching.meanRows, real.evidence.batching.meanRows, aim: 0.1)
      add("GPU busy time", simulated.evidence.device.gpuBusy, real.evidence.device.gpuBusy, aim: nil)
      add("p50", latency(simulated, 50), latency(real, 50), aim: nil)
      add("p95", latency(simulated, 95), latency(real, 95), aim: 0.2)
    }
    self.lines = lines
  }

  /// Side by side. `notes`: what stands above it.
  public func report(experiment: String, facts: [(name: String, text: String)], notes: [String]) -> Report {
    let table = FigureTable(
      columns: ["predicted", "measured", "error", "aim"],
      rows: lines.map { line in
        let error = line.error.map { Figure($0, .share, .measured, source: "predicted over measured, less one") }
        let aim = line.aim.map { "within \(Int(saturating: ($0 * 100).rounded())) %: \(line.isMet == true ? "met" : "missed")" } ?? "none"
        return FigureTable.Row(
          "\(line.variant): \(line.quantity)",
          cells: [.figure(line.predicted), .figure(line.measured), error.map { .figure($0) } ?? .unknown, .text(aim)])
      })
    let met = lines.count { $0.isMet == true }
    let aimed = lines.count { $0.isMet != nil }
    return Report(
      title: "headroom bench --validate: \(experiment)",
      question: "How well does virtual time predict this machine, with host costs and batch times measured before the run?", banner: nil,
      facts: facts, notes: notes,
      sections: [
        Report.Section(
          id: "validation", heading: "Predicted and measured",
          explanation: "\(met) of \(aimed) aims met. The prediction saw nothing of the run.", blocks: [.table(table)])
      ])
  }

  /// One line of the ledger.
  public func ledgerEntry(version: String, epochSeconds: Int64, experiment: String, host: String, device: String) -> JSONValue {
    [
      "schema": "headroom.validation/1", "headroom": .string(version), "epochSeconds": JSONValue(epochSeconds),
      "experiment": .string(experiment), "hostProfile": .string(host), "device": .string(device),
      "lines": .array(
        lines.map {
          [
            "variant": .string($0.variant), "quantity": .string($0.quantity), "predicted": $0.predicted.json, "measured": $0.measured.json,
            "error": JSONValue($0.error), "aim": JSONValue($0.aim),
          ]
        }),
    ]
  }
}
