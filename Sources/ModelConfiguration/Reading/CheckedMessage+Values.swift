extension ModelConfiguration {
  init(_ message: CheckedMessage) {
    self.init(
      name: message.string("name"), platform: message.string("platform"), backend: message.string("backend"),
      versionPolicy: message.message("version_policy").flatMap(VersionPolicy.init), maxBatchSize: message.integer("max_batch_size"),
      inputs: message.messages("input").map(InputConfiguration.init), outputs: message.messages("output").map(OutputConfiguration.init),
      optimization: OptimizationSettings(message.message("optimization") ?? CheckedMessage()),
      dynamicBatching: message.message("dynamic_batching").map(DynamicBatching.init),
      instanceGroups: message.messages("instance_group").map(InstanceGroup.init),
      defaultModelFilename: message.string("default_model_filename"),
      parameters: message.map("parameters", key: { $0.string("key") }, value: { $0.string("string_value") }),
      warmupSamples: message.messages("model_warmup").map(WarmupSample.init))
  }
}

extension CheckedMessage {
  /// A map's entries.
  func map<Key: Hashable, Value>(_ name: String, key: (CheckedMessage) -> Key, value: (CheckedMessage) -> Value) -> [Key: Value] {
    var entries: [Key: Value] = [:]
    for entry in messages(name) { entries[key(entry)] = value(entry.message("value") ?? CheckedMessage()) }
    return entries
  }

  fileprivate var reshape: [Int]? { message("reshape").map { $0.integers("shape") } }
}

extension InputConfiguration {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      name: message.string("name"), dataType: message.enumeration("data_type", default: .invalid), dims: message.integers("dims"),
      reshape: message.reshape, allowRaggedBatch: message.bool("allow_ragged_batch"), isShapeTensor: message.bool("is_shape_tensor"),
      isOptional: message.bool("optional"))
  }
}

extension OutputConfiguration {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      name: message.string("name"), dataType: message.enumeration("data_type", default: .invalid), dims: message.integers("dims"),
      reshape: message.reshape, isShapeTensor: message.bool("is_shape_tensor"), labelFilename: message.string("label_filename"))
  }
}

extension VersionPolicy {
  /// Nil for an empty policy, which chooses nothing.
  fileprivate init?(_ message: CheckedMessage) {
    if let latest = message.message("latest") {
      self = .latest(latest.integer("num_versions"))
    } else if message.has("all") {
      self = .all
    } else if let specific = message.message("specific") {
      self = .specific(specific.integers("versions"))
    } else {
      return nil
    }
  }
}

extension OptimizationSettings {
  fileprivate init(_ message: CheckedMessage) {
    let cuda = message.message("cuda") ?? CheckedMessage()
    // Absent means on, but an empty message says false, as every proto3 field does.
    func pinned(_ name: String) -> Bool { message.message(name)?.bool("enable") ?? true }
    self.init(
      eagerBatching: message.bool("eager_batching"), inputPinnedMemory: pinned("input_pinned_memory"),
      outputPinnedMemory: pinned("output_pinned_memory"), cudaGraphs: cuda.bool("graphs"), busyWaitEvents: cuda.bool("busy_wait_events"),
      outputCopyStream: cuda.bool("output_copy_stream"), gatherKernelBufferThreshold: message.integer("gather_kernel_buffer_threshold"),
      graphLevel: message.message("graph")?.integer("level"))
  }
}

extension ModelQueuePolicy {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      timeoutAction: message.enumeration("timeout_action", default: .reject),
      defaultTimeoutMicroseconds: message.unsigned("default_timeout_microseconds"),
      allowTimeoutOverride: message.bool("allow_timeout_override"), maxQueueSize: message.integer("max_queue_size"))
  }
}

extension DynamicBatching {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      preferredBatchSizes: message.integers("preferred_batch_size"),
      maxQueueDelayMicroseconds: message.unsigned("max_queue_delay_microseconds"), preserveOrdering: message.bool("preserve_ordering"),
      priorityLevels: message.unsigned("priority_levels"), defaultPriorityLevel: message.unsigned("default_priority_level"),
      defaultQueuePolicy: ModelQueuePolicy(message.message("default_queue_policy") ?? CheckedMessage()),
      priorityQueuePolicies: message.map("priority_queue_policy", key: { $0.unsigned("key") }, value: ModelQueuePolicy.init))
  }
}

extension InstanceGroup {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      name: message.string("name"), kind: message.enumeration("kind", default: .auto), count: message.integer("count"),
      gpus: message.integers("gpus"), profile: message.strings("profile"), passive: message.bool("passive"),
      hostPolicy: message.string("host_policy"), rateLimiter: message.message("rate_limiter").map(RateLimiter.init))
  }
}

extension RateLimiter {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      resources: message.messages("resources").map {
        Resource(name: $0.string("name"), isGlobal: $0.bool("global"), count: $0.integer("count"))
      }, priority: message.integer("priority"))
  }
}

extension WarmupSample {
  fileprivate init(_ message: CheckedMessage) {
    self.init(
      name: message.string("name"), batchSize: message.integer("batch_size"),
      inputs: message.map("inputs", key: { $0.string("key") }, value: Input.init), count: message.integer("count"))
  }
}

extension WarmupSample.Input {
  fileprivate init(_ message: CheckedMessage) {
    // The truth values do not count: a field that is there chooses.
    let data: WarmupSample.Data? =
      if message.has("zero_data") { .zero } else if message.has("random_data") { .random } else if message.has("input_data_file") {
        .file(message.string("input_data_file"))
      } else { nil }
    self.init(dataType: message.enumeration("data_type", default: .invalid), dims: message.integers("dims"), data: data)
  }
}
