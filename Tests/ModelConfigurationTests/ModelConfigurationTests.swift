import ModelConfiguration
import Testing

@Suite struct ModelConfigurationTests {
  @Test func theServedModelReadsAsWritten() throws {
    let parsed = try ModelConfiguration.parse(servedModel, file: "config.pbtxt")
    #expect(parsed.warnings.isEmpty)
    let policy = ModelQueuePolicy(timeoutAction: .reject, defaultTimeoutMicroseconds: 120_000_000, maxQueueSize: 20480)
    let batching = DynamicBatching(
      preferredBatchSizes: [128, 256], maxQueueDelayMicroseconds: 10_000, preserveOrdering: true, defaultQueuePolicy: policy)
    let expected = ModelConfiguration(
      name: "ranker", backend: "tensorrt", maxBatchSize: 256,
      inputs: [InputConfiguration(name: "features", dataType: .float16, dims: [1024])],
      outputs: [OutputConfiguration(name: "scores", dataType: .float32, dims: [16])], dynamicBatching: batching,
      instanceGroups: [InstanceGroup(kind: .gpu, count: 1, gpus: [0])])
    #expect(parsed.configuration == expected)
    #expect(throws: Never.self) { try parsed.configuration.validate() }
    var normalized = expected
    normalized.versionPolicy = .latest(1)
    normalized.instanceGroups[0].name = "ranker_0"
    #expect(parsed.configuration.normalized(usableGPUs: [0]) == normalized)
  }

  @Test func everySupportedFieldIsRead() throws {
    let parsed = try ModelConfiguration.parse(everyField, file: "c.pbtxt")
    #expect(
      parsed.warnings.compactMap { $0.reason.split(separator: "'").first } == [
        "allow_ragged_batch", "busy_wait_events", "output_copy_stream", "gather_kernel_buffer_threshold", "host_policy",
      ])
    #expect(parsed.servingWarnings.compactMap { $0.reason.split(separator: "'").first } == ["graphs", "enable", "eager_batching"])
    let expected = ModelConfiguration(
      name: "all", platform: "onnxruntime_onnx", backend: "onnxruntime", versionPolicy: .specific([1, 3]), maxBatchSize: 8,
      inputs: [
        InputConfiguration(name: "a", dataType: .int64, dims: [-1, 4], reshape: [-1], allowRaggedBatch: true, isOptional: true),
        InputConfiguration(name: "shape", dataType: .int32, dims: [2], isShapeTensor: true),
      ],
      outputs: [
        OutputConfiguration(name: "b", dataType: .bfloat16, dims: [1], reshape: [], isShapeTensor: true, labelFilename: "labels.txt")
      ],
      optimization: OptimizationSettings(
        eagerBatching: true, inputPinnedMemory: false, outputPinnedMemory: true, cudaGraphs: true, busyWaitEvents: true,
        outputCopyStream: true, gatherKernelBufferThreshold: 7),
      dynamicBatching: DynamicBatching(
        preferredBatchSizes: [4, 8], maxQueueDelayMicroseconds: .max, priorityLevels: 2, defaultPriorityLevel: 1,
        defaultQueuePolicy: ModelQueuePolicy(allowTimeoutOverride: true),
        priorityQueuePolicies: [
          1: ModelQueuePolicy(timeoutAction: .delay, defaultTimeoutMicroseconds: 5), 2: ModelQueuePolicy(maxQueueSize: 4_294_967_295),
        ]),
      instanceGroups: [
        InstanceGroup(
          name: "g", kind: .auto, count: 2, gpus: [0, 1], profile: ["0", "1"], passive: true, hostPolicy: "numa0",
          rateLimiter: RateLimiter(resources: [.init(name: "R", isGlobal: true, count: 3)], priority: 2))
      ], defaultModelFilename: "m.onnx", parameters: ["k": "vé!!w"],
      warmupSamples: [
        WarmupSample(
          name: "w", batchSize: 4,
          inputs: [
            "a": .init(dataType: .int64, dims: [3, 4], data: .zero), "shape": .init(dataType: .int32, dims: [2], data: .file("x.bin")),
            "r": .init(dataType: .float32, dims: [2], data: .random),
          ], count: 2)
      ])
    #expect(parsed.configuration == expected)
  }

  @Test(
    arguments: [
      ("", nil), ("version_policy { }", nil), ("version_policy { latest { } }", VersionPolicy.latest(0)),
      ("version_policy { latest { num_versions: 2 } }", .latest(2)), ("version_policy { all { } }", .all),
    ] as [(String, VersionPolicy?)]) func versionPolicies(text: String, expected: VersionPolicy?) throws
  {
    #expect(try ModelConfiguration.parse(text, file: "c").configuration.versionPolicy == expected)
  }

  @Test func pinnedMemoryIsOnUnlessItsMessageSaysOtherwise() throws {
    func pinned(_ text: String) throws -> Bool {
      try ModelConfiguration.parse(text, file: "c").configuration.optimization.inputPinnedMemory
    }
    #expect(try pinned(""))
    #expect(try pinned("optimization { eager_batching: true }"))
    #expect(try pinned("optimization { input_pinned_memory { enable: true } }"))
    #expect(try !pinned("optimization { input_pinned_memory { } }"))
  }

  static let base = "name: \"m\" max_batch_size: 8 "

  @Test(arguments: [
    ("dynamic_batching { preferred_batch_size: 0 }", "dynamic batching preferred size must be positive for m"),
    ("dynamic_batching { preferred_batch_size: [ 8, -1 ] }", "dynamic batching preferred size must be positive for m"),
    ("dynamic_batching { preferred_batch_size: 9 }", "dynamic batching preferred size must be <= max batch size for m"),
    (
      "dynamic_batching { priority_levels: 2 }",
      "default priority level must be in range [1, 2] for m; set default_priority_level"
    ),
    (
      "dynamic_batching { priority_levels: 2 default_priority_level: 3 }", "default priority level must be in range [1, 2] for m"
    ),
    (
      "dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 } }",
      "priority queue policy must have priority level in range [1, 2] for m"
    ),
    (
      "dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 0 } }",
      "priority queue policy must have priority level in range [1, 2] for m"
    ),
    (
      "dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
      "Only one priority level is allowed when 'preserve_ordering' is true for m"
    ),
    (
      "dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 } }",
      "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m"
    ),
    (
      """
      dynamic_batching { preserve_ordering: true priority_levels: 1 default_priority_level: 1
        priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 1 } } }
      """, "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m"
    ),
    (
      "instance_group { name: \"g\" kind: KIND_CPU gpus: 0 }",
      "instance group g of model m has kind KIND_CPU but specifies one or more GPUs"
    ),
    (
      "instance_group { name: \"g\" kind: KIND_MODEL gpus: 0 }",
      "instance group g of model m has kind KIND_MODEL but specifies one or more GPUs"
    ),
  ]) func loadErrorsHaveTritonsWords(text: String, expected: String) throws {
    let configuration = try ModelConfiguration.parse(Self.base + text, file: "c").configuration
    let error = #expect(throws: ModelConfigurationError.self) { try configuration.validate() }
    #expect(error?.reason == expected)
    #expect(error?.description.hasPrefix("c:") == true)
  }

  @Test func aNegativeMaximumIsALoadError() {
    let error = #expect(throws: ModelConfigurationError.self) { try ModelConfiguration(name: "m", maxBatchSize: -1).validate() }
    #expect(error?.description == "'max_batch_size' must be non-negative value for m")
  }

  @Test(arguments: [
    "dynamic_batching { }", "dynamic_batching { preferred_batch_size: [ 1, 8 ] }",
    "dynamic_batching { default_priority_level: 7 priority_queue_policy { key: 9 } }",
    "dynamic_batching { priority_levels: 1 default_priority_level: 1 preserve_ordering: true }",
    "dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY } }",
    "dynamic_batching { preserve_ordering: true default_queue_policy { default_timeout_microseconds: 1 } }",
    "dynamic_batching { default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 } }",
    "instance_group { kind: KIND_GPU gpus: 0 }", "instance_group { kind: KIND_AUTO gpus: 0 }", "instance_group { kind: KIND_CPU }",
  ]) func bordersOfTheLoadErrorsPass(text: String) throws {
    let configuration = try ModelConfiguration.parse(Self.base + text, file: "c").configuration
    #expect(throws: Never.self) { try configuration.validate() }
  }

  @Test func normalizingFillsPreferredSizesOnlyWhereThereAreRows() {
    func preferred(_ maximum: Int, _ sizes: [Int]) -> [Int]? {
      let batching = DynamicBatching(preferredBatchSizes: sizes)
      return ModelConfiguration(name: "m", maxBatchSize: maximum, dynamicBatching: batching).normalized().dynamicBatching?
        .preferredBatchSizes
    }
    #expect(preferred(8, []) == [8])
    #expect(preferred(8, [2]) == [2])
    #expect(preferred(0, []) == [])
    #expect(ModelConfiguration(name: "m", maxBatchSize: 8).normalized().dynamicBatching == nil)
  }

  @Test(
    arguments: [
      (InstanceGroup?.none, "", [0, 1], InstanceGroup(name: "m", kind: .gpu, count: 1, gpus: [0, 1])),
      (nil, "", [], InstanceGroup(name: "m", kind: .cpu, count: 1)),
      (nil, "onnxruntime", [], InstanceGroup(name: "m", kind: .cpu, count: 2)),
      (InstanceGroup(count: 3), "", [0], InstanceGroup(name: "m_0", kind: .gpu, count: 3, gpus: [0])),
      (InstanceGroup(count: -3), "", [0], InstanceGroup(name: "m_0", kind: .gpu, count: 1, gpus: [0])),
      (InstanceGroup(gpus: [1]), "", [0, 1], InstanceGroup(name: "m_0", kind: .gpu, count: 1, gpus: [1])),
      (InstanceGroup(gpus: [0, 2]), "", [0, 1], InstanceGroup(name: "m_0", kind: .cpu, count: 1)),
      (InstanceGroup(name: "g", kind: .cpu), "onnxruntime", [0], InstanceGroup(name: "g", kind: .cpu, count: 2)),
      (InstanceGroup(kind: .cpu, count: 1), "onnxruntime", [], InstanceGroup(name: "m_0", kind: .cpu, count: 1)),
      (InstanceGroup(kind: .cpu), "pytorch", [], InstanceGroup(name: "m_0", kind: .cpu, count: 1)),
      (InstanceGroup(kind: .gpu), "onnxruntime", [0], InstanceGroup(name: "m_0", kind: .gpu, count: 1, gpus: [0])),
      (InstanceGroup(kind: .model), "", [0], InstanceGroup(name: "m_0", kind: .model, count: 1)),
    ] as [(InstanceGroup?, String, [Int], InstanceGroup)]) func instanceGroupsGetTheirDefaults(
      given: InstanceGroup?, backend: String, gpus: [Int], expected: InstanceGroup
    )
  {
    let configuration = ModelConfiguration(name: "m", backend: backend, instanceGroups: given.map { [$0] } ?? [])
    #expect(configuration.normalized(usableGPUs: gpus).instanceGroups == [expected])
  }

  @Test func normalizingTwiceChangesNothingMore() throws {
    for text in [servedModel, everyField, "name: \"m\"", "version_policy { latest { } } dynamic_batching { } max_batch_size: 4"] {
      let once = try ModelConfiguration.parse(text, file: "c").configuration.normalized(usableGPUs: [0, 1])
      #expect(once.normalized(usableGPUs: [0, 1]) == once)
      #expect(once.versionPolicy != nil && !once.instanceGroups.isEmpty)
    }
  }
}
