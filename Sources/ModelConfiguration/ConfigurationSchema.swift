/// Triton's configuration, field by field: type, and what becomes of it here. The schema is that of triton-inference-server/common
/// `protobuf/model_config.proto`; a name outside it is unknown.
enum ConfigurationSchema {
  indirect enum FieldType: Sendable {
    case int32, int64, uint32, uint64, float, bool, string
    case enumeration(String)
    case message(String)
    /// Key type and value type.
    case map(FieldType, FieldType)
  }

  enum Disposition: Sendable {
    case supported
    case ignored(String)
    case refused(String)
    /// Refused only where it says true.
    case refusedIfTrue(String)
  }

  struct Field: Sendable {
    var name: String
    var type: FieldType
    var isRepeated = false
    var disposition = Disposition.supported

    init(_ name: String, _ type: FieldType, repeated: Bool = false, _ disposition: Disposition = .supported) {
      self.name = name
      self.type = type
      self.isRepeated = repeated
      self.disposition = disposition
    }
  }

  private static let otherBackends = Disposition.ignored("it belongs to backends that headroom does not have")

  static let messages: [String: [Field]] = [
    "ModelConfig": [
      Field("name", .string), Field("platform", .string), Field("backend", .string),
      Field("runtime", .string, .ignored("models run in headroom's own engines")), Field("version_policy", .message("ModelVersionPolicy")),
      Field("max_batch_size", .int32), Field("input", .message("ModelInput"), repeated: true),
      Field("output", .message("ModelOutput"), repeated: true),
      Field("batch_input", .message("BatchInput"), repeated: true, .refused("ragged batches are not executed; pad the inputs")),
      Field("batch_output", .message("BatchOutput"), repeated: true, .refused("ragged batches are not executed; pad the inputs")),
      Field("optimization", .message("ModelOptimizationPolicy")), Field("dynamic_batching", .message("ModelDynamicBatching")),
      Field("sequence_batching", .message("ModelSequenceBatching"), .refused("stateful models are not served; send independent requests")),
      Field("ensemble_scheduling", .message("ModelEnsembling"), .refused("ensembles are not served; serve each model by itself")),
      Field("instance_group", .message("ModelInstanceGroup"), repeated: true), Field("default_model_filename", .string),
      Field("cc_model_filenames", .map(.string, .string), .ignored("there is one model file for every compute capability")),
      Field("metric_tags", .map(.string, .string)), Field("parameters", .map(.string, .message("ModelParameter"))),
      Field("model_warmup", .message("ModelWarmup"), repeated: true),
      Field("model_operations", .message("ModelOperations"), .ignored("custom operator libraries are not loaded")),
      Field("model_transaction_policy", .message("ModelTransactionPolicy")),
      Field("model_repository_agents", .message("ModelRepositoryAgents"), .ignored("repository agents are not run")),
      Field("response_cache", .message("ModelResponseCache")),
      Field("model_metrics", .message("ModelMetrics"), .ignored("histograms have fixed buckets")),
    ],
    "ModelVersionPolicy": [
      Field("latest", .message("Latest")), Field("all", .message("All")), Field("specific", .message("Specific")),
    ], "Latest": [Field("num_versions", .uint32)], "All": [], "Specific": [Field("versions", .int64, repeated: true)],
    "ModelInput": [
      Field("name", .string), Field("data_type", .enumeration("DataType")),
      Field("format", .enumeration("Format"), .ignored("layouts are the model's own")), Field("dims", .int64, repeated: true),
      Field("reshape", .message("ModelTensorReshape")), Field("is_shape_tensor", .bool), Field("allow_ragged_batch", .bool),
      Field("optional", .bool), Field("is_non_linear_format_io", .bool, otherBackends),
    ],
    "ModelOutput": [
      Field("name", .string), Field("data_type", .enumeration("DataType")), Field("dims", .int64, repeated: true),
      Field("reshape", .message("ModelTensorReshape")), Field("label_filename", .string), Field("is_shape_tensor", .bool),
      Field("is_non_linear_format_io", .bool, otherBackends),
    ], "ModelTensorReshape": [Field("shape", .int64, repeated: true)],
    "BatchInput": [
      Field("kind", .enumeration("BatchInputKind")), Field("target_name", .string, repeated: true),
      Field("data_type", .enumeration("DataType")), Field("source_input", .string, repeated: true),
    ],
    "BatchOutput": [
      Field("target_name", .string, repeated: true), Field("kind", .enumeration("BatchOutputKind")),
      Field("source_input", .string, repeated: true),
    ],
    "ModelInstanceGroup": [
      Field("name", .string), Field("kind", .enumeration("InstanceKind")), Field("count", .int32),
      Field("rate_limiter", .message("ModelRateLimiter")), Field("gpus", .int32, repeated: true),
      Field("secondary_devices", .message("SecondaryDevice"), repeated: true, .ignored("there are no secondary devices")),
      Field("profile", .string, repeated: true, .ignored("optimization profiles are TensorRT's")), Field("passive", .bool),
      Field("host_policy", .string, .ignored("host policies are not applied")),
    ], "SecondaryDevice": [Field("kind", .enumeration("SecondaryDeviceKind")), Field("device_id", .int64)],
    "ModelRateLimiter": [Field("resources", .message("Resource"), repeated: true), Field("priority", .uint32)],
    "Resource": [Field("name", .string), Field("global", .bool), Field("count", .uint32)],
    "ModelOptimizationPolicy": [
      Field("graph", .message("Graph"), .ignored("graphs are always optimized")),
      Field("priority", .enumeration("ModelPriority"), .ignored("streams have one priority")), Field("cuda", .message("Cuda")),
      Field("execution_accelerators", .message("ExecutionAccelerators"), otherBackends),
      Field("input_pinned_memory", .message("PinnedMemoryBuffer")), Field("output_pinned_memory", .message("PinnedMemoryBuffer")),
      Field("gather_kernel_buffer_threshold", .uint32), Field("eager_batching", .bool),
    ], "Graph": [Field("level", .int32)],
    "Cuda": [
      Field("graphs", .bool), Field("busy_wait_events", .bool),
      Field("graph_spec", .message("GraphSpec"), repeated: true, .ignored("graphs are captured for the sizes that come up")),
      Field("output_copy_stream", .bool),
    ],
    "GraphSpec": [
      Field("batch_size", .int32), Field("input", .map(.string, .message("GraphShape"))),
      Field("graph_lower_bound", .message("LowerBound")),
    ], "GraphShape": [Field("dim", .int64, repeated: true)],
    "LowerBound": [Field("batch_size", .int32), Field("input", .map(.string, .message("GraphShape")))],
    "ExecutionAccelerators": [
      Field("gpu_execution_accelerator", .message("Accelerator"), repeated: true),
      Field("cpu_execution_accelerator", .message("Accelerator"), repeated: true),
    ], "Accelerator": [Field("name", .string), Field("parameters", .map(.string, .string))],
    "PinnedMemoryBuffer": [Field("enable", .bool)],
    "ModelQueuePolicy": [
      Field("timeout_action", .enumeration("TimeoutAction")), Field("default_timeout_microseconds", .uint64),
      Field("allow_timeout_override", .bool), Field("max_queue_size", .uint32),
    ],
    "ModelDynamicBatching": [
      Field("preferred_batch_size", .int32, repeated: true), Field("max_queue_delay_microseconds", .uint64),
      Field("preserve_ordering", .bool),
      Field("priority_levels", .uint64), Field("default_priority_level", .uint64),
      Field("default_queue_policy", .message("ModelQueuePolicy")),
      Field("priority_queue_policy", .map(.uint64, .message("ModelQueuePolicy"))),
    ],
    "ModelSequenceBatching": [
      Field("direct", .message("StrategyDirect")), Field("oldest", .message("StrategyOldest")),
      Field("max_sequence_idle_microseconds", .uint64), Field("control_input", .message("ControlInput"), repeated: true),
      Field("state", .message("State"), repeated: true), Field("iterative_sequence", .bool),
    ], "StrategyDirect": [Field("max_queue_delay_microseconds", .uint64), Field("minimum_slot_utilization", .float)],
    "StrategyOldest": [
      Field("max_candidate_sequences", .int32), Field("preferred_batch_size", .int32, repeated: true),
      Field("max_queue_delay_microseconds", .uint64), Field("preserve_ordering", .bool),
    ], "ControlInput": [Field("name", .string), Field("control", .message("Control"), repeated: true)],
    "Control": [
      Field("kind", .enumeration("ControlKind")), Field("int32_false_true", .int32, repeated: true),
      Field("fp32_false_true", .float, repeated: true), Field("bool_false_true", .bool, repeated: true),
      Field("data_type", .enumeration("DataType")),
    ],
    "State": [
      Field("input_name", .string), Field("output_name", .string), Field("data_type", .enumeration("DataType")),
      Field("dims", .int64, repeated: true), Field("initial_state", .message("InitialState"), repeated: true),
      Field("use_same_buffer_for_input_output", .bool), Field("use_growable_memory", .bool),
    ],
    "InitialState": [
      Field("data_type", .enumeration("DataType")), Field("dims", .int64, repeated: true), Field("zero_data", .bool),
      Field("data_file", .string),
      Field("name", .string),
    ], "ModelEnsembling": [Field("step", .message("Step"), repeated: true), Field("max_inflight_requests", .uint32)],
    "Step": [
      Field("model_name", .string), Field("model_version", .int64), Field("input_map", .map(.string, .string)),
      Field("output_map", .map(.string, .string)), Field("model_namespace", .string),
    ], "ModelParameter": [Field("string_value", .string)],
    "ModelWarmup": [
      Field("name", .string), Field("batch_size", .uint32), Field("inputs", .map(.string, .message("WarmupInput"))),
      Field("count", .uint32),
    ],
    "WarmupInput": [
      Field("data_type", .enumeration("DataType")), Field("dims", .int64, repeated: true), Field("zero_data", .bool),
      Field("random_data", .bool), Field("input_data_file", .string),
    ], "ModelOperations": [Field("op_library_filename", .string, repeated: true)],
    "ModelTransactionPolicy": [Field("decoupled", .bool, .refusedIfTrue("decoupled responses are not served; answer each request once"))],
    "ModelRepositoryAgents": [Field("agents", .message("Agent"), repeated: true)],
    "Agent": [Field("name", .string), Field("parameters", .map(.string, .string))],
    "ModelResponseCache": [Field("enable", .bool, .refusedIfTrue("there is no response cache; leave it off"))],
    "ModelMetrics": [Field("metric_control", .message("MetricControl"), repeated: true)],
    "MetricControl": [
      Field("metric_identifier", .message("MetricIdentifier")), Field("histogram_options", .message("HistogramOptions")),
    ], "MetricIdentifier": [Field("family", .string)], "HistogramOptions": [Field("buckets", .float, repeated: true)],
  ]

  /// Values in the order of their numbers, from 0.
  static let enumerations: [String: [String]] = [
    "DataType": [
      "TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8", "TYPE_INT16", "TYPE_INT32",
      "TYPE_INT64", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING", "TYPE_BF16",
    ], "Format": ["FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"], "InstanceKind": ["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"],
    "SecondaryDeviceKind": ["KIND_NVDLA"], "ModelPriority": ["PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"],
    "TimeoutAction": ["REJECT", "DELAY"],
    "ControlKind": ["CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_CORRID"],
    "BatchInputKind": [
      "BATCH_ELEMENT_COUNT", "BATCH_ACCUMULATED_ELEMENT_COUNT", "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
      "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
      "BATCH_ITEM_SHAPE", "BATCH_ITEM_SHAPE_FLATTEN",
    ], "BatchOutputKind": ["BATCH_SCATTER_WITH_INPUT_SHAPE"],
  ]

  /// Fields of one message of which at most one may be set.
  static let alternatives: [String: [[String]]] = [
    "ModelConfig": [["dynamic_batching", "sequence_batching", "ensemble_scheduling"]],
    "ModelVersionPolicy": [["latest", "all", "specific"]], "WarmupInput": [["zero_data", "random_data", "input_data_file"]],
    "ModelSequenceBatching": [["direct", "oldest"]], "InitialState": [["zero_data", "data_file"]],
  ]
}
