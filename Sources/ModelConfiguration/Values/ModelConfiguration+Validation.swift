extension ModelConfiguration {
  /// Throws what Triton refuses when it loads a model, in its words and order, so that tools that match them keep working.
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (ValidateModelConfig, ValidateInstanceGroup).
  public func validate() throws(ModelConfigurationError) {
    try validateMaxBatchSize()
    if let dynamicBatching { try validate(dynamicBatching) }
    for group in instanceGroups where !group.gpus.isEmpty && (group.kind == .cpu || group.kind == .model) {
      throw refusal("instance group \(group.name) of model \(name) has kind \(group.kind.rawValue) but specifies one or more GPUs")
    }
  }

  func validateMaxBatchSize() throws(ModelConfigurationError) {
    if maxBatchSize < 0 { throw refusal("'max_batch_size' must be non-negative value for \(name)") }
  }

  private func refusal(_ reason: String) -> ModelConfigurationError { ModelConfigurationError(reason: reason) }

  private func validate(_ batching: DynamicBatching) throws(ModelConfigurationError) {
    for size in batching.preferredBatchSizes {
      if size <= 0 { throw refusal("dynamic batching preferred size must be positive for \(name)") }
      if size > maxBatchSize { throw refusal("dynamic batching preferred size must be <= max batch size for \(name)") }
    }
    let levels = batching.priorityLevels
    if levels != 0 {
      if batching.defaultPriorityLevel == 0 || batching.defaultPriorityLevel > levels {
        throw refusal("default priority level must be in range [1, \(levels)] for \(name)")
      }
      for level in batching.priorityQueuePolicies.keys where level == 0 || level > levels {
        throw refusal("priority queue policy must have priority level in range [1, \(levels)] for \(name)")
      }
    }
    guard batching.preserveOrdering else { return }
    if levels > 1 { throw refusal("Only one priority level is allowed when 'preserve_ordering' is true for \(name)") }
    // A delayed request would be overtaken, which is what ordering excludes.
    let policies = [batching.defaultQueuePolicy] + batching.priorityQueuePolicies.values
    if policies.contains(where: { $0.timeoutAction == .delay && $0.defaultTimeoutMicroseconds != 0 }) {
      throw refusal("Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for \(name)")
    }
  }
}
