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
    let shared = RunComparison(runs: variants.map(\.compared))
    var report = Report(
      title: "headroom bench: \(experiment.name)", question: experiment.question,
      banner:
        "SIMULATED: no GPU ran and no request was sent. Kernel times are predictions, host costs are those of the named host profile.",
      facts: facts, notes: experiment.notes)
    report.cards = shared.cards
    report.sections = [
      shared.headroomSection, shared.verdictSection, utilizationSection(names), shared.loadSection, shared.batchSection,
      shared.summarySection(.cudaAPI),
      kernelSection(names), shared.summarySection(.gpuMemory), shared.summarySection(.osRuntime), shared.waterfallSection,
      shared.stationSection, shared.timelineSection, shared.findingsSection,
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
      let rows = "\(workload.rows.text) rows per request"
      let window =
        "\(NumberText.significant(workload.duration.seconds)) s after \(NumberText.significant(workload.warmUp.seconds)) s warm-up"
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
    add("seed") { _ in "\(experiment.seed), \(experiment.repetitions) run(s) per variant; figures are the first run's" }
    return facts
  }

  // MARK: - The case study's tables that need a plan

  private func utilizationSection(_ names: [String]) -> Report.Section {
    var rows: [FigureTable.Row] = []
    rows.append(
      .init(
        "GPU busy time (NVML utilization.gpu)", variants.map { $0.evidence.device.gpuBusy },
        explanation: "Share of wall time in which at least one kernel runs; NVML's utilization.gpu, temporal."))
    rows.append(
      .init(
        "dominant kernel's share of time", variants.map { $0.dominant?.active },
        explanation: "Instances of the dominant kernel x their mean time over wall time."))
    rows.append(
      .init(
        "non-overlapped memcpy", variants.map { $0.evidence.copies.nonOverlappedMemcpy },
        explanation: "Share of wall time in which copies run and no kernel."))
    rows.append(
      .init(
        "SMs with a resident block, while busy", variants.map { $0.evidence.kernels.residentSMShareOfAll },
        explanation: "SMs holding at least one block over all SMs, averaged over kernel time, tails included."))
    rows.append(
      .init(
        "SM active (busy time x SMs with a block)", variants.map { $0.smActive }, explanation: "What DCGM 1002 estimates: space times time."
      ))
    rows.append(
      .init(
        "achieved tensor FLOP/s over peak", variants.map { $0.tensorThroughput },
        explanation: "Executed FLOP/s over the dense peak; computed from the trace, never called tensor active."))
    rows.append(
      .init(
        "useful tensor throughput (MFU-like)", variants.map { $0.usefulThroughput },
        explanation: "The same less work on rows that are copies of other rows."))
    rows.append(
      .init(
        "NVML utilization.gpu (nvidia-smi), predicted", variants.map { $0.counterFigure(\.utilizationGPU, range: \.utilizationRange) },
        explanation: "What nvidia-smi would read, and the range of polled values: temporal, whatever runs."))
    rows.append(
      .init(
        "DCGM 1001 graphics engine, predicted", variants.map { $0.counterFigure(\.graphicsActive) },
        explanation: "Kernels, and about 1.3 us more for each that starts on an idle GPU."))
    rows.append(
      .init(
        "DCGM 1002 SM active, predicted", variants.map { $0.counterFigure(\.smActive) },
        explanation: "SMs with a warp, averaged over SMs and time: about 1.1 us of each kernel's record have none."))
    rows.append(
      .init(
        "DCGM 1004 tensor active, predicted", variants.map { $0.counterFigure(\.tensorActive) },
        explanation: "Cycles of the tensor pipe for the tiles that are computed, at the boost clock or what power leaves of it."))
    rows.append(
      .init(
        "DCGM 1005 memory active, at most", variants.map { $0.counterFigure(\.memoryActiveAtMost) },
        explanation: "Bytes that kernels and copies must move over the rated bandwidth; what L2 serves is still in it."))
    return Report.Section(
      id: "gpu-utilization", heading: "GPU utilization",
      explanation: "Five different quantities that are all called GPU utilization somewhere. No row is just \"GPU utilization\".",
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
      .init("SMs with a resident block, GEMMs", variants.map { $0.evidence.kernels.residentSMShare }),
      .init(
        "% of roofline", variants.map { $0.roofShare },
        explanation: "Larger of FLOPs over peak and bytes over bandwidth (memory's, or L2's for what is in L2), over the time taken."),
    ]
    return Report.Section(
      id: "kernels", heading: Summary.Report.gpuKernels.title(on: .simulatedGPU),
      explanation:
        "The kernel with the largest summed time, and the next one. Times are what a profiler would print, gaps between kernels not included.",
      blocks: [.table(FigureTable(columns: names, rows: rows))])
  }
}
