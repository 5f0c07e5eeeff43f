import JSONText
import ModelConfiguration
import Testing
import TimeBase

@Suite struct ReadingTests {
  static let document = """
    name: "head"
    platform: "tensorrt_plan"
    max_batch_size: 256
    input [ { name: "x" data_type: TYPE_FP32 dims: [ 1024 ] } ]
    output { name: "y", data_type: TYPE_FP32; dims: 2 }
    dynamic_batching {
      preferred_batch_size: [ 128, 256 ]
      max_queue_delay_microseconds: 10000
      preserve_ordering: true
      default_queue_policy {
        timeout_action: REJECT
        default_timeout_microseconds: 120000000
        max_queue_size: 20480
      }
    }
    """

  static func reason(_ text: String) -> String {
    do {
      _ = try ModelConfiguration.parse(text)
      return "no error"
    } catch { return "\(error)" }
  }

  @Test func theDocumentsConfiguration() throws {
    let parsed = try ModelConfiguration.parse(Self.document)
    #expect(parsed.warnings.isEmpty)
    let batching = try #require(parsed.configuration.dynamicBatching)
    #expect(batching.preferredBatchSizes == [128, 256])
    #expect(batching.maxQueueDelayMicroseconds == 10_000)
    #expect(batching.preserveOrdering)
    #expect(batching.defaultQueuePolicy.defaultTimeoutMicroseconds == 120_000_000)
    #expect(batching.defaultQueuePolicy.maxQueueSize == 20_480)
    #expect(!batching.defaultQueuePolicy.delaysOnTimeout)
    #expect(parsed.configuration.inputs.map(\.dims) == [[1024]])
    #expect(parsed.configuration.outputs.map(\.dims) == [[2]])
    try parsed.configuration.validate()
  }

  @Test func everyWayToWriteAValue() throws {
    let text = """
      # a comment
      name: "a\\x62" 'c\\u0064\\n\\101'  # strings beside one another are one
      max_batch_size: 0x10;
      instance_group < count: 2 kind: KIND_GPU gpus: [0, 1], rate_limiter { resources [ { name: "R" global: true count: 3 } ] priority: 2 } >
      instance_group: { count: 010 kind: 2 }
      parameters { key: "k" value: { string_value: "v" } }
      parameters { key: "k" value: { string_value: "w" } }
      metric_tags: [ { key: "a" value: "b" }, { key: "c" } ]
      optimization { eager_batching: true cuda { graphs: 1 output_copy_stream: t } input_pinned_memory { enable: false } }
      version_policy: { specific: { versions: [1, -3] } }
      model_warmup { name: "one" batch_size: 1 inputs { key: "x" value: { data_type: TYPE_FP16 dims: [2, 3] random_data: true } } }
      dynamic_batching { priority_levels: 18446744073709551615 default_priority_level: 1
        priority_queue_policy { key: 3 value { timeout_action: DELAY max_queue_size: 7 } } }
      """
    let configuration = try ModelConfiguration.parse(text).configuration
    #expect(configuration.name == "abcd\nA")
    #expect(configuration.maxBatchSize == 16)
    #expect(configuration.instanceGroups.map(\.count) == [2, 8])
    #expect(configuration.instanceGroups.map(\.kind) == ["KIND_GPU", "KIND_CPU"])
    #expect(configuration.instanceGroups[0].rateLimiter?.resources.first?.count == 3)
    #expect(configuration.parameters == ["k": "w"])
    #expect(configuration.metricTags == ["a": "b", "c": ""])
    #expect(
      configuration.optimization.eagerBatching && configuration.optimization.cudaGraphs && configuration.optimization.outputCopyStream)
    #expect(!configuration.optimization.inputPinnedMemory && configuration.optimization.outputPinnedMemory)
    #expect(configuration.versionPolicy == .specific([1, -3]))
    #expect(configuration.warmup.first?.inputs["x"]?.content == .random)
    #expect(configuration.dynamicBatching?.priorityLevels == .max)
    #expect(configuration.dynamicBatching?.priorityQueuePolicies[3]?.maxQueueSize == 7)
  }

  @Test(arguments: [
    ("max_batch_sise: 4", "config.pbtxt:1:1: unknown field \"max_batch_sise\"", "did you mean max_batch_size?"),
    ("name: \"a\"\nname: \"b\"", "2:1: name is given twice", "line 1"), ("max_batch_size: \"4\"", "1:17", "whole number"),
    ("max_batch_size: 4.5", "1:17", "whole number"), ("max_batch_size: 2147483648", "1:17", "2147483647"),
    ("max_batch_size: [1, 2]", "1:17", "one value"), ("dynamic_batching { preserve_ordering: yes }", "1:39", "true or false"),
    ("dynamic_batching { preferred_batch_size: 99999999999999999999999 }", "1:42", "outside"),
    ("dynamic_batching { max_queue_delay_microseconds: -1 }", "1:50", "outside"),
    ("input { data_type: TYPE_FP8 }", "1:20", "TYPE_FP16"), ("input { data_type: 77 }", "1:20", "TYPE_FP16"),
    ("name: \"abc", "1:7", "not closed"), ("name: \"a\\q\"", "1:9", "unknown escape"), ("input {", "1:8", "\"}\" is missing"),
    ("input }", "1:7", "expected"), ("name 5", "1:6", "\":\""), (": 5", "1:1", "name is expected"),
    ("name: @", "1:7", "belongs to no token"),
    ("name: [\"a\", [\"b\"]]", "1:13", "list inside a list"), ("parameters { key: \"a\" value: 5 }", "1:30", "message"),
    ("parameters { key: \"a\" key: \"b\" }", "1:23", "twice"), ("parameters { name: \"a\" }", "1:14", "key and value"),
    ("dynamic_batching {}\nsequence_batching {}", "2:1", "sequence_batching is not supported"),
    ("ensemble_scheduling { step [ { model_name: \"a\" } ] }", "1:1", "ensembles are not served"),
    ("model_transaction_policy { decoupled: true }", "1:28", "decoupled"), ("response_cache { enable: true }", "1:18", "no response cache"),
    ("batch_input { kind: BATCH_ELEMENT_COUNT }", "1:1", "ragged"),
    ("version_policy { latest {} all {} }", "1:28", "only one of latest and all"), ("name: \"\\400\"", "1:8", "octal"),
  ])
  func mistakesAreNamedWithTheirPlace(text: String, place: String, why: String) {
    let reason = Self.reason(text)
    #expect(reason.contains(place), "\(reason)")
    #expect(reason.contains(why), "\(reason)")
  }

  @Test(arguments: [
    ("runtime: \"x\"", "runtime"), ("cc_model_filenames { key: \"8.0\" value: \"a\" }", "cc_model_filenames"),
    ("input { name: \"x\" format: FORMAT_NCHW }", "input.format"), ("instance_group { profile: [\"0\"] }", "instance_group.profile"),
    ("instance_group { host_policy: \"p\" }", "instance_group.host_policy"),
    ("instance_group { secondary_devices { kind: KIND_NVDLA device_id: 1 } }", "instance_group.secondary_devices"),
    ("optimization { graph { level: 1 } }", "optimization.graph"), ("optimization { priority: PRIORITY_MAX }", "optimization.priority"),
    ("optimization { execution_accelerators { gpu_execution_accelerator { name: \"t\" } } }", "optimization.execution_accelerators"),
    ("optimization { cuda { graph_spec { batch_size: 1 } } }", "optimization.cuda.graph_spec"),
    ("model_operations { op_library_filename: \"x\" }", "model_operations"),
    ("model_repository_agents { agents { name: \"a\" } }", "model_repository_agents"),
    ("model_metrics { metric_control { metric_identifier { family: \"f\" } histogram_options { buckets: [1, 2.5e0] } } }", "model_metrics"),
  ])
  func whatHasNoEffectIsSaid(text: String, field: String) throws {
    let warnings = try ModelConfiguration.parse(text).warnings
    #expect(warnings.map(\.field).contains(field))
    #expect(warnings.allSatisfy { $0.description.contains("is ignored: ") })
  }

  @Test func offIsNoRefusal() throws {
    #expect(try ModelConfiguration.parse("model_transaction_policy { decoupled: false } response_cache { enable: false }").warnings.isEmpty)
  }

  @Test func deepNestingIsRefused() {
    let text = String(repeating: "input {", count: 100_000)
    #expect(Self.reason(text).contains("deep") || Self.reason(text).contains("unknown"))
    #expect(Self.reason("parameters " + String(repeating: "{ value ", count: 500)).contains("deep"))
  }

  @Test func noPrefixAndNoMutationTraps() {
    let bytes = Array(Self.document.utf8)
    for length in 0..<bytes.count { _ = try? ModelConfiguration.parse(String(decoding: bytes[0..<length], as: UTF8.self)) }
    var random = SplitMix64(seed: 7)
    for _ in 0..<20_000 {
      var mutated = bytes
      for _ in 0..<(1 + random.next() % 4) {
        let position = Int(random.next() % UInt64(mutated.count))
        switch random.next() % 3 {
        case 0: mutated[position] = UInt8(truncatingIfNeeded: random.next())
        case 1: mutated.remove(at: position)
        default: mutated.insert(contentsOf: mutated[position..<min(mutated.count, position + 9)], at: position)
        }
      }
      if let parsed = try? ModelConfiguration.parse(String(decoding: mutated, as: UTF8.self)) { try? parsed.configuration.validate() }
    }
  }

  @Test func theJSONFormSaysTheSame() throws {
    for text in [
      Self.document,
      "name: \"x\" instance_group { count: 2 } version_policy { all {} } parameters { key: \"a\" value { string_value: \"b\" } }",
    ] {
      let configuration = try ModelConfiguration.parse(text).configuration
      let json = configuration.json
      #expect(try ModelConfiguration.parse(json: json).configuration == configuration)
      #expect(try ModelConfiguration.parse(json: try JSONValue.parse(json.serialized(pretty: true))).configuration == configuration)
    }
    let bad = try JSONValue.parse(#"{"dynamic_batching":{"preferred":[1]}}"#)
    #expect { _ = try ModelConfiguration.parse(json: bad) } throws: { "\($0)".contains("dynamic_batching.preferred") }
  }
}
