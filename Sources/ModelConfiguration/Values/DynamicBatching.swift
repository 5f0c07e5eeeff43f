/// How requests that wait become batches (`ModelDynamicBatching`).
public struct DynamicBatching: Sendable, Hashable {
  /// In rows: sizes worth dispatching at once. Empty until normalized.
  public var preferredBatchSizes: [Int]
  /// How long the oldest request of the pending batch may wait for its batch to fill.
  public var maxQueueDelayMicroseconds: UInt64
  /// Responses leave in the order in which the requests arrived, across all instances.
  public var preserveOrdering: Bool
  /// 0 for one queue; else levels 1 to n, of which 1 goes first.
  public var priorityLevels: UInt64
  /// Level of requests that name none.
  public var defaultPriorityLevel: UInt64
  /// Policy of the single queue, and of every level without its own.
  public var defaultQueuePolicy: ModelQueuePolicy
  /// Policies by level.
  public var priorityQueuePolicies: [UInt64: ModelQueuePolicy]

  /// Settings of the batcher.
  public init(
    preferredBatchSizes: [Int] = [], maxQueueDelayMicroseconds: UInt64 = 0, preserveOrdering: Bool = false, priorityLevels: UInt64 = 0,
    defaultPriorityLevel: UInt64 = 0, defaultQueuePolicy: ModelQueuePolicy = ModelQueuePolicy(),
    priorityQueuePolicies: [UInt64: ModelQueuePolicy] = [:]
  ) {
    self.preferredBatchSizes = preferredBatchSizes
    self.maxQueueDelayMicroseconds = maxQueueDelayMicroseconds
    self.preserveOrdering = preserveOrdering
    self.priorityLevels = priorityLevels
    self.defaultPriorityLevel = defaultPriorityLevel
    self.defaultQueuePolicy = defaultQueuePolicy
    self.priorityQueuePolicies = priorityQueuePolicies
  }
}
