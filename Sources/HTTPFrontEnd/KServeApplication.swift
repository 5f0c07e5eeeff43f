import JSONText
import KServe
import NIOCore
import Serving

/// The KServe v2 protocol over HTTP, with Triton's extensions: one method a route.
///
/// Statuses, content types and bodies: triton-inference-server/server `src/http_server.cc`.
struct KServeApplication: HTTPApplication {
  let service: any KServeService
  /// Answers what is not KServe's: the live diagnosis. nil where there is none.
  let live: (any LivePages)?
  /// Records windows of the server; nil where it was not started for that.
  var profiles: (any ProfileWindows)?
  var restrictions = RestrictedAPIs()
  var browsers = BrowserGuard()

  func refusal(of route: HTTPRoute?, _ fields: HTTPFields, _ channel: any Channel) -> HTTPAnswer? {
    guard let route else { return nil }
    if !restrictions.isEmpty, let group = route.group, let restriction = restrictions[group],
      !restriction.admits(fields.value(restriction.header))
    {
      // server src/http_server.cc, RespondIfRestricted.
      return .error(403, "This API is restricted, expecting header '\(restriction.header)'", .plain)
    }
    guard route.isControl, fields.head.method == .post else { return nil }
    let isVouchedFor = service.hasControlToken(fields.bearerToken)
    return browsers.refusal(
      origin: fields.value("origin"), fetchSite: fields.value("sec-fetch-site"), host: fields.host,
      contentType: fields.value("content-type"),
      localAddress: channel.localAddress?.ipAddress, isVouchedFor: isVouchedFor
    ).map { .error(403, $0) }
  }

  func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
    guard let route = exchange.route else {
      answer(.error(404, "Not Found", .plain))
      return nil
    }
    switch route {
    case .infer(let model, let version): return infer(model, version, exchange, &inference, answer)
    case .generate(let model, let version, let isStream): return generate(model, version, isStream, exchange, answer)
    default:
      control(route, exchange, answer)
      return nil
    }
  }

  private func infer(
    _ model: String, _ version: String, _ exchange: HTTPExchange, _ inference: inout HTTPInference, _ answer: @escaping (HTTPAnswer) -> Void
  ) -> InferenceHandle? {
    guard exchange.head.method == .post else {
      answer(.error(405, "Method Not Allowed", .plain))
      return nil
    }
    do throws(HTTPInference.Refusal) {
      // The reference server looks the model up before it reads the body.
      do throws(KServeError) { _ = try service.checkModel(model, version: version) } catch {
        throw HTTPInference.Refusal(error: error, type: .plain)
      }
      let (decoded, format) = try inference.request(
        model: model, version: version, head: exchange.head, body: exchange.body, received: exchange.received)
      var request = decoded
      request.requiresReal = exchange.head.requiresReal
      let accepted = exchange.head.acceptedCoding
      let (loop, bound) = (exchange.loop, NIOLoopBound(AnswerCallback(answer), eventLoop: exchange.loop))
      return service.infer(request, on: loop) { result in
        let box = bound.value
        switch result {
        case .success(let response):
          guard HTTPInference.textBytes(response, format, accepted: accepted) > LargeAnswers.threshold else {
            return box.answer(HTTPInference.answer(response, format, accepted: accepted))
          }
          LargeAnswers.render(on: loop, { HTTPInference.answer(response, format, accepted: accepted) }) { bound.value.answer($0) }
        // What fails behind the queue fails after the reference server has stopped to say what it sends.
        case .failure(let error): box.answer(.error(error, box.isSynchronous ? .json : .plain))
        }
      }.endingSynchronousPhase(of: bound)
    } catch {
      answer(.error(error.error, error.type))
      return nil
    }
  }

  // MARK: - Everything else

  private func control(_ route: HTTPRoute, _ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void) {
    let method = exchange.head.method
    func only(_ allowed: HTTPMethod..., type: HTTPAnswer.ContentType = .json, _ body: () throws(KServeError) -> HTTPAnswer) {
      guard allowed.contains(method) else { return answer(.error(405, "Method Not Allowed", type)) }
      do throws(KServeError) { answer(try body()) } catch { answer(.error(error)) }
    }
    switch route {
    case .headroom: liveAnswer(exchange, answer)
    case .profile: change(exchange, answer) { () throws(KServeError) in try recordWindow(exchange, answer) }
    case .root, .headroomPage:
      if let page = livePage(route, exchange) { answer(page) } else { answer(.error(404, "Not Found", .plain)) }
    case .serverMetadata: only(.get) { .json(KServeJSON.metadata(service.metadata)) }
    case .live: only(.get, type: .plain) { service.isLive ? .empty(.plain) : .error(400, "Server not live", .plain) }
    case .ready: only(.get, type: .plain) { service.isReady ? .empty(.plain) : .error(400, "Server not ready", .plain) }
    case .modelReady(let model, let version):
      only(.get, type: .plain) { () throws(KServeError) in
        try service.isModelReady(model, version: version) ? .empty(.plain) : .error(400, "Model version not ready", .plain)
      }
    case .modelMetadata(let model, let version):
      only(.get) { () throws(KServeError) in .json(KServeJSON.model(try service.modelMetadata(model, version: version))) }
    case .modelConfiguration(let model, let version):
      only(.get) { () throws(KServeError) in .json(try service.modelConfiguration(model, version: version)) }
    case .statistics(let model, let version):
      only(.get) { () throws(KServeError) in .json(KServeJSON.statistics(try service.statistics(model, version: version))) }
    case .repositoryIndex:
      only(.post) { () throws(KServeError) in
        let request = try HTTPDocument(exchange.body)
        let readyOnly: Bool
        do throws(KServeError) { readyOnly = try request.bool("ready") ?? false } catch {
          throw KServeError(.invalidArgument, "Invalid value for 'ready': expected a boolean")
        }
        return .json(.array(service.repositoryIndex(readyOnly: readyOnly).map(KServeJSON.indexEntry)))
      }
    case .load(let model): change(exchange, answer) { () throws(KServeError) in try load(model, exchange, answer) }
    case .unload(let model): change(exchange, answer) { () throws(KServeError) in try unload(model, exchange, answer) }
    case .logging:
      if method == .post {
        change(exchange, answer) { () throws(KServeError) in
          answer(.json(KServeJSON.log(try service.updateLogSettings(try HTTPDocument(exchange.body).parameters()))))
        }
      } else {
        only(.get) { .json(KServeJSON.log(service.logSettings)) }
      }
    case .traceSettings(let model):
      if method == .post {
        change(exchange, answer) { () throws(KServeError) in
          answer(.json(KServeJSON.trace(try service.updateTraceSettings(model, try HTTPDocument(exchange.body).lists()))))
        }
      } else {
        only(.get) { () throws(KServeError) in .json(KServeJSON.trace(try service.traceSettings(model))) }
      }
    case .systemSharedMemory(let region, let action): sharedMemory(region, action, exchange, answer)
    case .cudaSharedMemory(let region, let action):
      switch action {
      case .status: only(.get) { .json([]) }
      case .register:
        change(exchange, answer) { () throws(KServeError) in
          throw KServeError(.unsupported, "CUDA shared memory region '\(region)' cannot be registered: this server has no CUDA device")
        }
      case .unregister: change(exchange, answer) { answer(.empty()) }
      }
    case .infer, .generate: answer(.error(404, "Not Found", .plain))
    }
  }

  /// Calls that change the server: POST only, and permitted.
  private func change(_ exchange: HTTPExchange, _ answer: (HTTPAnswer) -> Void, _ body: () throws(KServeError) -> Void) {
    guard exchange.head.method == .post else { return answer(.error(405, "Method Not Allowed")) }
    guard service.allowsControl(bearerToken: exchange.bearerToken) else {
      return answer(
        .error(
          403, "control calls from elsewhere than loopback need the token given with --control-token, as `Authorization: Bearer TOKEN`"))
    }
    do throws(KServeError) { try body() } catch { answer(.error(error)) }
  }

  private func load(_ model: String, _ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void) throws(KServeError) {
    let document = try HTTPDocument(exchange.body)
    var configuration: String?
    var files: [String: [UInt8]] = [:]
    for (name, value) in try document.strings(in: "parameters") {
      if name == "config" {
        configuration = value
      } else if name.hasPrefix("file:") {
        guard let bytes = Base64.decode(value) else {
          throw KServeError(.invalidArgument, "failed to load '\(model)', parameter '\(name)' is not base64")
        }
        files[String(name.dropFirst("file:".count))] = bytes
      } else {
        throw KServeError(.invalidArgument, "failed to load '\(model)', unrecognized load parameter '\(name)'")
      }
    }
    service.loadModel(model, configuration: configuration, files: files, on: exchange.loop, reply: Self.done(answer, exchange.loop))
  }

  private func unload(_ model: String, _ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void) throws(KServeError) {
    let document = try HTTPDocument(exchange.body)
    let dependents = try document.bool("unload_dependents", in: "parameters") ?? false
    service.unloadModel(model, unloadDependents: dependents, on: exchange.loop, reply: Self.done(answer, exchange.loop))
  }

  private static func done(_ answer: @escaping (HTTPAnswer) -> Void, _ loop: any EventLoop) -> @Sendable (Result<Void, KServeError>) -> Void
  {
    let bound = NIOLoopBound(AnswerCallback(answer), eventLoop: loop)
    return { result in
      switch result {
      case .success: bound.value.answer(.empty())
      case .failure(let error): bound.value.answer(.error(error))
      }
    }
  }

  private func sharedMemory(
    _ region: String, _ action: HTTPRoute.SharedMemoryAction, _ exchange: HTTPExchange, _ answer: @escaping (HTTPAnswer) -> Void
  ) {
    switch action {
    case .status:
      guard exchange.head.method == .get else { return answer(.error(405, "Method Not Allowed")) }
      do throws(KServeError) {
        answer(.json(.array(try service.sharedMemoryStatus(region).map(KServeJSON.region))))
      } catch {
        answer(.error(error))
      }
    case .register:
      change(exchange, answer) { () throws(KServeError) in
        let document = try HTTPDocument(exchange.body)
        try service.registerSharedMemory(
          SharedMemoryRegion(
            name: region, key: try document.required("key").string("key"), offset: try document.unsigned("offset") ?? 0,
            byteSize: try document.required("byte_size").unsigned("byte_size")))
        answer(.empty())
      }
    case .unregister:
      change(exchange, answer) { () throws(KServeError) in
        try service.unregisterSharedMemory(region)
        answer(.empty())
      }
    }
  }
}

/// Carries an answer's callback to where the service calls back, on the same loop.
final class AnswerCallback {
  let answer: (HTTPAnswer) -> Void
  /// The service has not returned yet.
  var isSynchronous = true

  init(_ answer: @escaping (HTTPAnswer) -> Void) { self.answer = answer }
}

extension InferenceHandle {
  /// The service has returned: what comes now comes from behind the queue.
  func endingSynchronousPhase(of box: NIOLoopBound<AnswerCallback>) -> InferenceHandle {
    box.value.isSynchronous = false
    return self
  }
}
