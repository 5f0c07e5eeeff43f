import CheckedNumbers
import JSONReading
import KServe
import ModelConfiguration
import NIOCore
import Serving
import TimeBase
import Threads

/// Inference requests and answers between HTTP and the service.
///
/// Order of checks and texts: triton-inference-server/server `src/http_server.cc`.
struct HTTPInference {
  /// How the outputs are to be sent.
  struct Format: Sendable {
    var isBinaryByDefault: Bool
    /// Outputs that say themselves.
    var isBinary: [String: Bool] = [:]

    func isBinary(_ output: String) -> Bool { isBinary.isEmpty ? isBinaryByDefault : isBinary[output] ?? isBinaryByDefault }
  }

  /// Why a request is refused, with the content type the reference server has by then.
  struct Refusal: Error {
    var error: KServeError
    var type = HTTPAnswer.ContentType.json
  }

  /// Kept between requests of a connection, so that reading one allocates little.
  var tape = JSONTape()

  mutating func request(
    model: String, version: String, head: HTTPRequestHead, body: HTTPBody, received: Instant
  ) throws(Refusal) -> (InferenceRequest, Format) {
    var body = body
    let total = body.byteCount
    var headerLength = total
    if let stated = head.inferenceHeaderLength {
      guard let length = stated, length >= 0, length <= total else {
        throw Refusal(
          error: KServeError(
            .invalidArgument, "inference header size should be in range (0, \(total)), got: \(stated.map(String.init) ?? "no number")"),
          type: .plain)
      }
      headerLength = Int(length)
      if length == 0, total > 0 { return (raw(model, version, body, total, received), Format(isBinaryByDefault: true)) }
    }
    guard let text = body.takeJoined(headerLength) else { throw Refusal(error: KServeError(.invalidArgument, "the body is incomplete")) }
    let json: InferenceRequestJSON
    do throws(KServeError) { json = try read(text, model: model) } catch { throw Refusal(error: error) }
    var request = InferenceRequest(modelName: model, modelVersion: version, id: json.id, inputs: [], received: received, parsed: received)
    request.inputs.reserveCapacity(json.inputs.count)
    for input in json.inputs {
      let data: TensorBytes
      switch input.source {
      case .json(let bytes): data = .one(ByteBuffer(bytes: bytes))
      case .binary(let count):
        if let piece = body.takePiece(count) {
          data = .one(piece)
          break
        }
        guard let parts = body.take(count) else {
          throw Refusal(
            error: KServeError(
              .invalidArgument,
              "unexpected size for input '\(input.name)', expecting \(count - body.byteCount) additional bytes for model '\(model)'"))
        }
        data = parts.count == 1 ? .one(parts[0]) : .many(parts)
      case .sharedMemory(let region, let offset, let size):
        data = .sharedMemory(SharedMemoryTarget(region: region, offset: Int(clamping: offset), byteSize: Int(clamping: size)))
      }
      request.inputs.append(InferenceRequest.Input(name: input.name, dataType: input.dataType, shape: input.shape, data: data))
    }
    if body.byteCount > 0 {
      throw Refusal(error: KServeError(.invalidArgument, "unexpected additional input data for model '\(model)'"))
    }
    var format = Format(isBinaryByDefault: json.binaryDataOutput)
    for output in json.outputs {
      request.outputs.append(
        InferenceRequest.Output(
          name: output.name, classification: output.classification,
          sharedMemory: output.sharedMemory.map {
            SharedMemoryTarget(region: $0.region, offset: Int(clamping: $0.offset), byteSize: Int(clamping: $0.byteSize))
          }))
      if let isBinary = output.isBinary { format.isBinary[output.name] = isBinary }
    }
    request.priority = json.priority
    request.timeoutMicroseconds = json.timeoutMicroseconds
    request.parameters = json.parameters
    request.bytesIn = total
    request.parsed = MonotonicClock.now
    return (request, format)
  }

  private mutating func read(_ text: ByteBuffer, model: String) throws(KServeError) -> InferenceRequestJSON {
    var failure: KServeError?
    let json = text.withUnsafeReadableBytes { bytes -> InferenceRequestJSON? in
      do throws(JSONFault) {
        try tape.read(bytes)
      } catch {
        failure = KServeError(.invalidArgument, "failed to parse the request JSON buffer: \(error)")
        return nil
      }
      do throws(KServeError) { return try InferenceRequestJSON(tape, text: bytes, model: model) } catch { failure = error }
      return nil
    }
    guard let json else { throw failure ?? KServeError(.invalidArgument, "the request's JSON cannot be read") }
    return json
  }

  /// A body that is one tensor and nothing else (`Inference-Header-Content-Length: 0`).
  private func raw(_ model: String, _ version: String, _ body: HTTPBody, _ total: Int, _ received: Instant) -> InferenceRequest {
    let data: TensorBytes = body.slices.count == 1 ? .one(body.slices[0]) : .many(body.slices)
    var request = InferenceRequest(
      modelName: model, modelVersion: version,
      inputs: [InferenceRequest.Input(name: "", dataType: nil, shape: [], data: data, isRaw: true)], received: received,
      parsed: MonotonicClock.now)
    request.bytesIn = total
    return request
  }

  /// Bytes of tensors that `answer` turns into text or compresses: what its time grows with.
  static func textBytes(_ response: InferenceResponse, _ format: Format, accepted: ContentCoding) -> Int {
    response.outputs.reduce(0) { sum, output in
      let isText = output.sharedMemory == nil && (accepted != .identity || !format.isBinary(output.name))
      return isText ? sum.addingSaturated(output.data.readableBytes) : sum
    }
  }

  /// The answer's body: JSON, then the binary outputs' bytes as they are.
  static func answer(_ response: InferenceResponse, _ format: Format, accepted: ContentCoding) -> HTTPAnswer {
    var json = InferenceResponseJSON(
      model: response.modelName, version: response.modelVersion, id: response.id, isSimulated: response.isSimulated)
    var tensors: [ByteBuffer] = []
    var hasBinary = false
    for output in response.outputs {
      if output.sharedMemory != nil {
        // The client knows where; perf_analyzer takes any parameters for a binary output's.
        json.append(name: output.name, type: output.dataType, shape: output.shape)
      } else if format.isBinary(output.name) {
        hasBinary = true
        json.appendBinary(name: output.name, type: output.dataType, shape: output.shape, byteCount: output.data.readableBytes)
        tensors.append(output.data)
      } else {
        let isWell = output.data.withUnsafeReadableBytes {
          json.append(name: output.name, type: output.dataType, shape: output.shape, data: $0)
        }
        if !isWell { return .error(500, "output '\(output.name)' holds \(output.dataType.kserveName) elements that cannot be read") }
      }
    }
    json.finish()
    var answer = HTTPAnswer(contentType: hasBinary ? .octets : .json, body: [ByteBuffer(bytes: json.bytes)] + tensors)
    if hasBinary { answer.inferenceHeaderLength = json.bytes.count }
    if accepted != .identity, let coded = BodyCoding.deflated(answer.body, accepted) {
      answer.body = [coded]
      answer.coding = accepted
    }
    return answer
  }
}
