import Execution
import KServe
import ModelConfiguration
import NIOCore

extension InstanceWorker {
  /// Each request's rows of each output it asked for: one copy from the slot into the answer.
  func scatter(
    _ requests: [PendingInference], from instance: CheckedInstance, _ problems: [Int: KServeError],
    _ phases: BatchPhases
  ) throws(DeviceError) -> [Result<InferenceResponse, KServeError>] {
    var responses: [Result<InferenceResponse, KServeError>] = []
    responses.reserveCapacity(requests.count)
    var firstRow = 0
    for (place, request) in requests.enumerated() {
      let count = max(1, request.checked.rows)
      defer { firstRow += count }
      if let problem = problems[place] {
        responses.append(.failure(problem))
        continue
      }
      var outputs: [InferenceResponse.Output] = []
      outputs.reserveCapacity(request.checked.outputs.count)
      var failure: KServeError?
      for wanted in request.checked.outputs {
        let declared = model.configuration.outputs[wanted.index]
        let bytes = try instance.outputBytes(wanted.index, rows: firstRow..<firstRow + count)
        let shape = try answerShape(instance.outputShape(wanted.index), declared, rows: count)
        let asked = wanted.requested >= 0 ? request.request.outputs[wanted.requested] : InferenceRequest.Output(name: declared.name)
        do throws(KServeError) {
          outputs.append(try output(asked, declared, shape, bytes, count))
        } catch {
          failure = error
        }
      }
      if let failure {
        responses.append(.failure(failure))
        continue
      }
      var response = InferenceResponse(
        modelName: model.name, modelVersion: model.versionText, id: request.request.id, outputs: outputs, isSimulated: model.isSimulated)
      response.execution = phases.execution(request.passage)
      responses.append(.success(response))
    }
    return responses
  }

  /// An output's shape as the client sees it: with its own rows, and in the configuration's form where that differs from the model's.
  private func answerShape(_ shape: [Int], _ declared: OutputConfiguration, rows: Int) throws(DeviceError) -> [Int] {
    let takesRows = model.takesRows
    guard let reshape = declared.reshape else {
      var shape = shape
      if takesRows { shape[0] = rows }
      return shape
    }
    guard let inner = TensorReshape.apply(takesRows ? shape.dropFirst() : shape[...], from: reshape, to: declared.dims) else {
      throw DeviceError(
        .batchFailed, "output '\(declared.name)' has shape \(shape), which cannot be given as \(declared.dims): correct 'dims' or 'reshape'"
      )
    }
    return takesRows ? [rows] + inner : inner
  }

  private func output(
    _ asked: InferenceRequest.Output, _ declared: OutputConfiguration, _ shape: [Int], _ bytes: UnsafeRawBufferPointer, _ rows: Int
  ) throws(KServeError) -> InferenceResponse.Output {
    let takesRows = model.takesRows
    var (type, shape) = (declared.dataType, shape)
    var classes: [UInt8]?
    if asked.classification > 0 {
      let found = try Classification.encode(
        bytes, type: declared.dataType, rows: takesRows ? rows : 1, count: asked.classification, labels: model.labels[declared.name] ?? [])
      (type, shape, classes) = (.string, (takesRows ? [rows] : []) + [found.classes], found.bytes)
    }
    if let target = asked.sharedMemory {
      let problem: KServeError? = withBytes(of: classes, or: bytes) { bytes in
        do throws(KServeError) { try model.regions.write(bytes, to: target) } catch { return error }
        return nil
      }
      if let problem { throw problem }
      return InferenceResponse.Output(
        name: declared.name, dataType: type, shape: shape, data: ByteBuffer(),
        sharedMemory: SharedMemoryTarget(region: target.region, offset: target.offset, byteSize: classes?.count ?? bytes.count))
    }
    // SwiftNIO's buffers count in 32 bits.
    guard (classes?.count ?? bytes.count) <= 1 << 31 else {
      throw KServeError(
        .unsupported, "output '\(declared.name)' has \(bytes.count) bytes, more than one answer carries; ask for it in shared memory")
    }
    var data = ByteBufferAllocator().buffer(capacity: classes?.count ?? bytes.count)
    if let classes { data.writeBytes(classes) } else { data.writeBytes(bytes) }
    return InferenceResponse.Output(name: declared.name, dataType: type, shape: shape, data: data)
  }

  private func withBytes<Result>(of array: [UInt8]?, or bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result) -> Result
  {
    array?.withUnsafeBytes(body) ?? body(bytes)
  }
}
