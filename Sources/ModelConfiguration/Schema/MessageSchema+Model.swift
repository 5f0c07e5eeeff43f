extension MessageSchema {
  static let modelMessages: [MessageSchema] = [
    MessageSchema(
      "ModelConfig",
      [
        FieldSchema("name", .string),
        FieldSchema("platform", .string),
        FieldSchema("backend", .string),
        FieldSchema("runtime", .string, .singular, .ignored("no backend library is loaded")),
        FieldSchema("version_policy", .message("ModelVersionPolicy")),
        FieldSchema("max_batch_size", .int32),
        FieldSchema("input", .message("ModelInput"), .repeated),
        FieldSchema("output", .message("ModelOutput"), .repeated),
        FieldSchema(
          "batch_input", .message("BatchInput"), .repeated,
          .ignored("no inputs are made from a batch; a model that reads them cannot run here")),
        FieldSchema(
          "batch_output", .message("BatchOutput"), .repeated, .ignored("every output is split along its first dimension")),
        FieldSchema("optimization", .message("ModelOptimizationPolicy")),
        FieldSchema("dynamic_batching", .message("ModelDynamicBatching"), oneof: "scheduling_choice"),
        FieldSchema(
          "sequence_batching", .message("ModelSequenceBatching"), .singular,
          .refused("requests are scheduled without a sequence's state; use dynamic_batching, or serve this model elsewhere"),
          oneof: "scheduling_choice"),
        FieldSchema(
          "ensemble_scheduling", .message("ModelEnsembling"), .singular,
          .refused("models are served one by one; give the configuration of each step's model instead"), oneof: "scheduling_choice"),
        FieldSchema("instance_group", .message("ModelInstanceGroup"), .repeated),
        FieldSchema("default_model_filename", .string),
        FieldSchema(
          "cc_model_filenames", .string, .map(key: .string), .ignored("one model file serves every compute capability")),
        FieldSchema("metric_tags", .string, .map(key: .string), .ignored("metrics carry only the model's name and version")),
        FieldSchema("parameters", .message("ModelParameter"), .map(key: .string)),
        FieldSchema("model_warmup", .message("ModelWarmup"), .repeated),
        FieldSchema("model_operations", .message("ModelOperations"), .singular, .ignored("no operator libraries are loaded")),
        FieldSchema("model_transaction_policy", .message("ModelTransactionPolicy")),
        FieldSchema(
          "model_repository_agents", .message("ModelRepositoryAgents"), .singular,
          .ignored("no agents run; the model's files are read as they are")),
        FieldSchema("response_cache", .message("ModelResponseCache")),
        FieldSchema("model_metrics", .message("ModelMetrics"), .singular, .ignored("histograms keep their own buckets")),
      ]),
    MessageSchema(
      "ModelVersionPolicy",
      [
        FieldSchema("latest", .message("Latest"), oneof: "policy_choice"),
        FieldSchema("all", .message("All"), oneof: "policy_choice"),
        FieldSchema("specific", .message("Specific"), oneof: "policy_choice"),
      ]),
    MessageSchema("Latest", [FieldSchema("num_versions", .uint32)]),
    MessageSchema("All", []),
    MessageSchema("Specific", [FieldSchema("versions", .int64, .repeated)]),
    MessageSchema("ModelParameter", [FieldSchema("string_value", .string)]),
    MessageSchema(
      "ModelWarmup",
      [
        FieldSchema("name", .string),
        FieldSchema("batch_size", .uint32),
        FieldSchema("inputs", .message("ModelWarmup.Input"), .map(key: .string)),
        FieldSchema("count", .uint32),
      ]),
    MessageSchema(
      "ModelWarmup.Input",
      [
        FieldSchema("data_type", .enumeration(.dataType)),
        FieldSchema("dims", .int64, .repeated),
        FieldSchema("zero_data", .bool, oneof: "input_data_type"),
        FieldSchema("random_data", .bool, oneof: "input_data_type"),
        FieldSchema("input_data_file", .string, oneof: "input_data_type"),
      ]),
  ]
}
