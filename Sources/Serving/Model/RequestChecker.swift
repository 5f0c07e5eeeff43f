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

  /// What the request asks for, or why it cannot be had. Raw inputs get their name, type and shape.
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
        guard let index = outputIndex[output.name] else {
          throw KServeError(.invalidArgument, "unexpected inference output '\(output.name)' for model '\(model)'")
        }
        // core src/infer_request.cc, AddOriginalRequestedOutput.
        if outputs.contains(where: { $0.index == index }) {
          throw KServeError(.invalidArgument, "\(tag)output '\(output.name)' already exists in request")
        }
        outputs.append(CheckedRequest.Output(index: index, requested: requested))
      }
    }
    try checkCount(request, tag)
    let rows = try rowCount(request, tag)
    var inputs = [Int](repeating: -1, count: configuration.inputs.count)
    var shapes = [[Int]](repeating: [], count: configuration.inputs.count)
    var key: UInt64 = 0xCBF2_9CE4_8422_2325
    for (given, input) in request.inputs.enumerated() {
      guard let index = inputIndex[input.name] else { throw unexpected(input.name) }
      let declared = configuration.inputs[index]
      guard input.dataType == declared.dataType else {
        throw KServeError(
          .invalidArgument,
          "\(tag)inference input '\(input.name)' data-type is '\((input.dataType ?? .invalid).kserveName)', but model '\(model)' expects "
            + "'\(declared.dataType.kserveName)'")
      }
      let dims = takesRows ? input.shape.dropFirst() : input.shape[...]
      guard dims.count == declared.dims.count, zip(declared.dims, dims).allSatisfy({ $0 < 0 || $0 == $1 }) else {
        throw wrongShape(input, declared, tag)
      }
      try checkBytes(input, declared, dims, rows, tag)
      inputs[index] = given
      let inner = declared.reshape ?? Array(dims)
      shapes[index] = takesRows ? [rows] + inner : inner
      // FNV-1a over which inputs there are and their inner shapes: equal shapes, equal keys.
      for value in [index] + Array(dims) { key = (key ^ UInt64(bitPattern: Int64(value))) &* 0x100_0000_01B3 }
    }
    return CheckedRequest(rows: takesRows ? rows : 0, inputs: inputs, shapes: shapes, outputs: outputs, shapeKey: key, logTag: tag)
  }

  private func unexpected(_ name: String) -> KServeError {
    KServeError(.invalidArgument, "unexpected inference input '\(name)' for model '\(model)'")
  }

  private func checkCount(_ request: InferenceRequest, _ tag: String) throws(KServeError) {
    let (given, declared) = (request.inputs.count, configuration.inputs.count)
    guard given > declared || given < requiredInputs else { return }
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
    // The reference server keeps the batch size in 32 bits.
    if Int(Int32(truncatingIfNeeded: rows ?? 1)) > configuration.maxBatchSize {
      throw KServeError(.invalidArgument, "\(tag)inference request batch-size must be <= \(configuration.maxBatchSize) for '\(model)'")
    }
    return rows ?? 1
  }

  private func wrongShape(_ input: InferenceRequest.Input, _ declared: InputConfiguration, _ tag: String) -> KServeError {
    func list(_ sizes: [Int]) -> String { "[" + sizes.map(String.init).joined(separator: ",") + "]" }
    let note =
      takesRows
      ? "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each input shape. If you "
        + "want to specify the full shape including the batch dim in your input dims config, try setting max_batch_size to zero. See the "
        + "model configuration docs for more info on max_batch_size." : ""
    return KServeError(
      .invalidArgument,
      "\(tag)unexpected shape for input '\(input.name)' for model '\(model)'. Expected \(list((takesRows ? [-1] : []) + declared.dims)), got "
        + "\(list(input.shape)). \(note)")
  }

  private func checkBytes(
    _ input: InferenceRequest.Input, _ declared: InputConfiguration, _ dims: ArraySlice<Int>, _ rows: Int, _ tag: String
  ) throws(KServeError) {
    func mismatch(_ expected: Int, _ got: Int) -> KServeError {
      KServeError(
        .invalidArgument,
        "\(tag)input byte size mismatch for input '\(input.name)' for model '\(model)'. Expected \(expected), got \(got)")
    }
    let got = input.data.byteCount
    var elements = 1
    var overflows = false
    for size in dims {
      let (product, overflow) = elements.multipliedReportingOverflow(by: size)
      overflows = overflows || overflow
      elements = product
    }
    let size = declared.dataType.bytesPerElement
    let (row, tooBig) = elements.multipliedReportingOverflow(by: size ?? 1)
    let (expected, tooMany) = row.multipliedReportingOverflow(by: rows)
    // No such tensor can be sent: what one row would take is what the reference server names then.
    if overflows || tooBig || tooMany { throw mismatch(row, got) }
    guard size != nil else {
      guard let count = input.data.stringCount else {
        throw KServeError(
          .invalidArgument,
          "\(tag)incomplete string data for inference input '\(input.name)', expecting string of a length that exceeds the bytes available")
      }
      if count != expected {
        throw KServeError(
          .invalidArgument,
          count > expected
            ? "\(tag)unexpected number of string elements \(count) for inference input '\(input.name)', expecting \(expected)"
            : "\(tag)expected \(expected) strings for inference input '\(input.name)', got \(count)")
      }
      return
    }
    if got != expected { throw mismatch(expected, got) }
    if rows <= 0, takesRows {
      throw KServeError(.invalidArgument, "\(tag)inference request batch-size must be at least 1 for '\(model)'")
    }
  }

  /// HTTP's raw binary request names no input: it is the model's only one, a batch of one.
  private func completeRaw(_ request: inout InferenceRequest, _ tag: String) throws(KServeError) {
    guard configuration.inputs.count == 1, request.inputs.count == 1, let declared = configuration.inputs.first else {
      throw KServeError(
        .invalidArgument,
        "\(tag)Raw request must only have 1 input (found \(configuration.inputs.count)) to be deduced but got \(configuration.inputs.count) "
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
