public import TimeBase

/// What a scheduler decides by: the part of a model's configuration that shapes batches.
///
/// Rules: triton-inference-server/core `src/dynamic_batch_scheduler.cc`, `src/scheduler_utils.cc`; fields: triton-inference-server/common
/// `protobuf/model_config.proto`.
public struct SchedulerConfiguration: Sendable, Hashable {
  /// Rows that a batch may hold (`max_batch_size`). 0: the model has no row dimension, and every request counts as one row.
  public var maximumBatchRows: Int
  /// How requests are joined; nil: each request is a batch of its own.
  public var batching: DynamicBatchingPolicy?
  /// Instances that execute batches.
  public var instances: Int
  /// Whether requests of different shapes must not share a batch (an input has a variable dimension or may be left out).
  public var comparesShapes: Bool
  /// Whether an instance that still executes takes a batch that could have grown (`optimization.eager_batching`).
  public var batchesEagerly: Bool

  /// A configuration with every field stated.
  public init(
    maximumBatchRows: Int, batching: DynamicBatchingPolicy?, instances: Int = 1, comparesShapes: Bool = false, batchesEagerly: Bool = false
  ) {
    self.maximumBatchRows = max(0, maximumBatchRows)
    self.batching = batching
    self.instances = max(1, instances)
    self.comparesShapes = comparesShapes
    self.batchesEagerly = batchesEagerly
  }
}

/// How requests are joined into batches (`dynamic_batching`).
public struct DynamicBatchingPolicy: Sendable, Hashable {
  /// Sizes worth sending at once, in rows; empty: the largest batch alone.
  public var preferredSizes: [Int]
  /// How long the oldest request of the pending batch may wait for its batch to fill; zero: not at all.
  public var maximumQueueDelay: TimeSpan
  /// Responses leave in the order requests were batched, across instances.
  public var preservesOrdering: Bool
  /// Levels 1...n, 1 is highest; 0: one queue.
  public var priorityLevels: UInt64
  /// Level of requests that name none.
  public var defaultPriorityLevel: UInt64
  /// Policy of the single queue and of every level without its own.
  public var defaultQueuePolicy: QueuePolicy
  /// Policies by level.
  public var priorityQueuePolicies: [UInt64: QueuePolicy]

  /// A policy; what is left out is Triton's default.
  public init(
    preferredSizes: [Int] = [], maximumQueueDelay: TimeSpan = .zero, preservesOrdering: Bool = false, priorityLevels: UInt64 = 0,
    defaultPriorityLevel: UInt64 = 0, defaultQueuePolicy: QueuePolicy = QueuePolicy(), priorityQueuePolicies: [UInt64: QueuePolicy] = [:]
  ) {
    self.preferredSizes = preferredSizes
    self.maximumQueueDelay = maximumQueueDelay
    self.preservesOrdering = preservesOrdering
    self.priorityLevels = priorityLevels
    self.defaultPriorityLevel = defaultPriorityLevel
    self.defaultQueuePolicy = defaultQueuePolicy
    self.priorityQueuePolicies = priorityQueuePolicies
  }

  /// Formed batches may wait ahead of the instances only while no queue policy is set at all (core `src/scheduler_utils.cc`,
  /// `PriorityQueue::SupportPrefetching`): with one, a batch is formed when an instance asks for it.
  public var allowsPrefetch: Bool { priorityLevels == 0 && defaultQueuePolicy == QueuePolicy() && priorityQueuePolicies.isEmpty }
}

/// What becomes of requests that wait (`ModelQueuePolicy`).
public struct QueuePolicy: Sendable, Hashable {
  /// What happens to a request whose time in the queue is over.
  public enum TimeoutAction: String, Sendable, Hashable {
    /// It is answered with an error.
    case reject
    /// It is served after every request of its level that is still in time.
    case delay
  }

  /// See `TimeoutAction`.
  public var timeoutAction: TimeoutAction
  /// Time a request may wait; zero: for ever.
  public var defaultTimeout: TimeSpan
  /// Whether a request may shorten it. It can never lengthen it, and where the default is "for ever" an override has no effect.
  public var allowsTimeoutOverride: Bool
  /// Requests (not rows) the level holds at most; 0: no limit.
  public var maximumQueueSize: Int

  /// A policy; what is left out is Triton's default.
  public init(
    timeoutAction: TimeoutAction = .reject, defaultTimeout: TimeSpan = .zero, allowsTimeoutOverride: Bool = false, maximumQueueSize: Int = 0
  ) {
    self.timeoutAction = timeoutAction
    self.defaultTimeout = defaultTimeout
    self.allowsTimeoutOverride = allowsTimeoutOverride
    self.maximumQueueSize = max(0, maximumQueueSize)
  }
}
