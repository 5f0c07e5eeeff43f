/// How a model is served: what `config.pbtxt` says, as far as it has an effect here.
public struct ModelConfiguration: Sendable, Hashable {
  /// The model's name; empty for its folder's.
  public var name: String
  /// An older way to name the backend, such as `tensorrt_plan`.
  public var platform: String
  /// Such as `tensorrt` or `onnxruntime`.
  public var backend: String
  /// Nil until given or normalized.
  public var versionPolicy: VersionPolicy?
  /// Most rows in a batch; 0 for a model without a row dimension.
  public var maxBatchSize: Int
  /// In order.
  public var inputs: [InputConfiguration]
  /// In order.
  public var outputs: [OutputConfiguration]
  /// How batches are prepared and executed.
  public var optimization: OptimizationSettings
  /// Nil: every request is a batch of its own.
  public var dynamicBatching: DynamicBatching?
  /// Empty until given or normalized.
  public var instanceGroups: [InstanceGroup]
  /// Name of the model's file; empty for the backend's default.
  public var defaultModelFilename: String
  /// Free values for the backend.
  public var parameters: [String: String]
  /// Run by every instance before the model is ready.
  public var warmupSamples: [WarmupSample]
  /// What it was read from: also what has no effect here, which clients read back, and where each part stands.
  var source = ConfigurationSource()

  /// A configuration.
  public init(
    name: String, platform: String = "", backend: String = "", versionPolicy: VersionPolicy? = nil, maxBatchSize: Int = 0,
    inputs: [InputConfiguration] = [], outputs: [OutputConfiguration] = [], optimization: OptimizationSettings = OptimizationSettings(),
    dynamicBatching: DynamicBatching? = nil, instanceGroups: [InstanceGroup] = [], defaultModelFilename: String = "",
    parameters: [String: String] = [:], warmupSamples: [WarmupSample] = []
  ) {
    self.name = name
    self.platform = platform
    self.backend = backend
    self.versionPolicy = versionPolicy
    self.maxBatchSize = maxBatchSize
    self.inputs = inputs
    self.outputs = outputs
    self.optimization = optimization
    self.dynamicBatching = dynamicBatching
    self.instanceGroups = instanceGroups
    self.defaultModelFilename = defaultModelFilename
    self.parameters = parameters
    self.warmupSamples = warmupSamples
  }
}
