public import ModelConfiguration
import TimeBase

extension SchedulerConfiguration {
  /// The part of a model's configuration that shapes batches.
  public init(_ model: ModelConfiguration) {
    // Shapes are compared where an input has a variable dimension and may not be ragged; a shape tensor always (core
    // src/backend_model.cc, SetConfiguredScheduler).
    let comparesShapes = model.inputs.contains { $0.isShapeTensor || (!$0.allowRaggedBatch && $0.dims.contains { $0 < 0 }) }
    self.init(
      maximumBatchRows: model.maxBatchSize, batching: model.dynamicBatching.map(DynamicBatchingPolicy.init),
      instances: model.instancesPerDevice, comparesShapes: comparesShapes)
  }
}

extension DynamicBatchingPolicy {
  init(_ batching: ModelConfiguration.DynamicBatching) {
    self.init(
      preferredSizes: batching.preferredBatchSizes,
      maximumQueueDelay: .microseconds(Int64(clamping: batching.maxQueueDelayMicroseconds)), preservesOrdering: batching.preserveOrdering,
      priorityLevels: batching.priorityLevels, defaultPriorityLevel: batching.defaultPriorityLevel,
      defaultQueuePolicy: QueuePolicy(batching.defaultQueuePolicy),
      priorityQueuePolicies: batching.priorityQueuePolicies.mapValues { QueuePolicy($0) })
  }
}

extension QueuePolicy {
  init(_ policy: ModelConfiguration.QueuePolicy) {
    self.init(
      timeoutAction: policy.delaysOnTimeout ? .delay : .reject,
      defaultTimeout: .microseconds(Int64(clamping: policy.defaultTimeoutMicroseconds)), allowsTimeoutOverride: policy.allowTimeoutOverride,
      maximumQueueSize: policy.maxQueueSize)
  }
}
