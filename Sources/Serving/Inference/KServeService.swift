public import JSONText
public import KServe
public import NIOCore

/// What the protocol's calls mean, whatever the wire: HTTP and gRPC both call this and nothing else. Texts and statuses of the errors are
/// final; a front end only wraps them.
///
/// Calls that may block (loading) complete by a callback on the given loop; the others return at once and are cheap enough for an event
/// loop.
public protocol KServeService: AnyObject, Sendable {
  /// The process answers.
  var isLive: Bool { get }
  /// Every model that should be loaded is (strict readiness), and the server is not draining.
  var isReady: Bool { get }
  /// `GET v2`.
  var metadata: ServerMetadata { get }

  /// Whether this version (empty: any) can serve. Throws for an unknown model only where Triton does.
  func isModelReady(_ name: String, version: String) throws(KServeError) -> Bool
  /// That an inference would find its model; throws what it would throw.
  func checkModel(_ name: String, version: String) throws(KServeError)
  /// `GET v2/models/M`.
  func modelMetadata(_ name: String, version: String) throws(KServeError) -> ModelMetadata
  /// The normalized configuration as JSON, with the schema's field names.
  func modelConfiguration(_ name: String, version: String) throws(KServeError) -> JSONValue
  /// Counters; an empty name: of every model, by name.
  func statistics(_ name: String, version: String) throws(KServeError) -> [ModelStatistics]

  /// Runs an inference; `reply` is called exactly once, on `loop`. The handle cancels it while it waits.
  func infer(
    _ request: InferenceRequest, on loop: any EventLoop, reply: @escaping @Sendable (Result<InferenceResponse, KServeError>) -> Void
  ) -> InferenceHandle

  /// Every model in the repository, by name.
  func repositoryIndex(readyOnly: Bool) -> [RepositoryIndexEntry]
  /// Loads or reloads. `configuration`: a JSON configuration instead of the file's; `files`: "VERSION/NAME" -> contents, needs a
  /// configuration.
  func loadModel(
    _ name: String, configuration: String?, files: [String: [UInt8]], on loop: any EventLoop,
    reply: @escaping @Sendable (Result<Void, KServeError>) -> Void)
  /// Unloads; what is queued is still served.
  func unloadModel(
    _ name: String, unloadDependents: Bool, on loop: any EventLoop, reply: @escaping @Sendable (Result<Void, KServeError>) -> Void)

  /// Registered regions; an empty name: all, by name.
  func sharedMemoryStatus(_ name: String) throws(KServeError) -> [SharedMemoryRegion]
  /// Maps a POSIX shared-memory object.
  func registerSharedMemory(_ region: SharedMemoryRegion) throws(KServeError)
  /// Unmaps; an empty name: all.
  func unregisterSharedMemory(_ name: String) throws(KServeError)

  /// Trace settings; an empty name: the server's.
  func traceSettings(_ model: String) throws(KServeError) -> TraceSettings
  /// Changes them: values by the protocol's keys ("trace_level", ...); an empty list clears a model's own value.
  func updateTraceSettings(_ model: String, _ changes: [String: [String]]) throws(KServeError) -> TraceSettings
  /// Log settings.
  var logSettings: LogSettings { get }
  /// Changes them by the protocol's keys ("log_info", "log_verbose_level", ...).
  func updateLogSettings(_ changes: [String: KServeParameter]) throws(KServeError) -> LogSettings

  /// Whether a control call (repository, trace, log settings, shared memory) may proceed: bound to loopback, or the bearer token fits.
  func allowsControl(bearerToken: String?) -> Bool
  /// Whether this is the control token, wherever the server listens.
  func hasControlToken(_ bearerToken: String?) -> Bool
}

/// An inference that may be cancelled.
public struct InferenceHandle: Sendable {
  private let onCancel: @Sendable () -> Void
  /// Bytes of outputs that the answer will have, where the model's configuration tells; 0 where it does not.
  public var expectedBytes = 0

  /// A handle; `cancel` may come after the reply and must then do nothing.
  public init(cancel: @escaping @Sendable () -> Void) { onCancel = cancel }

  /// The client is gone. While the request waits in a queue it is dropped and `reply` gets CANCELLED.
  public func cancel() { onCancel() }
}

extension KServeService {
  /// By way of the metadata, for services that have nothing cheaper.
  public func checkModel(_ name: String, version: String) throws(KServeError) { _ = try modelMetadata(name, version: version) }

  /// For services without a token.
  public func hasControlToken(_ bearerToken: String?) -> Bool { false }
}
