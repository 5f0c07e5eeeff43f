import Vocabulary

extension RunEvidence {
  /// A stage limits when one percent of its time is worth more than a fifth of a percent of throughput.
  static let limitingElasticity = 0.2

  /// More wall time than this without a seen cause caps every claim at "likely".
  static let largestUnattributedShare = 0.2

  /// A stage that uses more of itself than this is taken for the limit when no elasticity was measured: at 0.9 a stage with
  /// exponential times keeps nine requests waiting or served on average (rho / (1 - rho), M/M/1).
  package static let limitingUtilization = 0.9

  /// A side whose stages all use less than half of themselves passes twice the load before any of them is full.
  static let spareUtilization = 0.5

  /// `confidence` as far as the run's evidence carries it.
  func capped(_ confidence: Confidence) -> Confidence {
    guard let unattributed = device.unattributed, unattributed.value > Self.largestUnattributedShare else { return confidence }
    return min(confidence, .medium)
  }

  /// What limits this run. From elasticities where they were measured (they are causal), else from utilizations (at most "likely" for a
  /// stage), else "cannot tell" with what would decide.
  public var verdict: Verdict {
    var verdict = limits
    verdict.deviceClass = deviceClass
    return verdict
  }

  private var limits: Verdict {
    if let steadiness, !steadiness.isSteady {
      return Verdict(
        side: nil, sideConfidence: .inconclusive, claims: [RegimeClaim(.notSteady, stage: nil, confidence: capped(.high), weight: nil)],
        redundantShare: kernels.redundantShare,
        missing: MissingEvidence(["a steady window"], measure: "cut ramp and warm-up and repeat, or run longer than the drift"))
    }
    if let elasticities, elasticities.isConsistent { return verdict(from: elasticities) }
    return verdictFromUtilizations()
  }

  private func verdict(from elasticities: Elasticities) -> Verdict {
    var claims: [RegimeClaim] = []
    func add(_ regime: Regime, _ stage: PipelineStage?, _ weight: Figure) {
      // One regime on two stages (copies in both directions) is one limit: their weights add up, the heavier one gives the place.
      var (stage, weight) = (stage, weight)
      if let index = claims.firstIndex(where: { $0.regime == regime }), let known = claims[index].weight {
        if known.value > weight.value { stage = claims[index].stage }
        claims.remove(at: index)
        weight = .combined(known.value + weight.value, .ratio, [known, weight], source: "sum over the stages of \(regime.rawValue)")
      }
      claims.append(
        RegimeClaim(regime, stage: stage, confidence: confidence(of: regime, stage: stage, weight: weight), weight: weight))
    }
    // By stage, as the rule says; its heaviest time names the regime.
    for stage in PipelineStage.allCases {
      guard let weight = elasticities.total(of: stage), weight.value > Self.limitingElasticity else { continue }
      let terms = elasticities.values.filter { $0.key.stage == stage }
      let heaviest = TimeTerm.allCases.filter { terms[$0] != nil }.max { (terms[$0]?.value ?? 0) < (terms[$1]?.value ?? 0) }
      if let heaviest { add(regime(of: heaviest), stage, weight) }
    }
    // A loop without batch pipelining is spread over stages (gather, wake-up, response), each of which may stay below the line.
    if !claims.contains(where: { $0.regime == .noBatchPipelining }),
      let loop = elasticities.total("sum over the unpipelined batch loop", where: { self.regime(of: $0) == .noBatchPipelining }),
      loop.value > Self.limitingElasticity
    {
      claims.removeAll { $0.stage == .launchThread && (elasticities.values[.launch]?.value ?? 0) <= Self.limitingElasticity }
      add(.noBatchPipelining, .launchThread, loop)
    }
    if let load = elasticities.total("think time and inter-arrival", where: { $0.stage == nil }), load.value > Self.limitingElasticity {
      add(.loadLimited, nil, load)
    }
    claims.sort { ($0.weight?.value ?? 0) > ($1.weight?.value ?? 0) }

    // The other side is out of the question when all of it together cannot pass the limit even with what the sum may be off by.
    let upstream = elasticities.total("upstream of the queue", where: \.isUpstreamOfQueue)
    let below = elasticities.total("behind the queue", where: { !$0.isUpstreamOfQueue })
    let excluded = Self.limitingElasticity - Elasticities.sumTolerance
    let side: Verdict.Side?
    var sideConfidence = Confidence.inconclusive
    let limitsUpstream = claims.contains { $0.stage?.isUpstreamOfQueue ?? true }
    let limitsBelow = claims.contains { !($0.stage?.isUpstreamOfQueue ?? true) }
    // What was varied in a fitted system is likely at most, as a stage's claim is.
    let isFitted = elasticities.values.values.contains { $0.kind == .fitted || $0.kind == .assumed }
    func known(_ confidence: Confidence) -> Confidence { isFitted ? min(capped(confidence), .medium) : capped(confidence) }
    switch (limitsUpstream, limitsBelow) {
    case (true, true): (side, sideConfidence) = (.both, known(.high))
    case (true, false): (side, sideConfidence) = (.upstream, known((below?.upperEnd ?? 1) < excluded ? .high : .medium))
    case (false, true): (side, sideConfidence) = (.device, known((upstream?.upperEnd ?? 1) < excluded ? .high : .medium))
    case (false, false): side = nil
    }
    var missing: MissingEvidence?
    if claims.isEmpty {
      missing = MissingEvidence(
        ["a stage worth more than a fifth"], measure: "raise the load by half and repeat: the stage that fills first will show")
    } else {
      missing = self.missing(for: claims)
    }
    return Verdict(side: side, sideConfidence: sideConfidence, claims: claims, redundantShare: kernels.redundantShare, missing: missing)
  }

  /// Which regime a time belongs to. The wire has none of its own: it lies, like the front end, between generator and queue, and the
  /// stage beside the regime says which of the two.
  func regime(of term: TimeTerm) -> Regime {
    switch term {
    case .thinkTime, .interArrival: .loadLimited
    case .clientWork: .clientBound
    case .network, .frontEndWork: .frontEndBound
    case .batchingDelay: .batchingBound
    case .upload, .download: .transferBound
    case .launch: .launchBound
    case .gather, .wakeUp, .response: .noBatchPipelining
    case .dispatch: .interKernelGaps
    case .kernels: kernels.regime?.regime ?? .deviceBound
    }
  }

  /// How sure a regime with this elasticity is: certain when even the lower end of the interval passes the line. A client that was not
  /// itself watched is at most likely: its place could be taken by anything between the users and the server.
  private func confidence(of regime: Regime, stage: PipelineStage?, weight: Figure) -> Confidence {
    var confidence: Confidence = weight.lowerEnd > Self.limitingElasticity ? .high : .medium
    if regime == .clientBound, !client.isWitnessed { confidence = min(confidence, .medium) }
    if weight.kind == .fitted || weight.kind == .assumed { confidence = min(confidence, .medium) }
    return capped(confidence)
  }

  /// A stage with a utilization below this has room for bursts: waiting there is at most 2.3 service times on average (rho / (1 - rho),
  /// M/M/1).
  static let roomyUtilization = 0.7

  /// True where nothing limits, by what a server sees of itself: every stage that was watched below `roomyUtilization`, and hardly a request that
  /// waited longer than the batcher's delay and one batch's service time. Of a closed loop only with a generator that was watched and has
  /// room: one that is full keeps any server below its limits.
  var keepsUpWithLoad: Bool {
    guard batching.keepsUp == true, stages[.launchThread]?.utilization != nil || stages[.gpu]?.utilization != nil else { return false }
    guard stages.loads.allSatisfy({ ($0.utilization?.value ?? 0) < Self.roomyUtilization }) else { return false }
    switch load.loop {
    case nil: break
    case .open?: if load.isOpenBelowSaturation == false { return false }
    case .closed?: guard client.hasRoom else { return false }
    }
    return (client.fullestShare?.value ?? 0) < ClientEvidence.roomyShare
  }

  private func verdictFromUtilizations() -> Verdict {
    if keepsUpWithLoad {
      // Event loops that nobody sampled may be full without a trace behind them.
      let confidence = capped(frontEnd.coreShare != nil || stages[.frontEnd]?.utilization != nil ? .high : .medium)
      return Verdict(
        side: .upstream, sideConfidence: confidence,
        claims: [RegimeClaim(.loadLimited, stage: nil, confidence: confidence, weight: stages.busiest?.utilization)],
        redundantShare: kernels.redundantShare, missing: nil)
    }
    var candidates: [RegimeClaim] = []
    for load in stages.loads {
      guard let utilization = load.utilization, utilization.value >= Self.limitingUtilization else { continue }
      let regime: Regime
      switch load.stage {
      case .client: regime = .clientBound
      case .network, .frontEnd: regime = .frontEndBound
      case .batcher: regime = .batchingBound
      case .gatherAndUpload, .downloadAndResponse: regime = .transferBound
      // A busy launch thread is launching or waiting; late launches tell which, never a share of API time.
      case .launchThread:
        regime = (launches.lateShare?.value ?? 0) >= HR132LaunchBound.lateThreshold ? .launchBound : .noBatchPipelining
      case .gpu: regime = kernels.regime?.regime ?? .deviceBound
      }
      candidates.append(RegimeClaim(regime, stage: load.stage, confidence: .medium, weight: utilization))
    }
    // A device that is busy keeps its launch thread waiting for it: the thread then is no limit of its own.
    if candidates.contains(where: { $0.stage == .gpu }) { candidates.removeAll { $0.stage == .launchThread } }
    candidates.sort { ($0.weight?.value ?? 0) > ($1.weight?.value ?? 0) }

    let behind = PipelineStage.allCases.filter { !$0.isUpstreamOfQueue && $0 != .batcher }
    let spare = behind.allSatisfy { stage in (stages[stage]?.utilization?.value).map { $0 <= Self.spareUtilization } ?? false }
    let noRequests: Bool = {
      guard let noRequests = device.noRequestsIdle, let hostOverhead = device.hostOverheadIdle else { return false }
      let idle = noRequests.value + hostOverhead.value
      return idle > Self.spareUtilization && noRequests.value >= HR102LoadLimited.noRequestsShareOfIdle * idle
    }()
    let measure = MissingEvidence(
      ["what one percent of each stage's time is worth"],
      measure: "run the same users from two generator processes: throughput rises if the generator limits, stays if the server does")

    if candidates.isEmpty, spare || noRequests {
      if case .open? = load.loop, load.isOpenBelowSaturation == true {
        return Verdict(
          side: .upstream, sideConfidence: capped(.high),
          claims: [RegimeClaim(.loadLimited, stage: nil, confidence: capped(.high), weight: nil)],
          redundantShare: kernels.redundantShare, missing: nil)
      }
      return Verdict(
        side: .upstream, sideConfidence: capped(spare && noRequests ? .high : .medium), claims: [], redundantShare: kernels.redundantShare,
        missing: measure)
    }
    guard !candidates.isEmpty else {
      return Verdict(side: nil, sideConfidence: .inconclusive, claims: [], redundantShare: kernels.redundantShare, missing: measure)
    }
    let upstream = candidates.contains { $0.stage?.isUpstreamOfQueue ?? true }
    let below = candidates.contains { !($0.stage?.isUpstreamOfQueue ?? true) }
    let side: Verdict.Side = upstream && below ? .both : upstream ? .upstream : .device
    let sideConfidence: Confidence = side == .upstream && spare && noRequests ? .high : .medium
    return Verdict(
      side: side, sideConfidence: capped(sideConfidence), claims: candidates, redundantShare: kernels.redundantShare,
      missing: missing(for: candidates) ?? measure)
  }

  /// What would lift the least sure claim to certain.
  private func missing(for claims: [RegimeClaim]) -> MissingEvidence? {
    if let unattributed = device.unattributed, unattributed.value > Self.largestUnattributedShare {
      return MissingEvidence(["the cause of the unattributed time"], measure: "record scheduler wake-ups and request events of the server")
    }
    if claims.contains(where: { $0.regime == .clientBound && $0.confidence != .high }) {
      return MissingEvidence(
        ["the generator's CPU share and send lag"],
        measure: "`pidstat -t -p PID 5 1` on the load generator during the run, or the same users from two generator processes")
    }
    if claims.contains(where: { $0.stage == .frontEnd && $0.confidence != .high }) {
      return MissingEvidence(["the server threads' CPU share"], measure: "`pidstat -t -p PID 5 1` on the server during the run")
    }
    if claims.contains(where: { $0.regime == .deviceBound }) {
      return MissingEvidence(
        ["the kernels' roof"], measure: "give the model, so that its launches are planned, or hardware counters of one batch")
    }
    return nil
  }
}
