import CheckedNumbers
import Diagnosis
import Explanation
import Planning
import Reporting
import Serving
import TimeBase
import Trace
import Vocabulary

/// What the last seconds say of one model: the diagnosis of recorded runs, completed by what only the server knows. Pure.
struct LiveDiagnosis: Sendable {
  /// What is shared by all models.
  struct ServerContext: Sendable {
    /// Of the event loops; nil where nobody asked shortly before.
    var frontEnd: FrontEndClock.Usage?
    /// Event loops, where they were counted.
    var loops: Int?
    /// Requests of all models in the window.
    var allRequests = 0
    /// Other models of the same device that were at work in the window.
    var neighbours: [String] = []
  }

  let state: LiveModelState
  /// Nanoseconds of CLOCK_MONOTONIC.
  let window: Range<Int64>
  let kind: Figure.Kind
  let answered: Int
  let failed: Int
  let figures: LiveFigures
  /// nil where nothing ran.
  let analysis: TraceAnalysis?
  /// nil where nothing ran: nothing can be said of nothing.
  private(set) var assessment: Assessment?
  let evidence: RunEvidence
  /// In the queue, a request; nil where nothing ran.
  let meanWait: Figure?
  let notes: [String]

  /// Fewer answers than this show no trend.
  static let minimumResponsesForTrend = 50
  /// A fifth of the wall: what a stage must be worth to be called a limit.
  static let heldThreshold = 0.2

  /// - Parameters:
  ///   - events: Of this model, since the window's start.
  ///   - window: From its start to now.
  init(_ state: LiveModelState, events: LiveTrace.Events, window asked: Range<Int64>, serverContext: ServerContext) {
    self.state = state
    let kind: Figure.Kind = state.device.isSimulated ? .simulated : .measured
    self.kind = kind
    let window = Self.window(asked, events, state)
    self.window = window
    let good = events.requests.filter { !$0.failed && window.contains($0.responseEnd.nanoseconds) }
    answered = good.count
    failed = events.requests.count { $0.failed && window.contains($0.responseEnd.nanoseconds) }
    let live = LiveTrace(events, of: state, window: window)
    figures = LiveFigures(state, good: good, events: events, window: window, kind: kind)
    var notes: [String] = []
    let text = "\(Self.seconds(asked)) s"
    guard !events.batches.isEmpty || !events.requests.isEmpty else {
      if state.queuedRequests > 0 || state.instancesAtWork > 0 {
        notes.append(
          "no request was answered in the last \(text): \(state.queuedRequests) wait, \(state.instancesAtWork) of \(state.instances) instances are at work"
        )
      } else {
        notes.append("no requests in the last \(text)")
      }
      (analysis, assessment, evidence, meanWait, self.notes) = (nil, nil, RunEvidence(), nil, notes)
      return
    }

    // Without a plan in the context nothing is evaluated that could fail.
    var analysis = try? TraceAnalysis(of: live.trace, context: Self.context(state, good))
    analysis?.attributeEnd(to: state, asked: asked)
    self.analysis = analysis
    var evidence = analysis?.evidence ?? RunEvidence()
    // Copies are not in the live events: none recorded is not none made.
    evidence.copies = CopyEvidence()
    if let analysis { evidence.batching.dispatchReasons = Self.dispatchReasons(analysis, events) }
    evidence.load.throughput = figures.requestsPerSecond
    evidence.load.medianLatency = figures.medianLatency
    evidence.load.p99Latency = figures.p99Latency
    if live.linkedRequests > 0 {
      let wall = Double(max(1, window.upperBound - window.lowerBound))
      evidence.batching.meanQueuedRequests = Figure(
        live.waited / wall, .count, kind, source: "time between queue and instance, over the window")
      meanWait = Figure(
        live.waited / Double(live.linkedRequests) / 1e6, .milliseconds, kind,
        source: "time between queue and instance, \(live.linkedRequests) requests")
    } else {
      meanWait = nil
    }
    evidence.steadiness = Self.steadiness(good, window: window, kind: kind)
    evidence.stages = LiveStages.stages(
      state, events: events, answered: good.count, window: window, kind: kind,
      serverContext: serverContext)
    if let usage = serverContext.frontEnd {
      evidence.frontEnd.coreShare = Figure(
        usage.busyShare, .share, .measured, source: "CPU time of \(usage.loops) event loops over \(Self.rounded(usage.seconds)) s")
      evidence.frontEnd.cores = usage.loops
    }
    self.evidence = evidence

    // A batch in flight is the rule under load; only one that takes long is worth a word.
    if asked.upperBound - window.upperBound > 500_000_000 {
      notes.append(
        "batches that still run are not counted: the figures end \(Self.rounded(Double(asked.upperBound - window.upperBound) / 1e9)) s ago")
    }
    if !serverContext.neighbours.isEmpty {
      notes.append(
        "this device also ran \(serverContext.neighbours.joined(separator: ", ")): what it did for them counts as idle here, and they may have slowed this model"
      )
    }
    if live.linkedRequests * 10 < good.count * 9 {
      notes.append("the batch of \(good.count - live.linkedRequests) requests is not known: idle causes are less sure")
    }
    self.notes = notes
    guard !events.batches.isEmpty else {
      assessment = nil
      return
    }
    assessment = Self.assess(evidence, of: state, by: nil)
  }

  /// Says what changes would buy, where the simulation fitted to the window reproduces it. Nothing else of the diagnosis changes.
  mutating func quantify(by estimator: LiveEstimator) {
    if assessment != nil { assessment = Self.assess(evidence, of: state, by: estimator) }
  }

  private static func assess(_ evidence: RunEvidence, of state: LiveModelState, by estimator: LiveEstimator?) -> Assessment {
    // A running server does not look into its models' graphs: which rows are copies is not asked here.
    let codes = state.isProcessor ? Set(FindingRegistry.codes).subtracting([.HR211]) : nil
    // Who asks is not seen, so the loop is unknown; a load that is served already gains latency or nothing.
    let goal: Goal? = evidence.verdict.claims.first?.regime == .loadLimited ? .latency : nil
    var assessment = Assessment(of: evidence, goal: goal, codes: codes, estimator: estimator, improvementSteps: 0)
    if let held = evidence.device.batchingDelayIdle { weigh(held, &assessment.verdict) }
    return assessment
  }

  /// Share of the instances' time in which they held a batch.
  var instanceBusyShare: Double { figures.instanceBusyShare.value }

  /// What is said first of the model.
  var sentence: String {
    if let assessment {
      let verdict = assessment.verdict
      if let held = verdict.claims.first, held.regime == .batchingBound, held.confidence == .inconclusive, let weight = held.weight {
        return "batching-bound, or too few requests: inconclusive (idle for batching delay \(weight.text) of the time)"
      }
      return verdict.sentence(upstreamOf: "this model's queue").text
    }
    if failed > 0, answered == 0 { return "\(failed) requests failed and none was answered in the last \(Self.seconds(window)) s" }
    return notes.first ?? "unknown"
  }

  /// What is said first of the model, in ten lines.
  func answer(_ headroom: Headroom) -> RunAnswer {
    guard let assessment else {
      return RunAnswer(
        name: state.name, setting: state.deviceText, run: evidence,
        assessment: Assessment(of: RunEvidence(), estimator: nil), waterfall: nil, headroom: headroom, kind: kind, rejected: failed,
        bottleneck: "Inconclusive: \(sentence)", confirm: "send it requests, and ask again after some seconds")
    }
    return RunAnswer(
      name: state.name, setting: state.deviceText, run: evidence, assessment: assessment, waterfall: analysis?.waterfall,
      headroom: headroom, kind: kind, rejected: failed, upstreamOf: "this model's queue",
      bottleneck: isHeld ? "Inconclusive: \(sentence)" : nil, confirm: toConfirm)
  }

  /// Whether the batcher's delay and a small load look alike.
  private var isHeld: Bool {
    guard let held = assessment?.verdict.claims.first else { return false }
    return held.regime == .batchingBound && held.confidence == .inconclusive
  }

  // MARK: - Parts

  /// Held idle time has two readings that look alike from here: users who wait for their answers are slowed by the batcher's delay, and
  /// requests that come slowly are merely held until the next one is near. Neither is claimed.
  private static func weigh(_ held: Figure, _ verdict: inout Verdict) {
    guard held.value >= heldThreshold, verdict.claims.isEmpty, verdict.side != .device else { return }
    verdict.side = nil
    verdict.sideConfidence = .inconclusive
    verdict.claims = [RegimeClaim(.batchingBound, stage: .batcher, confidence: .inconclusive, weight: held)]
    verdict.missing = MissingEvidence(
      ["whether users wait for the batcher"],
      measure: "load the model with a max_queue_delay_microseconds of 0: throughput rises if the delay limits, stays if the load does")
  }

  /// Batches are recorded when they end: while one runs, the time since the last end is known to nobody, and counts as no idle time.
  private static func window(_ asked: Range<Int64>, _ events: LiveTrace.Events, _ state: LiveModelState) -> Range<Int64> {
    guard state.instancesAtWork > 0 || state.queuedRequests > 0 else { return asked }
    let last = max(
      events.batches.map(\.outputEnd.nanoseconds).max() ?? .min, events.requests.map(\.responseEnd.nanoseconds).max() ?? .min)
    // Half open: what ended last belongs to it.
    guard last > asked.lowerBound, last < asked.upperBound else { return asked }
    return asked.lowerBound..<(last + 1)
  }

  private static func context(_ state: LiveModelState, _ requests: [LiveRecorder.Request]) -> RunContext {
    var context = RunContext()
    if let rows = requests.first?.rows, requests.allSatisfy({ $0.rows == rows }) { context.fixedRowsPerRequest = Int(rows) }
    context.maximumRows = max(1, state.scheduling.maximumBatchRows)
    context.preferredSizes = state.scheduling.batching?.preferredSizes ?? []
    context.instances = state.instances
    if let batching = state.scheduling.batching {
      context.maximumQueueDelayMicroseconds = Int(batching.maximumQueueDelay.nanoseconds / 1000)
      let policy = batching.defaultQueuePolicy
      if policy.maximumQueueSize > 0 { context.maximumQueueSize = policy.maximumQueueSize }
      if policy.defaultTimeout > .zero { context.timeoutMicroseconds = Int(policy.defaultTimeout.nanoseconds / 1000) }
    }
    return context
  }

  private static func dispatchReasons(_ analysis: TraceAnalysis, _ events: LiveTrace.Events) -> [DispatchReason: Int] {
    if !analysis.evidence.batching.dispatchReasons.isEmpty { return analysis.evidence.batching.dispatchReasons }
    var dispatchReasons: [DispatchReason: Int] = [:]
    for batch in events.batches { dispatchReasons[batch.reason, default: 0] += 1 }
    return dispatchReasons
  }

  /// Of the answers alone, as the diagnosis of these events would find it.
  static func steadiness(_ events: LiveTrace.Events, of state: LiveModelState, window asked: Range<Int64>) -> Steadiness? {
    let window = Self.window(asked, events, state)
    let good = events.requests.filter { !$0.failed && window.contains($0.responseEnd.nanoseconds) }
    return steadiness(good, window: window, kind: state.device.isSimulated ? .simulated : .measured)
  }

  /// A trend, or a load that came or went within the window; nil where the answers are too few to say.
  private static func steadiness(_ requests: [LiveRecorder.Request], window: Range<Int64>, kind: Figure.Kind) -> Steadiness? {
    let slices = 24
    var counts = [Int](repeating: 0, count: slices)
    let length = Double(window.upperBound - window.lowerBound)
    for request in requests {
      let place = Double(request.responseEnd.nanoseconds - window.lowerBound) / length * Double(slices)
      counts[min(slices - 1, max(0, Int(saturating: place)))] += 1
    }
    if let step = Steadiness(stepIn: counts, kind: kind) { return step }
    return requests.count >= minimumResponsesForTrend ? Steadiness(answersPerSlice: counts, kind: kind) : nil
  }

  /// The cheapest measurement that would decide what is open. Plans and hardware counters of a GPU say nothing of processor cores.
  var toConfirm: String? {
    guard let verdict = assessment?.verdict, let missing = verdict.missing else { return nil }
    if state.isProcessor, verdict.claims.contains(where: { $0.regime == .deviceBound }) {
      return "`perf stat -p PID` under this load: instructions per cycle and memory stalls say whether arithmetic or memory limits"
    }
    return missing.cheapestMeasurement
  }

  static func seconds(_ window: Range<Int64>) -> String { rounded(Double(window.upperBound - window.lowerBound) / 1e9) }

  /// "10", "3.2".
  static func rounded(_ seconds: Double) -> String {
    if seconds < 0.1 { return NumberText.significant(seconds, digits: 2) }
    let tenths = (seconds * 10).rounded() / 10
    return tenths == tenths.rounded() ? String(Int(saturating: tenths)) : "\(tenths)"
  }
}

extension TraceAnalysis {
  /// A recorded trace cannot tell why its last idle time was idle. A running server can: with no request in the queue and every instance
  /// waiting, nothing was asked for.
  fileprivate mutating func attributeEnd(to state: LiveModelState, asked: Range<Int64>) {
    guard state.queuedRequests == 0, state.instancesAtWork == 0, window.upperBound == asked.upperBound,
      let last = device.longestGaps.first(where: { $0.range.upperBound == window.upperBound && $0.cause == .unattributed })
    else { return }
    let length = last.range.upperBound - last.range.lowerBound
    device.unattributedIdle -= length
    device.noRequestsIdle += length
    waterfall = Waterfall(device, kind: kind, residentSMShare: nil, shareOfRoof: nil, redundantShare: nil)
    let wall = Double(max(1, device.wall))
    func share(_ nanoseconds: Int64, _ source: String) -> Figure { Figure(Double(nanoseconds) / wall, .share, kind, source: source) }
    evidence.device.noRequestsIdle = share(device.noRequestsIdle, "idle before the next batch's first request, or with an empty queue now")
    evidence.device.batchingDelayIdle = share(device.batchingDelayIdle, "idle while the batcher waited for more requests")
    evidence.device.hostOverheadIdle = share(device.hostOverheadIdle, "idle after the next batch was due")
    evidence.device.unattributed = share(device.unattributedIdle, "idle without a seen cause")
  }
}
