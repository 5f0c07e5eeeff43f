/// A place a request passes through, in the order it passes.
public enum PipelineStage: String, Sendable, Hashable, CaseIterable {
  case client
  case network
  case frontEnd
  case batcher
  case gatherAndUpload
  case launchThread
  case gpu
  case downloadAndResponse

  /// True for what lies between the user and the batcher's queue.
  public var isUpstreamOfQueue: Bool { self == .client || self == .network || self == .frontEnd }
}

/// What one stage does to a request and how much of itself it uses.
public struct StageLoad: Sendable, Hashable {
  /// Which.
  public var stage: PipelineStage
  /// Service time that a request asks of it, milliseconds; waiting excluded.
  public var serviceTime: Figure?
  /// Share of its own time it serves, 0...1.
  public var utilization: Figure?
  /// Requests per second it could pass by itself.
  public var capacity: Figure?

  /// What is known; nil for the rest.
  public init(_ stage: PipelineStage, serviceTime: Figure? = nil, utilization: Figure? = nil, capacity: Figure? = nil) {
    self.stage = stage
    self.serviceTime = serviceTime
    self.utilization = utilization
    self.capacity = capacity
  }

  /// The operational laws (Denning and Buzen 1978): U = X D / servers, capacity = servers / D. They hold for any arrival and
  /// service pattern, because they only count time.
  public static func derived(_ stage: PipelineStage, serviceTime: Figure, servers: Int, throughput: Figure) -> StageLoad {
    guard serviceTime.value > 0, servers > 0 else { return StageLoad(stage, serviceTime: serviceTime) }
    let servers = Double(servers)
    return StageLoad(
      stage, serviceTime: serviceTime,
      utilization: .combined(
        throughput.value * serviceTime.value / 1000 / servers, .share, [throughput, serviceTime], source: "utilization law: X D / servers"),
      capacity: .combined(servers * 1000 / serviceTime.value, .requestsPerSecond, [serviceTime], source: "servers / serviceTime"))
  }
}

/// The stages of one run, in passing order.
public struct PipelineStages: Sendable, Hashable {
  /// One entry a stage at most.
  public private(set) var loads: [StageLoad]

  /// The known stages; a later entry for the same stage replaces an earlier one.
  public init(_ loads: [StageLoad] = []) {
    self.loads = PipelineStage.allCases.compactMap { stage in loads.last { $0.stage == stage } }
  }

  /// A stage's load; nil when nothing is known of it.
  public subscript(stage: PipelineStage) -> StageLoad? {
    get { loads.first { $0.stage == stage } }
    set {
      var kept = loads.filter { $0.stage != stage }
      if let newValue { kept.append(newValue) }
      self = PipelineStages(kept)
    }
  }

  /// The stage that fills first when everything else is unlimited: the smallest known capacity.
  public var smallestCapacity: StageLoad? {
    loads.filter { $0.capacity != nil }.min { ($0.capacity?.value ?? .infinity) < ($1.capacity?.value ?? .infinity) }
  }

  /// The stage that uses most of itself.
  public var busiest: StageLoad? {
    loads.filter { $0.utilization != nil }.max { ($0.utilization?.value ?? 0) < ($1.utilization?.value ?? 0) }
  }
}
