import JSONText
import ModelConfiguration
import Testing

@Suite struct JSONFormTests {
  static func read(_ text: String) throws -> ModelConfiguration.Parsed {
    try ModelConfiguration.parse(json: try JSONValue.parse(text), file: "c.json")
  }

  static func reason(_ text: String) throws -> String {
    let json = try JSONValue.parse(text)
    do {
      _ = try ModelConfiguration.parse(json: json, file: "c.json")
      return "accepted"
    } catch { return error.description }
  }

  @Test func writingAndReadingBackKeepsEverything() throws {
    for text in [servedModel, everyField, "", "version_policy { all { } }", "version_policy { latest { } }", "dynamic_batching { }"] {
      let parsed = try ModelConfiguration.parse(text, file: "c")
      let configuration = parsed.configuration
      for value in [configuration, configuration.normalized(usableGPUs: [0])] {
        let written = try JSONValue.parse(value.json().serialized())
        #expect(try ModelConfiguration(json: written) == value)
        let again = try ModelConfiguration.parse(json: written, file: "c")
        #expect(Set(again.warnings.map(\.reason)) == Set(parsed.warnings.map(\.reason)))
        #expect(again.configuration.json() == value.json())
      }
    }
  }

  @Test func whatTritonPrintsIsReadWithoutWarnings() throws {
    let printed = """
      {"name":"simple","platform":"onnxruntime_onnx","backend":"onnxruntime","runtime":"","version_policy":{"latest":{"num_versions":1}},
      "max_batch_size":8,"input":[{"name":"INPUT0","data_type":"TYPE_INT32","format":"FORMAT_NONE","dims":[16],"is_shape_tensor":false,
      "allow_ragged_batch":false,"optional":false,"is_non_linear_format_io":false}],"output":[{"name":"OUTPUT0","data_type":"TYPE_INT32",
      "dims":[16],"label_filename":"","is_shape_tensor":false,"is_non_linear_format_io":false}],"batch_input":[],"batch_output":[],
      "optimization":{"priority":"PRIORITY_DEFAULT","input_pinned_memory":{"enable":true},"output_pinned_memory":{"enable":true},
      "gather_kernel_buffer_threshold":0,"eager_batching":false},"dynamic_batching":{"preferred_batch_size":[8],
      "max_queue_delay_microseconds":"100","preserve_ordering":false,"priority_levels":"2","default_priority_level":1,
      "priority_queue_policy":{"2":{"timeout_action":"DELAY","default_timeout_microseconds":7,"allow_timeout_override":1,
      "max_queue_size":3}}},"instance_group":[{"name":"simple","kind":"KIND_CPU","count":2,"gpus":[],"secondary_devices":[],"profile":[],
      "passive":false,"host_policy":""}],"default_model_filename":"model.onnx","cc_model_filenames":{},"metric_tags":{},"parameters":{},
      "model_warmup":[]}
      """
    let parsed = try Self.read(printed)
    #expect(parsed.warnings.isEmpty)
    let policy = ModelQueuePolicy(timeoutAction: .delay, defaultTimeoutMicroseconds: 7, allowTimeoutOverride: true, maxQueueSize: 3)
    #expect(
      parsed.configuration.dynamicBatching
        == DynamicBatching(
          preferredBatchSizes: [8], maxQueueDelayMicroseconds: 100, priorityLevels: 2, defaultPriorityLevel: 1,
          priorityQueuePolicies: [2: policy]))
    #expect(parsed.configuration.instanceGroups == [InstanceGroup(name: "simple", kind: .cpu, count: 2)])
    #expect(parsed.configuration.inputs == [InputConfiguration(name: "INPUT0", dataType: .int32, dims: [16])])
  }

  @Test func memberNamesAndOrderAreTritons() throws {
    let json = try ModelConfiguration.parse(servedModel, file: "c").configuration.normalized(usableGPUs: [0]).json()
    #expect(
      json.objectValue?.map(\.name) == [
        "name", "platform", "backend", "runtime", "version_policy", "max_batch_size", "input", "output", "batch_input", "batch_output",
        "optimization", "dynamic_batching", "instance_group", "default_model_filename", "cc_model_filenames", "metric_tags", "parameters",
        "model_warmup",
      ])
    #expect(json["dynamic_batching"]?["default_queue_policy"]?["max_queue_size"] == 20480)
    #expect(json["dynamic_batching"]?["max_queue_delay_microseconds"] == 10_000)
  }

  @Test func camelCaseNullAndWholeNumbersAreRead() throws {
    let parsed = try Self.read(#"{"maxBatchSize": 4.0, "name": null, "dynamicBatching": {"preferredBatchSize": ["2", 4]}}"#)
    #expect(
      parsed.configuration == ModelConfiguration(name: "", maxBatchSize: 4, dynamicBatching: DynamicBatching(preferredBatchSizes: [2, 4])))
  }

  @Test(arguments: [
    ("[]", "c.json: a configuration in JSON is an object '{ ... }'"),
    (#"{"nam": 1}"#, "c.json:nam: unknown field 'nam' in message ModelConfig; did you mean 'name'?"),
    (#"{"input": [{}, {"dims": [1, "x"]}]}"#, "c.json:input[1].dims[1]: 'dims' of ModelInput takes a number, not the text \"x\""),
    (#"{"max_batch_size": 1.5}"#, "c.json:max_batch_size: 'max_batch_size' of ModelConfig takes an int32"),
    (#"{"max_batch_size": 3000000000}"#, "not 3000000000"), (#"{"max_batch_size": "-"}"#, "not the text \"-\""),
    (#"{"max_batch_size": [4]}"#, "takes one value, not a list"), (#"{"name": {}}"#, "takes a text in quotes, not a message"),
    (#"{"input": [[]]}"#, "c.json:input[0]: 'input' of ModelConfig takes a message ModelInput in braces, not the word [...]"),
    (#"{"name": "a", "Name": 1}"#, "unknown field 'Name'"),
    (#"{"maxBatchSize": 1, "max_batch_size": 1}"#, "is given again; it was given at maxBatchSize"),
    (#"{"metric_tags": [{"a": "b"}]}"#, "c.json:metric_tags: 'metric_tags' takes an object of keys and values"),
    (#"{"dynamic_batching": {"priority_queue_policy": {"x": {}}}}"#, "c.json:dynamic_batching.priority_queue_policy: 'key' of"),
    (#"{"dynamic_batching": {"preserve_ordering": "true"}}"#, "takes true or false, not the text \"true\""),
    (#"{"response_cache": {"enable": true}}"#, "c.json:response_cache.enable: 'enable' of ModelResponseCache is not supported"),
    (#"{"sequence_batching": {}}"#, "c.json:sequence_batching: 'sequence_batching' of ModelConfig is not supported"),
  ]) func badDocumentsAreRefusedWithTheirPlace(text: String, expected: String) throws {
    let reason = try Self.reason(text)
    #expect(reason.contains(expected), "\(reason)")
  }

  @Test func floatingPointNamesAreRead() throws {
    let text = #"{"model_metrics": {"metric_control": [{"histogram_options": {"buckets": ["-Infinity", 1, 2.5, "NaN"]}}]}}"#
    #expect(
      try Self.read(text).warnings.map(\.description) == [
        "c.json:model_metrics: 'model_metrics' of ModelConfig is ignored: histograms keep their own buckets"
      ])
    #expect(try Self.reason(text.replacing("NaN", with: "word")).contains("takes a number, not the text \"word\""))
  }

  @Test func deepValuesAreNotDescendedInto() {
    var value: JSONValue = 1
    for _ in 0..<1000 { value = ["input": [value]] }
    let error = #expect(throws: ModelConfigurationError.self) { try ModelConfiguration(json: value) }
    #expect(error?.reason.contains("unknown field 'input' in message ModelInput") == true)
  }
}
