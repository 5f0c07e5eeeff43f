import JSONReading
import JSONText
import KServe
import ModelConfiguration
import NIOCore
import Serving
import Threads

/// The generate extension: flat JSON in, flat JSON out (triton-inference-server/server `docs/protocol/extension_generate.md`).
extension KServeApplication {
  func generate(
    _ model: String, _ version: String, _ isStream: Bool, _ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void
  ) -> InferenceHandle? {
    guard exchange.head.method == .post else {
      answer(.error(405, "Method Not Allowed", .plain))
      return nil
    }
    do throws(KServeError) {
      var request = try request(model, version, exchange)
      request.requiresReal = exchange.head.requiresReal
      let bound = NIOLoopBound(AnswerCallback(answer), eventLoop: exchange.loop)
      return service.infer(request, on: exchange.loop) { result in
        switch result.flatMap(Self.document) {
        case .success(let document):
          var body = ByteBuffer()
          if isStream { body.writeString("data: ") }
          body.writeBytes(document)
          if isStream { body.writeString("\n\n") }
          bound.value.answer(HTTPAnswer(contentType: isStream ? .events : .json, body: [body], isChunked: true))
        case .failure(let error): bound.value.answer(.error(error))
        }
      }
    } catch {
      answer(.error(error))
      return nil
    }
  }

  /// Members named like inputs are tensors; "id" and "parameters" mean what they say; others are parameters.
  private func request(_ model: String, _ version: String, _ exchange: HTTPExchange) throws(KServeError) -> InferenceRequest {
    let metadata = try service.modelMetadata(model, version: version)
    var body = exchange.body
    guard let text = body.takeJoined(body.byteCount) else { throw KServeError(.invalidArgument, "the request has no body") }
    var tape = JSONTape()
    var failure: KServeError?
    var inputs: [InferenceRequest.Input] = []
    var id = ""
    text.withUnsafeReadableBytes { bytes in
      do throws(JSONFault) {
        try tape.read(bytes)
      } catch {
        failure = KServeError(.invalidArgument, "failed to parse the request JSON buffer: \(error)")
        return
      }
      guard tape.nodes[0].kind == .object else {
        failure = KServeError(.invalidArgument, "attempt to access JSON non-object as object")
        return
      }
      do throws(KServeError) {
        var index = 1
        for _ in 0..<tape.nodes[0].count {
          let name = tape.string(index, in: bytes)
          let value = index + 1
          index = tape.nodes[value].next
          if let tensor = metadata.inputs.first(where: { $0.name == name }) {
            inputs.append(try Self.input(tensor, value, tape, bytes))
          } else if name == "id", tape.nodes[value].kind == .string {
            id = tape.string(value, in: bytes)
          }
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    var request = InferenceRequest(
      modelName: model, modelVersion: version, id: id, inputs: inputs, received: exchange.received, parsed: MonotonicClock.now)
    request.bytesIn = exchange.body.byteCount
    return request
  }

  /// One value is one element, an array is a vector; a row dimension is put in front where the model has one.
  private static func input(_ tensor: ModelMetadata.Tensor, _ value: Int, _ tape: JSONTape, _ text: UnsafeRawBufferPointer)
    throws(KServeError)
    -> InferenceRequest.Input
  {
    let node = tape.nodes[value]
    let count = node.kind.isArray ? node.count : 1
    let bytes: [UInt8]
    if node.kind.isArray {
      bytes = try TensorJSON.bytes(value, type: tensor.dataType, count: count, tape: tape, text: text)
    } else {
      bytes = try TensorJSON.bytes(ofElement: value, type: tensor.dataType, tape: tape, text: text)
    }
    let hasRows = tensor.shape.first == -1 && tensor.shape.count > 1
    return InferenceRequest.Input(
      name: tensor.name, dataType: tensor.dataType, shape: hasRows ? [1, count] : [count], data: .one(ByteBuffer(bytes: bytes)))
  }

  private static func document(_ response: InferenceResponse) -> Result<[UInt8], KServeError> {
    var bytes = Array("{".utf8)
    if !response.id.isEmpty {
      bytes += "\"id\":".utf8
      JSONString.write(response.id, into: &bytes)
      bytes.append(UInt8(ascii: ","))
    }
    bytes += "\"model_name\":".utf8
    JSONString.write(response.modelName, into: &bytes)
    bytes += ",\"model_version\":".utf8
    JSONString.write(response.modelVersion, into: &bytes)
    if response.isSimulated { bytes += ",\"simulated\":true".utf8 }
    for output in response.outputs {
      bytes.append(UInt8(ascii: ","))
      JSONString.write(output.name, into: &bytes)
      bytes.append(UInt8(ascii: ":"))
      let start = bytes.count
      guard output.data.withUnsafeReadableBytes({ TensorJSON.write($0, type: output.dataType, into: &bytes) }) else {
        return .failure(KServeError(.internalError, "output '\(output.name)' cannot be written as JSON"))
      }
      // One element stands alone.
      if output.shape.reduce(1, { $0 &* $1 }) == 1 {
        bytes.remove(at: start)
        bytes.removeLast()
      }
    }
    bytes.append(UInt8(ascii: "}"))
    return .success(bytes)
  }
}
