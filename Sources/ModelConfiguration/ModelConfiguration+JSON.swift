public import JSONText

extension ModelConfiguration {
  /// As Triton's `/config` answers: the schema's names, every kept field stated.
  public var json: JSONValue {
    func integers(_ values: [Int64]) -> JSONValue { .array(values.map { JSONValue($0) }) }
    func tensor(_ tensor: TensorSpecification, isInput: Bool) -> JSONValue {
      var members: [JSONValue.Member] = [
        .init("name", .string(tensor.name)), .init("data_type", .string(tensor.dataType)), .init("dims", integers(tensor.dims)),
      ]
      if let reshape = tensor.reshape { members.append(.init("reshape", ["shape": integers(reshape)])) }
      members.append(.init("is_shape_tensor", .bool(tensor.isShapeTensor)))
      if isInput {
        members.append(.init("allow_ragged_batch", .bool(tensor.allowRaggedBatch)))
        members.append(.init("optional", .bool(tensor.isOptional)))
      } else {
        members.append(.init("label_filename", .string(tensor.labelFilename)))
      }
      return .object(members)
    }
    func policy(_ policy: QueuePolicy) -> JSONValue {
      [
        "timeout_action": .string(policy.delaysOnTimeout ? "DELAY" : "REJECT"),
        "default_timeout_microseconds": Self.unsigned(policy.defaultTimeoutMicroseconds),
        "allow_timeout_override": .bool(policy.allowTimeoutOverride), "max_queue_size": JSONValue(policy.maxQueueSize),
      ]
    }
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("platform", .string(platform)), .init("backend", .string(backend)),
    ]
    switch versionPolicy {
    case .latest(let count)?: members.append(.init("version_policy", ["latest": ["num_versions": JSONValue(count)]]))
    case .all?: members.append(.init("version_policy", ["all": [:]]))
    case .specific(let versions)?: members.append(.init("version_policy", ["specific": ["versions": integers(versions)]]))
    case nil: break
    }
    members.append(.init("max_batch_size", JSONValue(maxBatchSize)))
    members.append(.init("input", .array(inputs.map { tensor($0, isInput: true) })))
    members.append(.init("output", .array(outputs.map { tensor($0, isInput: false) })))
    members.append(
      .init(
        "optimization",
        [
          "cuda": [
            "graphs": .bool(optimization.cudaGraphs), "busy_wait_events": .bool(optimization.busyWaitEvents),
            "output_copy_stream": .bool(optimization.outputCopyStream),
          ], "input_pinned_memory": ["enable": .bool(optimization.inputPinnedMemory)],
          "output_pinned_memory": ["enable": .bool(optimization.outputPinnedMemory)],
          "gather_kernel_buffer_threshold": JSONValue(optimization.gatherKernelBufferThreshold),
          "eager_batching": .bool(optimization.eagerBatching),
        ]))
    if let batching = dynamicBatching {
      let policies = batching.priorityQueuePolicies.sorted { $0.key < $1.key }.map { JSONValue.Member("\($0.key)", policy($0.value)) }
      members.append(
        .init(
          "dynamic_batching",
          [
            "preferred_batch_size": integers(batching.preferredBatchSizes.map { Int64($0) }),
            "max_queue_delay_microseconds": Self.unsigned(batching.maxQueueDelayMicroseconds),
            "preserve_ordering": .bool(batching.preserveOrdering), "priority_levels": Self.unsigned(batching.priorityLevels),
            "default_priority_level": Self.unsigned(batching.defaultPriorityLevel),
            "default_queue_policy": policy(batching.defaultQueuePolicy),
            "priority_queue_policy": .object(policies),
          ]))
    }
    members.append(
      .init(
        "instance_group",
        .array(
          instanceGroups.map { group in
            var members: [JSONValue.Member] = [
              .init("name", .string(group.name)), .init("kind", .string(group.kind)), .init("count", JSONValue(group.count)),
              .init("gpus", integers(group.gpus.map { Int64($0) })), .init("passive", .bool(group.isPassive)),
            ]
            if let limiter = group.rateLimiter {
              let resources = limiter.resources.map { resource -> JSONValue in
                ["name": .string(resource.name), "global": .bool(resource.isGlobal), "count": JSONValue(resource.count)]
              }
              members.append(.init("rate_limiter", ["resources": .array(resources), "priority": JSONValue(limiter.priority)]))
            }
            return .object(members)
          })))
    members.append(.init("default_model_filename", .string(defaultModelFilename)))
    members.append(.init("metric_tags", .object(metricTags.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) })))
    members.append(
      .init(
        "parameters",
        .object(parameters.sorted { $0.key < $1.key }.map { .init($0.key, ["string_value": .string($0.value)]) })))
    members.append(
      .init(
        "model_warmup",
        .array(
          warmup.map { sample in
            let inputs = sample.inputs.sorted { $0.key < $1.key }.map { name, input -> JSONValue.Member in
              var members: [JSONValue.Member] = [.init("data_type", .string(input.dataType)), .init("dims", integers(input.dims))]
              switch input.content {
              case .zeros: members.append(.init("zero_data", true))
              case .random: members.append(.init("random_data", true))
              case .file(let file): members.append(.init("input_data_file", .string(file)))
              }
              return .init(name, .object(members))
            }
            return [
              "name": .string(sample.name), "batch_size": JSONValue(sample.batchSize), "inputs": .object(inputs),
              "count": JSONValue(sample.count),
            ]
          })))
    return .object(members)
  }

  /// JSON numbers above 2^63 are written as text, as protobuf's JSON form has all 64-bit numbers.
  private static func unsigned(_ value: UInt64) -> JSONValue { Int64(exactly: value).map { .integer($0) } ?? .string("\(value)") }

  /// Reads the JSON form: the same schema, the same refusals, places as paths.
  public static func parse(json: JSONValue) throws(ModelConfigurationError) -> Parsed {
    guard case .object = json else { throw ModelConfigurationError("a configuration is an object") }
    let fields = try TextFormatField.fields(of: json, type: .message("ModelConfig"), path: "", depth: 0)
    var checker = ConfigurationChecker()
    let tree = try checker.message("ModelConfig", fields, path: "", at: TextPosition(line: 1, column: 1))
    return Parsed(configuration: ModelConfiguration(tree), warnings: checker.warnings)
  }
}

extension TextFormatField {
  /// JSON as fields, so that both forms pass the same checks.
  static func fields(
    of json: JSONValue, type: ConfigurationSchema.FieldType, path: String, depth: Int
  ) throws(ModelConfigurationError) -> [TextFormatField] {
    guard depth <= TextFormatParser.deepest else { throw ModelConfigurationError("objects are nested too deep") }
    guard case .object(let members) = json, case .message(let name) = type else {
      throw ModelConfigurationError("\(path): an object is expected")
    }
    let known = ConfigurationSchema.messages[name] ?? []
    let place = TextPosition(line: 1, column: 1)
    var fields: [TextFormatField] = []
    for member in members {
      if case .null = member.value { continue }
      let schema = known.first { $0.name == member.name }
      let fieldPath = path.isEmpty ? member.name : "\(path).\(member.name)"
      guard let schema else { throw ModelConfigurationError("unknown field \"\(fieldPath)\"") }
      if case .map(let keyType, let valueType) = schema.type {
        guard case .object(let entries) = member.value else { throw ModelConfigurationError("\(fieldPath): an object is expected") }
        for entry in entries {
          let key: Value = keyType.isString ? .string(Array(entry.name.utf8)) : .scalar(entry.name, isIdentifier: false)
          let value = try Self.value(of: entry.value, type: valueType, path: "\(fieldPath).\(entry.name)", depth: depth + 1)
          let pair = [
            TextFormatField(name: "key", position: place, value: key, valuePosition: place),
            TextFormatField(name: "value", position: place, value: value, valuePosition: place),
          ]
          fields.append(TextFormatField(name: member.name, position: place, value: .message(pair), valuePosition: place))
        }
        continue
      }
      let value: Value
      if case .array(let items) = member.value {
        var list: [(value: Value, position: TextPosition)] = []
        for item in items { list.append((try Self.value(of: item, type: schema.type, path: fieldPath, depth: depth + 1), place)) }
        value = .list(list)
      } else {
        value = try Self.value(of: member.value, type: schema.type, path: fieldPath, depth: depth + 1)
      }
      fields.append(TextFormatField(name: member.name, position: place, value: value, valuePosition: place))
    }
    return fields
  }

  private static func value(
    of json: JSONValue, type: ConfigurationSchema.FieldType, path: String, depth: Int
  ) throws(ModelConfigurationError) -> Value {
    switch (json, type) {
    case (.object, .message): return .message(try fields(of: json, type: type, path: path, depth: depth))
    case (.string(let text), .string): return .string(Array(text.utf8))
    case (.string(let text), .enumeration): return .scalar(text, isIdentifier: true)
    // protobuf's JSON form writes 64-bit numbers as text.
    case (.string(let text), .int64), (.string(let text), .uint64), (.string(let text), .int32), (.string(let text), .uint32):
      return .scalar(text, isIdentifier: false)
    case (.bool(let flag), .bool): return .scalar(flag ? "true" : "false", isIdentifier: true)
    case (.integer(let value), _): return .scalar("\(value)", isIdentifier: false)
    case (.number(let value), .float): return .scalar("\(value)", isIdentifier: false)
    default: throw ModelConfigurationError("\(path): a value of another type is expected")
    }
  }
}
