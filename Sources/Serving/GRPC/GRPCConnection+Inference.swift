import KServe
import NIOCore
import TimeBase

extension GRPCConnection {
  /// ModelInfer.
  func infer(_ message: ByteBuffer, on stream: GRPCStream) {
    let id = stream.id
    switch request(message, on: stream) {
    case .failure(let status): finish(stream, status)
    case .success(let request):
      let handle = service.infer(request, on: loop) { [self] result in
        guard let stream = streams[id] else { return }
        stream.handles = []
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
      if !stream.isFinished { stream.handles.append((0, handle)) }
    }
  }

  /// One message of a ModelStreamInfer. Errors are answers too, unless the client asked for a status: triton-inference-server/server
  /// `docs/protocol/extension_sequence.md` and `docs/client_guide/` (`triton_grpc_error`).
  func inferStreamed(_ message: ByteBuffer, on stream: GRPCStream) {
    let id = stream.id
    let number = stream.nextNumber
    stream.nextNumber += 1
    switch request(message, on: stream) {
    case .failure(let status): sendStreamed(status, id: InferRequestDecoder.id(of: message), on: stream)
    case .success(let request):
      stream.outstanding += 1
      let requestID = request.id
      let isFinal: Bool? = request.parameters["triton_enable_empty_final_response"] == .bool(true) ? true : nil
      let handle = service.infer(request, on: loop) { [self] result in
        guard let stream = streams[id], !stream.isFinished else { return }
        stream.outstanding -= 1
        stream.answered(number)
        do throws(GRPCStatus) {
          switch result {
          case .success(let response):
            send(try InferResponseEncoder.encodeStreamed(response, isFinal: isFinal, allocator: allocator), on: stream)
          case .failure(let error): throw GRPCStatus(error)
          }
        } catch {
          sendStreamed(error, id: requestID, on: stream)
        }
        renewHeldWindow(of: stream)
        finishIfAnswered(stream)
      }
      // A reply may have come before `infer` returned; `answered` then holds this number already.
      if !stream.isFinished, !stream.forgetAnswered(number) { stream.handles.append((number, handle)) }
    }
  }

  private func sendStreamed(_ status: GRPCStatus, id: String, on stream: GRPCStream) {
    if stream.endsOnError { return finish(stream, status) }
    send(InferResponseEncoder.encodeStreamed(error: status.message, id: id, allocator: allocator), on: stream)
  }

  /// Ends a ModelStreamInfer whose client has sent everything and got every answer.
  func finishIfAnswered(_ stream: GRPCStream) {
    if stream.isHalfClosed, stream.outstanding == 0 { finish(stream, .ok) }
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
