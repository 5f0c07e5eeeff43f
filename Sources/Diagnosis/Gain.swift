/// What one change does to one quantity.
public struct Gain: Sendable, Hashable {
  /// Without the change.
  public var before: Figure
  /// With it.
  public var after: Figure
  /// (after - before) / before, with the interval of the paired difference where the estimator knows it.
  public var change: Figure

  /// From both values. `changeInterval` is that of the paired difference (common random numbers make it far narrower than the two
  /// values' own intervals suggest); without it the values' own ends are taken, which is wider and safe.
  public init(before: Figure, after: Figure, changeInterval: ClosedRange<Double>? = nil) {
    self.before = before
    self.after = after
    let relative = before.value != 0 ? (after.value - before.value) / before.value : 0
    var interval = changeInterval
    if interval == nil, before.value > 0, before.lowerEnd > 0, before.interval != nil || after.interval != nil {
      let low = after.lowerEnd / before.upperEnd - 1
      let high = after.upperEnd / before.lowerEnd - 1
      interval = min(low, high, relative)...max(low, high, relative)
    }
    self.change = .combined(relative, .share, [before, after], source: "change against the run as it is", interval: interval)
  }

  /// The change that is sure: 0 where the interval holds 0, else its end nearer to 0.
  public var sureChange: Double {
    guard let interval = change.interval else { return change.value }
    if interval.lowerBound > 0 { return interval.lowerBound }
    if interval.upperBound < 0 { return interval.upperBound }
    return 0
  }

  /// No change, exactly, for a reason that needs no estimate.
  static func none(_ before: Figure, because reason: String) -> Gain {
    var gain = Gain(before: before, after: before, changeInterval: 0...0)
    gain.change.source = reason
    return gain
  }
}

/// What one set of changes does: the four gains every fix carries. nil where the estimator does not know one.
public struct GainEstimate: Sendable, Hashable {
  /// Answers per second at this load.
  public var throughput: Gain?
  /// Median latency at this load.
  public var medianLatency: Gain?
  /// 99th percentile of the latency at this load.
  public var p99Latency: Gain?
  /// Answers per second at which the stated p99 goal is just met.
  public var maximumRateAtGoal: Gain?
  /// GPU-seconds (GPU busy time) per million rows.
  public var gpuSecondsPerMillionInferences: Gain?
  /// What limits with the changes made; nil where it was not asked.
  public var verdict: Verdict?

  /// What is known.
  public init(
    throughput: Gain? = nil, medianLatency: Gain? = nil, p99Latency: Gain? = nil, maximumRateAtGoal: Gain? = nil,
    gpuSecondsPerMillionInferences: Gain? = nil, verdict: Verdict? = nil
  ) {
    self.throughput = throughput
    self.medianLatency = medianLatency
    self.p99Latency = p99Latency
    self.maximumRateAtGoal = maximumRateAtGoal
    self.gpuSecondsPerMillionInferences = gpuSecondsPerMillionInferences
    self.verdict = verdict
  }

  /// The estimate as far as logic alone carries it. Below saturation in an open loop every throughput gain is zero: what arrives is
  /// served already, whatever an estimator's noise says.
  public func consistent(with load: LoadEvidence) -> GainEstimate {
    guard load.isOpenBelowSaturation == true, let throughput else { return self }
    // A change that makes the server too slow for its load may still lose throughput: only gains are impossible.
    guard throughput.change.value > 0 || throughput.sureChange == 0 else { return self }
    var copy = self
    copy.throughput = .none(throughput.before, because: "an open loop below saturation serves what is offered")
    return copy
  }
}

/// Why no gain is printed.
public enum GainRefusal: Error, Sendable, Hashable {
  /// The window is not steady (HR103).
  case notSteady
  /// The unedited reproduction misses span or busy by this much; more than 3 % is too much to trust an edited one.
  case reproductionOff(Figure)
  /// The estimator cannot apply this change.
  case unsupported(Change)
  /// There is nothing to compute: advice only.
  case adviceOnly
  /// No estimator was given.
  case noEstimator
  /// Another finding's gains were asked for.
  case notAsked
  /// The estimator's own run failed; why.
  case failed(String)

  /// As printed in place of the gain.
  public var text: Sentence {
    switch self {
    case .notSteady: "not quantified: the window is not steady"
    case .reproductionOff(let error): "not quantified: the run as it is was reproduced only to within \(error)"
    case .unsupported: "not quantified: this change cannot be computed here"
    case .adviceOnly: "not quantified: advice"
    case .noEstimator: "not quantified: nothing to re-simulate the run with"
    case .notAsked: "not quantified: only another finding's changes were asked for"
    case .failed(let reason): "not quantified: \(reason)"
    }
  }
}

/// Computes what changes would do: by re-simulation, replay of the trace, or a plan at a new shape. Lives above the diagnosis, which only asks.
public protocol GainEstimator {
  /// Relative error with which the unedited run is reproduced (the larger of span and busy); nil where the run *is* the estimator's own
  /// simulation, which reproduces itself bit for bit.
  var reproductionError: Figure? { get }

  /// What `changes`, all together, do against the run as it is. The same list must give the same answer (common random numbers).
  func estimate(_ changes: [Change]) throws(GainRefusal) -> GainEstimate

  /// The same, without the highest rate at the goal where finding that takes longer: enough to choose between changes.
  func estimateAtThisLoad(_ changes: [Change]) throws(GainRefusal) -> GainEstimate

  /// Told beforehand which lists of changes will be asked for, so that they can be worked out side by side. No answer depends on it.
  func prepare(_ lists: [[Change]], forMaximumRate: Bool)

  /// What a run with `changes` made would show; nil where the estimator does not say.
  func evidence(_ changes: [Change]) throws(GainRefusal) -> RunEvidence?
}

extension GainEstimator {
  /// A run that is its own simulation.
  public var reproductionError: Figure? { nil }

  /// Where the highest rate costs nothing more.
  public func estimateAtThisLoad(_ changes: [Change]) throws(GainRefusal) -> GainEstimate { try estimate(changes) }

  /// One after the other, when asked.
  public func prepare(_ lists: [[Change]], forMaximumRate: Bool) {}

  /// Not said.
  public func evidence(_ changes: [Change]) throws(GainRefusal) -> RunEvidence? { nil }
}
