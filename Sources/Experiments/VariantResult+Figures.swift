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
      shortName: Self.shortened(row.name), instances: Figure(Double(row.count), .count, analysis.kind, source: source),
      mean: Figure(row.averageNanoseconds / 1000, .microseconds, analysis.kind, source: source),
      share: Figure(row.share, .share, analysis.kind, source: source),
      active: Figure(Double(row.totalNanoseconds) / wall, .share, analysis.kind, source: source))
  }

  /// 36 characters of a name, its end kept: that is where tiles stand.
  static func shortened(_ name: String) -> String { name.count <= 36 ? name : name.prefix(14) + ".." + name.suffix(20) }

  /// kernel-busy x SM fill.
  public var smActive: Figure? {
    guard let busy = evidence.device.kernelBusy, let fill = evidence.kernels.smFillOfAll else { return nil }
    return Figure(busy.value * fill.value, .share, .estimated, source: "kernel-busy x SM fill")
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

  /// Answers a second, with the spread of the repetitions.
  public var throughputFigure: Figure {
    let interval = throughputs.count > 1 ? throughputs.min().flatMap { low in throughputs.max().map { low...$0 } } : nil
    return Figure(run.throughput, .requestsPerSecond, .simulated, source: "answers in the window", interval: interval)
  }

  /// Kernels' share of their binding roof.
  public var roofShare: Figure? {
    usualBatch.shareOfBindingRoof(on: plan.gpu, type: plan.type).map {
      Figure($0, .share, .estimated, source: "plan at \(usualBatch.rows) rows")
    }
  }

  /// One batch from its first request to its answers, or a fifth of a second of the run.
  func timeline(ofBatch: Bool) -> Timeline {
    let table = trace.batches
    var range = analysis.window.lowerBound..<(analysis.window.lowerBound + 1)
    if ofBatch, table.count > 0 {
      let middle = table.count / 2
      let from = table.formed[middle]
      let length = max(1000, table.outputEnd[middle] - from)
      range = (from - length / 4)..<(table.outputEnd[middle] + length / 4)
    } else {
      let middle = analysis.window.lowerBound + (analysis.window.upperBound - analysis.window.lowerBound) / 2
      range = middle..<min(analysis.window.upperBound, middle + 40_000_000)
    }
    var lanes: [(name: String, spans: [Timeline.Span])] = []
    func add(
      _ name: String, _ start: [Int64], _ end: [Int64], style: (Int) -> Int, label: (Int) -> String, keep: (Int) -> Bool = { _ in true }
    ) {
      var spans: [Timeline.Span] = []
      for index in start.indices where start[index] < range.upperBound && end[index] > range.lowerBound && keep(index) {
        spans.append(
          Timeline.Span(
            start: max(start[index], range.lowerBound), end: min(end[index], range.upperBound), label: label(index), style: style(index)))
        if spans.count >= 1500 { break }
      }
      lanes.append((name, spans))
    }
    let names = trace.names
    let dominant = analysis.summaries.first { $0.report == .gpuKernels }?.rows.first?.name
    add(
      "batches (forming to output)", table.formed, table.outputEnd, style: { _ in 3 },
      label: { "batch \(table.id[$0]): \(table.rows[$0]) rows, \(table.requests[$0]) requests" })
    add(
      "kernels", trace.kernels.start, trace.kernels.end,
      style: { names[trace[trace.kernels.description[$0]].demangledName] == dominant ? 0 : 1 },
      label: { names[trace[trace.kernels.description[$0]].demangledName] ?? "kernel" })
    add(
      "copies", trace.copies.start, trace.copies.end, style: { trace.copies.direction[$0] == 1 ? 2 : 4 },
      label: { Summary.label(ofCopy: trace.copies.direction[$0]) + ", \(trace.copies.bytes[$0]) bytes" })
    let threads = Set(trace.apiCalls.thread.prefix(5000)).sorted().prefix(4)
    for thread in threads {
      add(
        "CUDA calls, thread \(GlobalID.threadNumber(thread))", trace.apiCalls.start, trace.apiCalls.end,
        style: { names[trace.apiCalls.name[$0]]?.contains("Synchronize") == true ? 5 : 6 },
        label: { names[trace.apiCalls.name[$0]] ?? "call" },
        keep: { trace.apiCalls.thread[$0] == thread })
      add(
        "waits, thread \(GlobalID.threadNumber(thread))", trace.osCalls.start, trace.osCalls.end, style: { _ in 7 },
        label: { names[trace.osCalls.name[$0]] ?? "wait" }, keep: { trace.osCalls.thread[$0] == thread })
    }
    let requests = trace.requests
    var pending: [Int64: Int64] = [:]
    for (id, formed) in zip(table.id, table.formed) { pending[id] = formed }
    let leaves = requests.batch.map { pending[$0] ?? Trace.unknown }
    add("requests in the batcher's queue", requests.enqueued, leaves, style: { _ in 8 }, label: { "request \(requests.id[$0])" })
    let width = Figure(Double(range.upperBound - range.lowerBound) / 1e6, .milliseconds, analysis.kind, source: "stretch shown").text
    return Timeline(
      title: "\(variant.name): \(ofBatch ? "one batch" : "the run")",
      explanation: ofBatch
        ? "\(width) around one batch in the middle of the run." : "\(width) in the middle of the run: bursts, and what lies between them.",
      range: range, lanes: lanes)
  }
}
