import ModelConfiguration
import Testing

@Suite struct CompletionTests {
  static let signature = ModelSignature(
    inputs: [.init(name: "x", dataType: .float32, dims: [-1, 512]), .init(name: "mask", dataType: .bool, dims: [-1, -1])],
    outputs: [.init(name: "y", dataType: .float32, dims: [-1, 16]), .init(name: "z", dataType: .float32, dims: [-1])])

  static func reason(_ configuration: ModelConfiguration, _ signature: ModelSignature) -> String {
    do {
      _ = try configuration.completed(from: signature)
      return "accepted"
    } catch { return error.description }
  }

  @Test func anEmptyConfigurationIsFilled() throws {
    let completed = try ModelConfiguration(name: "m", backend: "onnxruntime").completed(from: Self.signature)
    #expect(
      completed
        == ModelConfiguration(
          name: "m", backend: "onnxruntime", maxBatchSize: 4,
          inputs: [
            InputConfiguration(name: "x", dataType: .float32, dims: [512]), InputConfiguration(name: "mask", dataType: .bool, dims: [-1]),
          ],
          outputs: [
            OutputConfiguration(name: "y", dataType: .float32, dims: [16]),
            OutputConfiguration(name: "z", dataType: .float32, dims: [1], reshape: []),
          ], dynamicBatching: DynamicBatching()))
    #expect(try completed.completed(from: Self.signature) == completed)
  }

  @Test func theModelsMaximumIsTaken() throws {
    var signature = Self.signature
    signature.maxRows = 32
    #expect(try ModelConfiguration(name: "m").completed(from: signature).maxBatchSize == 32)
    #expect(try ModelConfiguration(name: "m", maxBatchSize: 8).completed(from: signature).maxBatchSize == 8)
    #expect(
      Self.reason(ModelConfiguration(name: "m", maxBatchSize: 33), signature)
        == "'max_batch_size' is 33, but model 'm' runs at most 32 rows; lower it or build the model for more")
    signature.maxRows = 1
    #expect(try ModelConfiguration(name: "m").completed(from: signature).dynamicBatching == nil)
  }

  @Test(arguments: [
    ("tensorrt", "", true), ("onnxruntime", "", true), ("", "", true), ("", "tensorrt_plan", true), ("python", "", false),
    ("pytorch", "", false),
  ]) func dynamicBatchingIsSwitchedOnWhereTheBackendDoesSo(backend: String, platform: String, expected: Bool) throws {
    let configuration = ModelConfiguration(name: "m", platform: platform, backend: backend)
    #expect(try (configuration.completed(from: Self.signature).dynamicBatching != nil) == expected)
  }

  @Test func whatIsGivenStays() throws {
    let batching = DynamicBatching(preferredBatchSizes: [2])
    let given = ModelConfiguration(
      name: "m", maxBatchSize: 2, inputs: [InputConfiguration(name: "mask", allowRaggedBatch: true)],
      outputs: [OutputConfiguration(name: "y", dims: [4, 4], reshape: [16])], dynamicBatching: batching)
    let completed = try given.completed(from: Self.signature)
    #expect(completed.dynamicBatching == batching && completed.maxBatchSize == 2)
    #expect(completed.inputs.map(\.name) == ["mask", "x"])
    #expect(completed.inputs.first == InputConfiguration(name: "mask", dataType: .bool, dims: [-1], allowRaggedBatch: true))
    #expect(completed.outputs == [OutputConfiguration(name: "y", dataType: .float32, dims: [4, 4], reshape: [16])])
  }

  @Test func withoutARowDimensionThereIsNoBatching() throws {
    let fixed = ModelSignature(
      inputs: [.init(name: "x", dataType: .float32, dims: [1, 512])], outputs: [.init(name: "y", dataType: .float32, dims: [-1, 16])])
    let completed = try ModelConfiguration(name: "m").completed(from: fixed)
    #expect(completed.maxBatchSize == 0 && completed.dynamicBatching == nil)
    #expect(completed.inputs.first?.dims == [1, 512])
    #expect(
      Self.reason(ModelConfiguration(name: "m", maxBatchSize: 4), fixed).contains(
        "'max_batch_size' is 4, but the first dimension of input 'x' of model 'm' is fixed at 1 ([1, 512]): set max_batch_size to 0"))
    let scalar = ModelSignature(inputs: [.init(name: "s", dataType: .float32, dims: [])], outputs: fixed.outputs)
    #expect(
      Self.reason(ModelConfiguration(name: "m", maxBatchSize: 4), scalar).contains("input 's' of model 'm' has no batch dimension"))
    let full = ModelConfiguration(name: "m", inputs: [InputConfiguration(name: "x", dims: [-1, 512])])
    #expect(try full.completed(from: Self.signature).maxBatchSize == 0)
  }

  @Test func shapeTensorsHaveNoRows() throws {
    var signature = Self.signature
    signature.inputs.append(.init(name: "sizes", dataType: .int32, dims: [2]))
    for dims in [[], [2]] {
      let given = ModelConfiguration(name: "m", inputs: [InputConfiguration(name: "sizes", dims: dims, isShapeTensor: true)])
      let completed = try given.completed(from: signature)
      #expect(completed.maxBatchSize == 4)
      #expect(completed.inputs.first == InputConfiguration(name: "sizes", dataType: .int32, dims: [2], isShapeTensor: true))
    }
  }

  @Test(arguments: [
    (ModelConfiguration(name: "m", inputs: [InputConfiguration(name: "musk")]), "model 'm' has no input 'musk'; did you mean 'mask'?"),
    (
      ModelConfiguration(name: "m", outputs: [OutputConfiguration(name: "something")]),
      "model 'm' has no output 'something'; known are y, z"
    ),
    (
      ModelConfiguration(name: "m", inputs: [InputConfiguration(name: "x", dataType: .float16)]),
      "input 'x' of model 'm' is TYPE_FP32, not TYPE_FP16; correct 'data_type'"
    ),
    (
      ModelConfiguration(name: "m", maxBatchSize: 4, inputs: [InputConfiguration(name: "x", dims: [511])]),
      "input 'x' of model 'm' has the shape [512], not [511]; correct 'dims' or 'reshape'"
    ),
    (
      ModelConfiguration(name: "m", maxBatchSize: 4, inputs: [InputConfiguration(name: "x", dims: [-1])]),
      "input 'x' of model 'm' has the shape [512], not [-1]; correct 'dims' or 'reshape'"
    ),
    (
      ModelConfiguration(name: "m", maxBatchSize: 4, outputs: [OutputConfiguration(name: "y", dims: [16], reshape: [4, 4])]),
      "output 'y' of model 'm' has the shape [16], not [4, 4]; correct 'dims' or 'reshape'"
    ), (ModelConfiguration(name: "m", maxBatchSize: -1), "'max_batch_size' must be non-negative value for m"),
  ]) func contradictionsAreTold(configuration: ModelConfiguration, expected: String) {
    #expect(Self.reason(configuration, Self.signature) == expected)
  }
}
