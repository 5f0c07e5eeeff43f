import DeviceModel
import Diagnosis
import Execution
import KernelFitting
import ModelConfiguration
import ModelGraph
import Planning
import Reporting
import Scheduling
import Simulation
import TimeBase
import Trace

/// A measured run once more in virtual time, with the costs that the run itself showed: what a change would buy is tried on it.
///
/// Times of batches are taken on the quiet machine after the run, everything else from the run: CPU time of a request in generator and
/// front end, gathering, handing over. Two of them are then fitted so that the twin passes as many requests and is as busy: a factor of all
/// batch times (the run's batches shared caches and memory with others, the quiet ones did not) and the time from a batch's forming to its
/// gathering. Latencies are not fitted: by how much they miss says how good the twin is.
struct MeasuredTwin: Sendable {
  let variant: Variant
  let plan: Plan
  /// Batch times of the model without redundant work; nil where it has none.
  let leanDurations: BatchDurations?
  /// Factor of all batch times, fitted.
  let batchTimeFactor: Double
  /// Fitted.
  let handOverMicroseconds: Double
  /// Of the twin against the run, relative.
  let throughputError: Double
  let busyError: Double
  /// nil where no latency was measured.
  let medianLatencyError: Double?

  /// The larger of requests a second and busy: what the diagnosis' gate asks for.
  var reproductionError: Figure {
    Figure(
      max(throughputError.magnitude, busyError.magnitude), .share, .simulated,
      source: "the run's twin against the run, the larger error of requests/s and kernel-busy")
  }

  /// What a run is reproduced by.
  struct Observed: Sendable {
    var throughput: Double
    var busy: Double
    var medianMilliseconds: Double?
    var host: HostProfile
    /// From a batch's forming to its gathering, microseconds.
    var handOverMicroseconds: Double
  }

  /// A twin of the variant's run.
  ///
  /// - Parameter processor: batch times, undisturbed, and what shares the cores.
  init?(of variant: Variant, plan: Plan, processor: ProcessorDevice, leanDurations: BatchDurations?, observed: Observed) {
    guard observed.throughput > 0, observed.busy > 0 else { return nil }
    var variant = variant
    variant.processor = processor
    let base = variant
    func world(_ values: [Double]) -> Variant {
      var changed = base
      changed.deviceTimeScale = max(0.05, values[0])
      changed.host = observed.host.with(.batchHandOver, max(0, values[1]), .fitted, "to the run: requests/s and kernel-busy")
      return changed
    }
    func run(_ variant: Variant, _ seed: UInt64) -> SimulationResult? {
      (try? Simulation.run(variant.world(plan, seed: seed).shortened(rate: observed.throughput, requests: 10_000))) ?? nil
    }
    func busy(_ result: SimulationResult) -> Double { result.busy.kernels / max(1, Double(result.window.nanoseconds)) }
    // A tenth of a batch's time: less would not show in what is fitted.
    let handOverSpread = max(50, processor.durations.points.last.map { $0.nanoseconds / 10_000 } ?? 50)
    let fitted = NelderMead.minimize(
      from: [1, max(1, observed.handOverMicroseconds)], spread: [0.25, handOverSpread], evaluations: 60
    ) { values in
      if values[0] < 0.05 || values[1] < 0 { return 1e3 * (1 + values[0].magnitude + values[1].magnitude) }
      guard let result = run(world(values), 3), result.throughput > 0 else { return 1e6 }
      let rate = result.throughput / observed.throughput - 1
      let share = busy(result) / observed.busy - 1
      return rate * rate + share * share
    }.point
    variant = world(fitted)
    // Of another seed: what was fitted to one draw must hold for others.
    guard let check = run(variant, 4) else { return nil }
    self.variant = variant
    self.plan = plan
    self.leanDurations = leanDurations
    batchTimeFactor = variant.deviceTimeScale
    handOverMicroseconds = max(0, fitted[1])
    throughputError = check.throughput / observed.throughput - 1
    busyError = busy(check) / observed.busy - 1
    medianLatencyError = observed.medianMilliseconds.flatMap { median in
      check.latencyMilliseconds(percentile: 50).map { median > 0 ? $0 / median - 1 : 0 }
    }
  }

  /// Gains on this twin.
  func estimator(rate: Double, p99GoalMilliseconds: Double) -> SimulatedEstimator {
    func make(_ evidence: @escaping ([Change]) -> RunEvidence?) -> SimulatedEstimator {
      SimulatedEstimator(
        variant: self.variant, plan: plan, rate: rate, p99GoalMilliseconds: p99GoalMilliseconds, reproductionError: reproductionError,
        leanDurations: leanDurations, evidence: evidence)
    }
    let probe = make { _ in nil }
    let variant = variant
    return make { EvidenceProbe.evidence(of: variant, changes: $0, estimator: probe) }
  }

  /// How good it is, for the notes above the tables.
  var remark: String {
    func percent(_ share: Double) -> String {
      let value = (share * 1000).rounded() / 10
      return "\(value > 0 ? "+" : "")\(NumberText.significant(value == 0 ? 0 : value)) %"
    }
    var text =
      "gains come from the run's twin in virtual time: requests/s \(percent(throughputError)), kernel-busy \(percent(busyError)) against the run"
    if let medianLatencyError { text += ", median latency \(percent(medianLatencyError))" }
    text +=
      " (fitted: batch times times \(NumberText.significant(batchTimeFactor)), hand-over \(NumberText.significant(handOverMicroseconds)) us)"
    return text
  }
}

extension MeasuredTwin.Observed {
  /// What a run showed.
  init?(_ trace: Trace, _ load: GeneratorRun, busy: Figure?) {
    let outcome = load.outcome
    guard outcome.answersInWindow > 0, let busy else { return nil }
    let answers = Double(outcome.answersInWindow)
    let window = Double(load.window.upperBound - load.window.lowerBound)
    let loops = max(1, load.server.count(ofThreads: MeasuredRunner.eventLoopName))
    let loopMicroseconds = load.server.seconds(ofThreads: MeasuredRunner.eventLoopName) * 1e6 / answers
    let usual = HostProfile.local
    let receiving = usual[.frontEndPerRequest].value
    let share = receiving / max(1e-9, receiving + usual[.responsePerRequest].value)
    var (gather, handOver, output, count) = (0.0, 0.0, 0.0, 0.0)
    for batch in trace.batches
    where batch.formed != Trace.unknown && batch.gatherStart != Trace.unknown && batch.outputEnd != Trace.unknown {
      handOver += Double(batch.gatherStart - batch.formed)
      gather += Double(batch.computeStart - batch.gatherStart)
      output += Double(batch.outputEnd - batch.computeEnd)
      count += 1
    }
    guard count > 0 else { return nil }
    func batch(_ sum: Double) -> Double { min(max(0, sum / count / 1000), 10_000_000) }
    throughput = outcome.requestsPerSecond
    self.busy = busy.value
    medianMilliseconds = outcome.histogram.value(atPercentile: 50).map { Double($0) / 1e6 }
    handOverMicroseconds = batch(handOver)
    let source = "in the run"
    host = usual.with(.clientCores, Double(outcome.threads), .measured, source)
      .with(.clientPerRequest, outcome.busiestThreadShare * Double(outcome.threads) * window / answers / 1000, .measured, source)
      .with(.clientPerByte, 0, .assumed, "contained in clientPerRequest").with(.frontEndCores, Double(loops), .measured, source)
      .with(.frontEndPerRequest, loopMicroseconds * share, .measured, source)
      .with(.responsePerRequest, loopMicroseconds * (1 - share), .measured, source)
      .with(.frontEndPerByte, 0, .assumed, "contained in frontEndPerRequest").with(.gatherPerBatch, batch(gather), .measured, source)
      .with(.gatherPerByte, 0, .assumed, "contained in gatherPerBatch").with(.responsePerBatch, batch(output), .measured, source)
  }
}

/// Times batches of variants on this machine's processor.
struct ProcessorTimings {
  private let device: CPUDevice
  private let cores: Int

  /// `cores`: that the machine has; the device computes on all of them, as a server's does.
  init(cores: Int) throws(ExperimentError) {
    self.cores = max(1, cores)
    do { device = try CPUDevice(CPUDeviceOptions(threads: self.cores)) } catch {
      throw ExperimentError("batches cannot be timed: \(error)")
    }
  }

  /// Batches of up to `largest` rows, with and without the work that `SinkBroadcast` saves.
  func processor(_ variant: Variant, largest: Int, hasRedundantWork: Bool) throws(ExperimentError) -> (ProcessorDevice, BatchDurations?) {
    do {
      let graph = try variant.model.graph()
      let processor = ProcessorDevice(
        name: device.description.hardware, durations: try durations(graph, variant, largest), threads: cores, sharedCores: cores)
      return (processor, hasRedundantWork ? try durations(SinkBroadcast.apply(graph), variant, largest) : nil)
    } catch let error as ExperimentError { throw error } catch {
      throw ExperimentError("\(variant.name): batches cannot be timed: \(error)")
    }
  }

  private func durations(_ graph: Graph, _ variant: Variant, _ largest: Int) throws -> BatchDurations {
    let most = max(1, variant.scheduler.maximumBatchRows)
    let model = try device.load(.graph(try graph.withRowsFirst()), LoadOptions(maximumBatchRows: most))
    let sizes = Set([1, 2, largest / 8, largest / 2, largest].map { min(most, max(1, $0)) }).sorted()
    // The level is fitted to the run: what is needed here is how times grow with rows.
    return try BatchTimer.measure(model, sizes: sizes, budget: .milliseconds(1200), fewest: 2).durations
  }
}
