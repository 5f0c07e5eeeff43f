import Diagnosis
import Reporting
import Trace

extension MeasuredResult {
  /// What counters said, beside what the kernels alone let one expect of them; nil on a processor.
  var countersSection: Report.Section? {
    let seen = variants.compactMap(\.onGPU)
    guard !seen.isEmpty else { return nil }
    let names = variants.map(\.variant.name)
    func row(_ label: String, _ figure: (MeasuredVariant.OnGPU) -> Figure?, _ explanation: String) -> FigureTable.Row {
      .init(label, variants.map { $0.onGPU.flatMap(figure) }, explanation: explanation)
    }
    var rows = [
      row("GPU busy time, from kernels", { $0.gpuBusy }, "Kernel time per batch under the profiler times batches/s without it: temporal."),
      row("SMs with a resident block, from grids", { $0.residentSMs }, "Of all time: busy time times blocks over SMs. An upper estimate."),
    ]
    var order: [(name: String, unit: String)] = []
    for counter in seen.flatMap(\.counters) where !order.contains(where: { $0.name == counter.name }) {
      order.append((counter.name, counter.unit))
    }
    for (name, unit) in order {
      rows.append(
        row("counter: \(name)\(unit == "%" ? "" : " (\(unit))")", { $0.counter(name) }, "Mean over the run, no profiler attached."))
    }
    rows += [
      row(
        "  busy: counter less kernels", { Self.difference($0.counter("graphics engine active") ?? $0.counter("GPU busy"), $0.gpuBusy) },
        "Points. The graphics engine counts as active between kernels of one program too."),
      row(
        "  SM active: counter less grids", { Self.difference($0.counter("SM active"), $0.residentSMs) },
        "Points. Grids tell how many SMs a kernel begins on, not how long it keeps them."),
      row("requests/s under the profiler", { $0.profiledThroughput }, "The run that kernels and calls are taken from."),
      row("  against the run without it", { $0.observerShift }, "Beyond 5 % times of kernels and calls are those of another load."),
    ]
    var lines: [Sentence] = []
    for variant in variants {
      guard let seen = variant.onGPU else { continue }
      if seen.isDisturbed {
        lines.append(
          "\(variant.variant.name): the profiler changed requests/s by \(seen.observerShift?.text ?? ""): shares of time below are its, not the server's"
        )
      }
      lines += seen.missing.map { "\(variant.variant.name): \($0)" }
    }
    var blocks: [Report.Block] = [.table(FigureTable(columns: names, rows: rows))]
    if !lines.isEmpty { blocks.append(.sentences(heading: "What is missing", lines)) }
    return Report.Section(
      id: "counters", heading: "Counters beside kernels",
      explanation: "Counters were read without a profiler. Kernel times come from a second run under one.", blocks: blocks)
  }

  private static func difference(_ counter: Figure?, _ estimate: Figure?) -> Figure? {
    guard let counter, let estimate else { return nil }
    return Figure(counter.value - estimate.value, .share, min(counter.kind, estimate.kind), source: "counter less estimate, points")
  }

  /// The case study's own table beside this run and, where there was one, the prediction; nil for another experiment.
  func publishedSection(predicted: [ComparedRun]) -> Report.Section? {
    guard experiment.name == Experiment.caseStudyName else { return nil }
    let published = "the published case study: RTX PRO 6000, Triton, TensorRT"
    var rows: [FigureTable.Row] = []
    for variant in variants {
      guard let row = PublishedTable.rows.first(where: { $0.name == variant.variant.name }) else { continue }
      let simulated = predicted.first { $0.name == row.name }
      func add(_ label: String, _ theirs: Double, _ unit: Figure.Unit, _ ours: Figure?, _ predicted: Figure?) {
        rows.append(.init("\(row.name): \(label)", [Figure(theirs, unit, .measured, source: published), ours, predicted]))
      }
      func latency(_ run: ComparedRun?, _ percentile: Double) -> Figure? {
        guard let run else { return nil }
        return run.run.latencyMilliseconds(percentile: percentile).map {
          Figure($0, .milliseconds, run.analysis.kind, source: "client-side latency, percentile \(percentile)")
        }
      }
      func kernel(_ run: ComparedRun?) -> Figure? {
        guard let run, let row = run.analysis.summaries.first(where: { $0.report == .gpuKernels })?.rows.first else { return nil }
        return Figure(row.averageNanoseconds / 1000, .microseconds, run.analysis.kind, source: "kernel summary: \(row.name)")
      }
      func calls(_ run: ComparedRun?, _ names: [String]) -> Figure? {
        guard let run, let summary = run.analysis.summaries.first(where: { $0.report == .cudaAPI }), !summary.rows.isEmpty else {
          return nil
        }
        let share = summary.rows.filter { row in names.contains { row.name.hasPrefix($0) } }.reduce(0) { $0 + $1.share }
        return Figure(share, .share, run.analysis.kind, source: "CUDA API summary")
      }
      let (launch, wait) = (["cuLaunchKernel", "cuGraphLaunch"], ["cuEventSynchronize", "cudaEventSynchronize", "cuStreamSynchronize"])
      let ours = variant.compared
      add("requests/s", row.throughput, .requestsPerSecond, ours.throughputFigure, simulated?.throughputFigure)
      add("median latency", row.median, .milliseconds, latency(ours, 50), latency(simulated, 50))
      add("p95 latency", row.p95, .milliseconds, latency(ours, 95), latency(simulated, 95))
      add("mean latency", row.mean, .milliseconds, ours.evidence.load.meanLatency, simulated?.evidence.load.meanLatency)
      add(
        "requests per batch", row.requestsPerBatch, .count, ours.evidence.batching.meanRequests, simulated?.evidence.batching.meanRequests)
      add("dominant kernel, mean", row.kernelMicroseconds, .microseconds, kernel(ours), kernel(simulated))
      add("its share of the time", row.gemmActive, .share, variant.dominant?.active, nil)
      add("waiting calls, share of CUDA calls' time", row.synchronizeShare, .share, calls(ours, wait), calls(simulated, wait))
      add("launch calls, share of CUDA calls' time", row.launchShare, .share, calls(ours, launch), calls(simulated, launch))
    }
    guard !rows.isEmpty else { return nil }
    return Report.Section(
      id: "published", heading: "Beside the published table",
      explanation:
        "The published runs had another GPU, another server and another client: what agrees here agrees in kind. Simulated: for the GPU the prediction names.",
      blocks: [.table(FigureTable(columns: ["published", "measured here", "predicted before"], rows: rows))])
  }
}
