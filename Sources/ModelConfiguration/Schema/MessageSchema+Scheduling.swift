extension EnumSchema {
  static let timeoutAction = EnumSchema(name: "TimeoutAction", names: ["REJECT", "DELAY"])
}

extension MessageSchema {
  static let schedulingMessages: [MessageSchema] = [
    MessageSchema(
      "ModelQueuePolicy",
      [
        FieldSchema("timeout_action", .enumeration(.timeoutAction)),
        FieldSchema("default_timeout_microseconds", .uint64),
        FieldSchema("allow_timeout_override", .bool),
        FieldSchema("max_queue_size", .uint32),
      ]),
    MessageSchema(
      "ModelDynamicBatching",
      [
        FieldSchema("preferred_batch_size", .int32, .repeated),
        FieldSchema("max_queue_delay_microseconds", .uint64),
        FieldSchema("preserve_ordering", .bool),
        FieldSchema("priority_levels", .uint64),
        FieldSchema("default_priority_level", .uint64),
        FieldSchema("default_queue_policy", .message("ModelQueuePolicy")),
        FieldSchema("priority_queue_policy", .message("ModelQueuePolicy"), .map(key: .uint64)),
      ]),
    MessageSchema(
      "ModelEnsembling", [FieldSchema("step", .message("Step"), .repeated), FieldSchema("max_inflight_requests", .uint32)]),
    MessageSchema(
      "Step",
      [
        FieldSchema("model_name", .string),
        FieldSchema("model_version", .int64),
        FieldSchema("input_map", .string, .map(key: .string)),
        FieldSchema("output_map", .string, .map(key: .string)),
        FieldSchema("model_namespace", .string),
      ]),
  ]
}
