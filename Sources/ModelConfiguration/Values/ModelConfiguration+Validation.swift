import CheckedNumbers
import Vocabulary

extension ModelConfiguration {
  /// How much of a configuration there is when it is validated.
  public enum Stage: Sendable, Hashable {
    /// As it was written: what a model's file can complete may still be missing.
    case written
    /// Completed from the model, or of a backend that completes nothing.
    case complete
  }

  /// Throws what Triton refuses when it loads a model, in its words and order, so that tools that match them keep working, with the place
  /// of what is wrong.
  ///
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (ValidateModelConfig, ValidateModelIOConfig, ValidateInstanceGroup).
  /// What it checks of sequences and ensembles is not reached: those are refused when the configuration is read. Names of backends and
  /// platforms: `validateBackend`.
  public func validate(_ stage: Stage = .complete) throws(ModelConfigurationError) {
    try validateMaxBatchSize()
    try validateScheduling()
    try validateModelMetrics()
    try validateTensors(stage)
    try validateBatchInputsAndOutputs()
    try validateInstanceGroups()
    try validateWarmup(stage)
  }

  func validateMaxBatchSize() throws(ModelConfigurationError) {
    if maxBatchSize < 0 {
      throw refusal("'max_batch_size' must be non-negative value for \(name)", at: [.field("max_batch_size")])
    }
  }

  /// An error about a part of this configuration, with its place where it was read from somewhere.
  func refusal(_ reason: String, at path: [ConfigurationSource.Step] = []) -> ModelConfigurationError {
    ModelConfigurationError(file: source.file, place: source.place(of: path), reason: reason)
  }

  /// Instances of one model that the server runs: each has a thread and buffers of its own.
  public static let maximumInstances = 1024

  private func validateInstanceGroups() throws(ModelConfigurationError) {
    var instances = 0
    for (index, group) in instanceGroups.enumerated() {
      // At most 1,024 and what one field of 32 bits holds: no overflow.
      instances += group.passive ? 0 : max(1, group.count)
      if instances > Self.maximumInstances {
        throw refusal(
          "instance groups of model \(self.name) ask for \(instances) instances or more; at most \(Self.maximumInstances) of a model are run",
          at: [.element("instance_group", index), .field("count")])
      }
      let name = group.name.isEmpty ? "\(self.name)_\(index)" : group.name
      func path(_ field: String) -> [ConfigurationSource.Step] { [.element("instance_group", index), .field(field)] }
      if !group.gpus.isEmpty, group.kind == .cpu || group.kind == .model {
        throw refusal(
          "instance group \(name) of model \(self.name) has kind \(group.kind.rawValue) but specifies one or more GPUs", at: path("gpus"))
      }
      for gpu in group.gpus where gpu < 0 {
        throw refusal(
          "instance group \(name) of model \(self.name) specifies invalid or unsupported gpu id \(gpu); GPUs are counted from 0",
          at: path("gpus"))
      }
      guard !group.profile.isEmpty else { continue }
      if !isForTensorRT {
        throw refusal(
          "instance group \(name) of model \(self.name) and platform \(platform) specifies profile field which is only supported for "
            + "TensorRT models", at: path("profile"))
      }
      for profile in group.profile where Int(profile).map({ $0 < 0 }) ?? true {
        throw refusal(
          "instance group \(name) of model \(self.name) and platform \(platform) specifies invalid profile \(excerpt(profile)). The field "
            + "should contain the string representation of a non-negative integer.", at: path("profile"))
      }
    }
  }

  var isForTensorRT: Bool { platform == "tensorrt_plan" || platform.isEmpty && backend == "tensorrt" }

  /// Source: core `src/backend_model.cc` and `src/backend_model_instance.cc` (WarmUp): samples are checked when they are made.
  private func validateWarmup(_ stage: Stage) throws(ModelConfigurationError) {
    for (index, sample) in warmupSamples.enumerated() {
      for (input, given) in sample.inputs.sorted(by: { $0.key < $1.key }) {
        let path: [ConfigurationSource.Step] = [.element("model_warmup", index), .entry("inputs", key: input)]
        if stage == .complete, !inputs.contains(where: { $0.name == input }) {
          let advice = NameSuggestion.advice(for: input, in: inputs.map(\.name))
          throw refusal(
            "model_warmup '\(excerpt(sample.name))' of \(name) has an input '\(excerpt(input))' that the model has not" + advice, at: path)
        }
        if given.dims.contains(where: { $0 < 0 }) {
          throw refusal(
            "model_warmup '\(excerpt(sample.name))' of \(name) gives input '\(excerpt(input))' a variable dimension; its dims must be the "
              + "sizes to warm up with", at: path)
        }
        if given.data == nil {
          throw refusal(
            "model_warmup '\(excerpt(sample.name))' of \(name) gives input '\(excerpt(input))' no data: one of zero_data, random_data and "
              + "input_data_file", at: path)
        }
      }
    }
  }
}

extension ModelConfiguration {
  /// An error about a field of the outermost message.
  public func error(_ reason: String, field: String) -> ModelConfigurationError { refusal(reason, at: [.field(field)]) }

  /// An error about the value of a parameter.
  public func error(_ reason: String, parameter: String) -> ModelConfigurationError {
    refusal(reason, at: [.entry("parameters", key: parameter)])
  }

  /// An error about an output's label file.
  public func labelError(_ reason: String, output: Int) -> ModelConfigurationError {
    refusal(reason, at: [.element("output", output), .field("label_filename")])
  }

  /// An error about a warm-up sample.
  public func warmupError(_ reason: String, sample: Int) -> ModelConfigurationError {
    refusal(reason, at: [.element("model_warmup", sample)])
  }
}
