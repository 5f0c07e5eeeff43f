public import Vocabulary

extension TimeTerm {
  /// Where it is spent; nil for what is not the system's but the load's.
  public var stage: PipelineStage? {
    switch self {
    case .thinkTime, .interArrival: nil
    case .clientWork: .client
    case .network: .network
    case .frontEndWork: .frontEnd
    case .batchingDelay: .batcher
    case .gather, .upload: .gatherAndUpload
    case .launch, .wakeUp: .launchThread
    case .kernels, .dispatch: .gpu
    case .download, .response: .downloadAndResponse
    }
  }

  /// True for what happens before a request reaches the batcher's queue: the load itself, client, wire and front end.
  public var isUpstreamOfQueue: Bool { stage?.isUpstreamOfQueue ?? true }
}

/// e_i = -d ln X / d ln t_i for every time of a run: how many percent of throughput one percent of each time is worth.
public struct Elasticities: Sendable, Hashable {
  /// By time; a time that is not listed was not varied.
  public var values: [TimeTerm: Figure]

  /// As measured.
  public init(_ values: [TimeTerm: Figure]) { self.values = values }

  /// Throughput is homogeneous of degree -1 in all times (twice as slow everywhere is half as fast), so by Euler's theorem the
  /// elasticities add to 1. A sum outside 1 +- `sumTolerance` says that a time is missing or that the noise is too large.
  public var sum: Double { TimeTerm.allCases.reduce(0) { $0 + (values[$1]?.value ?? 0) } }

  /// See `sum`.
  public static let sumTolerance = 0.05

  /// See `sum`.
  public var isConsistent: Bool { !values.isEmpty && (sum - 1).magnitude <= Self.sumTolerance + 1e-12 }

  /// Sum over the times `isIncluded` picks; the weakest kind, intervals added. nil when none of them was varied.
  public func total(_ source: String, where isIncluded: (TimeTerm) -> Bool) -> Figure? {
    let terms = TimeTerm.allCases.filter(isIncluded).compactMap { values[$0] }
    guard !terms.isEmpty else { return nil }
    let sum = terms.reduce(0) { $0 + $1.value }
    var interval: ClosedRange<Double>?
    if terms.contains(where: { $0.interval != nil }) {
      let low = terms.reduce(0) { $0 + ($1.interval?.lowerBound ?? $1.value) }
      let high = terms.reduce(0) { $0 + ($1.interval?.upperBound ?? $1.value) }
      interval = min(low, sum)...max(high, sum)
    }
    return .combined(sum, .ratio, terms, source: source, interval: interval)
  }

  /// Of one stage.
  public func total(of stage: PipelineStage) -> Figure? {
    total("sum of the elasticities of \(stage.rawValue)") { $0.stage == stage }
  }
}
