import Vocabulary

extension ModelConfiguration {
  /// The most rows in a batch when neither the configuration nor the model says: Triton's `default-max-batch-size`.
  public static let defaultMaxBatchSize = 4

  /// Backends that complete a configuration themselves, by their names as backend and as platform. A configuration that names
  /// neither counts too. Source: triton-inference-server/server `docs/user_guide/model_configuration.md`.
  private static let completingBackends: Set = ["", "tensorrt", "tensorrt_plan", "onnxruntime", "onnxruntime_onnx"]

  /// The configuration with what it leaves open taken from the model: tensors, data types, shapes, the maximum batch size, and
  /// dynamic batching where batches of more than one row are possible and the backend completes configurations.
  ///
  /// As in Triton, a maximum batch size of 0 is the same as none, unless the shapes given include the row dimension.
  public func completed(from signature: ModelSignature) throws(ModelConfigurationError) -> ModelConfiguration {
    try validateMaxBatchSize()
    var result = self
    let hasRows = self.hasRows(signature)
    if maxBatchSize == 0, hasRows, !givesFullShapes(of: signature) {
      result.maxBatchSize = signature.maxRows ?? Self.defaultMaxBatchSize
    }
    if let maxRows = signature.maxRows, result.maxBatchSize > maxRows {
      throw refusal(
        "'max_batch_size' is \(maxBatchSize), but model '\(name)' runs at most \(maxRows) rows; lower it or build the model for more",
        at: [.field("max_batch_size")])
    }
    if result.maxBatchSize > 0, !hasRows {
      throw refusal(
        "'max_batch_size' is \(maxBatchSize), but " + missingBatchDimension(signature),
        at: [.field("max_batch_size")])
    }
    let batches = result.maxBatchSize > 0
    result.inputs = try complete(inputs, from: signature.inputs, kind: "input", batches: batches, adding: true)
    // Leaving outputs out is a choice; leaving inputs out is not.
    result.outputs = try complete(outputs, from: signature.outputs, kind: "output", batches: batches, adding: outputs.isEmpty)
    if dynamicBatching == nil, result.maxBatchSize > 1, Self.completingBackends.contains(backend.isEmpty ? platform : backend) {
      result.dynamicBatching = DynamicBatching()
    }
    return result
  }

  /// The first tensor of the model that holds no batch, and what to do about it.
  private func missingBatchDimension(_ signature: ModelSignature) -> String {
    for (kind, tensors) in [("input", signature.inputs), ("output", signature.outputs)] {
      guard let tensor = tensors.first(where: { $0.dims.first != -1 && !shapeTensors.contains($0.name) }) else { continue }
      let advice = "set max_batch_size to 0 and write the full shape in dims, or export the model with a dynamic batch dimension"
      guard let size = tensor.dims.first else { return "\(kind) '\(tensor.name)' of model '\(name)' has no batch dimension: \(advice)" }
      return "the first dimension of \(kind) '\(tensor.name)' of model '\(name)' is fixed at \(size) (\(tensor.dims)): \(advice)"
    }
    return "model '\(name)' has no tensor with a batch dimension; set it to 0"
  }

  private var shapeTensors: Set<String> { Set(inputs.filter(\.isShapeTensor).map(\.name) + outputs.filter(\.isShapeTensor).map(\.name)) }

  /// Whether the first dimension of every tensor is open, so that it can hold rows. Shape tensors have none, and only the
  /// configuration tells which those are.
  private func hasRows(_ signature: ModelSignature) -> Bool {
    let tensors = (signature.inputs + signature.outputs).filter { !shapeTensors.contains($0.name) }
    return !tensors.isEmpty && tensors.allSatisfy { $0.dims.first == -1 }
  }

  /// Whether a tensor is given with as many dimensions as the model's own, rows included.
  private func givesFullShapes(of signature: ModelSignature) -> Bool {
    func anyIsFull(_ given: [some CompletableTensor], _ tensors: [ModelSignature.Tensor]) -> Bool {
      given.contains { one in !one.isShapeTensor && tensors.contains { $0.name == one.name && $0.dims.count == one.modelDims.count } }
    }
    return anyIsFull(inputs, signature.inputs) || anyIsFull(outputs, signature.outputs)
  }

  private func complete<Configured: CompletableTensor>(
    _ given: [Configured], from tensors: [ModelSignature.Tensor], kind: String, batches: Bool, adding: Bool
  ) throws(ModelConfigurationError) -> [Configured] {
    var result = given
    for index in given.indices {
      guard let tensor = tensors.first(where: { $0.name == given[index].name }) else {
        let advice = NameSuggestion.advice(for: given[index].name, in: tensors.map(\.name))
        throw refusal(
          "model '\(name)' has no \(kind) '\(excerpt(given[index].name))'" + advice, at: [.element(kind, index), .field("name")])
      }
      try complete(&result[index], from: tensor, at: [.element(kind, index)], kind: kind, batches: batches)
    }
    guard adding else { return result }
    let names = Set(given.map(\.name))
    for tensor in tensors where !names.contains(tensor.name) {
      var added = Configured(name: tensor.name)
      try complete(&added, from: tensor, at: [], kind: kind, batches: batches)
      result.append(added)
    }
    return result
  }

  private func complete(
    _ given: inout some CompletableTensor, from tensor: ModelSignature.Tensor, at path: [ConfigurationSource.Step], kind: String,
    batches: Bool
  ) throws(ModelConfigurationError) {
    let dims = batches && !given.isShapeTensor ? Array(tensor.dims.dropFirst()) : tensor.dims
    if given.dataType == .invalid { given.dataType = tensor.dataType }
    if given.dataType != tensor.dataType {
      let reason =
        "\(kind) '\(given.name)' of model '\(name)' is \(tensor.dataType.rawValue), not \(given.dataType.rawValue); correct 'data_type'"
      throw refusal(reason, at: path + [.field("data_type")])
    }
    if dims.isEmpty {
      // A scalar, in each row or in all: Triton's configurations have no empty dims (onnxruntime_backend `src/onnxruntime.cc`,
      // AutoCompleteIO).
      if given.dims.isEmpty { given.dims = [1] }
      if given.dims.allSatisfy({ $0 == 1 }), given.reshape == nil { given.reshape = [] }
    }
    if given.dims.isEmpty && given.reshape == nil { given.dims = dims }
    let fits = given.modelDims.count == dims.count && zip(given.modelDims, dims).allSatisfy { $0 == $1 || $1 == -1 }
    if !fits {
      let reason = "\(kind) '\(given.name)' of model '\(name)' has the shape \(dims), not \(given.modelDims); correct 'dims' or 'reshape'"
      throw refusal(reason, at: path + [.field(given.reshape == nil ? "dims" : "reshape")])
    }
  }
}

/// What completion needs of inputs and outputs alike.
private protocol CompletableTensor {
  var name: String { get }
  var dataType: TensorDataType { get set }
  var dims: [Int] { get set }
  var reshape: [Int]? { get set }
  var isShapeTensor: Bool { get }
  init(name: String)
}

extension CompletableTensor {
  /// The shape as the model sees it.
  fileprivate var modelDims: [Int] { reshape ?? dims }
}

extension InputConfiguration: CompletableTensor {
  fileprivate init(name: String) { self.init(name: name, dataType: .invalid) }
}

extension OutputConfiguration: CompletableTensor {
  fileprivate init(name: String) { self.init(name: name, dataType: .invalid) }
}
