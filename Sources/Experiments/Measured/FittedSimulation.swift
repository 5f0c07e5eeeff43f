import HostModel
import CheckedNumbers
import DeviceModel
import Diagnosis
import Execution
import ModelConfiguration
import ModelGraph
import Planning
import Reporting
import Scheduling
import Simulation
import Threads
import TimeBase
import Trace

/// A measured run once more in virtual time, with the costs that the run itself showed: what a change would buy is tried on it.
///
/// Times of batches are taken on the quiet machine after the run, everything else from the run: CPU time of a request in generator and
/// front end, gathering, handing over. Two factors are then fitted: of all batch times, so that a request takes as much of the device's time
/// (the run's batches shared caches and memory with others, the quiet ones did not), and of the batcher's delay, so that batches are as far
/// apart (its timer's thread waited for a core). Requests per second, busy and latency are not fitted: by how much they miss says how good the
/// simulation is.
struct FittedSimulation: Sendable {
  let variant: Variant
  let plan: Plan
  /// Batch times of the model without redundant work; nil where it has none.
  let rewrittenDurations: BatchDurations?
  /// Factor of all batch times, fitted.
  let batchTimeFactor: Double
  /// Factor of the batcher's delay, fitted: its timer's thread does not always get a core in time.
  let batchingDelayFactor: Double
  /// Of the simulation against the run, relative.
  let throughputError: Double
  let busyError: Double
  /// nil where no latency was measured.
  let medianLatencyError: Double?

  /// The larger of requests per second and busy: what the diagnosis' gate asks for.
  var reproductionError: Figure {
    Figure(
      max(throughputError.magnitude, busyError.magnitude), .share, .simulated,
      source: "the simulation fitted to this run against the run, the larger error of requests/s and GPU busy time")
  }

  /// A median further off than this says that requests wait elsewhere in the simulation: what it says of latency then is about itself.
  static let largestLatencyError = 0.2

  private var tellsLatency: Bool { (medianLatencyError ?? .infinity).magnitude <= Self.largestLatencyError }

  /// What a run is reproduced by.
  struct Observed: Sendable {
    var throughput: Double
    var busy: Double
    var batchesPerSecond: Double
    var medianMilliseconds: Double?
    var host: HostProfile
  }

  /// A simulation fitted to the variant's run.
  ///
  /// nil where it answers nothing.
  ///
  /// - Parameter processor: batch times, undisturbed, and what shares the cores.
  init?(
    of variant: Variant, plan: Plan, processor: ProcessorDevice, rewrittenDurations: BatchDurations?, observed: Observed
  ) throws(ExperimentError) {
    guard observed.throughput > 0, observed.busy > 0, observed.batchesPerSecond > 0 else { return nil }
    var variant = variant
    variant.processor = processor
    let base = variant
    func system(_ factor: Double, _ delay: Double) -> Variant {
      var changed = base
      (changed.deviceTimeScale, changed.batchingDelayScale, changed.host) = (factor, delay, observed.host)
      return changed
    }
    func run(_ variant: Variant, _ seed: UInt64) throws(ExperimentError) -> SimulationResult {
      try variant.system(plan, seed: seed).shortened(rate: observed.throughput, requests: 12_000).result("the run in virtual time")
    }
    func busy(_ result: SimulationResult) -> Double { result.busy.kernels / max(1, Double(result.window.nanoseconds)) }
    // One at a time, each by what rises with it whatever limits. Requests per second would tell nothing of either where the load limits.
    func factor(_ delay: Double) throws(ExperimentError) -> Double {
      try Self.root(from: 0.2, to: 5, steps: 12) { tried throws(ExperimentError) in
        let result = try run(system(tried, delay), 3)
        guard result.throughput > 0 else { return 1 }
        return busy(result) / result.throughput - observed.busy / observed.throughput
      } ?? 1
    }
    func delay(_ factor: Double) throws(ExperimentError) -> Double {
      try Self.root(from: 1, to: 3, steps: 9) { tried throws(ExperimentError) in
        let result = try run(system(factor, tried), 3)
        guard result.batches > 0 else { return 1 }
        return result.window.seconds / Double(result.batches) - 1 / observed.batchesPerSecond
      } ?? 1
    }
    // Batches that wait for a full device leave when it is free, however late a timer is: then there is no root, and the delay stays.
    let hasDelay = variant.scheduler.batching.map { $0.maximumQueueDelay > .zero } ?? false
    let late = hasDelay ? try delay(try factor(1)) : 1
    variant = system(try factor(late), late)
    // Of another seed: what was fitted to one draw must hold for others.
    let check = try run(variant, 4)
    guard check.answered > 0 else { return nil }
    self.variant = variant
    self.plan = plan
    self.rewrittenDurations = rewrittenDurations
    batchTimeFactor = variant.deviceTimeScale
    batchingDelayFactor = variant.batchingDelayScale
    throughputError = check.throughput / observed.throughput - 1
    busyError = busy(check) / observed.busy - 1
    medianLatencyError = observed.medianMilliseconds.flatMap { median in
      check.latencyMilliseconds(percentile: 50).map { median > 0 ? $0 / median - 1 : 0 }
    }
  }

  /// Where `function`, which rises, is zero; nil where it is not between these two. Halving in steps of equal ratio.
  private static func root(
    from minimum: Double, to maximum: Double, steps: Int, _ function: (Double) throws(ExperimentError) -> Double
  ) throws(ExperimentError) -> Double? {
    var (low, high) = (minimum, maximum)
    guard try function(low) < 0, try function(high) > 0 else { return nil }
    for _ in 0..<steps {
      let middle = (low * high).squareRoot()
      if try function(middle) < 0 { low = middle } else { high = middle }
    }
    return (low * high).squareRoot()
  }

  /// Gains in this simulation.
  func estimator(rate: Double, p99GoalMilliseconds: Double) -> SimulatedEstimator {
    func make(_ evidence: @escaping ([Change]) throws(GainRefusal) -> RunEvidence?) -> SimulatedEstimator {
      SimulatedEstimator(
        variant: self.variant, plan: plan, rate: rate, p99GoalMilliseconds: p99GoalMilliseconds, reproductionError: reproductionError,
        rewrittenDurations: rewrittenDurations, tellsLatency: tellsLatency, evidence: evidence)
    }
    let probe = make { _ in nil }
    let variant = variant
    return make { changes throws(GainRefusal) in try EvidenceProbe.evidence(of: variant, changes: changes, estimator: probe) }
  }

  /// What one percent of each kind of time is worth in this simulation: fitted, as it is. nil where the simulation is too far from the run.
  func elasticities(rate: Double) throws(ExperimentError) -> Elasticities? {
    guard reproductionError.value <= Assessment.largestReproductionError,
      var found = try ElasticityProbe.elasticities(of: variant.system(plan, seed: 5), rate: rate, seeds: [21, 22, 23, 24])
    else { return nil }
    found.values = found.values.mapValues { figure in
      var fitted = figure
      (fitted.kind, fitted.source) = (.fitted, "the simulation fitted to this run, \(figure.source)")
      return fitted
    }
    return found
  }

  /// How good it is, in words.
  var remark: String {
    func percent(_ share: Double) -> String {
      let value = (share * 1000).rounded() / 10
      return "\(value > 0 ? "+" : "")\(NumberText.significant(value == 0 ? 0 : value)) %"
    }
    var text =
      "requests/s \(percent(throughputError)), GPU busy time \(percent(busyError)) against the run"
    if let medianLatencyError { text += ", median latency \(percent(medianLatencyError))" }
    if !tellsLatency { text += ", too far for gains of latency" }
    text +=
      " (fitted factors: \(NumberText.significant(batchTimeFactor)) of batch times, \(NumberText.significant(batchingDelayFactor)) of the batcher's delay)"
    return text
  }
}

extension FittedSimulation.Observed {
  /// What a run showed.
  init?(_ trace: Trace, _ load: GeneratorRun, busy: Figure?) {
    let outcome = load.result
    guard outcome.completed > 0, let busy else { return nil }
    let answers = Double(outcome.completed)
    let window = Double(load.window.upperBound - load.window.lowerBound)
    let loops = max(1, load.server.count(ofThreads: ThreadTimes.eventLoopName))
    let loopMicroseconds = load.server.seconds(ofThreads: ThreadTimes.eventLoopName) * 1e6 / answers
    let usual = HostProfile.local
    let receiving = usual[.frontEndPerRequest].value
    let share = receiving / max(1e-9, receiving + usual[.responsePerRequest].value)
    var (gather, handOff, output, count) = (0.0, 0.0, 0.0, 0.0)
    let known = trace.batches.filter { $0.formed != Trace.unknown && $0.gatherStart != Trace.unknown && $0.outputEnd != Trace.unknown }
    // A batch that was formed ahead of a free instance waits for the one before it: that is no hand-off.
    var free: [Int: Int64] = [:]
    for batch in known.sorted(by: { $0.gatherStart < $1.gatherStart }) {
      handOff += Double(max(0, batch.gatherStart - max(batch.formed, free[Int(batch.instance)] ?? .min)))
      free[Int(batch.instance)] = batch.outputEnd
      gather += Double(batch.computeStart - batch.gatherStart)
      output += Double(batch.outputEnd - batch.computeEnd)
      count += 1
    }
    guard count > 0 else { return nil }
    func batch(_ sum: Double) -> Double { min(max(0, sum / count / 1000), 10_000_000) }
    throughput = outcome.answersPerSecond
    self.busy = busy.value
    batchesPerSecond = count / (window / 1e9)
    medianMilliseconds = outcome.latency.value(atPercentile: 50).map { Double($0) / 1e6 }
    let source = "in the run"
    host = usual.with(.clientCores, Double(outcome.health.threads), .measured, source)
      .with(
        .clientPerRequest, outcome.health.busiestThreadShare * Double(outcome.health.threads) * window / answers / 1000, .measured, source
      )
      .with(.clientPerByte, 0, .assumed, "contained in clientPerRequest").with(.frontEndCores, Double(loops), .measured, source)
      .with(.frontEndPerRequest, loopMicroseconds * share, .measured, source)
      .with(.responsePerRequest, loopMicroseconds * (1 - share), .measured, source)
      .with(.frontEndPerByte, 0, .assumed, "contained in frontEndPerRequest").with(.gatherPerBatch, batch(gather), .measured, source)
      .with(.batchHandOff, batch(handOff), .measured, source).with(.gatherPerByte, 0, .assumed, "contained in gatherPerBatch").with(
        .responsePerBatch, batch(output), .measured, source)
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
    let maximum = max(1, variant.scheduler.maximumBatchRows)
    let model = try device.load(.graph(try graph.withRowsFirst()), LoadOptions(maximumBatchRows: maximum))
    let sizes = Set([1, 2, largest / 8, largest / 2, largest].map { min(maximum, max(1, $0)) }).sorted()
    // The level is fitted to the run: what is needed here is how times grow with rows.
    return try BatchTimer.measure(model, sizes: sizes, budget: .milliseconds(1200), minimumBatches: 2).durations
  }
}
