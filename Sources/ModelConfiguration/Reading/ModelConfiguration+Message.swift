extension ModelConfiguration {
  /// Everything it says, what has no effect here included, as the fields of Triton's schema.
  var message: CheckedMessage { ownMessage.merged(over: source.message, as: .modelConfig) }

  private var ownMessage: CheckedMessage {
    var message = CheckedMessage([
      "name": .string(name), "platform": .string(platform), "backend": .string(backend), "max_batch_size": .integer(maxBatchSize),
      "default_model_filename": .string(defaultModelFilename),
    ])
    if let versionPolicy { message.set("version_policy", versionPolicy.message) }
    message.fields["input"] = inputs.map { .message($0.message(batches: maxBatchSize > 0)) }
    message.fields["output"] = outputs.map { .message($0.message(batches: maxBatchSize > 0)) }
    message.set("optimization", optimization.message)
    if let dynamicBatching { message.set("dynamic_batching", dynamicBatching.message) }
    message.fields["instance_group"] = instanceGroups.map { .message($0.message) }
    message.fields["parameters"] = parameters.map { key, value in
      .entry(.string(key), .message(CheckedMessage(["string_value": .string(value)])))
    }
    message.fields["model_warmup"] = warmupSamples.map { .message($0.message) }
    return message
  }
}

extension CheckedMessage {
  fileprivate init(_ scalars: [String: CheckedValue]) { fields = scalars.mapValues { [$0] } }

  fileprivate mutating func set(_ name: String, _ message: CheckedMessage) { fields[name] = [.message(message)] }
  fileprivate mutating func set(_ name: String, _ integers: [Int]) { fields[name] = integers.map { .integer($0) } }
}

extension CheckedValue {
  fileprivate static func entry(_ key: CheckedValue, _ value: CheckedValue) -> CheckedValue {
    .message(CheckedMessage(["key": key, "value": value]))
  }
}

extension VersionPolicy {
  fileprivate var message: CheckedMessage {
    var (message, inner) = (CheckedMessage(), CheckedMessage())
    switch self {
    case .latest(let count):
      inner = CheckedMessage(["num_versions": .integer(count)])
      message.set("latest", inner)
    case .all: message.set("all", inner)
    case .specific(let versions):
      inner.set("versions", versions)
      message.set("specific", inner)
    }
    return message
  }
}

extension InputConfiguration {
  fileprivate func message(batches: Bool) -> CheckedMessage {
    var message = CheckedMessage([
      "name": .string(name), "data_type": .string(dataType.rawValue), "is_shape_tensor": .bool(isShapeTensor),
      "allow_ragged_batch": .bool(allowRaggedBatch), "optional": .bool(isOptional),
    ])
    message.set("dims", dims)
    message.set(reshape: reshape, batches: batches)
    return message
  }
}

extension OutputConfiguration {
  fileprivate func message(batches: Bool) -> CheckedMessage {
    var message = CheckedMessage([
      "name": .string(name), "data_type": .string(dataType.rawValue), "is_shape_tensor": .bool(isShapeTensor),
      "label_filename": .string(labelFilename),
    ])
    message.set("dims", dims)
    message.set(reshape: reshape, batches: batches)
    return message
  }
}

extension CheckedMessage {
  /// A scalar of a model without rows has dims [1] and no reshape in Triton's configurations (onnxruntime_backend `src/onnxruntime.cc`,
  /// AutoCompleteIO); that it is one, the values here know by an empty reshape.
  fileprivate mutating func set(reshape: [Int]?, batches: Bool) {
    guard let reshape, batches || !reshape.isEmpty else { return }
    var shape = CheckedMessage()
    shape.set("shape", reshape)
    set("reshape", shape)
  }
}

extension OptimizationSettings {
  fileprivate var message: CheckedMessage {
    var message = CheckedMessage([
      "gather_kernel_buffer_threshold": .integer(gatherKernelBufferThreshold), "eager_batching": .bool(eagerBatching),
    ])
    if cudaGraphs || busyWaitEvents || outputCopyStream {
      message.set(
        "cuda",
        CheckedMessage([
          "graphs": .bool(cudaGraphs), "busy_wait_events": .bool(busyWaitEvents), "output_copy_stream": .bool(outputCopyStream),
        ]))
    }
    if let graphLevel { message.set("graph", CheckedMessage(["level": .integer(graphLevel)])) }
    message.set("input_pinned_memory", CheckedMessage(["enable": .bool(inputPinnedMemory)]))
    message.set("output_pinned_memory", CheckedMessage(["enable": .bool(outputPinnedMemory)]))
    return message
  }
}

extension ModelQueuePolicy {
  fileprivate var message: CheckedMessage {
    CheckedMessage([
      "timeout_action": .string(timeoutAction.rawValue), "default_timeout_microseconds": .unsigned(defaultTimeoutMicroseconds),
      "allow_timeout_override": .bool(allowTimeoutOverride), "max_queue_size": .integer(maxQueueSize),
    ])
  }
}

extension DynamicBatching {
  fileprivate var message: CheckedMessage {
    var message = CheckedMessage([
      "max_queue_delay_microseconds": .unsigned(maxQueueDelayMicroseconds), "preserve_ordering": .bool(preserveOrdering),
      "priority_levels": .unsigned(priorityLevels), "default_priority_level": .unsigned(defaultPriorityLevel),
    ])
    message.set("preferred_batch_size", preferredBatchSizes)
    if defaultQueuePolicy != ModelQueuePolicy() { message.set("default_queue_policy", defaultQueuePolicy.message) }
    message.fields["priority_queue_policy"] = priorityQueuePolicies.map { .entry(.unsigned($0), .message($1.message)) }
    return message
  }
}

extension InstanceGroup {
  fileprivate var message: CheckedMessage {
    var message = CheckedMessage([
      "name": .string(name), "kind": .string(kind.rawValue), "count": .integer(count), "passive": .bool(passive),
      "host_policy": .string(hostPolicy),
    ])
    message.set("gpus", gpus)
    message.fields["profile"] = profile.map { .string($0) }
    if let rateLimiter { message.set("rate_limiter", rateLimiter.message) }
    return message
  }
}

extension RateLimiter {
  fileprivate var message: CheckedMessage {
    var message = CheckedMessage(["priority": .integer(priority)])
    message.fields["resources"] = resources.map {
      .message(CheckedMessage(["name": .string($0.name), "global": .bool($0.isGlobal), "count": .integer($0.count)]))
    }
    return message
  }
}

extension WarmupSample {
  fileprivate var message: CheckedMessage {
    var message = CheckedMessage(["name": .string(name), "batch_size": .integer(batchSize), "count": .integer(count)])
    message.fields["inputs"] = inputs.map { .entry(.string($0), .message($1.message)) }
    return message
  }
}

extension WarmupSample.Input {
  fileprivate var message: CheckedMessage {
    var message = CheckedMessage(["data_type": .string(dataType.rawValue)])
    message.set("dims", dims)
    switch data {
    case nil: break
    case .zero: message.fields["zero_data"] = [.bool(true)]
    case .random: message.fields["random_data"] = [.bool(true)]
    case .file(let name): message.fields["input_data_file"] = [.string(name)]
    }
    return message
  }
}
