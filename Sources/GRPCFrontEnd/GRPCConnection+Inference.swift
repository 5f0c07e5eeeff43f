import KServe
import NIOCore
import Serving
import TimeBase

extension GRPCConnection {
  /// ModelInfer.
  func infer(_ message: ByteBuffer, on stream: GRPCStream) {
    let id = stream.id
    switch request(message, on: stream) {
    case .failure(let status): finish(stream, status)
    case .success(let request):
      let handle = service.infer(request, on: loop) { [self] result in
        guard let stream = streams[id], !stream.isFinished else { return }
        stream.handles = []
        expectNoMore(stream.expected, of: stream)
        do throws(GRPCStatus) {
          switch result {
          case .success(let response): send(try InferResponseEncoder.encode(response, allocator: allocator), on: stream)
          case .failure(let error): throw GRPCStatus(error)
          }
          finish(stream, .ok)
        } catch {
          finish(stream, error)
        }
      }
      if !stream.isFinished { stream.handles.append((0, expect(handle, forRequestOf: message.readableBytes, on: stream))) }
    }
  }

  /// One message of a ModelStreamInfer. Errors are answers too, unless the client asked for a status by `triton_grpc_error`
  /// (triton-inference-server/server `src/grpc/stream_infer_handler.cc`).
  func inferStreamed(_ message: ByteBuffer, on stream: GRPCStream) {
    let id = stream.id
    let number = stream.nextNumber
    stream.nextNumber += 1
    stream.outstanding += 1
    switch request(message, on: stream) {
    case .failure(let status):
      answer(number, .failure(status), origin: InferRequestDecoder.origin(of: message), on: stream)
    case .success(let request):
      let origin = (model: request.modelName, version: request.modelVersion, id: request.id)
      let handle = service.infer(request, on: loop) { [self] result in
        guard let stream = streams[id], !stream.isFinished else { return }
        expectNoMore(stream.answered(number), of: stream)
        answer(number, result.mapError { GRPCStatus($0) }, origin: origin, on: stream)
        renewHeldWindow(of: stream)
        finishIfAnswered(stream)
      }
      // A reply may have come before `infer` returned; `answered` then holds this number already.
      if !stream.isFinished, !stream.forgetAnswered(number) {
        stream.handles.append((number, expect(handle, forRequestOf: message.readableBytes, on: stream)))
      }
    }
  }

  /// Sends a streamed answer, or keeps it until those before it are sent.
  private func answer(
    _ number: Int, _ result: Result<InferenceResponse, GRPCStatus>, origin: (model: String, version: String, id: String),
    on stream: GRPCStream
  ) {
    stream.outstanding -= 1
    func failed(_ status: GRPCStatus) -> [ByteBuffer] {
      let empty = InferenceResponse(
        modelName: origin.model, modelVersion: origin.version, id: origin.id, outputs: [], isSimulated: false)
      // Without tensors it cannot be too large.
      return (try? InferResponseEncoder.encodeStreamed(empty, error: status.message, allocator: allocator)) ?? []
    }
    let pieces: [ByteBuffer]
    do throws(GRPCStatus) {
      switch result {
      case .success(let response): pieces = try InferResponseEncoder.encodeStreamed(response, allocator: allocator)
      case .failure(let status): throw status
      }
    } catch {
      if stream.endsOnError { return finish(stream, error) }
      pieces = failed(error)
    }
    guard options.keepsStreamOrder else { return send(pieces, on: stream) }
    if number == stream.nextToSend {
      stream.nextToSend += 1
      send(pieces, on: stream)
    } else {
      stream.early[number] = pieces
      keep(pieces, on: stream)
    }
    while let next = stream.early.removeValue(forKey: stream.nextToSend) {
      stream.nextToSend += 1
      letGo(next, on: stream)
      send(next, on: stream)
    }
  }

  /// Ends a ModelStreamInfer whose client has sent everything and got every answer.
  func finishIfAnswered(_ stream: GRPCStream) {
    if stream.isRequestTaken, stream.outstanding == 0 { finish(stream, .ok) }
  }

  private func request(_ message: ByteBuffer, on stream: GRPCStream) -> Result<InferenceRequest, GRPCStatus> {
    // A later message of a stream came when it came, not when the stream was opened.
    let received = stream.nextNumber > 1 ? Self.now() : stream.received
    return InferRequestDecoder.decode(message, received: received).flatMap { decoded in
      var request = decoded
      do throws(GRPCStatus) {
        request.modelVersion = try VersionText.normalized(request.modelVersion)
      } catch {
        return .failure(error)
      }
      request.requiresReal = stream.requiresReal
      request.parsed = Self.now()
      return .success(request)
    }
  }
}

extension GRPCConnection {
  /// `grpc.health.v1.Health/Watch`: the status now and at every change. The service has no word for changes, so it is asked every second.
  func watchHealth(_ message: ByteBuffer, on stream: GRPCStream) throws(GRPCStatus) {
    let name = try ControlCalls.healthService(message)
    let id = stream.id
    sendHealth(name, on: stream)
    stream.watch = loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [self] _ in
      if let stream = streams[id] { sendHealth(name, on: stream) }
    }
  }

  private func sendHealth(_ name: String, on stream: GRPCStream) {
    let status: HealthStatus = ControlCalls.knowsHealth(of: name) ? (service.isReady ? .serving : .notServing) : .serviceUnknown
    if stream.lastHealth == status { return }
    stream.lastHealth = status
    send(framed(ControlAnswer.health(status)), on: stream)
  }
}
