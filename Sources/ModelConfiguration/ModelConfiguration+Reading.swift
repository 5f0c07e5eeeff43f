extension ModelConfiguration {
  /// A configuration with what was read in vain.
  public struct Parsed: Sendable, Hashable {
    /// What was read.
    public var configuration: ModelConfiguration
    /// What has no effect, in file order.
    public var warnings: [ModelConfigurationWarning]
  }

  /// Reads a config.pbtxt.
  ///
  /// - Parameter file: its name, for messages.
  /// - Throws: with line and column: bad text, an unknown or repeated field, a wrong type or range, a feature that is not served.
  public static func parse(_ text: String, file: String = "config.pbtxt") throws(ModelConfigurationError) -> Parsed {
    do {
      let fields = try TextFormatParser.parse(text)
      var checker = ConfigurationChecker()
      let tree = try checker.message("ModelConfig", fields, path: "", at: TextPosition(line: 1, column: 1))
      return Parsed(configuration: ModelConfiguration(tree), warnings: checker.warnings)
    } catch {
      var located = error
      located.file = file
      throw located
    }
  }

  init(_ tree: ConfigurationTree) {
    self.init()
    name = tree["name"]?.text ?? ""
    platform = tree["platform"]?.text ?? ""
    backend = tree["backend"]?.text ?? ""
    maxBatchSize = tree["max_batch_size"]?.int ?? 0
    defaultModelFilename = tree["default_model_filename"]?.text ?? ""
    if let policy = tree["version_policy"] {
      if let latest = policy["latest"] { versionPolicy = .latest(latest["num_versions"]?.int ?? 1) }
      if policy["all"] != nil { versionPolicy = .all }
      if let specific = policy["specific"] {
        versionPolicy = .specific((specific["versions"]?.items ?? []).compactMap { $0.int.map { Int64($0) } })
      }
    }
    inputs = (tree["input"]?.items ?? []).map(TensorSpecification.init)
    outputs = (tree["output"]?.items ?? []).map(TensorSpecification.init)
    instanceGroups = (tree["instance_group"]?.items ?? []).map(InstanceGroup.init)
    dynamicBatching = tree["dynamic_batching"].map(DynamicBatching.init)
    optimization = tree["optimization"].map(Optimization.init) ?? Optimization()
    warmup = (tree["model_warmup"]?.items ?? []).map(WarmupSample.init)
    for entry in tree["metric_tags"]?.entries ?? [] { metricTags[entry.key] = entry.value.text ?? "" }
    for entry in tree["parameters"]?.entries ?? [] { parameters[entry.key] = entry.value["string_value"]?.text ?? "" }
  }
}

extension ConfigurationTree {
  fileprivate func integers(_ name: String) -> [Int64] { (self[name]?.items ?? []).compactMap { $0.int.map { Int64($0) } } }
}

extension ModelConfiguration.TensorSpecification {
  init(_ tree: ConfigurationTree) {
    self.init()
    name = tree["name"]?.text ?? ""
    dataType = tree["data_type"]?.text ?? "TYPE_INVALID"
    dims = tree.integers("dims")
    reshape = tree["reshape"].map { $0.integers("shape") }
    isShapeTensor = tree["is_shape_tensor"]?.flag ?? false
    allowRaggedBatch = tree["allow_ragged_batch"]?.flag ?? false
    isOptional = tree["optional"]?.flag ?? false
    labelFilename = tree["label_filename"]?.text ?? ""
  }
}

extension ModelConfiguration.InstanceGroup {
  init(_ tree: ConfigurationTree) {
    self.init()
    name = tree["name"]?.text ?? ""
    kind = tree["kind"]?.text ?? "KIND_AUTO"
    count = tree["count"]?.int ?? 0
    gpus = tree.integers("gpus").map { Int($0) }
    isPassive = tree["passive"]?.flag ?? false
    if let limiter = tree["rate_limiter"] {
      var read = ModelConfiguration.RateLimiter()
      read.priority = limiter["priority"]?.int ?? 0
      read.resources = (limiter["resources"]?.items ?? []).map { resource in
        var read = ModelConfiguration.Resource()
        read.name = resource["name"]?.text ?? ""
        read.isGlobal = resource["global"]?.flag ?? false
        read.count = resource["count"]?.int ?? 0
        return read
      }
      rateLimiter = read
    }
  }
}

extension ModelConfiguration.DynamicBatching {
  init(_ tree: ConfigurationTree) {
    self.init()
    preferredBatchSizes = tree.integers("preferred_batch_size").map { Int($0) }
    maxQueueDelayMicroseconds = tree["max_queue_delay_microseconds"]?.uint64 ?? 0
    preserveOrdering = tree["preserve_ordering"]?.flag ?? false
    priorityLevels = tree["priority_levels"]?.uint64 ?? 0
    defaultPriorityLevel = tree["default_priority_level"]?.uint64 ?? 0
    defaultQueuePolicy = tree["default_queue_policy"].map(ModelConfiguration.QueuePolicy.init) ?? ModelConfiguration.QueuePolicy()
    for entry in tree["priority_queue_policy"]?.entries ?? [] {
      if let level = UInt64(entry.key) { priorityQueuePolicies[level] = ModelConfiguration.QueuePolicy(entry.value) }
    }
  }
}

extension ModelConfiguration.QueuePolicy {
  init(_ tree: ConfigurationTree) {
    self.init()
    delaysOnTimeout = tree["timeout_action"]?.text == "DELAY"
    defaultTimeoutMicroseconds = tree["default_timeout_microseconds"]?.uint64 ?? 0
    allowTimeoutOverride = tree["allow_timeout_override"]?.flag ?? false
    maxQueueSize = tree["max_queue_size"]?.int ?? 0
  }
}

extension ModelConfiguration.Optimization {
  init(_ tree: ConfigurationTree) {
    self.init()
    eagerBatching = tree["eager_batching"]?.flag ?? false
    cudaGraphs = tree["cuda"]?["graphs"]?.flag ?? false
    busyWaitEvents = tree["cuda"]?["busy_wait_events"]?.flag ?? false
    outputCopyStream = tree["cuda"]?["output_copy_stream"]?.flag ?? false
    inputPinnedMemory = tree["input_pinned_memory"]?["enable"]?.flag ?? (tree["input_pinned_memory"] == nil)
    outputPinnedMemory = tree["output_pinned_memory"]?["enable"]?.flag ?? (tree["output_pinned_memory"] == nil)
    gatherKernelBufferThreshold = tree["gather_kernel_buffer_threshold"]?.int ?? 0
  }
}

extension ModelConfiguration.WarmupSample {
  init(_ tree: ConfigurationTree) {
    self.init()
    name = tree["name"]?.text ?? ""
    batchSize = tree["batch_size"]?.int ?? 0
    count = tree["count"]?.int ?? 0
    for entry in tree["inputs"]?.entries ?? [] {
      var input = ModelConfiguration.WarmupInput()
      input.dataType = entry.value["data_type"]?.text ?? "TYPE_INVALID"
      input.dims = entry.value.integers("dims")
      if entry.value["random_data"]?.flag == true { input.content = .random }
      if let file = entry.value["input_data_file"]?.text { input.content = .file(file) }
      inputs[entry.key] = input
    }
  }
}
