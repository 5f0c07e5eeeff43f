extension ModelConfiguration {
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (ValidateModelConfig).
  func validateScheduling() throws(ModelConfigurationError) {
    guard let batching = dynamicBatching else { return }
    func path(_ steps: ConfigurationSource.Step...) -> [ConfigurationSource.Step] { [.field("dynamic_batching")] + steps }
    for (index, size) in batching.preferredBatchSizes.enumerated() {
      let place = path(.element("preferred_batch_size", index))
      if size <= 0 { throw refusal("dynamic batching preferred size must be positive for \(name)", at: place) }
      if size > maxBatchSize {
        throw refusal("dynamic batching preferred size must be <= max batch size for \(name)", at: place)
      }
    }
    let levels = batching.priorityLevels
    if levels != 0 {
      if batching.defaultPriorityLevel == 0 || batching.defaultPriorityLevel > levels {
        throw refusal(
          "default priority level must be in range [1, \(levels)] for \(name)"
            + (batching.defaultPriorityLevel == 0 ? "; set default_priority_level" : ""),
          at: path(.field(batching.defaultPriorityLevel == 0 ? "priority_levels" : "default_priority_level")))
      }
      for level in batching.priorityQueuePolicies.keys.sorted() where level == 0 || level > levels {
        throw refusal(
          "priority queue policy must have priority level in range [1, \(levels)] for \(name)",
          at: path(.entry("priority_queue_policy", key: "\(level)")))
      }
    }
    guard batching.preserveOrdering else { return }
    if levels > 1 {
      throw refusal(
        "Only one priority level is allowed when 'preserve_ordering' is true for \(name)", at: path(.field("preserve_ordering")))
    }
    // A delayed request would be overtaken, which is what ordering excludes.
    func delays(_ policy: ModelQueuePolicy) -> Bool { policy.timeoutAction == .delay && policy.defaultTimeoutMicroseconds != 0 }
    let reason = "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for \(name)"
    if delays(batching.defaultQueuePolicy) { throw refusal(reason, at: path(.field("default_queue_policy"), .field("timeout_action"))) }
    for (level, policy) in batching.priorityQueuePolicies.sorted(by: { $0.key < $1.key }) where delays(policy) {
      throw refusal(reason, at: path(.entry("priority_queue_policy", key: "\(level)")))
    }
  }

  /// `model_metrics` has no effect, but a configuration that Triton would not load is told here too.
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (ValidateModelMetrics).
  func validateModelMetrics() throws(ModelConfigurationError) {
    guard let metrics = source.message.message("model_metrics") else { return }
    for (index, control) in metrics.messages("metric_control").enumerated() {
      let place: [ConfigurationSource.Step] = [.field("model_metrics"), .element("metric_control", index)]
      guard let identifier = control.message("metric_identifier") else {
        throw refusal("metric control must specify 'metric_identifier'", at: place)
      }
      if identifier.string("family").isEmpty { throw refusal("metric identifier must specify non-empty 'family'", at: place) }
      guard let options = control.message("histogram_options") else {
        throw refusal("metric control must specify 'histogram_options'", at: place)
      }
      if options.fields["buckets"]?.isEmpty ?? true {
        throw refusal("histogram options must specify non-empty 'buckets'", at: place)
      }
    }
  }
}
