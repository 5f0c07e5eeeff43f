import GPUModel
import ModelGraph
import Planning
import Reporting

/// The three heads on an H200 as eager PyTorch runs them, kernel by kernel, beside the plan (`headroom plan HEAD --gpu h200 --fusion none`).
struct HeadsOnH200 {
  /// Kernels of one layer type, measured: medians of kernel records, PyTorch 2.11, fp16.
  struct Kernel {
    var label: String
    /// Layer of the plan that it stands for.
    var layer: String
    var count: Int
    var microseconds: Double
  }

  /// A head at a number of rows.
  struct Head {
    var head: BuiltInHead
    var rows: Int
    /// All kernels of a batch, and a graph of them replayed back to back, us.
    var kernelMicroseconds: Double
    var graphMicroseconds: Double
    var kernels: [Kernel]
  }

  static let measured: [Head] = [
    linear(1, 176.0, 191.6, 7.39, 0.93, 8.09), linear(8, 105.9, 120.4, 4.00, 1.02, 4.83), linear(256, 129.3, 147.6, 4.90, 1.22, 5.92),
    stacked(1, 121.1, 173.8, 4.86, nil, 0.99), stacked(8, 183.1, 213.6, 4.90, 2.72, 1.12), stacked(256, 290.5, 308.6, 7.20, 4.51, 2.24),
    seqlen(1, 182.2, 201.8, 4.38, 3.36, 1.12), seqlen(8, 251.9, 269.4, 6.05, 4.51, 1.86), seqlen(256, 4028.5, 4058.5, 90.88, 77.18, 34.46),
  ]

  private static func linear(_ rows: Int, _ all: Double, _ graph: Double, _ product: Double, _ relu: Double, _ last: Double) -> Head {
    Head(
      head: .linear(), rows: rows, kernelMicroseconds: all, graphMicroseconds: graph,
      kernels: [
        Kernel(label: "product \(rows) x 1,024 x 1,024", layer: "layers.0", count: 20, microseconds: product),
        Kernel(label: "ReLU", layer: "relu.0", count: 20, microseconds: relu),
        Kernel(label: "product \(rows) x 2 x 1,024", layer: "proj_out", count: 1, microseconds: last),
      ])
  }

  private static func stacked(_ rows: Int, _ all: Double, _ graph: Double, _ product: Double, _ bias: Double?, _ relu: Double) -> Head {
    Head(
      head: .stacked(), rows: rows, kernelMicroseconds: all, graphMicroseconds: graph,
      kernels: [Kernel(label: "product 5 x \(rows) x 1,024 x 1,024", layer: "layers.0.bmm", count: 20, microseconds: product)]
        + (bias.map { [Kernel(label: "bias", layer: "layers.0.add", count: 20, microseconds: $0)] } ?? [])
        + [Kernel(label: "ReLU", layer: "relu.0", count: 20, microseconds: relu)])
  }

  private static func seqlen(_ rows: Int, _ all: Double, _ graph: Double, _ product: Double, _ norm: Double, _ relu: Double) -> Head {
    Head(
      head: .seqlen(), rows: rows, kernelMicroseconds: all, graphMicroseconds: graph,
      kernels: [
        Kernel(label: "product \(rows * 128) x 1,024 x 1,024", layer: "mid_layers.0", count: 18, microseconds: product),
        Kernel(label: "LayerNorm", layer: "mid_norms.0", count: 19, microseconds: norm),
        Kernel(label: "ReLU", layer: "relu.0", count: 19, microseconds: relu),
      ])
  }

  /// What a plan says of a measured head.
  struct Comparison {
    var head: Head
    var kernels: [(kernel: Kernel, predicted: Double)]
    var kernelMicroseconds: Double
    var graphMicroseconds: Double
  }

  static func compare() throws(ExperimentError) -> [Comparison] {
    let gpu = try Experiment.gpu("h200")
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    var found: [Comparison] = []
    for head in measured {
      let plan: BatchPlan
      do {
        plan = try PlanBuilder(model: model, type: .fp16, fusion: .none).plan(try head.head.graph(seed: 1)).at(rows: head.rows)
      } catch { throw ExperimentError("\(head.head.name): \(error)") }
      let kernels = head.kernels.map { kernel in
        (kernel, plan.launches.first { $0.layer.hasPrefix(kernel.layer) }.map { $0.predictedNanoseconds / 1e3 } ?? .nan)
      }
      found.append(
        Comparison(
          head: head, kernels: kernels, kernelMicroseconds: plan.predictedNanoseconds / 1e3,
          graphMicroseconds: plan.elapsedNanoseconds(.graph, host: .h200PyTorch) / 1e3))
    }
    return found
  }

  /// As Markdown.
  static func markdown() throws(ExperimentError) -> [String] {
    var lines = ["| head, rows | kernel | per batch | measured, us | planned, us | error |", "|---|---|---|---|---|---|"]
    func add(_ name: String, _ kernel: String, _ count: String, _ measured: Double, _ predicted: Double) {
      let share = predicted / measured - 1
      lines.append(
        "| \(name) | \(kernel) | \(count) | \(NumberText.significant(measured)) | \(NumberText.significant(predicted)) | \(share > 0 ? "+" : "")\(NumberText.percent(share)) |"
      )
    }
    for comparison in try compare() {
      let name = "\(comparison.head.head.name), \(comparison.head.rows)"
      for (kernel, predicted) in comparison.kernels { add(name, kernel.label, "\(kernel.count)", kernel.microseconds, predicted) }
      add(name, "**all kernels**", "", comparison.head.kernelMicroseconds, comparison.kernelMicroseconds)
      add(name, "**graph, back to back**", "", comparison.head.graphMicroseconds, comparison.graphMicroseconds)
    }
    return lines
  }
}
