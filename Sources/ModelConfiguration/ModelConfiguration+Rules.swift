extension ModelConfiguration {
  /// Triton's rules at load time, with Triton's texts; each ends in the model's name (core `src/model_config_utils.cc`,
  /// ValidateModelConfig).
  public func validate() throws(ModelConfigurationError) {
    func refuse(_ text: String) -> ModelConfigurationError { ModelConfigurationError("\(text) \(name)") }
    if maxBatchSize < 0 { throw refuse("'max_batch_size' must be non-negative value for") }
    for group in instanceGroups {
      if group.count < 0 { throw refuse("instance group '\(group.name)' count must be non-negative for") }
      if !group.gpus.isEmpty, group.kind == "KIND_CPU" || group.kind == "KIND_MODEL" {
        throw refuse("instance group '\(group.name)' has kind \(group.kind) but specifies one or more GPUs for")
      }
    }
    guard let batching = dynamicBatching else { return }
    for size in batching.preferredBatchSizes {
      if size <= 0 { throw refuse("dynamic batching preferred size must be positive for") }
      if size > maxBatchSize { throw refuse("dynamic batching preferred size must be <= max batch size for") }
    }
    let levels = batching.priorityLevels
    if levels > 0 {
      if batching.defaultPriorityLevel == 0 || batching.defaultPriorityLevel > levels {
        throw refuse("default priority level must be in range [1, \(levels)] for")
      }
      for level in batching.priorityQueuePolicies.keys.sorted() where level == 0 || level > levels {
        throw refuse("priority queue policy must have priority level in range [1, \(levels)] for")
      }
    }
    guard batching.preserveOrdering else { return }
    if levels > 1 { throw refuse("Only one priority level is allowed when 'preserve_ordering' is true for") }
    for policy in [batching.defaultQueuePolicy] + batching.priorityQueuePolicies.values
    where policy.delaysOnTimeout && policy.defaultTimeoutMicroseconds > 0 {
      throw refuse("Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for")
    }
  }

  /// With Triton's defaults filled in (core `src/model_config_utils.cc`, NormalizeModelConfig).
  ///
  /// - Parameter gpus: GPUs that models may use; an instance group of kind AUTO becomes GPU where there is one.
  public func normalized(gpus: Int) -> ModelConfiguration {
    var copy = self
    if copy.versionPolicy == nil { copy.versionPolicy = .latest(1) }
    if copy.dynamicBatching != nil, copy.dynamicBatching?.preferredBatchSizes.isEmpty == true, maxBatchSize > 0 {
      copy.dynamicBatching?.preferredBatchSizes = [maxBatchSize]
    }
    if copy.instanceGroups.isEmpty { copy.instanceGroups = [InstanceGroup()] }
    for index in copy.instanceGroups.indices {
      if copy.instanceGroups[index].kind == "KIND_AUTO" {
        let usable = gpus > 0 && copy.instanceGroups[index].gpus.allSatisfy { $0 >= 0 && $0 < gpus }
        copy.instanceGroups[index].kind = usable ? "KIND_GPU" : "KIND_CPU"
      }
      if copy.instanceGroups[index].name.isEmpty { copy.instanceGroups[index].name = index == 0 ? name : "\(name)_\(index)" }
      if copy.instanceGroups[index].count == 0 {
        // Two on CPU for ONNX Runtime and TensorFlow, one for everything else.
        let isPair = copy.instanceGroups[index].kind == "KIND_CPU" && ["onnxruntime", "tensorflow"].contains(backend)
        copy.instanceGroups[index].count = isPair ? 2 : 1
      }
      if copy.instanceGroups[index].kind == "KIND_GPU", copy.instanceGroups[index].gpus.isEmpty {
        copy.instanceGroups[index].gpus = Array(0..<max(0, gpus))
      }
    }
    return copy
  }

  /// Instances that execute on one device: `count` of every group that is not passive, on GPUs once for each listed one.
  public var instancesPerDevice: Int {
    let counts = instanceGroups.filter { !$0.isPassive }.map { max(1, $0.count) }
    return counts.isEmpty ? 1 : counts.reduce(0) { min($0 + $1, 1024) }
  }
}

/// What a model file itself says of its inputs and outputs.
public struct ModelSignature: Sendable, Hashable {
  /// Inputs, their dims without the rows.
  public var inputs: [ModelConfiguration.TensorSpecification]
  /// Outputs, their dims without the rows.
  public var outputs: [ModelConfiguration.TensorSpecification]
  /// Whether the first dimension is rows.
  public var hasRowDimension: Bool
  /// Largest batch, where the model states one.
  public var maxRows: Int?

  /// A signature.
  public init(
    inputs: [ModelConfiguration.TensorSpecification], outputs: [ModelConfiguration.TensorSpecification], hasRowDimension: Bool,
    maxRows: Int? = nil
  ) {
    self.inputs = inputs
    self.outputs = outputs
    self.hasRowDimension = hasRowDimension
    self.maxRows = maxRows
  }
}

extension ModelConfiguration {
  /// Rows a model that states no maximum is given (server `docs/user_guide/model_configuration.md`, default-max-batch-size).
  public static let automaticMaxBatchSize = 4

  /// Completed from the model: missing inputs and outputs; where nothing was configured a maximum batch, and dynamic batching with it.
  ///
  /// - Parameter wasGiven: false where there was no configuration file: the maximum batch may then be chosen.
  public func completed(from signature: ModelSignature, wasGiven: Bool) throws(ModelConfigurationError) -> ModelConfiguration {
    var copy = self
    if !wasGiven, signature.hasRowDimension { copy.maxBatchSize = signature.maxRows ?? Self.automaticMaxBatchSize }
    if copy.maxBatchSize > 0, !signature.hasRowDimension {
      throw ModelConfigurationError("'max_batch_size' is \(copy.maxBatchSize), but the model has no row dimension: set it to 0 for \(name)")
    }
    if let most = signature.maxRows, copy.maxBatchSize > most {
      throw ModelConfigurationError("'max_batch_size' is \(copy.maxBatchSize), but the model takes \(most) rows at most for \(name)")
    }
    copy.inputs = try Self.completed(copy.inputs, from: signature.inputs, what: "input", name: name)
    copy.outputs = try Self.completed(copy.outputs, from: signature.outputs, what: "output", name: name)
    if copy.maxBatchSize > 1, copy.dynamicBatching == nil, !wasGiven { copy.dynamicBatching = DynamicBatching() }
    return copy
  }

  private static func completed(
    _ given: [TensorSpecification], from model: [TensorSpecification], what: String, name: String
  ) throws(ModelConfigurationError) -> [TensorSpecification] {
    if given.isEmpty { return model }
    var result: [TensorSpecification] = []
    for var specification in given {
      guard let known = model.first(where: { $0.name == specification.name }) else {
        let names = model.map(\.name).joined(separator: ", ")
        throw ModelConfigurationError("unexpected \(what) '\(specification.name)'; the model has \(names), for \(name)")
      }
      if specification.dataType == "TYPE_INVALID" { specification.dataType = known.dataType }
      if specification.dims.isEmpty { specification.dims = known.dims }
      result.append(specification)
    }
    for missing in model where !given.contains(where: { $0.name == missing.name }) && what == "input" {
      throw ModelConfigurationError("\(what) '\(missing.name)' of the model is not in the configuration of \(name)")
    }
    return result
  }
}
