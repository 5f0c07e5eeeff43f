import CheckedNumbers
public import Trace

/// What limits a run.
public enum Regime: String, Sendable, Hashable, CaseIterable {
  /// The load generator itself.
  case clientBound = "client-bound"
  /// What lies between the generator and the batcher's queue: network, parsing, copying.
  case frontEndBound = "front-end-bound"
  /// The batcher's delay.
  case batchingBound = "batching-bound"
  /// Copies between host and device.
  case transferBound = "transfer-bound"
  /// Kernels start late because their launch was late: queue depth 0.
  case hostLaunchBound = "host-launch-bound"
  /// Stalled idle from the device's end to the next launch on a depth-1 pipeline: wake-up, response, batch forming, gather.
  case serializedLoop = "serialized-loop"
  /// The launch returned before the previous kernel ended, and still a gap.
  case deviceDispatch = "device-dispatch"
  /// Kernels that leave most of the device empty.
  case underfilled = "underfilled"
  /// Kernels at the memory roof.
  case memoryBound = "memory-bound"
  /// Kernels at the arithmetic roof.
  case computeBound = "compute-bound"
  /// Kernels limit; which roof is unknown.
  case deviceBound = "GPU-bound"
  /// Nothing limits: no more work was offered.
  case loadLimited = "load-limited"
  /// Ramp, warm-up or trend: no verdict and no gain.
  case notSteady = "not-steady"
}

/// One regime with how sure it is and what says so.
public struct RegimeClaim: Sendable, Hashable {
  /// Which.
  public var regime: Regime
  /// Where; nil for the load itself and for an unsteady window.
  public var station: Station?
  /// How sure.
  public var certainty: Certainty
  /// Elasticity, utilization or share that says so.
  public var weight: Figure?

  /// A claim with every field stated.
  public init(_ regime: Regime, station: Station?, certainty: Certainty, weight: Figure?) {
    self.regime = regime
    self.station = station
    self.certainty = certainty
    self.weight = weight
  }
}

/// What limits a run, how sure that is, and what would decide where it is not.
public struct Verdict: Sendable, Hashable {
  /// On which side of the batcher's queue the limit lies.
  public enum Side: Sendable, Hashable {
    /// The load, client, wire or front end: the device waits for requests.
    case upstream
    /// Batcher, issuing loop, copies or kernels.
    case device
    /// Some on each.
    case both
  }

  /// The side; nil where it cannot be told.
  public var side: Side?
  /// How sure the side is: often surer than the station.
  public var sideCertainty: Certainty
  /// The regimes that hold, heaviest first; two or more are co-limited; none where it cannot be told.
  public var claims: [RegimeClaim]
  /// FLOPs on copies of other rows, where a graph proves it.
  public var redundantShare: Figure?
  /// What would decide, where something is undecided.
  public var missing: MissingEvidence?
  /// What the run was on: sentences name it.
  public var deviceClass = DeviceClass.gpu

  /// Nothing can be said of what limits: the window is not steady, or there is no claim.
  public var isInconclusive: Bool { claims.isEmpty || claims.contains { $0.regime == .notSteady } }

  /// True when two regimes share the limit.
  public var isCoLimited: Bool { claims.count > 1 }

  /// The verdict as one sentence; the only place that words it.
  public var sentence: Prose { sentence(upstreamOf: "the \(deviceClass.noun)") }

  /// As `sentence`, with another name for what lies downstream: a server that looks at itself knows its own queue.
  public func sentence(upstreamOf downstream: String) -> Prose {
    guard let first = claims.first else {
      if side == .upstream { return "upstream of \(downstream) (\(sideCertainty.confidence)); where is inconclusive" }
      return "inconclusive: what limits cannot be told"
    }
    if claims.contains(where: { $0.regime == .notSteady }) {
      return "not steady: no verdict and no predicted change holds for this window"
    }
    if isCoLimited {
      let names = claims.map { worded($0) }
      var prose: Prose = "co-limited: "
      for (index, name) in names.enumerated() {
        prose = "\(prose)\(index == 0 ? "" : index == names.count - 1 ? " and " : ", ")\(name)"
      }
      return prose
    }
    if first.regime == .loadLimited {
      return "load-limited: the server keeps up with the offered load (\(first.certainty.confidence))"
    }
    if side == .upstream, let station = first.station {
      let probably = first.certainty == .certain ? "" : "probably "
      return
        "upstream of \(downstream) (\(sideCertainty.confidence)), \(probably)\(station.subject(on: deviceClass)) (\(first.certainty.shortConfidence))"
    }
    return worded(first)
  }

  /// "compute-bound, 127/128 of it redundant work (high confidence)".
  func worded(_ claim: RegimeClaim) -> Prose {
    var prose: Prose = "\(claim.regime.text(on: deviceClass))"
    if claim.station == .gpu, claim.regime != .deviceDispatch, let redundantShare, redundantShare.value >= HR211RedundantWork.shareThreshold
    {
      if let fraction = redundantShare.asFractionOfWhole {
        prose = "\(prose), \(fraction) of it redundant work"
      } else {
        prose = "\(prose), \(redundantShare) of it redundant work"
      }
    }
    return "\(prose) (\(claim.certainty.confidence))"
  }
}

extension Figure {
  /// "127/128": n - 1 of n rows are copies whenever an expand makes n of one. nil where the share is not within a thousandth of such
  /// a fraction (by what is left over, 1/n).
  var asFractionOfWhole: String? {
    guard value > 0, value < 1 else { return nil }
    let copies = 1 / (1 - value)
    let whole = copies.rounded()
    guard whole >= 2, whole <= 65_536, (copies - whole).magnitude <= 0.001 * whole else { return nil }
    return "\(Int(saturating: whole) - 1)/\(Int(saturating: whole))"
  }
}
