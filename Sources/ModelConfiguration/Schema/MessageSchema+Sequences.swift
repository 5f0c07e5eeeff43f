extension EnumSchema {
  static let controlKind = EnumSchema(
    name: "Control.Kind",
    names: ["CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_CORRID"])
}

extension MessageSchema {
  static let sequenceMessages: [MessageSchema] = [
    MessageSchema(
      "ModelSequenceBatching",
      [
        FieldSchema("direct", .message("StrategyDirect"), oneof: "strategy_choice"),
        FieldSchema("oldest", .message("StrategyOldest"), oneof: "strategy_choice"),
        FieldSchema("max_sequence_idle_microseconds", .uint64),
        FieldSchema("control_input", .message("ControlInput"), .repeated),
        FieldSchema("state", .message("State"), .repeated),
        FieldSchema("iterative_sequence", .bool),
      ]),
    MessageSchema(
      "Control",
      [
        FieldSchema("kind", .enumeration(.controlKind)),
        FieldSchema("int32_false_true", .int32, .repeated),
        FieldSchema("fp32_false_true", .float, .repeated),
        FieldSchema("bool_false_true", .bool, .repeated),
        FieldSchema("data_type", .enumeration(.dataType)),
      ]),
    MessageSchema("ControlInput", [FieldSchema("name", .string), FieldSchema("control", .message("Control"), .repeated)]),
    MessageSchema(
      "InitialState",
      [
        FieldSchema("data_type", .enumeration(.dataType)),
        FieldSchema("dims", .int64, .repeated),
        FieldSchema("zero_data", .bool, oneof: "state_data"),
        FieldSchema("data_file", .string, oneof: "state_data"),
        FieldSchema("name", .string),
      ]),
    MessageSchema(
      "State",
      [
        FieldSchema("input_name", .string),
        FieldSchema("output_name", .string),
        FieldSchema("data_type", .enumeration(.dataType)),
        FieldSchema("dims", .int64, .repeated),
        FieldSchema("initial_state", .message("InitialState"), .repeated),
        FieldSchema("use_same_buffer_for_input_output", .bool),
        FieldSchema("use_growable_memory", .bool),
      ]),
    MessageSchema(
      "StrategyDirect", [FieldSchema("max_queue_delay_microseconds", .uint64), FieldSchema("minimum_slot_utilization", .float)]),
    MessageSchema(
      "StrategyOldest",
      [
        FieldSchema("max_candidate_sequences", .int32),
        FieldSchema("preferred_batch_size", .int32, .repeated),
        FieldSchema("max_queue_delay_microseconds", .uint64),
        FieldSchema("preserve_ordering", .bool),
      ]),
  ]
}
