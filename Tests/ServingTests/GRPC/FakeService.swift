import JSONText
import KServe
import ModelConfiguration
import NIOCore
import Serving
import Synchronization

/// Gives inputs back: at once, or, for the model "held", when the test says so.
final class FakeService: KServeService {
  struct State {
    var held: [@Sendable (Result<InferenceResponse, KServeError>) -> Void] = []
    var requests: [InferenceRequest] = []
    var cancelled = 0
    var token: String?
    var isReady = true
  }

  let state = Mutex(State())

  var isLive: Bool { true }
  var isReady: Bool { state.withLock { $0.isReady } }
  var metadata: ServerMetadata { ServerMetadata(name: "fake", version: "1", extensions: []) }

  func isModelReady(_ name: String, version: String) throws(KServeError) -> Bool { version.isEmpty || version == "1" }

  func modelMetadata(_ name: String, version: String) throws(KServeError) -> ModelMetadata {
    throw KServeError(.notFound, "Request for unknown model: '\(name)' is not found")
  }

  func modelConfiguration(_ name: String, version: String) throws(KServeError) -> JSONValue { ["name": .string(name)] }

  func statistics(_ name: String, version: String) throws(KServeError) -> [ModelStatistics] { [] }

  static func echo(_ request: InferenceRequest) -> InferenceResponse {
    InferenceResponse(
      modelName: request.modelName, modelVersion: "1", id: request.id,
      outputs: request.inputs.map { input in
        guard case .one(let data) = input.data else {
          return .init(name: input.name, dataType: .invalid, shape: input.shape, data: ByteBuffer())
        }
        return .init(name: input.name, dataType: input.dataType ?? .invalid, shape: input.shape, data: data)
      }, isSimulated: false)
  }

  func infer(
    _ request: InferenceRequest, on loop: any EventLoop, reply: @escaping @Sendable (Result<InferenceResponse, KServeError>) -> Void
  ) -> InferenceHandle {
    state.withLock { $0.requests.append(request) }
    if request.modelName == "held" {
      state.withLock { $0.held.append(reply) }
    } else if request.modelName == "failing" {
      reply(.failure(KServeError(.unavailable, "Exceeds maximum queue size")))
    } else {
      reply(.success(Self.echo(request)))
    }
    return InferenceHandle { self.state.withLock { $0.cancelled += 1 } }
  }

  /// Answers the inference that was held as number `index`.
  func release(_ index: Int) {
    let (reply, request) = state.withLock { state in
      (state.held[index], state.requests.filter { $0.modelName == "held" }[index])
    }
    reply(.success(Self.echo(request)))
  }

  func repositoryIndex(readyOnly: Bool) -> [RepositoryIndexEntry] { [] }
  func loadModel(
    _ name: String, configuration: String?, files: [String: [UInt8]], on loop: any EventLoop,
    reply: @escaping @Sendable (Result<Void, KServeError>) -> Void
  ) { reply(.success(())) }
  func unloadModel(
    _ name: String, unloadDependents: Bool, on loop: any EventLoop, reply: @escaping @Sendable (Result<Void, KServeError>) -> Void
  ) { reply(.success(())) }
  func sharedMemoryStatus(_ name: String) throws(KServeError) -> [SharedMemoryRegion] { [] }
  func registerSharedMemory(_ region: SharedMemoryRegion) throws(KServeError) {}
  func unregisterSharedMemory(_ name: String) throws(KServeError) {}
  func traceSettings(_ model: String) throws(KServeError) -> TraceSettings { TraceSettings() }
  func updateTraceSettings(_ model: String, _ changes: [String: [String]]) throws(KServeError) -> TraceSettings { TraceSettings() }
  var logSettings: LogSettings { LogSettings() }
  func updateLogSettings(_ changes: [String: KServeParameter]) throws(KServeError) -> LogSettings { LogSettings() }
  func allowsControl(bearerToken: String?) -> Bool { state.withLock { $0.token == nil || $0.token == bearerToken } }
}
