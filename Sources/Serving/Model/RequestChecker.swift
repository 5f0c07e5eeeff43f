import CheckedNumbers
import KServe
import ModelConfiguration

/// Checks requests against a model and completes them.
///
/// Order of checks and texts: triton-inference-server/core `src/infer_request.cc` (Normalize) and `src/model.cc` (GetInput, GetOutput).
struct RequestChecker: Sendable {
  let configuration: ModelConfiguration
  private let inputIndex: [String: Int]
  private let outputIndex: [String: Int]
  private let requiredInputs: Int

  init(_ configuration: ModelConfiguration) {
    self.configuration = configuration
    inputIndex = Dictionary(configuration.inputs.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    outputIndex = Dictionary(configuration.outputs.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    requiredInputs = configuration.inputs.count { !$0.isOptional }
  }

  private var model: String { configuration.name }
  private var takesRows: Bool { configuration.maxBatchSize > 0 }

  /// What the request asks for, or why it cannot be served. Raw inputs get their name, type and shape.
  func check(_ request: inout InferenceRequest) throws(KServeError) -> CheckedRequest {
    let tag = "[request id: \(request.id.isEmpty ? "<id_unknown>" : request.id)] "
    if request.inputs.contains(where: { $0.isRaw }) { try completeRaw(&request, tag) }
    // Few are compared, many are looked up: a request may name as many as fit into a body.
    var names = Set<String>()
    for (index, input) in request.inputs.enumerated() where index > 0 || request.inputs.count > 16 {
      if request.inputs.count > 16
        ? !names.insert(input.name).inserted : request.inputs[..<index].contains(where: { $0.name == input.name })
      {
        throw KServeError(.invalidArgument, "\(tag)input '\(input.name)' already exists in request")
      }
    }
    var outputs: [CheckedRequest.Output] = []
    if request.outputs.isEmpty {
      outputs = configuration.outputs.indices.map { CheckedRequest.Output(index: $0, requested: -1) }
    } else {
      for (requested, output) in request.outputs.enumerated() {
        if request.outputs[..<requested].contains(where: { $0.name == output.name }) {
          throw KServeError(.invalidArgument, "\(tag)output '\(output.name)' already exists in request")
        }
        guard let index = outputIndex[output.name] else {
          throw KServeError(.invalidArgument, "unexpected inference output '\(output.name)' for model '\(model)'")
        }
        outputs.append(CheckedRequest.Output(index: index, requested: requested))
      }
    }
    try checkCount(request, tag)
    let rows = try rowCount(request, tag)
    var inputs = [Int](repeating: -1, count: configuration.inputs.count)
    var shapes = [[Int]](repeating: takesRows ? [rows] : [], count: configuration.inputs.count)
    // The last first, as the reference server's map of a request's inputs gives them: of several that are wrong, it names that one.
    for given in request.inputs.indices.reversed() {
      let input = request.inputs[given]
      guard let index = inputIndex[input.name] else { throw unexpected(input.name) }
      let declared = configuration.inputs[index]
      guard input.dataType == declared.dataType else {
        throw KServeError(
          .invalidArgument,
          "\(tag)inference input '\(input.name)' data-type is '\((input.dataType ?? .invalid).kserveName)', but model '\(model)' expects "
            + "'\(declared.dataType.kserveName)'")
      }
      let dims = takesRows ? input.shape.dropFirst() : input.shape[...]
      try checkShape(input, declared, dims, tag)
      try checkBytes(input, declared, tag)
      inputs[index] = given
      guard let reshape = declared.reshape else {
        shapes[index] = input.shape
        continue
      }
      guard let inner = TensorReshape.apply(dims, from: declared.dims, to: reshape) else {
        throw KServeError(
          .invalidArgument,
          "\(tag)input '\(input.name)' for model '\(model)' has shape \(Self.list(input.shape)), which cannot be reshaped to \(Self.list(reshape))"
        )
      }
      shapes[index] = takesRows ? [rows] + inner : inner
    }
    // Where nothing was given to count rows by, there is one.
    if takesRows, rows < 1 {
      throw KServeError(.invalidArgument, "\(tag)inference request batch-size must be at least 1 for '\(model)'")
    }
    return CheckedRequest(rows: takesRows ? rows : 0, inputs: inputs, shapes: shapes, outputs: outputs, logTag: tag)
  }

  private static func list(_ sizes: [Int]) -> String { "[" + sizes.map(String.init).joined(separator: ",") + "]" }

  private func unexpected(_ name: String) -> KServeError {
    KServeError(.invalidArgument, "unexpected inference input '\(name)' for model '\(model)'")
  }

  private func checkCount(_ request: InferenceRequest, _ tag: String) throws(KServeError) {
    let (given, declared) = (request.inputs.count, configuration.inputs.count)
    let isComplete =
      requiredInputs == declared
      || configuration.inputs.allSatisfy { input in
        input.isOptional || request.inputs.contains { $0.name == input.name }
      }
    guard given > declared || given < requiredInputs || !isComplete else { return }
    func list(_ names: [String]) -> String { "[" + names.map { "'\($0)'" }.joined(separator: ",") + "]" }
    let names = request.inputs.map(\.name)
    let missing = configuration.inputs.filter { !$0.isOptional && !names.contains($0.name) }.map(\.name)
    let expected =
      requiredInputs == declared ? "expected \(declared) inputs" : "expected number of inputs between \(requiredInputs) and \(declared)"
    throw KServeError(
      .invalidArgument,
      "\(tag)\(expected) but got \(given) inputs for model '\(model)'. Got input(s) \(list(names)), but missing required input(s) "
        + "\(list(missing)). Please provide all required input(s).")
  }

  private func rowCount(_ request: InferenceRequest, _ tag: String) throws(KServeError) -> Int {
    guard takesRows else { return 1 }
    var rows: Int?
    for input in request.inputs {
      guard inputIndex[input.name] != nil else { throw unexpected(input.name) }
      guard let first = input.shape.first else {
        throw KServeError(
          .invalidArgument, "\(tag)input '\(input.name)' has no shape but model requires batch dimension for '\(model)'")
      }
      if let rows, rows != first {
        throw KServeError(.invalidArgument, "\(tag)input '\(input.name)' batch size does not match other inputs for '\(model)'")
      }
      rows = first
    }
    if let rows, rows > configuration.maxBatchSize {
      throw KServeError(.invalidArgument, "\(tag)inference request batch-size must be <= \(configuration.maxBatchSize) for '\(model)'")
    }
    return rows ?? 1
  }

  private func checkShape(
    _ input: InferenceRequest.Input, _ declared: InputConfiguration, _ dims: ArraySlice<Int>, _ tag: String
  ) throws(KServeError) {
    if dims.contains(-1) {
      throw KServeError(
        .invalidArgument,
        "\(tag)All input dimensions should be specified for input '\(input.name)' for model '\(model)', got \(Self.list(input.shape))")
    }
    if dims.count == declared.dims.count, zip(declared.dims, dims).allSatisfy({ $0 < 0 || $0 == $1 }) { return }
    let note =
      takesRows
      ? "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each input shape. If you "
        + "want to specify the full shape including the batch dim in your input dims config, try setting max_batch_size to zero. See the "
        + "model configuration docs for more info on max_batch_size." : ""
    throw KServeError(
      .invalidArgument,
      "\(tag)unexpected shape for input '\(input.name)' for model '\(model)'. Expected \(Self.list((takesRows ? [-1] : []) + declared.dims)), got "
        + "\(Self.list(input.shape)). \(note)")
  }

  /// The request's bytes against its own shape. Texts: core `src/infer_request.cc` and `src/model_config_utils.h` (GetByteSize).
  private func checkBytes(_ input: InferenceRequest.Input, _ declared: InputConfiguration, _ tag: String) throws(KServeError) {
    if input.shape.contains(where: { $0 < 0 }) {
      throw KServeError(.invalidArgument, "\(tag)tensor '\(input.name)' contains an invalid dimension in shape \(Self.list(input.shape))")
    }
    let size = declared.dataType.bytesPerElement
    let count = TensorReshape.elements(input.shape[...])
    let (expected, overflow) = (count ?? 0).multipliedReportingOverflow(by: size ?? 1)
    if count == nil || overflow {
      throw KServeError(
        .invalidArgument,
        "\(tag)\(size == nil ? "element count" : "byte size") for tensor '\(input.name)' exceeds maximum size of \(Int.max)")
    }
    guard size != nil else {
      guard let count = input.data.stringCount else {
        throw KServeError(
          .invalidArgument,
          "\(tag)incomplete string data for inference input '\(input.name)' for model '\(model)', expecting string of a length that exceeds the "
            + "bytes available")
      }
      if count != expected {
        throw KServeError(
          .invalidArgument,
          count > expected
            // It stops at the first that is too many.
            ? "\(tag)unexpected number of string elements \(expected + 1) for inference input '\(input.name)' for model '\(model)', expecting "
              + "\(expected)"
            : "\(tag)expected \(expected) string elements for inference input '\(input.name)' for model '\(model)', got \(count)")
      }
      return
    }
    let got = input.data.byteCount
    if got != expected {
      throw KServeError(
        .invalidArgument,
        "\(tag)input byte size mismatch for input '\(input.name)' for model '\(model)'. Expected \(expected), got \(got)")
    }
  }

  /// HTTP's raw binary request names no input: it is the model's only one, a batch of one.
  private func completeRaw(_ request: inout InferenceRequest, _ tag: String) throws(KServeError) {
    guard configuration.inputs.count == 1, request.inputs.count == 1, let declared = configuration.inputs.first else {
      throw KServeError(
        .invalidArgument,
        "\(tag)Raw request must only have 1 input (found \(request.inputs.count)) to be deduced but got \(configuration.inputs.count) "
          + "inputs in '\(model)' model configuration")
    }
    var shape = takesRows ? [1] : []
    var fixed = 1
    var variable: Int?
    for size in declared.dims {
      if size < 0 {
        if variable != nil {
          throw KServeError(
            .invalidArgument,
            "\(tag)The shape of the raw input '\(declared.name)' can not be deduced because there are more than one variable-sized dimension"
          )
        }
        variable = shape.count
      } else {
        fixed = fixed &* size
      }
      shape.append(size)
    }
    var data = request.inputs[0].data
    if let size = declared.dataType.bytesPerElement {
      if let variable { shape[variable] = fixed > 0 ? data.byteCount / fixed / size : 0 }
      let expected = shape.reduce(size) { $0 &* $1 }
      if data.byteCount != expected {
        throw KServeError(
          .invalidArgument,
          "\(tag)input byte size mismatch for input 'raw_input' for model '\(model)'. Expected \(expected), got \(data.byteCount)")
      }
    } else {
      guard variable == nil, fixed == 1 else {
        throw KServeError(.invalidArgument, "\(tag)For BYTE datatype raw input '\(declared.name)', the model must have input shape [1]")
      }
      data = data.prefixedWithLength
    }
    request.inputs[0] = InferenceRequest.Input(name: declared.name, dataType: declared.dataType, shape: shape, data: data)
  }
}
