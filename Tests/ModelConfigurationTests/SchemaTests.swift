import Testing

@testable import ModelConfiguration
import Vocabulary

@Suite struct SchemaTests {
  @Test func everyMessageNamedByAFieldExistsAndNamesAreUnique() {
    let groups = [
      MessageSchema.modelMessages, MessageSchema.tensorMessages, MessageSchema.instanceMessages, MessageSchema.optimizationMessages,
      MessageSchema.schedulingMessages, MessageSchema.sequenceMessages, MessageSchema.otherMessages,
    ].flatMap { $0 }
    #expect(groups.count == MessageSchema.named.count)
    // Counted in the .proto file by hand: a field that is forgotten here would be told as unknown.
    #expect(groups.count == 46)
    for schema in groups {
      #expect(Set(schema.fields.map(\.name)).count == schema.fields.count, "\(schema.name)")
      for field in schema.fields {
        if case .message(let name) = field.type { #expect(MessageSchema.named[name] != nil, "\(schema.name).\(field.name)") }
      }
    }
    #expect(groups.map(\.fields.count).reduce(0, +) == 164)
  }

  @Test func noMessageHoldsItself() {
    func depth(_ name: String, within path: [String]) -> Int {
      guard !path.contains(name), let schema = MessageSchema.named[name] else { return .max / 2 }
      let depths = schema.fields.map { if case .message(let inner) = $0.type { depth(inner, within: path + [name]) } else { 0 } }
      return 1 + (depths.max() ?? 0)
    }
    #expect(depth("ModelConfig", within: []) < 10)
  }

  @Test func enumsOfValuesAndSchemaAgree() {
    #expect(Set(TensorDataType.allCases.map(\.rawValue)) == Set(EnumSchema.dataType.names))
    #expect(InstanceGroup.Kind.allCases.map(\.rawValue) == EnumSchema.instanceKind.names)
    #expect(ModelQueuePolicy.TimeoutAction.allCases.map(\.rawValue) == EnumSchema.timeoutAction.names)
  }

  @Test(arguments: [
    ("nam: \"x\"", "c.pbtxt:1:1: unknown field 'nam' in message ModelConfig; did you mean 'name'?"),
    (
      "dynamic_batching {\n  prefered_batch_size: 4 }",
      "c.pbtxt:2:3: unknown field 'prefered_batch_size' in message ModelDynamicBatching; did you mean 'preferred_batch_size'?"
    ), ("version_policy { all { x: 1 } }", "c.pbtxt:1:24: unknown field 'x' in message All; it has none"),
    (
      "optimization { cuda { zzzzzzzz: 1 } }",
      "c.pbtxt:1:23: unknown field 'zzzzzzzz' in message Cuda; known are graphs, busy_wait_events, graph_spec, output_copy_stream"
    ),
    (
      "model_transaction_policy { decouple: true }",
      "c.pbtxt:1:28: unknown field 'decouple' in message ModelTransactionPolicy; did you mean 'decoupled'?"
    ), ("metric_tags { key: \"a\" val: \"b\" }", "c.pbtxt:1:24: unknown field 'val' in message metric_tags; did you mean 'value'?"),
    (
      "dynamic_batching { max_queue_delay_ms: 4 }",
      "c.pbtxt:1:20: unknown field 'max_queue_delay_ms' in message ModelDynamicBatching; did you mean 'max_queue_delay_microseconds'?"
    ), ("input { data_type: FP32 }", "c.pbtxt:1:20: 'data_type' of ModelInput has no value 'FP32'; did you mean 'TYPE_FP32'?"),
  ]) func unknownNamesGetASuggestion(text: String, expected: String) {
    #expect(reason(text) == expected)
  }

  @Test func longUnknownNamesAreCutAndCostNothing() {
    let text = reason(String(repeating: "a", count: 1_000_000) + ": 1")
    #expect(text.contains("unknown field '" + String(repeating: "a", count: 64) + "...'"))
    #expect(text.utf8.count < 1000)
    let known = [String(repeating: "a", count: 64)]
    #expect(NameSuggestion.nearest(to: String(repeating: "a", count: 63), in: known) == known.first)
    #expect(NameSuggestion.nearest(to: String(repeating: "a", count: 65), in: known) == nil)
  }

  @Test(arguments: [
    ("name: \"a\"\nname: \"b\"", "c.pbtxt:2:1: 'name' of ModelConfig is given again; it was given in line 1. Keep one of them"),
    (
      "dynamic_batching {}\n\n dynamic_batching {}",
      "c.pbtxt:3:2: 'dynamic_batching' of ModelConfig is given again; it was given in line 1. Keep one of them"
    ),
    (
      "input { name: \"a\"\n name: \"a\" }",
      "c.pbtxt:2:2: 'name' of ModelInput is given again; it was given in line 1. Keep one of them"
    ),
    (
      "version_policy {\n all {}\n latest {} }",
      "c.pbtxt:3:2: 'latest' excludes 'all', which was given in line 2. Keep one of them"
    ),
    (
      "dynamic_batching {}\nsequence_batching {}",
      "c.pbtxt:2:1: 'sequence_batching' excludes 'dynamic_batching', which was given in line 1. Keep one of them"
    ), ("max_batch_size: [1]", "c.pbtxt:1:1: 'max_batch_size' of ModelConfig takes one value, not a list"),
  ]) func repeatsNameBothLines(text: String, expected: String) {
    #expect(reason(text) == expected)
  }

  @Test func aKeyThatIsGivenAgainReplacesTheEntry() throws {
    let text = "parameters { key: \"a\" value { string_value: \"1\" } } parameters { key: \"b\" }"
    let again = text + "\nparameters { key: \"a\" value { string_value: \"2\" } }"
    let configuration = try ModelConfiguration.parse(again, file: "c").configuration
    #expect(configuration.parameters == ["a": "2", "b": ""])
    #expect(configuration.json()["parameters"] == ["a": ["string_value": "2"], "b": ["string_value": ""]])
    #expect(try warnings("metric_tags { key: \"a\" value: \"b\" } metric_tags { key: \"a\" value: \"c\" }").count == 1)
  }

  @Test(arguments: [
    (
      "max_batch_size: 2147483648",
      "c.pbtxt:1:17: 'max_batch_size' of ModelConfig takes an int32 (-2147483648 to 2147483647), not 2147483648"
    ),
    ("max_batch_size: 1.5", "an int32 (-2147483648 to 2147483647), not 1.5"), ("max_batch_size: \"4\"", "not the text \"4\""),
    ("max_batch_size: four", "takes a number, not the word four"),
    ("max_batch_size: \"${rows}\"", "not the text \"${rows}\", a placeholder that was not filled in"),
    ("max_batch_size { }", "not a message"),
    ("dynamic_batching { max_queue_delay_microseconds: -1 }", "takes a uint64 (0 to 18446744073709551615), not -1"),
    ("dynamic_batching { max_queue_delay_microseconds: 99999999999999999999 }", "not 99999999999999999999"),
    ("dynamic_batching { preserve_ordering: yes }", "takes true or false, not the word yes"),
    ("dynamic_batching { preserve_ordering: 2 }", "takes true or false, not 2"),
    ("dynamic_batching { default_queue_policy { max_queue_size: 4294967296 } }", "takes a uint32 (0 to 4294967295), not 4294967296"),
    (
      "dynamic_batching {\n default_queue_policy { timeout_action: REJEKT } }",
      "c.pbtxt:2:41: 'timeout_action' of ModelQueuePolicy has no value 'REJEKT'; did you mean 'REJECT'?"
    ), ("dynamic_batching { default_queue_policy { timeout_action: 2 } }", "takes one of REJECT, DELAY, not 2"),
    ("dynamic_batching { default_queue_policy { timeout_action: -1 } }", "takes one of REJECT, DELAY, not -1"),
    ("input { dims: [ 1, 9223372036854775808 ] }", "c.pbtxt:1:20: 'dims' of ModelInput takes an int64"),
    ("name: word", "takes a text in quotes, not the word word"), (#"name: "\xff""#, "the text of 'name' of ModelConfig is not valid UTF-8"),
    ("input: 3", "takes a message ModelInput in braces, not 3"), ("parameters: 3", "takes entries '{ key: ... value: ... }', not 3"),
    ("model_metrics { metric_control { histogram_options { buckets: 0x1 } } }", "takes a number, not 0x1"),
    ("model_metrics { metric_control { histogram_options { buckets: word } } }", "takes a number, not the word word"),
  ]) func typesAndRangesAreChecked(text: String, expected: String) {
    #expect(reason(text).contains(expected), "\(reason(text))")
  }

  @Test(arguments: [
    ("sequence_batching { oldest { max_candidate_sequences: 4 } }", "c.pbtxt:1:1: 'sequence_batching' of ModelConfig is not supported: "),
    ("sequence_batching { direct { minimum_slot_utilization: -inf } }", "'sequence_batching' of ModelConfig is not supported: "),
    ("\nensemble_scheduling { step [ { model_name: \"a\" } ] }", "c.pbtxt:2:1: 'ensemble_scheduling' of ModelConfig is not supported: "),
    ("model_transaction_policy { decoupled: true }", "c.pbtxt:1:28: 'decoupled' of ModelTransactionPolicy is not supported: "),
    ("response_cache { enable: True }", "c.pbtxt:1:18: 'enable' of ModelResponseCache is not supported: "),
  ]) func whatCannotBeServedIsRefused(text: String, expected: String) {
    #expect(reason(text).contains(expected), "\(reason(text))")
  }

  @Test(arguments: [
    "model_transaction_policy { decoupled: false }", "response_cache { enable: f }", "metric_tags [ ]", "runtime: \"\"",
    "input { format: FORMAT_NONE is_non_linear_format_io: 0 }", "optimization { priority: 0 }",
  ]) func defaultsAreNeitherRefusedNorWarnedOf(text: String) throws {
    #expect(try warnings(text).isEmpty)
  }

  /// Every ignored field of the schema has an example here; a new one without fails.
  static let ignored: [(field: String, text: String)] = [
    ("ModelConfig.runtime", "runtime: \"x\""), ("ModelConfig.batch_input", "batch_input { kind: BATCH_ITEM_SHAPE target_name: \"x\" }"),
    ("ModelConfig.batch_output", "batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE }"),
    ("ModelConfig.cc_model_filenames", "cc_model_filenames { key: \"7.5\" value: \"x\" }"),
    ("ModelConfig.metric_tags", "metric_tags { key: \"a\" value: \"b\" }"),
    ("ModelConfig.model_operations", "model_operations { op_library_filename: \"x.so\" }"),
    ("ModelConfig.model_repository_agents", "model_repository_agents { agents { name: \"checksum\" } }"),
    ("ModelConfig.model_metrics", "model_metrics { metric_control { histogram_options { buckets: [ -inf, 1, 2.5, nan ] } } }"),
    ("ModelInput.allow_ragged_batch", "input { allow_ragged_batch: true }"),
    ("ModelInput.format", "input { format: FORMAT_NHWC }"), ("ModelInput.is_non_linear_format_io", "input { is_non_linear_format_io: t }"),
    ("ModelOutput.is_non_linear_format_io", "output { is_non_linear_format_io: true }"),
    ("ModelInstanceGroup.secondary_devices", "instance_group { secondary_devices { kind: KIND_NVDLA device_id: 0 } }"),
    ("ModelOptimizationPolicy.gather_kernel_buffer_threshold", "optimization { gather_kernel_buffer_threshold: 2 }"),
    ("Cuda.busy_wait_events", "optimization { cuda { busy_wait_events: true } }"),
    ("Cuda.output_copy_stream", "optimization { cuda { output_copy_stream: true } }"),
    ("ModelInstanceGroup.host_policy", "instance_group { host_policy: \"numa0\" }"),
    ("ModelOptimizationPolicy.priority", "optimization { priority: PRIORITY_MAX }"),
    (
      "ModelOptimizationPolicy.execution_accelerators",
      "optimization { execution_accelerators { gpu_execution_accelerator { name: \"tensorrt\" parameters { key: \"a\" value: \"b\" } } } }"
    ), ("Cuda.graph_spec", "optimization { cuda { graph_spec { batch_size: 1 input { key: \"a\" value { dim: 4 } } } } }"),
  ]

  @Test func everyIgnoredFieldIsWarnedOfOnce() throws {
    for (field, text) in Self.ignored {
      let parts = field.split(separator: ".")
      let found = try warnings("\n " + text + " name: \"m\"")
      #expect(found.count == 1, "\(field): \(found)")
      #expect(found.first?.contains("'\(parts[1])' of \(parts[0]) is ignored: ") == true, "\(found)")
      #expect(found.first?.hasPrefix("c.pbtxt:2:") == true)
    }
    let all = MessageSchema.named.values.flatMap { schema in
      schema.fields.compactMap { field -> String? in
        if case .ignored = field.disposition { "\(schema.name).\(field.name)" } else { nil }
      }
    }
    #expect(Set(all) == Set(Self.ignored.map(\.field)))
    let refused = MessageSchema.named.values.flatMap { schema in
      schema.fields.filter { if case .refused = $0.disposition { true } else { false } }.map(\.name)
    }
    #expect(Set(refused) == ["sequence_batching", "ensemble_scheduling", "decoupled", "enable"])
  }

  @Test func repeatedIgnoredFieldsAreWarnedOfWhereTheyStandFirst() throws {
    #expect(try warnings("metric_tags { key: \"a\" }\nmetric_tags { key: \"b\" }") == warnings("metric_tags { key: \"a\" }"))
  }
}
