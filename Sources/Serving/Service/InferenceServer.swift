import CheckedNumbers
import Execution
public import JSONText
public import KServe
import ModelConfiguration
public import NIOCore
public import Scheduling
import Synchronization
public import TimeBase
import Threads

/// The server behind the front ends: models, requests, counters, settings.
public final class InferenceServer: KServeService {
  /// How it is set up.
  public struct Options: Sendable {
    /// When models are loaded and unloaded (tritonserver's `--model-control-mode`).
    public enum ControlMode: String, Sendable, Hashable, CaseIterable { case none, poll, explicit }

    /// Version of the program.
    public var version = ""
    /// Folders in Triton's layout.
    public var repositories: [String] = []
    /// Models by name: a file, or "builtin:HEAD".
    public var models: [String: String] = [:]
    /// When models are loaded and unloaded.
    public var controlMode = ControlMode.none
    /// Models to load at the start in explicit mode; "*" for all.
    public var loadModels: [String] = []
    /// Time between looks into the repositories in poll mode.
    public var pollInterval = TimeSpan.milliseconds(15_000)
    /// Ready only while every model that should be loaded is.
    public var strictReadiness = true
    /// Clients may register system shared memory.
    public var allowsClientSharedMemory = false
    /// Control calls from elsewhere than loopback need it; nil: they are refused there.
    public var controlToken: String?
    /// Every listener is bound to loopback.
    public var isLoopback = true
    /// Precision of weights and products on the CPU device.
    public var precision = LoadOptions.Precision.fp32
    /// Time a batch may take before its instance counts as hung.
    public var executionLimit = TimeSpan.milliseconds(300_000)
    /// Runs new models before they are reported ready.
    public var warmsUp = true
    /// Instances take turns by the resources that their groups name (`--rate-limit=execution_count`).
    public var limitsRate = false
    /// Amounts of those resources; without any there is as much of each as the largest single need.
    public var rateLimits: [ExecutionRateLimiter.Limit] = []

    /// What of the metrics page is chosen.
    public var metrics = MetricsSettings()

    /// Keeps the last events for the live diagnosis.
    public var keepsEvents = true
    /// Requests whose events are kept at most, and as many kernels.
    public var keptRequests = 1 << 18

    /// The defaults.
    public init() {}
  }

  let options: Options
  /// The device that runs graphs.
  let device: DeviceDescription
  let manager: ModelManager
  let live: LiveRecorder
  let host = HostGauges()
  let regions: SharedMemoryRegions
  let log: ServerLog
  private let isDraining = Atomic<Bool>(false)
  private let isStarting = Atomic<Bool>(true)
  let tracer: RequestTracer
  private let poller = Monitor()
  package let started = MonotonicClock.now

  /// A server that has loaded nothing yet: see `start`.
  public init(_ options: Options, devices: ModelDevices, log: ServerLog) {
    self.options = options
    device = devices.primary.description
    self.log = log
    tracer = RequestTracer { log.warning($0) }
    live = LiveRecorder(isRecording: options.keepsEvents, capacity: options.keptRequests)
    regions = SharedMemoryRegions(isAllowed: options.allowsClientSharedMemory)
    manager = ModelManager(
      loader: ModelLoader(
        devices: devices, precision: options.precision, regions: regions, live: live, executionLimit: options.executionLimit,
        warmsUp: options.warmsUp,
        gate: options.limitsRate ? ResourceGate(limits: options.rateLimits) : nil, log: log),
      repositories: options.repositories,
      fixed: options.models.mapValues { $0.hasPrefix("builtin:") ? .builtIn(String($0.dropFirst("builtin:".count))) : .file($0) }, log: log)
  }

  /// Loads what the control mode says; blocking. Returns what failed, by model.
  public func start() -> [String: KServeError] {
    var names = manager.listing().keys.sorted()
    if options.controlMode == .explicit {
      // Models named on the command line are asked for by that.
      let wanted = Set(options.loadModels).union(options.models.keys)
      let known = Set(names)
      if !wanted.contains("*") { names = wanted.filter { !known.contains($0) }.sorted() + names.filter(wanted.contains) }
    }
    var failures: [String: KServeError] = [:]
    for name in names {
      do throws(KServeError) { try manager.load(name, configuration: nil, files: [:]) } catch { failures[name] = error }
    }
    isStarting.store(false, ordering: .relaxed)
    if options.controlMode == .poll { DetachedThread.start(named: "repository poll") { [self] in pollRepository() } }
    return failures
  }

  private func pollRepository() {
    while !isDraining.load(ordering: .relaxed) {
      poller.lock()
      poller.wait(until: MonotonicClock.now + options.pollInterval)
      poller.unlock()
      if !isDraining.load(ordering: .relaxed) { manager.poll() }
    }
  }

  /// Readiness goes false; models take no more requests once `closeModels` is called too.
  public func beginDraining() {
    isDraining.store(true, ordering: .relaxed)
    poller.broadcast()
  }

  /// No request is taken any more; what is accepted is still served.
  public func closeModels() { manager.closeAll() }

  /// Trace records given so far are in their files.
  public func finishTraces() { tracer.finish() }

  /// Requests accepted and not yet answered.
  public var unansweredRequests: Int { manager.unanswered }

  // MARK: - Health and metadata

  /// The process answers.
  public var isLive: Bool { true }

  /// Models are loaded and the server is not draining.
  public var isReady: Bool {
    if isDraining.load(ordering: .relaxed) || isStarting.load(ordering: .relaxed) { return false }
    guard options.strictReadiness else { return true }
    return manager.table.states.allSatisfy { entry in
      switch entry.state {
      case .ready: true
      case .unavailable(let reason): reason == "unloaded"
      case .loading, .unloading: false
      }
    }
  }

  /// Name, version and extensions.
  public var metadata: ServerMetadata {
    ServerMetadata(
      name: "headroom", version: options.version,
      extensions: [
        // The reference server's list and order. The calls of "sequence" and "cuda_shared_memory" exist and refuse with the reason
        // (Docs/compatibility.md).
        "classification", "sequence", "model_repository", "model_repository(unload_dependents)", "schedule_policy", "model_configuration",
        "system_shared_memory", "cuda_shared_memory", "binary_tensor_data", "parameters", "statistics", "trace", "logging",
      ])
  }

  /// False also for an unknown model, as the reference server says.
  public func isModelReady(_ name: String, version: String) throws(KServeError) -> Bool {
    do throws(KServeError) { return try manager.table.find(name, version: version).loaded.outage == nil } catch { return false }
  }

  /// Throws what an inference would.
  public func checkModel(_ name: String, version: String) throws(KServeError) { _ = try manager.table.find(name, version: version) }

  /// Inputs and outputs of the version, its row dimension as -1.
  public func modelMetadata(_ name: String, version: String) throws(KServeError) -> ModelMetadata {
    let model = try manager.table.find(name, version: version)
    let configuration = model.configuration
    let rows = model.takesRows ? [-1] : []
    return ModelMetadata(
      name: name, versions: manager.table.ready(name).map(\.versionText),
      platform: configuration.platform.isEmpty
        ? (configuration.backend.isEmpty ? "headroom" : configuration.backend) : configuration.platform,
      inputs: configuration.inputs.map { ModelMetadata.Tensor(name: $0.name, dataType: $0.dataType, shape: rows + $0.dims) },
      outputs: configuration.outputs.map { ModelMetadata.Tensor(name: $0.name, dataType: $0.dataType, shape: rows + $0.dims) })
  }

  /// The completed configuration.
  public func modelConfiguration(_ name: String, version: String) throws(KServeError) -> JSONValue {
    try manager.table.find(name, version: version).configuration.json()
  }

  /// Counters of the ready versions; an empty name means every model.
  public func statistics(_ name: String, version: String) throws(KServeError) -> [ModelStatistics] {
    if name.isEmpty { return manager.table.allReady.map { $0.counters.current.statistics } }
    let models = manager.table.ready(name)
    // core src/server.cc, TRITONSERVER_ServerModelStatistics.
    if models.isEmpty { throw KServeError(.invalidArgument, "requested model '\(name)' is not available") }
    if version.isEmpty { return models.map { $0.counters.current.statistics } }
    guard let model = models.first(where: { $0.versionText == version }) else {
      throw KServeError(.invalidArgument, "requested model version is not available for model '\(name)'")
    }
    return [model.counters.current.statistics]
  }

  // MARK: - Inference

  /// Queues the request at its model; a model replaced in between is looked up anew, so nothing is lost.
  public func infer(
    _ request: InferenceRequest, on loop: any EventLoop, reply: @escaping @Sendable (Result<InferenceResponse, KServeError>) -> Void
  ) -> InferenceHandle {
    let model: ServedModel
    do throws(KServeError) {
      model = try manager.table.find(request.modelName, version: request.modelVersion)
    } catch {
      reply(.failure(error))
      return InferenceHandle {}
    }
    let record = LiveReply(live: live, tracer: tracer, model: model, request: request, reply: reply)
    let expectedBytes = model.expectedBytes(of: request)
    var handle = model.infer(
      request, on: loop,
      fallback: { [self] in
        // The model was replaced between the lookup and the queue: nothing is lost, the new one takes it.
        guard let other = try? manager.table.find(request.modelName, version: request.modelVersion), other !== model else { return nil }
        return infer(request, on: loop, reply: reply)
      }
    ) { [log] answer, passage in
      if case .failure(let error) = answer { log.verbose(1, "infer of model '\(model.name)' failed: \(error.message)") }
      record.deliver(answer, passage)
    }
    handle.expectedBytes = expectedBytes
    return handle
  }

  // MARK: - Repository

  /// Every version known and every model of the repositories never loaded, by name.
  public func repositoryIndex(readyOnly: Bool) -> [RepositoryIndexEntry] {
    var entries: [RepositoryIndexEntry] = []
    for (name, version, state) in manager.table.states {
      switch state {
      case .ready: entries.append(RepositoryIndexEntry(name: name, version: String(version), state: "READY"))
      case .loading where !readyOnly: entries.append(RepositoryIndexEntry(name: name, version: String(version), state: "LOADING"))
      case .unloading where !readyOnly: entries.append(RepositoryIndexEntry(name: name, version: String(version), state: "UNLOADING"))
      case .unavailable(let reason) where !readyOnly:
        entries.append(RepositoryIndexEntry(name: name, version: String(version), state: "UNAVAILABLE", reason: reason))
      default: break
      }
    }
    if !readyOnly {
      let known = manager.table.names
      entries += manager.listing().keys.filter { !known.contains($0) }.map { RepositoryIndexEntry(name: $0) }
    }
    return entries.sorted { ($0.name, Int($0.version) ?? 0) < ($1.name, Int($1.version) ?? 0) }
  }

  /// Loads on a thread of its own; explicit mode only.
  public func loadModel(
    _ name: String, configuration: String?, files: [String: [UInt8]], on loop: any EventLoop,
    reply: @escaping @Sendable (Result<Void, KServeError>) -> Void
  ) {
    control("load", name, on: loop, reply: reply) { [manager] () throws(KServeError) in
      try Self.checkName(name)
      try manager.load(name, configuration: configuration, files: files)
    }
  }

  /// core `src/model_repository_manager/model_repository_manager.cc`, ValidateModelName: of loads alone.
  private static func checkName(_ name: String) throws(KServeError) {
    let isSpace: (Unicode.Scalar) -> Bool = { $0 == " " || (0x09...0x0D).contains($0.value) }
    let scalars = name.unicodeScalars.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
    if scalars.isEmpty {
      throw KServeError(.invalidArgument, "Model name cannot be empty. Please enter a valid name to deploy.")
    }
    // Not asked for there: a folder's own name, and what no log line or metric's label should carry.
    if scalars.elementsEqual(".".unicodeScalars) || name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
      throw KServeError(
        .invalidArgument, "invalid model name '\(name.filter { $0 >= " " })', model name must be a folder's name without control characters"
      )
    }
    if scalars.elementsEqual("..".unicodeScalars) || scalars.contains("/") {
      throw KServeError(
        .invalidArgument, "invalid model name '\(name)', model name must not contain path traversal characters")
    }
  }

  /// Unloads on a thread of its own; explicit mode only.
  public func unloadModel(
    _ name: String, unloadDependents: Bool, on loop: any EventLoop, reply: @escaping @Sendable (Result<Void, KServeError>) -> Void
  ) {
    control("unload", name, on: loop, reply: reply) { [manager] () throws(KServeError) in manager.unload(name) }
  }

  private func control(
    _ verb: String, _ name: String, on loop: any EventLoop, reply: @escaping @Sendable (Result<Void, KServeError>) -> Void,
    _ body: @escaping @Sendable () throws(KServeError) -> Void
  ) {
    if options.controlMode != .explicit {
      // core src/model_repository_manager/model_repository_manager.cc.
      return reply(
        .failure(KServeError(.unavailable, "explicit model load / unload is not allowed if polling is enabled")))
    }
    DetachedThread.start(named: "\(verb) \(name)") {
      let result: Result<Void, KServeError>
      do throws(KServeError) {
        try body()
        result = .success(())
      } catch {
        result = .failure(error)
      }
      loop.execute { reply(result) }
    }
  }
}
