import CheckedNumbers
public import Diagnosis
import Dispatch
public import Planning
public import Simulation
import Reporting
import Synchronization
import TimeBase
import Trace
import Workload

/// Runs experiments in virtual time.
public struct ExperimentRunner: Sendable {
  /// Whether elasticities, gains and cumulative improvement plans are computed: most of an experiment's time.
  public var explains = true
  /// The one finding whose gains are worked out, at this load: neither the others' nor how much more the system can take; nil for everything.
  package var only: FindingCode?
  /// How long the short runs are.
  public var lengths = RunLengths.standard
  /// Counts the events of all runs.
  public var meter: SimulationMeter?
  /// Told what is being done; may be called from several threads.
  public var progress: @Sendable (String) -> Void

  /// A runner.
  public init(progress: @escaping @Sendable (String) -> Void = { _ in }) { self.progress = progress }

  /// Runs every variant, several at a time. The order of work changes no figure: every run has its own seed.
  ///
  /// - Parameter plans: of the variants, where they were made already.
  public func run(_ experiment: Experiment, plans: [Plan]? = nil) throws(ExperimentError) -> ExperimentResult {
    let count = experiment.variants.count
    guard count > 0 else { throw ExperimentError("experiment \(experiment.name): no variants") }
    let ready = if let plans, plans.count == count { plans } else { try Self.plans(of: experiment) }
    var seen = try each(count, experiment) { index throws(ExperimentError) in
      try run(experiment.variants[index], plan: ready[index], of: experiment)
    }
    // Before anything is made of it: what the other variants' users did is evidence too.
    let runs = seen.map { ($0.variant, $0.evidence) }
    for index in seen.indices {
      seen[index].evidence.client.otherRuns = ClientEvidence.otherRuns(of: index, among: runs) { $0.host == $1.host }
    }
    let complete = seen
    return ExperimentResult(
      experiment: experiment,
      variants: try each(count, experiment) { index throws(ExperimentError) in try assess(complete[index], of: experiment) })
  }

  /// All plans first: a mistake in the last variant must not show after minutes of the others.
  public static func plans(of experiment: Experiment) throws(ExperimentError) -> [Plan] {
    var plans: [Plan] = []
    for variant in experiment.variants { plans.append(try variant.plan()) }
    return plans
  }

  /// Something for every variant, several at a time.
  private func each<Made: Sendable>(
    _ count: Int, _ experiment: Experiment, _ make: @Sendable (Int) throws(ExperimentError) -> Made
  ) throws(ExperimentError) -> [Made] {
    let slots = Mutex<[Result<Made, ExperimentError>?]>(Array(repeating: nil, count: count))
    DispatchQueue.concurrentPerform(iterations: count) { index in
      let result: Result<Made, ExperimentError>
      do throws(ExperimentError) { result = .success(try make(index)) } catch { result = .failure(error) }
      slots.withLock { $0[index] = result }
    }
    var results: [Made] = []
    for slot in slots.withLock({ $0 }) {
      switch slot {
      case .success(let result)?: results.append(result)
      case .failure(let error)?: throw error
      case nil: throw ExperimentError("experiment \(experiment.name): a variant did not run")
      }
    }
    return results
  }

  /// A variant's run as it was seen, before anything is made of it.
  private struct SeenRun: Sendable {
    var variant: Variant
    var plan: Plan
    var usualBatch: BatchPlan
    var run: SimulationResult
    var trace: Trace
    var analysis: TraceAnalysis
    var evidence: RunEvidence
    var throughputs: [Double]
    var latencies: [Double]
  }

  private func run(_ variant: Variant, plan: Plan, of experiment: Experiment) throws(ExperimentError) -> SeenRun {
    func simulate(_ system: SimulationConfiguration, _ what: String) throws(ExperimentError) -> SimulationResult {
      let last = Mutex(-1)
      var system = system
      system.meter = meter
      do {
        let result = try Simulation.run(system) { share in
          let percent = Int(saturating: share * 100)
          if last.withLock({ previous in
            defer { previous = percent }
            return percent / 10 > previous / 10
          }) {
            progress("\(variant.name): \(what), \(percent) % of virtual time")
          }
          return true
        }
        guard let result else { throw ExperimentError("variant \(variant.name): the run was stopped") }
        return result
      } catch let error as ExperimentError { throw error } catch { throw ExperimentError("variant \(variant.name): \(error)") }
    }
    progress("\(variant.name): simulating")
    var run = try simulate(variant.system(plan, seed: experiment.seed, keepsTrace: true), "run 1 of \(experiment.repetitions)")
    guard let trace = run.trace else { throw ExperimentError("variant \(variant.name): no trace was kept") }
    run.trace = nil
    var throughputs = [run.throughput]
    var latencies = [run.meanLatencyMilliseconds ?? 0]
    for repetition in 1..<max(1, experiment.repetitions) {
      let again = try simulate(
        variant.system(plan, seed: experiment.seed &+ UInt64(clamping: repetition)), "run \(repetition + 1) of \(experiment.repetitions)")
      throughputs.append(again.throughput)
      latencies.append(again.meanLatencyMilliseconds ?? 0)
    }
    progress("\(variant.name): reading the trace")
    let analysis: TraceAnalysis
    let usualBatch: BatchPlan
    do {
      analysis = try TraceAnalysis(of: trace, context: variant.context(plan: plan))
      let usual = analysis.batchSizes.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? 1
      usualBatch = try plan.at(rows: usual)
    } catch { throw ExperimentError("variant \(variant.name): \(error)") }
    var evidence = analysis.evidence
    evidence.complete(with: run, variant: variant)
    return SeenRun(
      variant: variant, plan: plan, usualBatch: usualBatch, run: run, trace: trace, analysis: analysis, evidence: evidence,
      throughputs: throughputs, latencies: latencies)
  }

  private func assess(_ seen: SeenRun, of experiment: Experiment) throws(ExperimentError) -> VariantResult {
    let (variant, plan, run) = (seen.variant, seen.plan, seen.run)
    var evidence = seen.evidence
    let assessment: Assessment
    let estimator = Self.estimator(
      of: variant, plan: plan, rate: run.throughput, experiment: experiment, lengths: lengths, meter: meter,
      progress: share(of: "\(variant.name): what each change would buy", first: 0.7))
    if explains {
      progress("\(variant.name): what limits")
      var system = variant.system(plan, seed: experiment.seed)
      system.meter = meter
      evidence.elasticities = try ElasticityProbe.elasticities(
        of: system, rate: run.throughput, seeds: [21, 22], requests: lengths.sensitivity,
        progress: share(of: "\(variant.name): what limits", first: 1))
      progress("\(variant.name): what each change would buy")
      assessment = Assessment(of: evidence, goal: experiment.goal, only: only, estimator: estimator)
    } else {
      assessment = Assessment(of: evidence, goal: experiment.goal, estimator: nil)
    }
    var analysis = seen.analysis
    analysis.waterfall = analysis.waterfall.attributed(to: assessment.verdict)
    let headroom =
      only == nil
      ? headroom(estimator, seen, evidence, assessment, of: experiment)
      : Headroom(goal: experiment.latencyGoal, today: evidence.load.throughput, unknownBecause: "one finding alone was asked for")
    progress("\(variant.name): done")
    return VariantResult(
      variant: variant, plan: plan, usualBatch: seen.usualBatch, run: run, trace: seen.trace, analysis: analysis, evidence: evidence,
      headroom: headroom, assessment: assessment, throughputs: seen.throughputs, meanLatencies: seen.latencies)
  }

  private func headroom(
    _ estimator: SimulatedEstimator, _ seen: SeenRun, _ evidence: RunEvidence, _ assessment: Assessment, of experiment: Experiment
  ) -> Headroom {
    let (variant, run) = (seen.variant, seen.run)
    progress("\(variant.name): how much more it can take")
    // A generator that limits today hides what the server can do; that it is the generator is this system's assumption.
    let isGenerator =
      assessment.verdict.claims.first?.stage == .client
      || assessment.verdict.claims.first?.regime == .loadLimited && assessment.ranked.contains { $0.finding.code == .HR101 }
    return Self.headroom(of: evidence, variant, run, isGenerator: isGenerator, estimator, goal: experiment.latencyGoal)
  }

  /// How much more the variant can take, with what has to be so for it.
  static func headroom(
    of evidence: RunEvidence, _ variant: Variant, _ run: SimulationResult, isGenerator: Bool, _ estimator: SimulatedEstimator,
    goal: LatencyGoal
  ) -> Headroom {
    if let reason = evidence.steadiness?.unsteadyBecause {
      return Headroom(goal: goal, today: evidence.load.throughput, unknownBecause: reason)
    }
    var headroom = estimator.headroom(
      today: evidence.load.throughput, goal: goal, kind: .simulated, condition: isGenerator ? "with a faster load generator" : "")
    // Users who wait for their responses send no more than those come back: what an open loop can do is theirs only with more of them.
    if headroom.condition.isEmpty, case .closed(let users, _, _) = variant.workload.load, headroom.times.map({ $0.value > 1.2 }) ?? false {
      headroom.condition = "with more than \(users) users"
    }
    if headroom.condition.isEmpty, evidence.load.isOpenBelowSaturation == false, case .open(let offered)? = evidence.load.loop,
      let maximum = headroom.maximumRate, maximum.value < offered.value
    {
      headroom.condition = "less than the \(NumberText.significant(offered.value)) offered"
    }
    // Today's rate may be higher than one that keeps the goal for everybody.
    if run.refused.values.contains(where: { $0 > 0 }), headroom.maximumRate.map({ $0.value > 0 }) ?? false {
      headroom.condition += headroom.condition.isEmpty ? "with none rejected" : ", with none rejected"
    }
    return headroom
  }

  /// "linear: what limits, 20 %", never less than it said before; of runs that are made side by side.
  private func share(of stage: String, first: Double) -> @Sendable (Int, Int) -> Void {
    let staged = Mutex((share: StagedShare(first: first), said: 0))
    return { [progress] done, all in
      // Under the lock, so that no thread says an earlier share after a later one.
      staged.withLock { staged in
        staged.share.update(done: done, all: all)
        let percent = staged.share.percent
        guard percent > staged.said else { return }
        staged.said = percent
        progress("\(stage), \(percent) %")
      }
    }
  }

  /// Gains and headroom by re-simulation.
  static func estimator(
    of variant: Variant, plan: Plan, rate: Double, experiment: Experiment, lengths: RunLengths = .standard, meter: SimulationMeter? = nil,
    progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) -> SimulatedEstimator {
    let goal = experiment.latencyGoal.p99Milliseconds
    let probe = SimulatedEstimator(variant: variant, plan: plan, rate: rate, p99GoalMilliseconds: goal, lengths: lengths, meter: meter)
    return SimulatedEstimator(
      variant: variant, plan: plan, rate: rate, p99GoalMilliseconds: goal, lengths: lengths, meter: meter, progress: progress
    ) { changes throws(GainRefusal) in
      try EvidenceProbe.evidence(of: variant, changes: changes, estimator: probe, sensitivityRequests: lengths.sensitivity)
    }
  }
}

extension ClientEvidence {
  /// What the other closed loops with the same think time show of their users, whatever their number; `fits`: of the same generator.
  static func otherRuns(
    of index: Int, among runs: [(variant: Variant, evidence: RunEvidence)], fits: (Variant, Variant) -> Bool = { _, _ in true }
  ) -> [OtherRun] {
    guard case .closed(_, _, let think) = runs[index].variant.workload.load else { return [] }
    return runs.indices.compactMap { other in
      guard other != index, case .closed(let users, _, let itsThink) = runs[other].variant.workload.load, itsThink == think,
        fits(runs[index].variant, runs[other].variant), let throughput = runs[other].evidence.load.throughput,
        let outside = runs[other].evidence.load.thinkAndClientQueueTime
      else { return nil }
      return OtherRun(users: users, throughput: throughput, thinkAndClientQueueTime: outside)
    }
  }
}

/// What a variant would show with changes made: a short run, its trace, its elasticities.
public enum EvidenceProbe {
  /// - Throws: why the changes cannot be made, or the run cannot be made or read.
  public static func evidence(
    of variant: Variant, changes: [Change], estimator: SimulatedEstimator,
    sensitivityRequests: Double = RunLengths.standard.sensitivity
  ) throws(GainRefusal) -> RunEvidence {
    let system = try estimator.system(changes, seed: 31)
    do throws(ExperimentError) { return try evidence(of: variant, in: system, sensitivityRequests) } catch {
      throw .failed(error.description)
    }
  }

  private static func evidence(
    of variant: Variant, in system: SimulationConfiguration, _ sensitivityRequests: Double
  ) throws(ExperimentError) -> RunEvidence {
    var system = system
    system.keepsTrace = true
    let run = try system.result("the changed run could not be simulated")
    guard let trace = run.trace else { throw ExperimentError("the changed run kept no trace") }
    var changed = variant
    changed.scheduler = system.scheduler
    changed.execution = system.execution
    changed.host = system.host
    changed.workload = system.workload
    // A processor's kernels are not the plan's.
    let context = variant.processor == nil ? changed.context(plan: system.plan) : changed.servingContext
    let analysis: TraceAnalysis
    do { analysis = try TraceAnalysis(of: trace, context: context) } catch {
      throw ExperimentError("the changed run's trace cannot be read: \(error)")
    }
    var evidence = analysis.evidence
    if variant.processor != nil { evidence.copies = CopyEvidence() }
    evidence.complete(with: run, variant: changed)
    evidence.elasticities = try ElasticityProbe.elasticities(of: system, rate: run.throughput, seeds: [21], requests: sensitivityRequests)
    return evidence
  }
}

extension Variant {
  /// What a trace of this variant does not say by itself.
  public func context(plan: Plan) -> RunContext {
    var context = servingContext
    context.plan = plan
    return context
  }

  /// The same without a plan: what is served and asked, whatever runs it.
  var servingContext: RunContext {
    var context = RunContext()
    switch workload.load {
    case .closed(let users, _, let think):
      context.loop = .closed(users: users)
      context.meanThinkMilliseconds = think.mean.milliseconds
    case .open(let arrivals):
      let rate = arrivals.perSecond(over: TimeSpan(clampingSeconds: workload.warmUp.seconds + workload.duration.seconds))
      context.loop = .open(arrivalRate: Figure(rate, .requestsPerSecond, .simulated, source: "workload: arrival rate"))
    }
    if case .fixed(let rows) = workload.rows { context.fixedRowsPerRequest = rows }
    context.maximumRows = max(1, scheduler.maximumBatchRows)
    context.instances = scheduler.instances
    if let batching = scheduler.batching {
      context.preferredSizes = batching.preferredSizes
      context.maximumQueueDelayMicroseconds = Int(saturating: batching.maximumQueueDelay.microseconds)
      context.maximumQueueSize = batching.defaultQueuePolicy.maximumQueueSize
      context.timeoutMicroseconds = Int(saturating: batching.defaultQueuePolicy.defaultTimeout.microseconds)
    }
    return context
  }
}

extension RunEvidence {
  /// Adds what only the simulation knows: service times of every stage, the generator's own health.
  public mutating func complete(with run: SimulationResult, variant: Variant) {
    guard let throughput = load.throughput, run.answered > 0, run.window > .zero else { return }
    let window = Double(run.window.nanoseconds)
    let host = variant.host
    func stage(_ stage: PipelineStage, _ busy: Double, servers: Int) {
      let serviceTime = Figure(
        busy / 1e6 / Double(run.answered), .milliseconds, .simulated, source: "service time over answers in the window")
      stages[stage] = .derived(stage, serviceTime: serviceTime, servers: max(1, servers), throughput: throughput)
    }
    let clientCores = max(1, Int(saturating: host[.clientCores].value))
    let frontEndCores = max(1, Int(saturating: host[.frontEndCores].value))
    let threads = variant.execution.issuing == .perDevice ? 1 : variant.scheduler.instances
    stage(.client, run.busy.client, servers: clientCores)
    stage(.network, run.busy.wire, servers: 1)
    stage(.frontEnd, run.busy.frontEnd, servers: frontEndCores)
    if let queued = batching.meanQueuedRequests, throughput.value > 0 {
      stages[.batcher] = StageLoad(
        .batcher,
        serviceTime: Figure(
          queued.value / throughput.value * 1000, .milliseconds, .simulated, source: "time in the queue (Little's law); a wait, no service")
      )
    }
    stage(.gatherAndUpload, run.busy.gatherAndUpload, servers: threads)
    stage(.launchThread, run.busy.issuing, servers: threads)
    stage(.gpu, run.busy.kernels, servers: 1)
    stage(.downloadAndResponse, run.busy.downloadAndResponse, servers: variant.scheduler.instances)
    client.cores = clientCores
    client.coreShare = Figure(
      run.busy.client / Double(clientCores) / window, .share, .simulated, source: "generator's service time over its cores")
    client.sendLagP99 = Figure(
      Double(run.sendLagP99Nanoseconds) / 1e6, .milliseconds, .simulated, source: "sent less intended, 99th percentile")
    frontEnd.cores = frontEndCores
    frontEnd.coreShare = Figure(
      run.busy.frontEnd / Double(frontEndCores) / window, .share, .simulated, source: "front end's service time over its cores")
  }
}
