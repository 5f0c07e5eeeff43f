import JSONText
import KServe
import ModelConfiguration
import NIOCore
import Serving
import Synchronization

/// A service whose every model gives its inputs back. It stands in for the server's core where the wire is tested and timed.
///
/// Models: `small8` (FP32[-1,16]), `echo` (whatever comes), `slow` (answers after the parameter `delay_ms`, on the loop's clock),
/// `failing` (UNAVAILABLE), `simulated`.
final class EchoService: KServeService {
  struct Settings {
    var trace = TraceSettings()
    var log = LogSettings()
    var regions: [String: SharedMemoryRegion] = [:]
    /// Calls of the model `slow`.
    var begun = 0
    var cancelled = 0
    var loaded: [String] = []
  }

  static let models = ["echo", "failing", "simulated", "slow", "small8"]
  let settings = Mutex(Settings())
  let token: String?
  let configuration: JSONValue

  init(token: String?, configuration: JSONValue) {
    self.token = token
    self.configuration = configuration
  }

  var isLive: Bool { true }
  var isReady: Bool { true }
  var metadata: ServerMetadata { ServerMetadata(name: "echo", version: "1.0", extensions: ["statistics", "model_repository"]) }

  private func require(_ name: String) throws(KServeError) {
    if !Self.models.contains(name) { throw KServeError(.notFound, "Request for unknown model: '\(name)' is not found") }
  }

  func isModelReady(_ name: String, version: String) throws(KServeError) -> Bool {
    Self.models.contains(name) && (version.isEmpty || version == "1")
  }

  func modelMetadata(_ name: String, version: String) throws(KServeError) -> ModelMetadata {
    try require(name)
    return ModelMetadata(
      name: name, versions: ["1"], platform: "native", inputs: [.init(name: "input", dataType: .float32, shape: [-1, 16])],
      outputs: [.init(name: "output", dataType: .float32, shape: [-1, 16])])
  }

  func modelConfiguration(_ name: String, version: String) throws(KServeError) -> JSONValue {
    try require(name)
    return configuration
  }

  func statistics(_ name: String, version: String) throws(KServeError) -> [ModelStatistics] {
    if !name.isEmpty, !Self.models.contains(name) {
      throw KServeError(.invalidArgument, "requested model '\(name)' is not available")
    }
    return (name.isEmpty ? Self.models : [name]).map { name in
      var statistics = ModelStatistics(name: name, version: "1")
      statistics.lastInference = 1_795_345_431_778
      statistics.inferenceCount = UInt64(clamping: settings.withLock { $0.cancelled })
      statistics.executionCount = name == "slow" ? UInt64(clamping: settings.withLock { $0.begun }) : 3
      statistics.success.add(5, times: 2)
      var batch = ModelStatistics.Batch(batchSize: 8)
      batch.computeInfer.add(7)
      statistics.batches = [batch]
      return statistics
    }
  }

  func infer(
    _ request: InferenceRequest, on loop: any EventLoop, reply: @escaping @Sendable (Result<InferenceResponse, KServeError>) -> Void
  ) -> InferenceHandle {
    let nothing = InferenceHandle {}
    do throws(KServeError) {
      try require(request.modelName)
    } catch {
      reply(.failure(error))
      return nothing
    }
    let response = InferenceResponse(
      modelName: request.modelName, modelVersion: "1", id: request.id,
      outputs: request.inputs.map { input in
        let data: ByteBuffer =
          switch input.data {
          case .one(let buffer): buffer
          case .many(let buffers): buffers.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
          case .sharedMemory: ByteBuffer()
          }
        let name = input.name == "input" ? "output" : input.name
        let target = request.outputs.first { $0.name == name }?.sharedMemory
        return .init(name: name, dataType: input.dataType ?? .invalid, shape: input.shape, data: data, sharedMemory: target)
      }, isSimulated: request.modelName == "simulated")
    switch request.modelName {
    case "failing":
      reply(.failure(KServeError(.unavailable, "[request id: \(request.id)] Exceeds maximum queue size – 100 %")))
      return nothing
    case "slow":
      guard case .int(let delay)? = request.parameters["delay_ms"] else { break }
      settings.withLock { $0.begun += 1 }
      let task = loop.scheduleTask(in: .milliseconds(delay)) { reply(.success(response)) }
      task.futureResult.whenFailure { _ in reply(.failure(KServeError(.cancelled, "cancelled"))) }
      return InferenceHandle {
        self.settings.withLock { $0.cancelled += 1 }
        task.cancel()
      }
    default: break
    }
    reply(.success(response))
    return nothing
  }

  func repositoryIndex(readyOnly: Bool) -> [RepositoryIndexEntry] {
    let ready = Self.models.map { RepositoryIndexEntry(name: $0, version: "1", state: "READY") }
    return readyOnly ? ready : ready + [RepositoryIndexEntry(name: "unloaded")]
  }

  func loadModel(
    _ name: String, configuration: String?, files: [String: [UInt8]], on loop: any EventLoop,
    reply: @escaping @Sendable (Result<Void, KServeError>) -> Void
  ) {
    settings.withLock { $0.loaded.append("\(name) \(configuration ?? "-") \(files.map { "\($0.key)=\($0.value.count)" })") }
    let isKnown = Self.models.contains(name)
    loop.execute {
      reply(
        isKnown ? .success(()) : .failure(KServeError(.internalError, "failed to load '\(name)', failed to poll from model repository")))
    }
  }

  func unloadModel(
    _ name: String, unloadDependents: Bool, on loop: any EventLoop, reply: @escaping @Sendable (Result<Void, KServeError>) -> Void
  ) {
    loop.execute { reply(.success(())) }
  }

  func sharedMemoryStatus(_ name: String) throws(KServeError) -> [SharedMemoryRegion] {
    settings.withLock { state in state.regions.values.filter { name.isEmpty || $0.name == name }.sorted { $0.name < $1.name } }
  }

  func registerSharedMemory(_ region: SharedMemoryRegion) throws(KServeError) {
    settings.withLock { $0.regions[region.name] = region }
  }

  func unregisterSharedMemory(_ name: String) throws(KServeError) {
    settings.withLock { state in if name.isEmpty { state.regions = [:] } else { state.regions[name] = nil } }
  }

  func traceSettings(_ model: String) throws(KServeError) -> TraceSettings { settings.withLock { $0.trace } }

  func updateTraceSettings(_ model: String, _ changes: [String: [String]]) throws(KServeError) -> TraceSettings {
    settings.withLock { state in
      if let level = changes["trace_level"] { state.trace.level = level }
      if let rate = changes["trace_rate"]?.first { state.trace.rate = rate }
      return state.trace
    }
  }

  var logSettings: LogSettings { settings.withLock { $0.log } }

  func updateLogSettings(_ changes: [String: KServeParameter]) throws(KServeError) -> LogSettings {
    settings.withLock { state in
      if case .uint(let level)? = changes["log_verbose_level"] { state.log.verboseLevel = UInt32(clamping: level) }
      if case .bool(let value)? = changes["log_info"] { state.log.info = value }
      if case .string(let value)? = changes["log_format"] { state.log.format = value }
      return state.log
    }
  }

  func allowsControl(bearerToken: String?) -> Bool { token == nil || bearerToken == token }
}
