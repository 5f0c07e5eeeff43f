import CheckedNumbers
public import ModelConfiguration
import TimeBase

extension SchedulerConfiguration {
  /// The part of a model's configuration that shapes batches.
  public init(_ model: ModelConfiguration) {
    // Core src/backend_model.cc (SetConfiguredScheduler) and src/scheduler_utils.cc (RequiredEqualInputs): shapes are compared where an
    // input has a variable dimension, and which inputs there are where one is optional. There, ragged inputs are not compared, because
    // they reach the model as one flat tensor; no device here takes that, so that such requests wait for others of their length.
    let comparesShapes = model.inputs.contains { $0.isOptional || $0.isShapeTensor || $0.dims.contains { $0 < 0 } }
    // Instances on one device: those of every group that is not passive; one where nothing is said.
    let counts = model.instanceGroups.filter { !$0.passive }.map { min(max(1, $0.count), ModelConfiguration.maximumInstances) }
    self.init(
      maximumBatchRows: model.maxBatchSize, batching: model.dynamicBatching.map(DynamicBatchingPolicy.init),
      instances: counts.isEmpty ? 1 : min(counts.reduce(0, +), 1024), comparesShapes: comparesShapes,
      batchesEagerly: model.optimization.eagerBatching)
  }
}

extension DynamicBatchingPolicy {
  init(_ batching: DynamicBatching) {
    self.init(
      preferredSizes: batching.preferredBatchSizes,
      maximumQueueDelay: .microseconds(Int64(clamping: batching.maxQueueDelayMicroseconds)), preservesOrdering: batching.preserveOrdering,
      priorityLevels: batching.priorityLevels, defaultPriorityLevel: batching.defaultPriorityLevel,
      defaultQueuePolicy: QueuePolicy(batching.defaultQueuePolicy),
      priorityQueuePolicies: batching.priorityQueuePolicies.mapValues { QueuePolicy($0) })
  }
}

extension QueuePolicy {
  init(_ policy: ModelQueuePolicy) {
    self.init(
      timeoutAction: policy.timeoutAction == .delay ? .delay : .reject,
      defaultTimeout: .microseconds(Int64(clamping: policy.defaultTimeoutMicroseconds)), allowsTimeoutOverride: policy.allowTimeoutOverride,
      maximumQueueSize: policy.maxQueueSize)
  }
}
