import Vocabulary

extension RunEvidence {
  /// A station limits when one percent of its time is worth more than a fifth of a percent of throughput.
  static let limitingElasticity = 0.2

  /// More wall time than this without a seen cause caps every claim at "likely".
  static let largestUnattributedShare = 0.2

  /// A station that uses more of itself than this is taken for the limit when no elasticity was measured: at 0.9 a station with
  /// exponential times keeps nine requests waiting or served on average (rho / (1 - rho), M/M/1).
  static let limitingUtilization = 0.9

  /// A side whose stations all use less than half of themselves passes twice the load before any of them is full.
  static let spareUtilization = 0.5

  /// `certainty` as far as the run's evidence carries it.
  func capped(_ certainty: Certainty) -> Certainty {
    guard let unattributed = device.unattributed, unattributed.value > Self.largestUnattributedShare else { return certainty }
    return min(certainty, .likely)
  }

  /// What limits this run. From elasticities where they were measured (they are causal), else from utilizations (at most "likely" for a
  /// station), else "cannot tell" with what would decide.
  public var verdict: Verdict {
    var verdict = limits
    verdict.deviceClass = deviceClass
    return verdict
  }

  private var limits: Verdict {
    if let steadiness, !steadiness.isSteady {
      return Verdict(
        side: nil, sideCertainty: .cannotTell, claims: [RegimeClaim(.notSteady, station: nil, certainty: capped(.certain), weight: nil)],
        redundantShare: kernels.redundantShare,
        missing: MissingEvidence(["a steady window"], measure: "cut ramp and warm-up and repeat, or run longer than the drift"))
    }
    if let elasticities, elasticities.isConsistent { return verdict(from: elasticities) }
    return verdictFromUtilizations()
  }

  private func verdict(from elasticities: Elasticities) -> Verdict {
    var claims: [RegimeClaim] = []
    func add(_ regime: Regime, _ station: Station?, _ weight: Figure) {
      // One regime on two stations (copies in both directions) is one limit: their weights add up, the heavier one gives the place.
      var (station, weight) = (station, weight)
      if let index = claims.firstIndex(where: { $0.regime == regime }), let known = claims[index].weight {
        if known.value > weight.value { station = claims[index].station }
        claims.remove(at: index)
        weight = .combined(known.value + weight.value, .ratio, [known, weight], source: "sum over the stations of \(regime.rawValue)")
      }
      claims.append(
        RegimeClaim(regime, station: station, certainty: certainty(of: regime, station: station, weight: weight), weight: weight))
    }
    // By station, as the rule says; its heaviest time names the regime.
    for station in Station.allCases {
      guard let weight = elasticities.total(of: station), weight.value > Self.limitingElasticity else { continue }
      let terms = elasticities.values.filter { $0.key.station == station }
      let heaviest = TimeTerm.allCases.filter { terms[$0] != nil }.max { (terms[$0]?.value ?? 0) < (terms[$1]?.value ?? 0) }
      if let heaviest { add(regime(of: heaviest), station, weight) }
    }
    // A serialized loop is spread over stations (gather, wake-up, response), each of which may stay below the line.
    if !claims.contains(where: { $0.regime == .serializedLoop }),
      let loop = elasticities.total("sum over the serialized loop", where: { self.regime(of: $0) == .serializedLoop }),
      loop.value > Self.limitingElasticity
    {
      claims.removeAll { $0.station == .issuingThread && (elasticities.values[.launch]?.value ?? 0) <= Self.limitingElasticity }
      add(.serializedLoop, .issuingThread, loop)
    }
    if let load = elasticities.total("think time and inter-arrival", where: { $0.station == nil }), load.value > Self.limitingElasticity {
      add(.loadLimited, nil, load)
    }
    claims.sort { ($0.weight?.value ?? 0) > ($1.weight?.value ?? 0) }

    // The other side is out of the question when all of it together cannot pass the limit even with what the sum may be off by.
    let upstream = elasticities.total("upstream of the queue", where: \.isUpstreamOfQueue)
    let below = elasticities.total("behind the queue", where: { !$0.isUpstreamOfQueue })
    let excluded = Self.limitingElasticity - Elasticities.sumTolerance
    let side: Verdict.Side?
    var sideCertainty = Certainty.cannotTell
    let limitsUpstream = claims.contains { $0.station?.isUpstreamOfQueue ?? true }
    let limitsBelow = claims.contains { !($0.station?.isUpstreamOfQueue ?? true) }
    // What was varied in a fitted world is likely at most, as a station's claim is.
    let isFitted = elasticities.values.values.contains { $0.kind == .fitted || $0.kind == .assumed }
    func known(_ certainty: Certainty) -> Certainty { isFitted ? min(capped(certainty), .likely) : capped(certainty) }
    switch (limitsUpstream, limitsBelow) {
    case (true, true): (side, sideCertainty) = (.both, known(.certain))
    case (true, false): (side, sideCertainty) = (.upstream, known((below?.upperEnd ?? 1) < excluded ? .certain : .likely))
    case (false, true): (side, sideCertainty) = (.device, known((upstream?.upperEnd ?? 1) < excluded ? .certain : .likely))
    case (false, false): side = nil
    }
    var missing: MissingEvidence?
    if claims.isEmpty {
      missing = MissingEvidence(
        ["a station worth more than a fifth"], measure: "raise the load by half and repeat: the station that fills first will show")
    } else {
      missing = self.missing(for: claims)
    }
    return Verdict(side: side, sideCertainty: sideCertainty, claims: claims, redundantShare: kernels.redundantShare, missing: missing)
  }

  /// Which regime a time belongs to. The wire has none of its own: it lies, like the front end, between generator and queue, and the
  /// station beside the regime says which of the two.
  func regime(of term: TimeTerm) -> Regime {
    switch term {
    case .thinkTime, .interArrival: .loadLimited
    case .clientWork: .clientBound
    case .wire, .frontEndWork: .frontEndBound
    case .batchingDelay: .batchingBound
    case .upload, .download: .transferBound
    case .launch: .hostLaunchBound
    case .gather, .wakeUp, .response: .serializedLoop
    case .dispatch: .deviceDispatch
    case .kernels: kernels.regime?.regime ?? .deviceBound
    }
  }

  /// How sure a regime with this elasticity is: certain when even the lower end of the interval passes the line. A client that was not
  /// itself watched is at most likely: its place could be taken by anything between the users and the server.
  private func certainty(of regime: Regime, station: Station?, weight: Figure) -> Certainty {
    var certainty: Certainty = weight.lowerEnd > Self.limitingElasticity ? .certain : .likely
    if regime == .clientBound, !client.isWitnessed { certainty = min(certainty, .likely) }
    if weight.kind == .fitted || weight.kind == .assumed { certainty = min(certainty, .likely) }
    return capped(certainty)
  }

  /// A stage with a utilization below this has room for bursts: waiting there is at most 2.3 service times on average (rho / (1 - rho),
  /// M/M/1).
  static let roomyUtilization = 0.7

  /// True where nothing limits, by what a server sees of itself: every stage that was watched below `roomyUtilization`, and hardly a request that
  /// waited longer than the batcher's delay and one batch's service time. Of a closed loop only with a generator that was watched and has
  /// room: one that is full keeps any server below its limits.
  var keepsUpWithLoad: Bool {
    guard batching.keepsUp == true, stations[.issuingThread]?.utilization != nil || stations[.gpu]?.utilization != nil else { return false }
    guard stations.loads.allSatisfy({ ($0.utilization?.value ?? 0) < Self.roomyUtilization }) else { return false }
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
      let certainty = capped(frontEnd.coreShare != nil || stations[.frontEnd]?.utilization != nil ? .certain : .likely)
      return Verdict(
        side: .upstream, sideCertainty: certainty,
        claims: [RegimeClaim(.loadLimited, station: nil, certainty: certainty, weight: stations.busiest?.utilization)],
        redundantShare: kernels.redundantShare, missing: nil)
    }
    var candidates: [RegimeClaim] = []
    for load in stations.loads {
      guard let utilization = load.utilization, utilization.value >= Self.limitingUtilization else { continue }
      let regime: Regime
      switch load.station {
      case .client: regime = .clientBound
      case .wire, .frontEnd: regime = .frontEndBound
      case .batcher: regime = .batchingBound
      case .gatherAndUpload, .downloadAndResponse: regime = .transferBound
      // A busy launch thread is launching or waiting; late launches tell which, never a share of API time.
      case .issuingThread:
        regime = (launches.lateShare?.value ?? 0) >= HR132HostLaunchPaced.lateThreshold ? .hostLaunchBound : .serializedLoop
      case .gpu: regime = kernels.regime?.regime ?? .deviceBound
      }
      candidates.append(RegimeClaim(regime, station: load.station, certainty: .likely, weight: utilization))
    }
    // A device that is busy keeps its launch thread waiting for it: the thread then is no limit of its own.
    if candidates.contains(where: { $0.station == .gpu }) { candidates.removeAll { $0.station == .issuingThread } }
    candidates.sort { ($0.weight?.value ?? 0) > ($1.weight?.value ?? 0) }

    let behind = Station.allCases.filter { !$0.isUpstreamOfQueue && $0 != .batcher }
    let spare = behind.allSatisfy { station in (stations[station]?.utilization?.value).map { $0 <= Self.spareUtilization } ?? false }
    let starved: Bool = {
      guard let starved = device.starvedIdle, let stalled = device.stalledIdle else { return false }
      let idle = starved.value + stalled.value
      return idle > Self.spareUtilization && starved.value >= HR102LoadLimited.starvedShareOfIdle * idle
    }()
    let measure = MissingEvidence(
      ["what one percent of each station's time is worth"],
      measure: "run the same users from two generator processes: throughput rises if the generator limits, stays if the server does")

    if candidates.isEmpty, spare || starved {
      if case .open? = load.loop, load.isOpenBelowSaturation == true {
        return Verdict(
          side: .upstream, sideCertainty: capped(.certain),
          claims: [RegimeClaim(.loadLimited, station: nil, certainty: capped(.certain), weight: nil)],
          redundantShare: kernels.redundantShare, missing: nil)
      }
      return Verdict(
        side: .upstream, sideCertainty: capped(spare && starved ? .certain : .likely), claims: [], redundantShare: kernels.redundantShare,
        missing: measure)
    }
    guard !candidates.isEmpty else {
      return Verdict(side: nil, sideCertainty: .cannotTell, claims: [], redundantShare: kernels.redundantShare, missing: measure)
    }
    let upstream = candidates.contains { $0.station?.isUpstreamOfQueue ?? true }
    let below = candidates.contains { !($0.station?.isUpstreamOfQueue ?? true) }
    let side: Verdict.Side = upstream && below ? .both : upstream ? .upstream : .device
    let sideCertainty: Certainty = side == .upstream && spare && starved ? .certain : .likely
    return Verdict(
      side: side, sideCertainty: capped(sideCertainty), claims: candidates, redundantShare: kernels.redundantShare,
      missing: missing(for: candidates) ?? measure)
  }

  /// What would lift the least sure claim to certain.
  private func missing(for claims: [RegimeClaim]) -> MissingEvidence? {
    if let unattributed = device.unattributed, unattributed.value > Self.largestUnattributedShare {
      return MissingEvidence(["the cause of the unattributed time"], measure: "record scheduler wake-ups and request events of the server")
    }
    if claims.contains(where: { $0.regime == .clientBound && $0.certainty != .certain }) {
      return MissingEvidence(
        ["the generator's CPU share and send lag"],
        measure: "`pidstat -t -p PID 5 1` on the load generator during the run, or the same users from two generator processes")
    }
    if claims.contains(where: { $0.station == .frontEnd && $0.certainty != .certain }) {
      return MissingEvidence(["the server threads' CPU share"], measure: "`pidstat -t -p PID 5 1` on the server during the run")
    }
    if claims.contains(where: { $0.regime == .deviceBound }) {
      return MissingEvidence(
        ["the kernels' roof"], measure: "give the model, so that its launches are planned, or hardware counters of one batch")
    }
    return nil
  }
}
