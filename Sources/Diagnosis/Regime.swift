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
  case launchBound = "launch-bound"
  /// Idle time from host overhead from the device's end to the next launch on a depth-1 pipeline: wake-up, response, batch forming, gather.
  case noBatchPipelining = "no-batch-pipelining"
  /// The launch returned before the previous kernel ended, and still a gap.
  case interKernelGaps = "inter-kernel-gaps"
  /// Kernels that leave most of the device empty.
  case underfilled = "underfilled"
  /// Kernels at the memory roof.
  case memoryBound = "memory-bandwidth-bound"
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
  public var stage: PipelineStage?
  /// How sure.
  public var confidence: Confidence
  /// Elasticity, utilization or share that says so.
  public var weight: Figure?

  /// A claim with every field stated.
  public init(_ regime: Regime, stage: PipelineStage?, confidence: Confidence, weight: Figure?) {
    self.regime = regime
    self.stage = stage
    self.confidence = confidence
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
  /// How sure the side is: often surer than the stage.
  public var sideConfidence: Confidence
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
  public var sentence: Sentence { sentence(upstreamOf: "the \(deviceClass.noun)") }

  /// As `sentence`, with another name for what lies downstream: a server that looks at itself knows its own queue.
  public func sentence(upstreamOf downstream: String) -> Sentence {
    guard let first = claims.first else {
      if side == .upstream { return "upstream of \(downstream) (\(sideConfidence.phrase)); where is inconclusive" }
      return "inconclusive: what limits cannot be told"
    }
    if claims.contains(where: { $0.regime == .notSteady }) {
      return "not steady: no verdict and no predicted change holds for this window"
    }
    if isCoLimited {
      let names = claims.map { worded($0) }
      var sentence: Sentence = "co-limited: "
      for (index, name) in names.enumerated() {
        sentence = "\(sentence)\(index == 0 ? "" : index == names.count - 1 ? " and " : ", ")\(name)"
      }
      return sentence
    }
    if first.regime == .loadLimited {
      return "load-limited: the server keeps up with the offered load (\(first.confidence.phrase))"
    }
    if side == .upstream, let stage = first.stage {
      let probably = first.confidence == .high ? "" : "probably "
      return
        "upstream of \(downstream) (\(sideConfidence.phrase)), \(probably)\(stage.subject(on: deviceClass)) (\(first.confidence.text))"
    }
    return worded(first)
  }

  /// "compute-bound, 127/128 of it redundant work (high confidence)".
  func worded(_ claim: RegimeClaim) -> Sentence {
    var sentence: Sentence = "\(claim.regime.text(on: deviceClass))"
    if claim.stage == .gpu, claim.regime != .interKernelGaps, let redundantShare, redundantShare.value >= HR211RedundantWork.shareThreshold
    {
      if let fraction = redundantShare.asFractionOfWhole {
        sentence = "\(sentence), \(fraction) of it redundant work"
      } else {
        sentence = "\(sentence), \(redundantShare) of it redundant work"
      }
    }
    return "\(sentence) (\(claim.confidence.phrase))"
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
