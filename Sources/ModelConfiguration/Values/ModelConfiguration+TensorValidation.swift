extension ModelConfiguration {
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (ValidateModelIOConfig, ValidateModelInput, ValidateModelOutput,
  /// ValidateIOShape, ValidateNonLinearFormatIO).
  func validateTensors(_ stage: Stage) throws(ModelConfigurationError) {
    let written = (source.message.messages("input"), source.message.messages("output"))
    for (index, input) in inputs.enumerated() {
      let tensor = DeclaredTensor(input, index, written.0.indices.contains(index) ? written.0[index] : nil)
      try validate(tensor, stage)
    }
    for (index, output) in outputs.enumerated() {
      let tensor = DeclaredTensor(output, index, written.1.indices.contains(index) ? written.1[index] : nil)
      try validate(tensor, stage)
    }
    try validateNames("input", inputs.map(\.name))
    try validateNames("output", outputs.map(\.name))
  }

  /// Two tensors of one name: a request could not say which it means. (Triton's backends refuse them by the model's count.)
  private func validateNames(_ kind: String, _ names: [String]) throws(ModelConfigurationError) {
    var seen: Set<String> = []
    for (index, tensor) in names.enumerated() where !seen.insert(tensor).inserted {
      throw refusal(
        "model \(kind) '\(excerpt(tensor))' is given twice for \(name); keep one of them", at: [.element(kind, index), .field("name")])
    }
  }

  private func validate(_ tensor: DeclaredTensor, _ stage: Stage) throws(ModelConfigurationError) {
    let prefix = "model \(tensor.kind) '\(excerpt(tensor.name))' "
    func error(_ reason: String, _ field: String) -> ModelConfigurationError {
      refusal("\(reason) for \(name)", at: [.element(tensor.kind, tensor.index), .field(field)])
    }
    if tensor.name.isEmpty { throw error("model \(tensor.kind) must specify 'name'", "name") }
    if stage == .complete {
      if tensor.dataType == .invalid { throw error(prefix + "must specify 'data_type'", "data_type") }
      if tensor.dims.isEmpty { throw error(prefix + "must specify 'dims'", "dims") }
    }
    // With completion a scalar of a model without rows is told by an empty reshape, which nobody wrote.
    if tensor.reshape?.isEmpty == true, maxBatchSize == 0, tensor.isReshapeWritten {
      throw error(prefix + "cannot have empty reshape for non-batching model as scalar tensors are not supported", "reshape")
    }
    if tensor.dims.contains(where: { $0 < 1 && $0 != -1 }) {
      throw error(prefix + "dimension must be integer >= 1, or -1 to indicate a variable-size dimension", "dims")
    }
    if Self.elementCount(tensor.dims) == nil {
      throw error("element count for tensor '\(excerpt(tensor.name)) dims' exceeds maximum size of \(Int64.max)", "dims")
    }
    if let reshape = tensor.reshape, let reason = Self.reshapeProblem(dims: tensor.dims, reshape: reshape, name: tensor.name) {
      if !(stage == .written && tensor.dims.isEmpty) { throw error(reason.isAboutCount ? reason.text : prefix + reason.text, "reshape") }
    }
    if tensor.hasImageFormat, tensor.dims.count != 3, !(stage == .written && tensor.dims.isEmpty) {
      throw error("model input NHWC/NCHW require 3 dims", "format")
    }
    if tensor.isShapeTensor, !isForTensorRT {
      throw error("shape tensors are only supported for TensorRT platform", "is_shape_tensor")
    }
    if tensor.isNonLinear {
      if !isForTensorRT { throw error("Non-linear IO format is only supported for the TensorRT platform", "is_non_linear_format_io") }
      if tensor.dims.count != 3 { throw error("Non-linear IO format \(tensor.kind) requires 3 dims", "dims") }
    }
  }

  /// Nil where 64 bits do not hold it; -1 with a variable dimension; 0 for no dimensions, as Triton counts.
  private static func elementCount(_ dims: [Int]) -> Int? {
    if dims.isEmpty { return 0 }
    var count = 1
    for size in dims where size > 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if overflow { return nil }
      count = product
    }
    return dims.contains(-1) ? -1 : count
  }

  private struct ReshapeProblem {
    var text: String
    var isAboutCount = false
  }

  private static func reshapeProblem(dims: [Int], reshape: [Int], name: String) -> ReshapeProblem? {
    if reshape.contains(where: { $0 < 1 && $0 != -1 }) {
      return ReshapeProblem(text: "reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension")
    }
    guard let wanted = elementCount(dims), let given = elementCount(reshape) else {
      return ReshapeProblem(
        text: "element count for tensor '\(excerpt(name)) reshape' exceeds maximum size of \(Int64.max)", isAboutCount: true)
    }
    // An empty reshape is one element.
    if wanted != given, given != 0 || wanted != 1 { return ReshapeProblem(text: "has different size for dims and reshape") }
    guard wanted == -1 else { return nil }
    // Between variable dimensions the fixed ones must multiply to the same: [2, 4, -1, 6] to [8, -1, 1, 6].
    func parts(_ sizes: [Int]) -> [Int] {
      sizes.split(separator: -1, omittingEmptySubsequences: false).map { $0.reduce(1) { $0 &* $1 } }
    }
    let (from, to) = (parts(dims), parts(reshape))
    if from.count != to.count {
      return ReshapeProblem(text: "has different number of variable-size dimensions for dims and reshape")
    }
    return from == to ? nil : ReshapeProblem(text: "has different size for dims and reshape")
  }
}

/// What inputs and outputs have in common, and what was written of them that has no effect.
private struct DeclaredTensor {
  var kind: String
  var index: Int
  var name: String
  var dataType: TensorDataType
  var dims: [Int]
  var reshape: [Int]?
  var isShapeTensor: Bool
  var isReshapeWritten: Bool
  var hasImageFormat: Bool
  var isNonLinear: Bool

  init(_ input: InputConfiguration, _ index: Int, _ written: CheckedMessage?) {
    (kind, self.index, name, dataType) = ("input", index, input.name, input.dataType)
    (dims, reshape, isShapeTensor) = (input.dims, input.reshape, input.isShapeTensor)
    isReshapeWritten = written?.has("reshape") ?? false
    hasImageFormat = ["FORMAT_NHWC", "FORMAT_NCHW"].contains(written?.string("format"))
    isNonLinear = written?.bool("is_non_linear_format_io") ?? false
  }

  init(_ output: OutputConfiguration, _ index: Int, _ written: CheckedMessage?) {
    (kind, self.index, name, dataType) = ("output", index, output.name, output.dataType)
    (dims, reshape, isShapeTensor) = (output.dims, output.reshape, output.isShapeTensor)
    isReshapeWritten = written?.has("reshape") ?? false
    hasImageFormat = false
    isNonLinear = written?.bool("is_non_linear_format_io") ?? false
  }
}

extension ModelConfiguration {
  /// Names are compared where tensors are given: what the model's file completes is not there before.
  /// Source: triton-inference-server/core `src/model_config_utils.cc` (ValidateBatchIO).
  func validateBatchInputsAndOutputs() throws(ModelConfigurationError) {
    let (inputNames, outputNames) = (Set(inputs.map(\.name)), Set(outputs.map(\.name)))
    for (field, kindWord) in [("batch_input", "batch input"), ("batch_output", "batch output")] {
      for (index, entry) in source.message.messages(field).enumerated() {
        let place: [ConfigurationSource.Step] = [.element(field, index)]
        func error(_ reason: String) -> ModelConfigurationError { refusal("\(reason) for \(name)", at: place) }
        let sources = entry.strings("source_input")
        if sources.count != 1 {
          let schema = field == "batch_input" ? EnumSchema.batchInputKind : .batchOutputKind
          let kind = entry.string("kind").isEmpty ? schema.names.first ?? "" : entry.string("kind")
          throw error("\(kindWord) kind '\(kind)' expects 1 source input, got \(sources.count)")
        }
        if field == "batch_input", !["TYPE_INT32", "TYPE_FP32"].contains(entry.string("data_type")) {
          throw error("batch input data type must be TYPE_INT32 or TYPE_FP32")
        }
        for source in sources where !inputNames.isEmpty && !inputNames.contains(source) {
          throw error("unknown source input name '\(excerpt(source))'")
        }
        guard field == "batch_output" else { continue }
        var targets: Set<String> = []
        for target in entry.strings("target_name") {
          if !outputNames.isEmpty, !outputNames.contains(target) { throw error("unknown target output name '\(excerpt(target))'") }
          if !targets.insert(target).inserted { throw error("target output name '\(excerpt(target))' can only be specified once") }
        }
      }
    }
  }
}
