public import Diagnosis
import GPUModel
import Planning
import Reporting
import Simulation
import TimeBase
import Trace

extension VariantResult {
  /// A kernel of the summary, by total time.
  public struct KernelFigures: Sendable {
    /// Name, shortened to what tells it from others.
    public var shortName: String
    /// Records.
    public var instances: Figure
    /// Mean duration.
    public var mean: Figure
    /// Of all kernels' time.
    public var share: Figure
    /// Of wall time.
    public var active: Figure
  }

  /// The kernel with the largest summed time.
  public var dominant: KernelFigures? { kernel(at: 0) }

  /// The kernel at a rank.
  public func kernel(at rank: Int) -> KernelFigures? {
    guard let summary = analysis.summaries.first(where: { $0.report == .gpuKernels }), summary.rows.indices.contains(rank) else {
      return nil
    }
    let row = summary.rows[rank]
    let wall = Double(max(1, analysis.device.wall))
    let source = "GPU kernel summary, \(row.count) records"
    return KernelFigures(
      shortName: ComparedRun.shortened(row.name), instances: Figure(Double(row.count), .count, analysis.kind, source: source),
      mean: Figure(row.averageNanoseconds / 1000, .microseconds, analysis.kind, source: source),
      share: Figure(row.share, .share, analysis.kind, source: source),
      active: Figure(Double(row.totalNanoseconds) / wall, .share, analysis.kind, source: source))
  }

  /// GPU busy time x SMs with a resident block.
  public var smActive: Figure? {
    guard let busy = evidence.device.gpuBusy, let fill = evidence.kernels.residentSMShareOfAll else { return nil }
    return Figure(busy.value * fill.value, .share, .estimated, source: "GPU busy time x SMs with a resident block")
  }

  /// Executed FLOP/s over the dense peak.
  public var tensorThroughput: Figure? {
    guard let peak = plan.gpu.peakFLOPs(plan.type), peak > 0, run.window > .zero else { return nil }
    var operations = 0.0
    for (rows, count) in analysis.batchSizes {
      guard let batch = try? plan.at(rows: rows) else { return nil }
      operations += batch.launches.reduce(0) { $0 + ($1.gemm == nil ? 0 : $1.floatingPointOperations) } * Double(count)
    }
    return Figure(
      operations / run.window.seconds / peak, .share, .estimated,
      source: "GEMM FLOPs of all batches over wall time and the dense \(plan.type.rawValue) peak (\(plan.gpu.name))")
  }

  /// The same less copies of rows.
  public var usefulThroughput: Figure? {
    guard let tensorThroughput, let redundant = evidence.kernels.redundantShare else { return nil }
    return Figure(tensorThroughput.value * (1 - redundant.value), .share, .estimated, source: "tensor throughput less redundant FLOPs")
  }

  /// Answers per second, with the spread of the repetitions.
  public var throughputFigure: Figure {
    let interval = throughputs.count > 1 ? throughputs.min().flatMap { low in throughputs.max().map { low...$0 } } : nil
    return Figure(run.throughput, .requestsPerSecond, analysis.kind, source: "answers in the window", interval: interval)
  }

  /// Kernels' share of their binding roof.
  public var roofShare: Figure? {
    usualBatch.rooflineShare.map {
      Figure($0, .share, .estimated, source: "plan at \(usualBatch.rows) rows")
    }
  }
}

extension VariantResult {
  /// What a comparison shows of it.
  public var compared: ComparedRun {
    ComparedRun(
      name: variant.name, run: RunTotals(run), throughputFigure: throughputFigure, analysis: analysis, evidence: evidence,
      assessment: assessment, headroom: headroom, setting: "sim:\(plan.gpu.name), host profile \(variant.host.name)",
      model: variant.model.command, trace: trace)
  }
}
