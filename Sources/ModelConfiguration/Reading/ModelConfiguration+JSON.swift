import JSONText

extension ModelConfiguration {
  /// Reads the JSON form, in snake_case as `json` writes it or in protobuf's camelCase.
  public init(json: JSONValue) throws(ModelConfigurationError) {
    self = try Self.parse(json: json, file: "").configuration
  }

  /// Reads the JSON form and tells what has no effect. `file` is its name for errors.
  public static func parse(json: JSONValue, file: String) throws(ModelConfigurationError) -> Parsed {
    try parsed(fields: try JSONTree.fields(of: json, file: file), file: file)
  }

  /// The JSON form, with names and order as Triton's `/v2/models/NAME/config` prints them. Fields that have no effect here are printed
  /// empty where Triton always prints them, so that clients find them.
  public func json() -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("platform", .string(platform)), .init("backend", .string(backend)), .init("runtime", ""),
    ]
    if let versionPolicy { members.append(.init("version_policy", versionPolicy.json)) }
    members += [
      .init("max_batch_size", .init(maxBatchSize)), .init("input", .array(inputs.map(\.json))),
      .init("output", .array(outputs.map(\.json))),
      .init("batch_input", []), .init("batch_output", []), .init("optimization", optimization.json),
    ]
    if let dynamicBatching { members.append(.init("dynamic_batching", dynamicBatching.json)) }
    members += [
      .init("instance_group", .array(instanceGroups.map(\.json))), .init("default_model_filename", .string(defaultModelFilename)),
      .init("cc_model_filenames", [:]), .init("metric_tags", [:]),
      .init("parameters", .map(parameters, name: { $0 }) { ["string_value": .string($0)] }),
      .init("model_warmup", .array(warmupSamples.map(\.json))),
    ]
    return .object(members)
  }
}

extension JSONValue {
  fileprivate static func integers(_ values: [Int]) -> JSONValue { .array(values.map { JSONValue($0) }) }

  /// Beyond what a JSON reader keeps exactly, in quotes, as protobuf writes all 64-bit integers.
  fileprivate static func unsigned(_ value: UInt64) -> JSONValue { Int64(exactly: value).map { .integer($0) } ?? .string("\(value)") }

  /// A map's entries in the order of their keys.
  fileprivate static func map<Key: Hashable & Comparable, Value>(
    _ entries: [Key: Value], name: (Key) -> String, value: (Value) -> JSONValue
  ) -> JSONValue {
    .object(entries.sorted { $0.key < $1.key }.map { Member(name($0.key), value($0.value)) })
  }
}

extension VersionPolicy {
  fileprivate var json: JSONValue {
    switch self {
    case .latest(let count): ["latest": ["num_versions": JSONValue(count)]]
    case .all: ["all": [:]]
    case .specific(let versions): ["specific": ["versions": .integers(versions)]]
    }
  }
}

extension InputConfiguration {
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("data_type", .string(dataType.rawValue)), .init("format", "FORMAT_NONE"),
      .init("dims", .integers(dims)),
    ]
    if let reshape { members.append(.init("reshape", ["shape": .integers(reshape)])) }
    members += [
      .init("is_shape_tensor", .bool(isShapeTensor)), .init("allow_ragged_batch", .bool(allowRaggedBatch)),
      .init("optional", .bool(isOptional)), .init("is_non_linear_format_io", false),
    ]
    return .object(members)
  }
}

extension OutputConfiguration {
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("data_type", .string(dataType.rawValue)), .init("dims", .integers(dims)),
    ]
    if let reshape { members.append(.init("reshape", ["shape": .integers(reshape)])) }
    members += [
      .init("label_filename", .string(labelFilename)), .init("is_shape_tensor", .bool(isShapeTensor)),
      .init("is_non_linear_format_io", false),
    ]
    return .object(members)
  }
}

extension OptimizationSettings {
  fileprivate var json: JSONValue {
    [
      "priority": "PRIORITY_DEFAULT",
      "cuda": [
        "graphs": .bool(cudaGraphs), "busy_wait_events": .bool(busyWaitEvents), "graph_spec": [],
        "output_copy_stream": .bool(outputCopyStream),
      ], "input_pinned_memory": ["enable": .bool(inputPinnedMemory)], "output_pinned_memory": ["enable": .bool(outputPinnedMemory)],
      "gather_kernel_buffer_threshold": JSONValue(gatherKernelBufferThreshold), "eager_batching": .bool(eagerBatching),
    ]
  }
}

extension ModelQueuePolicy {
  fileprivate var json: JSONValue {
    [
      "timeout_action": .string(timeoutAction.rawValue), "default_timeout_microseconds": .unsigned(defaultTimeoutMicroseconds),
      "allow_timeout_override": .bool(allowTimeoutOverride), "max_queue_size": JSONValue(maxQueueSize),
    ]
  }
}

extension DynamicBatching {
  fileprivate var json: JSONValue {
    [
      "preferred_batch_size": .integers(preferredBatchSizes), "max_queue_delay_microseconds": .unsigned(maxQueueDelayMicroseconds),
      "preserve_ordering": .bool(preserveOrdering), "priority_levels": .unsigned(priorityLevels),
      "default_priority_level": .unsigned(defaultPriorityLevel), "default_queue_policy": defaultQueuePolicy.json,
      "priority_queue_policy": .map(priorityQueuePolicies, name: { "\($0)" }) { $0.json },
    ]
  }
}

extension InstanceGroup {
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("kind", .string(kind.rawValue)), .init("count", JSONValue(count)),
    ]
    if let rateLimiter { members.append(.init("rate_limiter", rateLimiter.json)) }
    members += [
      .init("gpus", .integers(gpus)), .init("secondary_devices", []), .init("profile", .array(profile.map { .string($0) })),
      .init("passive", .bool(passive)), .init("host_policy", .string(hostPolicy)),
    ]
    return .object(members)
  }
}

extension RateLimiter {
  fileprivate var json: JSONValue {
    let resources = resources.map { resource -> JSONValue in
      ["name": .string(resource.name), "global": .bool(resource.isGlobal), "count": JSONValue(resource.count)]
    }
    return ["resources": .array(resources), "priority": JSONValue(priority)]
  }
}

extension WarmupSample {
  fileprivate var json: JSONValue {
    [
      "name": .string(name), "batch_size": JSONValue(batchSize), "inputs": .map(inputs, name: { $0 }) { $0.json },
      "count": JSONValue(count),
    ]
  }
}

extension WarmupSample.Input {
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = [.init("data_type", .string(dataType.rawValue)), .init("dims", .integers(dims))]
    switch data {
    case nil: break
    case .zero: members.append(.init("zero_data", true))
    case .random: members.append(.init("random_data", true))
    case .file(let name): members.append(.init("input_data_file", .string(name)))
    }
    return .object(members)
  }
}
