/// A model's serving configuration: Triton's config.pbtxt as a value. Fields without effect here are not kept; they are warnings.
public struct ModelConfiguration: Sendable, Hashable {
  /// Model name.
  public var name = ""
  /// Platform, as in "onnxruntime_onnx"; empty where a backend is named.
  public var platform = ""
  /// Backend, as in "onnxruntime".
  public var backend = ""
  /// Rows a batch may hold; 0 for a model without a row dimension.
  public var maxBatchSize = 0
  /// Which versions are served.
  public var versionPolicy: VersionPolicy?
  /// Inputs.
  public var inputs: [TensorSpecification] = []
  /// Outputs.
  public var outputs: [TensorSpecification] = []
  /// Instances; empty for one a device.
  public var instanceGroups: [InstanceGroup] = []
  /// Dynamic batching; nil for none.
  public var dynamicBatching: DynamicBatching?
  /// What changes how batches reach a device.
  public var optimization = Optimization()
  /// Requests run before the model is ready.
  public var warmup: [WarmupSample] = []
  /// File name other than the backend's own.
  public var defaultModelFilename = ""
  /// Labels of the model's metrics.
  public var metricTags: [String: String] = [:]
  /// Free parameters.
  public var parameters: [String: String] = [:]

  /// Nothing configured.
  public init() {}

  /// Versions to serve.
  public enum VersionPolicy: Sendable, Hashable {
    /// The newest so many.
    case latest(Int)
    /// Every one there is.
    case all
    /// These.
    case specific([Int64])
  }

  /// An input or output.
  public struct TensorSpecification: Sendable, Hashable {
    /// Name.
    public var name = ""
    /// As in "TYPE_FP32".
    public var dataType = "TYPE_INVALID"
    /// Without the rows; -1 where variable.
    public var dims: [Int64] = []
    /// Shape the model itself wants; nil for `dims`.
    public var reshape: [Int64]?
    /// Its contents are a shape.
    public var isShapeTensor = false
    /// Inputs: requests of different shapes may share a batch.
    public var allowRaggedBatch = false
    /// Inputs: a request may leave it out.
    public var isOptional = false
    /// Outputs: file with labels.
    public var labelFilename = ""

    /// An empty specification.
    public init() {}
  }

  /// Instances of one kind.
  public struct InstanceGroup: Sendable, Hashable {
    /// Name.
    public var name = ""
    /// KIND_AUTO, KIND_GPU, KIND_CPU or KIND_MODEL.
    public var kind = "KIND_AUTO"
    /// Instances a listed GPU (GPU kind) or in total; 0 where not given.
    public var count = 0
    /// GPUs; empty for all.
    public var gpus: [Int] = []
    /// Loaded and never scheduled.
    public var isPassive = false
    /// What an execution needs.
    public var rateLimiter: RateLimiter?

    /// An empty group.
    public init() {}
  }

  /// What an instance needs before it may execute.
  public struct RateLimiter: Sendable, Hashable {
    /// Resources.
    public var resources: [Resource] = []
    /// 0 counts as 1; 2 gets half the chances.
    public var priority = 0

    /// Nothing needed.
    public init() {}
  }

  /// A named resource.
  public struct Resource: Sendable, Hashable {
    /// Name.
    public var name = ""
    /// One pool for all devices.
    public var isGlobal = false
    /// How many an execution takes.
    public var count = 0

    /// An empty resource.
    public init() {}
  }

  /// `dynamic_batching`.
  public struct DynamicBatching: Sendable, Hashable {
    /// In rows.
    public var preferredBatchSizes: [Int] = []
    /// How long the oldest pending request may wait.
    public var maxQueueDelayMicroseconds: UInt64 = 0
    /// Responses in the order of requests.
    public var preserveOrdering = false
    /// 0 for one queue.
    public var priorityLevels: UInt64 = 0
    /// Level of requests that name none.
    public var defaultPriorityLevel: UInt64 = 0
    /// Policy of levels without their own.
    public var defaultQueuePolicy = QueuePolicy()
    /// By level.
    public var priorityQueuePolicies: [UInt64: QueuePolicy] = [:]

    /// Triton's defaults.
    public init() {}
  }

  /// `ModelQueuePolicy`.
  public struct QueuePolicy: Sendable, Hashable {
    /// DELAY in place of REJECT.
    public var delaysOnTimeout = false
    /// 0 for none.
    public var defaultTimeoutMicroseconds: UInt64 = 0
    /// A request may shorten it.
    public var allowTimeoutOverride = false
    /// In requests; 0 for no limit.
    public var maxQueueSize = 0

    /// Triton's defaults.
    public init() {}
  }

  /// What changes how batches reach a device.
  public struct Optimization: Sendable, Hashable {
    /// Form the next batch while the current one runs.
    public var eagerBatching = false
    /// Launch batches as CUDA graphs.
    public var cudaGraphs = false
    /// Spin on events in place of blocking.
    public var busyWaitEvents = false
    /// Copy outputs on a stream of their own.
    public var outputCopyStream = false
    /// Inputs in page-locked memory.
    public var inputPinnedMemory = true
    /// Outputs in page-locked memory.
    public var outputPinnedMemory = true
    /// Gather with a kernel above so many buffers; 0 for never.
    public var gatherKernelBufferThreshold = 0

    /// Triton's defaults.
    public init() {}
  }

  /// A request run before the model is ready.
  public struct WarmupSample: Sendable, Hashable {
    /// Name.
    public var name = ""
    /// One-row requests in the batch; 0 skips the sample.
    public var batchSize = 0
    /// How often; 0 counts as 1.
    public var count = 0
    /// Inputs by name.
    public var inputs: [String: WarmupInput] = [:]

    /// An empty sample.
    public init() {}
  }

  /// An input of a warm-up request.
  public struct WarmupInput: Sendable, Hashable {
    /// As in "TYPE_FP32".
    public var dataType = "TYPE_INVALID"
    /// Without the rows.
    public var dims: [Int64] = []
    /// What it holds.
    public var content = Content.zeros

    /// Kinds of content.
    public enum Content: Sendable, Hashable {
      /// All zero.
      case zeros
      /// Random numbers.
      case random
      /// A file under warmup/.
      case file(String)
    }

    /// Zeros.
    public init() {}
  }
}
