import ModelConfiguration
import Testing

/// Triton's load-time rules, with its texts.
@Suite struct RuleTests {
  static func complaint(_ body: String) throws -> String {
    let configuration = try ModelConfiguration.parse("name: \"m\" max_batch_size: 8 " + body).configuration
    do {
      try configuration.validate()
      return "fine"
    } catch { return "\(error)" }
  }

  @Test(arguments: [
    ("dynamic_batching { preferred_batch_size: 0 }", "dynamic batching preferred size must be positive for m"),
    ("dynamic_batching { preferred_batch_size: 9 }", "dynamic batching preferred size must be <= max batch size for m"),
    ("dynamic_batching { priority_levels: 3 }", "default priority level must be in range [1, 3] for m"),
    ("dynamic_batching { priority_levels: 3 default_priority_level: 4 }", "default priority level must be in range [1, 3] for m"),
    (
      "dynamic_batching { priority_levels: 3 default_priority_level: 1 priority_queue_policy { key: 4 value {} } }",
      "priority queue policy must have priority level in range [1, 3] for m"
    ),
    (
      "dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
      "Only one priority level is allowed when 'preserve_ordering' is true for m"
    ),
    (
      "dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 } }",
      "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m"
    ), ("dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY } }", "fine"),
    ("dynamic_batching { preferred_batch_size: [4, 8] }", "fine"),
  ])
  func rule(body: String, expected: String) throws {
    #expect(try Self.complaint(body) == expected)
  }

  @Test func aNegativeMaximumIsRefused() throws {
    let configuration = try ModelConfiguration.parse("name: \"m\" max_batch_size: -1").configuration
    #expect { try configuration.validate() } throws: { "\($0)" == "'max_batch_size' must be non-negative value for m" }
  }

  @Test func defaultsAreFilledIn() throws {
    let text = "name: \"m\" backend: \"onnxruntime\" max_batch_size: 8 dynamic_batching {}"
    let cpu = try ModelConfiguration.parse(text).configuration.normalized(gpus: 0)
    #expect(cpu.dynamicBatching?.preferredBatchSizes == [8])
    #expect(cpu.versionPolicy == .latest(1))
    #expect(cpu.instanceGroups.map(\.count) == [2])
    #expect(cpu.instanceGroups.map(\.kind) == ["KIND_CPU"])
    let gpu = try ModelConfiguration.parse(text).configuration.normalized(gpus: 2)
    #expect(gpu.instanceGroups.map(\.kind) == ["KIND_GPU"])
    #expect(gpu.instanceGroups.map(\.gpus) == [[0, 1]])
    #expect(gpu.instancesPerDevice == 1)
    let passive = try ModelConfiguration.parse("instance_group { count: 3 } instance_group { count: 5 passive: true }").configuration
    #expect(passive.instancesPerDevice == 3)
  }

  @Test func aModelCompletesItsConfiguration() throws {
    var input = ModelConfiguration.TensorSpecification()
    (input.name, input.dataType, input.dims) = ("x", "TYPE_FP32", [1024])
    var output = input
    output.name = "y"
    let signature = ModelSignature(inputs: [input], outputs: [output], hasRowDimension: true)
    let automatic = try ModelConfiguration().completed(from: signature, wasGiven: false)
    #expect(automatic.maxBatchSize == 4)
    #expect(automatic.dynamicBatching != nil)
    #expect(automatic.inputs == [input])
    let given = try ModelConfiguration.parse("name: \"m\" max_batch_size: 16 input { name: \"x\" }").configuration
    let completed = try given.completed(from: signature, wasGiven: true)
    #expect(completed.inputs == [input])
    #expect(completed.maxBatchSize == 16)
    #expect(completed.dynamicBatching == nil)
    let wrong = try ModelConfiguration.parse("name: \"m\" input { name: \"z\" }").configuration
    #expect { _ = try wrong.completed(from: signature, wasGiven: true) } throws: { "\($0)".contains("'z'") && "\($0)".contains("x") }
  }
}
