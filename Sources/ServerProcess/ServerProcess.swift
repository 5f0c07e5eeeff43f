import CheckedNumbers
import FileAccess
import GRPCFrontEnd
import Glibc
import HTTPFrontEnd
import KServe
import ModelGraph
import ModelConfiguration
import NIOPosix
import ProcessContract
public import Serving
import Threads
import TimeBase
import TraceFormats
import Vocabulary

/// A server from its start to its end: devices, listeners, models, signals, drain.
public struct ServerProcess {
  private let settings: ServerSettings
  private let log: ServerLog
  /// Writes a line to standard output.
  private let print: (String) -> Void

  /// A server that is not started. `print` writes a line for programs that started it.
  public init(_ settings: ServerSettings, log: ServerLog, print: @escaping (String) -> Void) {
    self.settings = settings
    self.log = log
    self.print = print
  }

  /// Serves until SIGTERM or SIGINT and answers what was accepted. Blocks the thread, which must be the process's first: signals are blocked
  /// for every thread made from here on.
  public func run() throws(ServerStartError) {
    Self.raiseFileLimit()
    // Before any thread is made: all inherit the mask, and the signals come to `EndingSignal` alone.
    let signals = Self.blockSignals()
    try refuseMissingModels()
    var options = settings.service
    options.isLoopback = Self.isLoopback(settings.listening.httpAddress) && Self.isLoopback(settings.listening.grpcAddress)
    let (http, grpc) = try frontEndOptions()
    // Before the driver starts.
    let profile: ServerProfile? =
      if let window = settings.profileWindow {
        try ServerProfile(.init(seconds: window, folder: settings.profileFolder), device: settings.device)
      } else {
        nil
      }
    defer { profile?.close() }
    let server = InferenceServer(options, devices: try settings.device.make(program: options.version, log: log), log: log)
    do throws(KServeError) { try server.setInitialTraceSettings(settings.traceSettings) } catch {
      throw .usage("--trace-config: \(error.message)")
    }
    profile?.begin(server)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.listening.eventLoops ?? HTTPServer.usualEventLoopCount)
    let listeners = Listeners(server: server, group: group, http: http, grpc: grpc, profiles: profile, log: log)
    // Listening comes before loading: health calls answer while models load.
    let addresses = try listeners.listen(settings.listening)
    // Connections are given a little longer than requests to close.
    let ending = EndingSignal(signals: signals, limit: settings.exitTimeout + Self.closingTime, say: { [log] in log.say($0) })
    let failures = server.start()
    if !failures.isEmpty, settings.endsOnLoadFailure {
      for (name, error) in failures.sorted(by: { $0.key < $1.key }) { log.say("model '\(name)': \(error.message)", severity: "E") }
      log.say("nothing is served: a model could not be loaded (--exit-on-error false starts without it)", severity: "E")
      throw .failed
    }
    if server.modelStates.isEmpty {
      log.say("no model is loaded: there is none in the repositories, or none was named (--load-model, or a load call)", severity: "W")
    }
    log.say(server.isReady ? "ready" : "running, not ready")
    if settings.printsReadyLine {
      print(
        ServerReady(
          version: options.version, http: addresses.http, grpc: addresses.grpc, metrics: addresses.metrics, isReady: server.isReady,
          device: settings.device.name
        ).line)
    }
    let signal = ending.wait()
    let recorded = settings.recordPath.map { (RecordedRun(server), $0) }
    listeners.drain(within: settings.exitTimeout)
    if let (run, path) = recorded { try save(run, to: path) }
    log.info("ended after signal \(signal)")
    try? group.syncShutdownGracefully()
  }

  private func frontEndOptions() throws(ServerStartError) -> (HTTPServer.Options, GRPCServerOptions) {
    let listening = settings.listening
    var http = HTTPServer.Options()
    http.tls = try listening.tls?.context(protocols: ["http/1.1"])
    http.restrictions = listening.httpRestrictions
    http.limits.bodyBytes = listening.maximumBodyBytes
    http.limits.connections = listening.maximumConnections
    http.controlNames = listening.controlHosts
    http.unsent = UnsentBytes(limit: listening.maximumUnsentBytes)
    http.warn = { [log] in log.warning($0) }
    var grpc = GRPCServerOptions()
    grpc.tls = try (listening.grpcTLS ?? listening.tls)?.context(protocols: ["h2"])
    grpc.restrictions = listening.grpcRestrictions
    (grpc.unsent, grpc.warn) = (http.unsent, http.warn)
    grpc.inflate = GRPCServerOptions.zlib(limit: http.limits.bodyBytes)
    grpc.shutdownTimeout = .nanoseconds(settings.exitTimeout.nanoseconds)
    return (http, grpc)
  }

  private func refuseMissingModels() throws(ServerStartError) {
    guard settings.endsOnLoadFailure, let missing = Self.missingModel(in: settings.service.models) else { return }
    log.say(missing, severity: "E")
    throw .failed
  }

  /// A model of the command line that is not there is said before a port is bound: nothing would be served. nil where all are there.
  static func missingModel(in models: [String: String]) -> String? {
    for (name, source) in models.sorted(by: { $0.key < $1.key }) {
      let reason: String
      if source.hasPrefix("builtin:") {
        let head = String(source.dropFirst("builtin:".count))
        if BuiltInHead.names.contains(head) { continue }
        let nearest = NameSuggestion.nearest(to: head, in: BuiltInHead.names).map { "; did you mean 'builtin:\($0)'?" }
        reason = "no built-in model is called '\(head)'" + (nearest ?? "; there are \(BuiltInHead.names.joined(separator: ", "))")
      } else {
        switch Files.kind(of: source) {
        case .file: continue
        case .folder: reason = "that is a folder: give the .onnx file in it, or the folder of models with --model-repository"
        case nil: reason = "there is no such file"
        }
      }
      return "--model \(name)=\(source): \(reason)"
    }
    return nil
  }

  private func save(_ run: RecordedRun, to path: String) throws(ServerStartError) {
    let models = run.models
    for model in models {
      let name = models.count == 1 ? path : OutputPath.adding(model.name, to: path)
      do { try TraceStore.write(model.trace, to: name) } catch {
        log.say("--record \(name): \(error)", severity: "E")
        throw .failed
      }
      log.say("recorded \(model.trace.requests.count) requests of '\(model.name)' in \(name)")
    }
  }

  private static let closingTime = TimeSpan.seconds(15)

  // MARK: - The process

  private static func isLoopback(_ address: String) -> Bool { address == "localhost" || address == "::1" || address.hasPrefix("127.") }

  /// A connection is a descriptor; the soft limit is often 1,024.
  private static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(clamping: RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(clamping: RLIMIT_NOFILE.rawValue), &limit)
  }

  private static func blockSignals() -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
    // A log or trace that reaches the limit on file sizes is a failed write, not the server's end.
    signal(SIGXFSZ, SIG_IGN)
    return set
  }
}
