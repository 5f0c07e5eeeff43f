/// How much of a batch's work a plan knows.
public struct PlanCoverage: Sendable, Hashable {
  /// What the share is a share of: FLOPs, or bytes where a model computes nothing.
  public enum Measure: String, Sendable, Hashable {
    case floatingPointOperations = "FLOPs"
    case bytes
  }

  /// An operator whose work is not known.
  public struct Unplanned: Sendable, Hashable {
    /// The node.
    public var layer: String
    /// "unplanned-Scan": as the launch has it.
    public var operation: String
    /// Why it is not planned.
    public var reason: String
    /// Its part of the measure: one operation for each element, or the bytes of its inputs and results. More is not known.
    public var share: Double
    /// Its part of the batch's predicted time.
    public var timeShare: Double
    /// Whether not even its results' sizes are known.
    public var isUnsized: Bool
  }

  /// What `share` counts.
  public var measure: Measure
  /// Part of the work that is planned, from 0 to 1.
  public var share: Double
  /// Part of the predicted time that planned kernels take, from 0 to 1.
  public var timeShare: Double
  /// The rest.
  public var unplanned: [Unplanned]

  /// Whether the plan stands for the model: at least nine tenths are known, and nothing is of unknown size.
  public var isSufficient: Bool { share >= 0.9 && !unplanned.contains { $0.isUnsized } }
}

extension Plan {
  /// How much of a batch is planned.
  public func coverage(_ batch: BatchPlan) -> PlanCoverage {
    let planned = batch.launches.filter { $0.unplanned == nil }
    let measure: PlanCoverage.Measure = planned.contains { $0.floatingPointOperations > 0 } ? .floatingPointOperations : .bytes
    func amount(_ launch: Launch) -> Double { measure == .bytes ? launch.bytes : launch.floatingPointOperations }
    let total = batch.launches.reduce(0) { $0 + amount($1) }
    let time = batch.launches.reduce(0) { $0 + $1.predictedNanoseconds }
    func timeShare(_ nanoseconds: Double) -> Double { time > 0 ? nanoseconds / time : 0 }
    let unplanned = batch.launches.compactMap { launch -> PlanCoverage.Unplanned? in
      guard let reason = launch.unplanned else { return nil }
      return PlanCoverage.Unplanned(
        layer: launch.layer, operation: steps[launch.step].operation, reason: reason, share: total > 0 ? amount(launch) / total : 0,
        timeShare: timeShare(launch.predictedNanoseconds),
        isUnsized: steps[launch.step].isUnsized)
    }
    let share = total > 0 ? planned.reduce(0) { $0 + amount($1) } / total : unplanned.isEmpty ? 1 : 0
    return PlanCoverage(
      measure: measure, share: share,
      timeShare: unplanned.isEmpty ? 1 : timeShare(planned.reduce(0) { $0 + $1.predictedNanoseconds }), unplanned: unplanned)
  }
}
