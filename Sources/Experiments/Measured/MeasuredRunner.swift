import Capture
import CheckedNumbers
import Diagnosis
import Execution
import GPUModel
import Glibc
import ModelGraph
import Planning
import Scheduling
import Threads
import TimeBase
import Trace
import Workload

/// Runs experiments for real: each variant's server in a process of its own, the load generator in another.
public struct MeasuredRunner: Sendable {
  /// This program: it serves and it asks.
  public var binary: String
  /// Another program that serves as this one does, with devices that this one has not; nil: this one.
  public var serverBinary: String?
  /// What runs the models: "cpu", "cuda:0".
  public var device = "cpu"
  /// Further arguments of `headroom serve`.
  public var serverArguments: [String] = []
  /// Whether the servers' operating-system calls are recorded, by the library beside this program.
  public var recordsOSCalls = true
  /// Whether the variants are also compared at the same rows per second.
  public var comparesEqualRows = true
  /// Whether what changes would buy is computed: batches are timed after the runs, some seconds per variant.
  public var explains = true
  /// The one finding whose gains are worked out, at this load: neither the others' nor how much more the server can take; nil for everything.
  package var only: FindingCode?
  /// Generator processes of a run.
  public var generators = 1
  /// On a GPU: how long each variant runs once more under the profiler, for kernels and calls; 0 for not at all.
  public var profileSeconds = 4.0
  /// On a GPU: whether its counters are read while a variant runs.
  public var readsCounters = true
  /// Told what is being done.
  public var progress: @Sendable (String) -> Void

  /// A runner that starts `binary`.
  public init(binary: String, progress: @escaping @Sendable (String) -> Void = { _ in }) {
    self.binary = binary
    self.progress = progress
  }

  private static let loadLimit = TimeSpan.milliseconds(120_000)

  /// Runs every variant, one at a time: they share the machine.
  public func run(_ experiment: Experiment) throws(ExperimentError) -> MeasuredResult {
    guard !experiment.variants.isEmpty else { throw ExperimentError("experiment \(experiment.name): no variants") }
    for variant in experiment.variants where !variant.rewrites.isEmpty {
      throw ExperimentError(
        "variant \(variant.name): rewrites are made before serving: write the model with `headroom export \(variant.model.command) --rewrite \(variant.rewrites[0]) -o FILE.onnx` and name that file"
      )
    }
    var servers: [MeasuredServer] = []
    do throws(ExperimentError) {
      // All of them first: a model that cannot be loaded must not show after minutes. One without requests takes no CPU time.
      for variant in experiment.variants {
        progress("\(variant.name): starting its server")
        servers.append(
          try server(of: variant))
      }
      var loads: [GeneratorRun] = []
      var gpuRuns: [GPURun?] = []
      for (server, variant) in zip(servers, experiment.variants) {
        let workload = variant.workload
        progress("\(variant.name): \(Self.text(workload)), \(Int(saturating: (workload.warmUp + workload.duration).seconds)) s")
        let sampler = isOnGPU && readsCounters ? MetricsSampler(.standard, interval: .milliseconds(100)) : nil
        loads.append(try GeneratorRun.run(workload, on: server, binary: binary, seed: experiment.seed, processes: generators))
        gpuRuns.append(isOnGPU ? try gpuRun(server, variant, loads[loads.count - 1], sampler, seed: experiment.seed) : nil)
      }
      var equal: [GeneratorRun] = []
      // Four fifths of what the slowest did: every variant can, and none queues without end.
      let rate = (loads.map(\.result.rowsPerSecond).min() ?? 0) * 0.8
      if comparesEqualRows, servers.count > 1, rate > 0 {
        for (server, variant) in zip(servers, experiment.variants) {
          let workload = Self.equalRows(variant.workload, rate)
          progress("\(variant.name): \(Self.text(workload)), \(Int(saturating: (workload.warmUp + workload.duration).seconds)) s")
          equal.append(try GeneratorRun.run(workload, on: server, binary: binary, seed: experiment.seed))
        }
      }
      var traces: [Trace] = []
      for (index, server) in servers.enumerated() {
        progress("\(server.name): reading its trace")
        traces.append(try server.stop())
        gpuRuns[index]?.remarks = server.remarks
      }
      var seen: [SeenVariant] = []
      for (index, trace) in traces.enumerated() {
        seen.append(
          try self.seen(
            experiment.variants[index], trace, loads[index], equal.isEmpty ? nil : equal[index], rate: rate, onGPU: gpuRuns[index]))
      }
      // Before anything is made of it: what the other variants' users did is evidence too.
      let runs = seen.map { ($0.variant, $0.evidence) }
      for index in seen.indices { seen[index].evidence.client.otherRuns = ClientEvidence.otherRuns(of: index, among: runs) }
      let deviceClass = traces.first?.deviceClass ?? .processor
      // The machine is quiet from here on.
      let timings =
        explains && deviceClass == .processor
        ? try ProcessorTimings(cores: Int(sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)))) : nil
      var variants: [MeasuredVariant] = []
      for seen in seen { variants.append(try variant(seen, of: experiment, timings: timings)) }
      return MeasuredResult(
        experiment: experiment, variants: variants, device: traces.first?.gpus.first?.name ?? self.device, deviceClass: deviceClass)
    } catch {
      for server in servers { server.abandon() }
      throw error
    }
  }

  /// A server, ready.
  func server(_ name: String, _ folder: ServingFolder, records: Bool) throws(ExperimentError) -> MeasuredServer {
    try MeasuredServer(
      name, folder, binary: serverBinary ?? binary, arguments: ["--device", device] + serverArguments, recordsOSCalls: records,
      loadLimit: Self.loadLimit)
  }

  private var isOnGPU: Bool { DeviceClass(deviceName: device) == .gpu }

  /// A variant's server: in the arithmetic it asks for and, on a GPU, with a profiler that lies dormant.
  func server(of variant: Variant) throws(ExperimentError) -> MeasuredServer {
    var cuda: CUDARecording.Options?
    // Another program that serves has no CUDA to be recorded.
    if isOnGPU, profileSeconds > 0, serverBinary == nil {
      var options = CUDARecording.Options()
      options.libraries = CUDASearch.standard.profilingLibraries
      cuda = options
    }
    return try MeasuredServer(
      variant.name, ServingFolder(variant, device: device), binary: serverBinary ?? binary,
      arguments: ["--device", device] + Self.arithmetic(variant.type, onGPU: isOnGPU && serverBinary == nil) + serverArguments,
      recordsOSCalls: recordsOSCalls, cuda: cuda, loadLimit: Self.loadLimit)
  }

  /// `headroom serve`'s options for it. On a processor the server's own default stays: what is compared there are its kernels.
  static func arithmetic(_ type: ComputeType, onGPU: Bool) -> [String] {
    guard onGPU else { return [] }
    return switch type {
    case .fp16: ["--precision", "fp16"]
    case .bf16: ["--precision", "bf16"]
    case .tf32: ["--precision", "fp32", "--tf32"]
    case .fp32: ["--precision", "fp32"]
    }
  }

  /// What counters said during the run, and the same load once more under the profiler: times of kernels and calls are that run's, figures of
  /// throughput and latency are the first one's.
  private func gpuRun(
    _ server: MeasuredServer, _ variant: Variant, _ load: GeneratorRun, _ sampler: MetricsSampler?, seed: UInt64
  ) throws(ExperimentError) -> GPURun {
    let counters = sampler?.stop(
      from: Instant(nanoseconds: load.window.lowerBound), to: Instant(nanoseconds: load.window.upperBound))
    guard profileSeconds > 0 else { return GPURun(counters: counters) }
    var workload = variant.workload
    workload.duration = TimeSpan(clampingSeconds: min(profileSeconds, max(1, workload.duration.seconds)))
    progress("\(variant.name): the same under the profiler, \(Int(saturating: (workload.warmUp + workload.duration).seconds)) s")
    server.beginProfile()
    let profiled = try GeneratorRun.run(workload, on: server, binary: binary, seed: seed &+ 1, processes: generators)
    server.endProfile()
    return GPURun(counters: counters, profiled: profiled)
  }

  private static func text(_ workload: Workload) -> String {
    switch workload.load {
    case .closed(let users, _, _): "\(users) users"
    case .open(let arrivals): "\(Int(saturating: arrivals.perSecond(over: workload.duration).rounded())) requests/s"
    }
  }

  private static func equalRows(_ workload: Workload, _ rowsPerSecond: Double) -> Workload {
    var copy = workload
    copy.load = .open(.poisson(perSecond: max(0.5, rowsPerSecond / workload.rows.mean)))
    copy.warmUp = .milliseconds(1000)
    copy.duration = TimeSpan(clampingSeconds: max(2, workload.duration.seconds / 2.5))
    return copy
  }

  // MARK: - From what was seen to what it means

  /// A variant's run as it was seen, before anything is made of it.
  private struct SeenVariant {
    var variant: Variant
    var trace: Trace
    var load: GeneratorRun
    var analysis: TraceAnalysis
    var evidence: RunEvidence
    /// Of its model on a GPU; nil for one that has operators that are not planned, with why.
    var plan: Result<Plan, ExperimentError>
    var atEqualRows: MeasuredVariant.EqualRows?
    /// On a GPU: what the profiler and the counters add.
    var onGPU: MeasuredVariant.OnGPU?
  }

  private func seen(
    _ variant: Variant, _ whole: Trace, _ load: GeneratorRun, _ equal: GeneratorRun?, rate: Double, onGPU gpuRun: GPURun?
  ) throws(ExperimentError) -> SeenVariant {
    if let lost = whole.overwrittenRequests, lost > 0 {
      throw ExperimentError("variant \(variant.name): \(lost) requests were overwritten before they could be read; run for less time")
    }
    let observed = gpuRun?.profiled ?? load
    let trace = whole.within(observed.window)
    var context = variant.servingContext
    context.plan = nil
    let analysis: TraceAnalysis
    do { analysis = try TraceAnalysis(of: trace, context: context) } catch { throw ExperimentError("variant \(variant.name): \(error)") }
    var evidence = analysis.evidence
    // Copies are not in a processor's events: none recorded is not none made.
    if evidence.deviceClass == .processor { evidence.copies = CopyEvidence() }
    evidence.complete(with: observed, trace: trace, instances: variant.scheduler.instances)
    var onGPU: MeasuredVariant.OnGPU?
    if let gpuRun {
      let unprofiled = whole.within(load.window)
      onGPU = MeasuredVariant.OnGPU(gpuRun, load: load, batches: unprofiled.batches.count, analysis: analysis, trace: trace)
      if gpuRun.profiled != nil { evidence.takeUnprofiled(load, unprofiled.batches, onGPU) }
    }
    let largest = analysis.batchSizes.keys.max() ?? 1
    // Which rows are copies is the graph's, whatever runs it; nothing else of the plan is used.
    let plan: Result<Plan, ExperimentError>
    do throws(ExperimentError) { plan = .success(try variant.plan()) } catch { plan = .failure(error) }
    if case .success(let plan) = plan {
      do {
        let share = try plan.at(rows: largest).redundantShare
        evidence.kernels.redundantShare = Figure(share, .share, .estimated, source: "the graph at \(largest) rows")
      } catch { throw ExperimentError("variant \(variant.name): \(error)") }
    }
    return SeenVariant(
      variant: variant, trace: trace, load: load, analysis: analysis, evidence: evidence, plan: plan,
      atEqualRows: try equal.map { equal throws(ExperimentError) in
        try Self.equalRows(whole.within(equal.window), equal, rate: rate, context: context)
      }, onGPU: onGPU)
  }

  private func variant(_ seen: SeenVariant, of experiment: Experiment, timings: ProcessorTimings?) throws(ExperimentError)
    -> MeasuredVariant
  {
    let (variant, trace, load) = (seen.variant, seen.trace, seen.load)
    var analysis = seen.analysis
    var evidence = seen.evidence
    let largest = analysis.batchSizes.keys.max() ?? 1
    let (fitted, missing) = fitted(variant, seen.plan, trace, load, evidence, largest: largest, timings: timings)
    if let fitted {
      progress("\(variant.name): what limits")
      evidence.elasticities = try fitted.elasticities(rate: load.result.answersPerSecond)
      progress("\(variant.name): what each change would buy")
    }
    let estimator = fitted?.estimator(rate: load.result.answersPerSecond, p99GoalMilliseconds: experiment.latencyGoal.p99Milliseconds)
    let assessment = Assessment(of: evidence, goal: experiment.goal, only: only, estimator: estimator)
    let outcome = load.result
    let headroom =
      (only == nil ? estimator : nil)?.headroom(today: evidence.load.throughput, goal: experiment.latencyGoal, kind: .estimated)
      ?? Headroom(
        goal: experiment.latencyGoal, today: evidence.load.throughput,
        unknownBecause: evidence.steadiness?.unsteadyBecause ?? missing
          ?? (only == nil ? "no simulation was fitted to this run" : "one finding alone was asked for"))
    analysis.waterfall = analysis.waterfall.attributed(to: assessment.verdict)
    let latencies = outcome.latency.recordedValues.map { (nanoseconds: $0.value, count: Int(clamping: $0.count)) }
    let throughput = Figure(outcome.answersPerSecond, .requestsPerSecond, .measured, source: "generator: answers in the window")
    let compared = ComparedRun(
      name: variant.name,
      run: RunTotals(
        answered: Int(clamping: outcome.completed), refused: Int(clamping: outcome.errorCount), batches: trace.batches.count,
        latencies: latencies),
      throughputFigure: throughput, analysis: analysis, evidence: evidence, assessment: assessment, headroom: headroom,
      setting: "\(trace.gpus.first?.name ?? device), measured on this machine", model: variant.model.command, trace: trace)
    var result = MeasuredVariant(
      variant: variant, compared: compared, atEqualRows: seen.atEqualRows, serverCPUPerRequest: nil, foreignCores: nil,
      fittedRemark: fitted?.remark ?? missing.map { "not quantified: \($0)" }, reproductionError: fitted?.reproductionError,
      generator: outcome.verdict,
      stability: outcome.stability)
    if outcome.completed > 0 {
      result.serverCPUPerRequest = Figure(
        load.server.seconds * 1e6 / Double(outcome.completed), .microseconds, .measured,
        source: "user and system time of the server's threads over answers")
    }
    result.onGPU = seen.onGPU
    result.foreignCores = load.foreignCores.map {
      Figure($0, .count, .measured, source: "CPU time of all programs less server and generator, over the window")
    }
    return result
  }

  /// The simulation fitted to the run, or why there is none; neither where none was asked for.
  private func fitted(
    _ variant: Variant, _ plan: Result<Plan, ExperimentError>, _ trace: Trace, _ load: GeneratorRun, _ evidence: RunEvidence, largest: Int,
    timings: ProcessorTimings?
  ) -> (fitted: FittedSimulation?, missing: String?) {
    guard explains else { return (nil, nil) }
    guard let timings else { return (nil, "runs on a GPU are not reproduced in virtual time") }
    if evidence.steadiness?.isSteady == false { return (nil, "the window is not steady") }
    let planned: Plan
    do throws(ExperimentError) { planned = try plan.get() } catch { return (nil, error.description) }
    guard let observed = FittedSimulation.Observed(trace, load, busy: evidence.device.gpuBusy) else {
      return (nil, "the run has no batches to take times from")
    }
    progress("\(variant.name): timing batches")
    do throws(ExperimentError) {
      let redundant = (evidence.kernels.redundantShare?.value ?? 0) >= HR211RedundantWork.shareThreshold
      let (processor, lean) = try timings.processor(variant, largest: largest, hasRedundantWork: redundant)
      progress("\(variant.name): simulation fitted to this run")
      guard
        let fitted = try FittedSimulation(of: variant, plan: planned, processor: processor, rewrittenDurations: lean, observed: observed)
      else {
        return (nil, "the simulation fitted to this run answered nothing")
      }
      return (fitted, nil)
    } catch { return (nil, error.description) }
  }

  private static func equalRows(
    _ trace: Trace, _ run: GeneratorRun, rate: Double, context: RunContext
  ) throws(ExperimentError) -> MeasuredVariant.EqualRows {
    let rows = run.result.rowsPerSecond * run.result.windowSeconds
    let source = "open loop at equal rows/s"
    func latency(_ percentile: Double) -> Figure? {
      run.result.latency.value(atPercentile: percentile).map {
        Figure(Double($0) / 1e6, .milliseconds, .measured, source: "from the due instant, \(source)")
      }
    }
    let kernels = zip(trace.kernels.start, trace.kernels.end).reduce(0.0) { $0 + Double($1.1 - $1.0) } / 1e9
    let analysis: TraceAnalysis
    do { analysis = try TraceAnalysis(of: trace, context: context) } catch { throw ExperimentError("at equal rows: \(error)") }
    return MeasuredVariant.EqualRows(
      offered: Figure(rate, .rowsPerSecond, .assumed, source: "four fifths of the slowest variant's rows/s"),
      answered: Figure(run.result.rowsPerSecond, .rowsPerSecond, .measured, source: source),
      cpuSecondsPerMillionRows: rows > 0 ? Figure(run.server.seconds / rows * 1e6, .seconds, .measured, source: source) : nil,
      kernelSecondsPerMillionRows: rows > 0 ? Figure(kernels / rows * 1e6, .seconds, .measured, source: source) : nil,
      medianLatency: latency(50), p99Latency: latency(99), rowsPerBatch: analysis.evidence.batching.meanRows,
      gpuBusy: analysis.evidence.device.gpuBusy)
  }
}

extension RunEvidence {
  /// Adds what only generator and operating system know.
  mutating func complete(with run: GeneratorRun, trace: Trace, instances: Int) {
    let outcome = run.result
    let source = "client-side latency, \(outcome.latency.count) answers"
    func milliseconds(_ value: Double?) -> Figure? { value.map { Figure($0, .milliseconds, .measured, source: source) } }
    func percentile(_ percentile: Double) -> Figure? {
      milliseconds(outcome.latency.value(atPercentile: percentile).map { Double($0) / 1e6 })
    }
    let throughput = Figure(outcome.answersPerSecond, .requestsPerSecond, .measured, source: "generator: answers in the window")
    load.throughput = throughput
    load.meanLatency = milliseconds(outcome.meanLatencySeconds.map { $0 * 1e3 })
    load.medianLatency = percentile(50)
    load.p99Latency = percentile(99)
    client.cores = outcome.health.threads
    client.busiestThreadShare = Figure(
      outcome.health.busiestThreadShare, .share, .measured, source: "CPU time of the generator's busiest thread")
    client.sendLagP99 = outcome.health.sendLag.value(atPercentile: 99).map {
      Figure(Double($0) / 1e6, .milliseconds, .measured, source: "generator: sent less due")
    }
    let window = max(1, Double(run.window.upperBound - run.window.lowerBound))
    let answers = Double(max(1, outcome.completed))
    let loops = max(1, run.server.count(ofThreads: ThreadTimes.eventLoopName))
    let loopSeconds = run.server.seconds(ofThreads: ThreadTimes.eventLoopName)
    frontEnd.cores = loops
    frontEnd.coreShare = Figure(
      min(1, loopSeconds * 1e9 / window / Double(loops)), .share, .measured, source: "CPU time of \(loops) event loops")
    func stage(_ stage: PipelineStage, _ nanoseconds: Double, servers: Int, _ source: String) {
      stages[stage] = .derived(
        stage, serviceTime: Figure(nanoseconds / answers / 1e6, .milliseconds, .measured, source: "\(source), over the answers"),
        servers: max(1, servers), throughput: throughput)
    }
    stage(
      .client, outcome.health.busiestThreadShare * Double(outcome.health.threads) * window, servers: outcome.health.threads,
      "CPU time of the generator's threads")
    stage(.frontEnd, loopSeconds * 1e9, servers: loops, "CPU time of the event loops")
    var (gather, output, held) = (0.0, 0.0, 0.0)
    // What reaches beyond the window is cut there.
    func length(_ from: Int64, _ to: Int64) -> Double { Double(max(0, min(to, run.window.upperBound) - max(from, run.window.lowerBound))) }
    for batch in trace.batches where batch.gatherStart != Trace.unknown && batch.outputEnd != Trace.unknown {
      gather += length(batch.gatherStart, batch.computeStart)
      output += length(batch.computeEnd, batch.outputEnd)
      held += length(batch.gatherStart, batch.outputEnd)
    }
    let kernels = zip(trace.kernels.start, trace.kernels.end).reduce(0.0) { $0 + length($1.0, $1.1) }
    stage(.gatherAndUpload, gather, servers: instances, "gather start to first kernel")
    stage(.launchThread, held, servers: instances, "instances' threads from gather to outputs")
    if deviceClass == .processor {
      stage(.gpu, kernels, servers: instances, "kernels, summed over the instances")
    } else {
      // Instances of a GPU share it: it is one server, busy while any kernel runs.
      let busy = (device.gpuBusy?.value ?? 0) * window
      stage(.gpu, busy, servers: 1, "union of the kernels")
    }
    stage(.downloadAndResponse, output, servers: instances, "last kernel to outputs taken apart")
    if let queued = batching.meanQueuedRequests, throughput.value > 0 {
      stages[.batcher] = StageLoad(
        .batcher,
        serviceTime: Figure(
          queued.value / throughput.value * 1000, .milliseconds, .measured, source: "time in the queue (Little's law); a wait, no service"))
    }
  }
}
