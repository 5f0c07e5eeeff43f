public import ModelConfiguration

/// Which of a model's tensors each configured input and output is, by name: a configuration may list them in an order of its own, and
/// outputs only in part.
public struct BatchLayout: Sendable {
  struct Tensor: Sendable {
    var name: String
    /// nil for strings, whose bytes the shape does not tell.
    var bytesPerElement: Int?
    /// Among the model's own.
    var place: Int
  }

  let inputs: [Tensor]
  let outputs: [Tensor]
  /// Whether dimension 0 of every tensor counts rows.
  let countsRows: Bool
  /// Inputs of the model.
  let inputCount: Int
  /// Outputs of the model.
  let outputCount: Int
  /// The model's inputs that the configuration does not name: never given.
  let unnamed: [Int]
  /// The configuration names the model's inputs in the model's order.
  let isInOrder: Bool

  /// Throws where a batch of the configured tensors is none that the model can run.
  public init(_ configuration: ModelConfiguration, _ model: any LoadedModel) throws(DeviceError) {
    let signature = model.signature
    countsRows = configuration.maxBatchSize > 0
    (inputCount, outputCount) = (signature.inputs.count, signature.outputs.count)
    inputs = try configuration.inputs.map { input throws(DeviceError) in
      try Self.find(input.name, input.dataType, in: signature.inputs, "input")
    }
    outputs = try configuration.outputs.map { output throws(DeviceError) in
      try Self.find(output.name, output.dataType, in: signature.outputs, "output")
    }
    let named = Set(inputs.map(\.place))
    guard named.count == inputs.count else { throw DeviceError(.unsupported, "two inputs of the configuration have the same name") }
    unnamed = signature.inputs.indices.filter { !named.contains($0) }
    for place in unnamed where !model.omissibleInputs.contains(place) {
      throw DeviceError(.unsupported, "the configuration lacks input '\(signature.inputs[place].name)', which the model needs")
    }
    isInOrder = inputs.map(\.place) == Array(inputs.indices)
    for (input, tensor) in zip(configuration.inputs, inputs) {
      // triton-inference-server/core src/model_config_utils.cc: they are a batch's, not a request's.
      if input.isShapeTensor { throw DeviceError(.unsupported, "shape tensors are only supported for TensorRT platform") }
      // triton-inference-server/backend src/backend_model.cc.
      if input.isOptional, !model.omissibleInputs.contains(tensor.place) {
        throw DeviceError(
          .unsupported, "'optional' is set to true for input '\(input.name)' while the backend model doesn't support optional input")
      }
    }
  }

  /// Where a configured input lies among the device's.
  public func place(ofInput input: Int) -> Int { inputs[input].place }

  /// A batch's shapes in the device's order, with what is left out: those named (ascending) and those the configuration does not name.
  public func inDeviceOrder(_ shapes: [[Int]], rows: Int, omitting omitted: [Int] = []) -> (shapes: [[Int]], omitted: [Int]) {
    if isInOrder, unnamed.isEmpty { return (shapes, omitted) }
    var ordered = [[Int]](repeating: countsRows ? [rows] : [], count: inputCount)
    for (tensor, shape) in zip(inputs, shapes) { ordered[tensor.place] = shape }
    return (ordered, (unnamed + omitted.map { inputs[$0].place }).sorted())
  }

  private static func find(
    _ name: String, _ type: TensorDataType, in tensors: [ModelSignature.Tensor], _ kind: String
  ) throws(DeviceError) -> Tensor {
    guard let place = tensors.firstIndex(where: { $0.name == name }) else {
      throw DeviceError(.unsupported, "the model has no \(kind) '\(name)'; it has \(tensors.map(\.name).joined(separator: ", "))")
    }
    guard tensors[place].dataType == type, type != .invalid else {
      throw DeviceError(
        .unsupported, "\(kind) '\(name)' is \(tensors[place].dataType.rawValue) in the model, not \(type.rawValue); correct 'data_type'")
    }
    return Tensor(name: name, bytesPerElement: type.byteSize, place: place)
  }
}
