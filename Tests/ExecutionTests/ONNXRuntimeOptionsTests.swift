import Execution
import Testing

/// What Triton's onnxruntime_backend takes from a configuration.
@Suite struct ONNXRuntimeOptionsTests {
  @Test func whatIsLeftOutStaysAsTheProgramSetsIt() throws {
    #expect(try ONNXRuntimeOptions(parameters: [:]) == ONNXRuntimeOptions())
    // 0 means the default there and here.
    #expect(try ONNXRuntimeOptions(parameters: ["intra_op_thread_count": "0"], graphLevel: 0) == ONNXRuntimeOptions())
    #expect(try ONNXRuntimeOptions(parameters: ["somebody_elses": "x"]) == ONNXRuntimeOptions())
  }

  @Test func everyParameterActs() throws {
    let options = try ONNXRuntimeOptions(
      parameters: [
        "intra_op_thread_count": "3", "inter_op_thread_count": "2", "execution_mode": "1", "enable_mem_arena": "1",
        "enable_mem_pattern": "false", "memory.enable_memory_arena_shrinkage": "cpu:0",
        "session.use_device_allocator_for_initializers": "1", "session.set_denormal_as_zero": "0",
      ], graphLevel: 1)
    #expect(options.intraThreads == 3 && options.interThreads == 2 && options.isParallel)
    #expect(options.usesArena == true && options.usesMemoryPattern == false && options.shrinksArena == "cpu:0")
    #expect(options.optimization == .extended)
    #expect(options.entries.map(\.key) == ["session.set_denormal_as_zero", "session.use_device_allocator_for_initializers"])
  }

  @Test(arguments: [(-1, .basic), (0, .all), (1, .extended), (2, .none)] as [(Int, ONNXRuntimeOptions.Optimization)])
  func graphLevelsMeanWhatTheyMeanThere(_ level: Int, _ expected: ONNXRuntimeOptions.Optimization) throws {
    #expect(try ONNXRuntimeOptions(parameters: [:], graphLevel: level).optimization == expected)
  }

  @Test(
    arguments: [
      ["intra_op_thread_count": "-1"], ["intra_op_thread_count": "two"], ["inter_op_thread_count": "99999999999999999999"],
      ["inter_op_thread_count": ""], ["execution_mode": "2"], ["execution_mode": "parallel"], ["enable_mem_arena": "yes"],
      ["enable_mem_pattern": ""], ["memory.enable_memory_arena_shrinkage": "gpu:0"],
      ["memory.enable_memory_arena_shrinkage": "cpu:0", "enable_mem_arena": "0"], ["session.intra_op.allow_spinning": "maybe"],
      ["session.model_external_initializers_file_folder_path": "/etc"], ["session.intra_op_thread_affinities": "1\u{0}2"],
    ] as [[String: String]])
  func aValueThatCannotActIsAnErrorThatNamesItsPlace(_ parameters: [String: String]) throws {
    let error = #expect(throws: DeviceError.self) { try ONNXRuntimeOptions(parameters: parameters) }
    #expect(parameters.keys.contains { error?.description.contains("parameters[\"\($0)\"]") == true }, "\(String(describing: error))")
  }

  @Test func aLevelThatIsNoneIsAnError() {
    let error = #expect(throws: DeviceError.self) { try ONNXRuntimeOptions(parameters: [:], graphLevel: 3) }
    #expect(error?.description.contains("optimization.graph.level is 3") == true)
  }
}

/// The same, in ONNX Runtime.
@Suite(.enabled(if: ONNXRuntimeFixture.isHere, "ONNX Runtime is absent: Scripts/fetch-onnxruntime"))
struct ONNXRuntimeOptionsActTests {
  private static func run(_ parameters: [String: String], _ level: Int? = nil) throws -> [Float] {
    let options = LoadOptions(
      maximumBatchRows: 0, onnxRuntime: try ONNXRuntimeOptions(parameters: parameters, graphLevel: level))
    let device = ONNXRuntimeDevice(try #require(ONNXRuntimeFixture.library), threads: 2)
    let model = try device.load(.onnxFile(ONNXRuntimeFixture.path("conv")), options)
    let bytes = ONNXRuntimeFixture.bytes((0..<16).map { Float($0) })
    return ONNXRuntimeFixture.values(
      try ONNXRuntimeFixture.run(try model.makeInstance(), [([1, 1, 4, 4], bytes)])[0].bytes, as: Float.self)
  }

  @Test(
    arguments: [
      ["intra_op_thread_count": "1"], ["execution_mode": "1", "inter_op_thread_count": "2"], ["enable_mem_arena": "0"],
      ["enable_mem_pattern": "0"], ["memory.enable_memory_arena_shrinkage": "cpu:0"], ["session.disable_prepacking": "1"],
    ] as [[String: String]])
  func modelsRunAsConfigured(_ parameters: [String: String]) throws {
    let expected = try Self.run([:])
    for level in [nil, -1, 1, 2] as [Int?] { #expect(try Self.run(parameters, level) == expected) }
  }

  @Test func anArenaToShrinkThatIsNotThereFailsInTheEngineToo() throws {
    // The rule that the options check is ONNX Runtime's own: it says so at the run.
    var options = ONNXRuntimeOptions()
    (options.usesArena, options.shrinksArena) = (false, "cpu:0")
    let device = ONNXRuntimeDevice(try #require(ONNXRuntimeFixture.library), threads: 1)
    let model = try device.load(.onnxFile(ONNXRuntimeFixture.path("conv")), LoadOptions(maximumBatchRows: 0, onnxRuntime: options))
    let bytes = [UInt8](repeating: 0, count: 64)
    #expect(throws: DeviceError.self) { try ONNXRuntimeFixture.run(try model.makeInstance(), [([1, 1, 4, 4], bytes)]) }
  }
}
