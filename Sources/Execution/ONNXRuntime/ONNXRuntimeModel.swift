import ModelConfiguration

/// An ONNX file loaded by ONNX Runtime.
final class ONNXRuntimeModel: LoadedModel {
  /// Dimensions without the row dimension where the model has one.
  let signature: ModelSignature
  let hasRowDimension: Bool
  let session: ONNXRuntimeSession
  let maximumBatchRows: Int

  init(_ session: ONNXRuntimeSession, maximumBatchRows: Int) throws(DeviceError) {
    self.session = session
    self.maximumBatchRows = max(maximumBatchRows, 0)
    hasRowDimension = maximumBatchRows > 0
    var signature = session.signature
    if hasRowDimension {
      signature.inputs = try Self.withoutRows(signature.inputs, "input", session.path)
      signature.outputs = try Self.withoutRows(signature.outputs, "output", session.path)
    }
    self.signature = signature
  }

  /// The file's size. ONNX Runtime does not say what its weights take; they are nearly all of a file that keeps them inside.
  var weightBytes: Int { session.fileBytes }

  var omissibleInputs: Set<Int> { Set(signature.inputs.indices.filter { signature.inputs[$0].isOptional }) }

  func steps(rows: Int) -> [DeviceStep] { [DeviceStep("onnxruntime (\(session.name))")] }

  func makeInstance() throws(DeviceError) -> any ModelInstance { ONNXRuntimeInstance(self) }

  private static func withoutRows(_ tensors: [ModelSignature.Tensor], _ word: String, _ path: String) throws(DeviceError)
    -> [ModelSignature.Tensor]
  {
    var stripped: [ModelSignature.Tensor] = []
    for tensor in tensors {
      // A default holds no rows.
      guard tensor.dims.first == -1 || tensor.isOptional else {
        let shape = "[\(tensor.dims.map(String.init).joined(separator: ","))]"
        throw DeviceError(
          .unsupported,
          "\(path): \(word) '\(tensor.name)' has shape \(shape), whose first dimension is not variable, so it cannot count a batch's rows; "
            + "set max_batch_size to 0, or export the model with a dynamic first dimension")
      }
      var tensor = tensor
      if !tensor.isOptional { tensor.dims.removeFirst() }
      stripped.append(tensor)
    }
    return stripped
  }
}
