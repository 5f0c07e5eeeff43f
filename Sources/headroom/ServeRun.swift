import Console
import CheckedNumbers
import ArgumentParser
import ProcessContract
import Execution
import FileAccess
import GPUModel
import Glibc
import GRPCFrontEnd
import HTTPFrontEnd
import KServe
import ModelConfiguration
import ModelGraph
import NIOCore
import NIOPosix
import NIOSSL
import Serving
import TimeBase
import TraceFormats

/// A server from its start to its end.
struct ServeRun {
  let command: ServeCommand
  let log: ServerLog

  func run() throws {
    Self.raiseFileLimit()
    // Before any thread is made: all inherit the mask, and the signals come to `waitForSignal` alone.
    let signals = Self.blockSignals()
    try refuseMissingModels()
    var options = InferenceServer.Options()
    options.version = Headroom.version
    options.repositories = command.models.repositories
    options.models = try command.models.byName()
    options.controlMode = command.models.modelControlMode
    options.loadModels = command.models.loadModel
    options.pollInterval = .seconds(command.models.repositoryPollSecs)
    options.strictReadiness = command.models.strictReadiness.isOn
    options.keepsEvents = command.behaviour.liveEvents.isOn || command.behaviour.record != nil
    if command.behaviour.record != nil { options.keptRequests = command.behaviour.recordLimit }
    options.allowsClientSharedMemory = command.behaviour.allowClientShm.isOn
    options.controlToken = command.listening.controlToken ?? getenv("HEADROOM_CONTROL_TOKEN").map { String(cString: $0) }
    options.isLoopback = Self.isLoopback(command.listening.httpAddress) && Self.isLoopback(command.listening.grpcAddress)
    options.precision = command.device.precision
    options.executionLimit = .seconds(command.device.instanceTimeoutSecs)
    options.warmsUp = command.models.warmup.isOn
    options.limitsRate = command.behaviour.rateLimit == "execution_count"
    options.rateLimits = command.behaviour.rateLimitResource.map(\.limit)
    options.metrics = try command.behaviour.metrics()

    var http = HTTPServer.Options()
    http.tls = try tls(protocols: ["http/1.1"])
    http.restrictions = try command.security.httpRestrictions()
    var grpc = GRPCServerOptions()
    grpc.tls = try command.security.grpcContext() ?? tls(protocols: ["h2"])
    grpc.restrictions = try command.security.grpcRestrictions()
    let server = InferenceServer(options, devices: try ServeDevices(command.device, log: log).make(), log: log)
    var traceSettings: [String: [String]] = [:]
    for setting in command.behaviour.traceConfig {
      if setting.key == "trace_level", traceSettings[setting.key] != nil {
        traceSettings[setting.key]?.append(setting.value)
      } else {
        traceSettings[setting.key] = [setting.value]
      }
    }
    do throws(KServeError) { try server.setInitialTraceSettings(traceSettings) } catch {
      throw ValidationError("--trace-config: \(error.message)")
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: command.listening.httpThreadCount ?? HTTPServer.usualEventLoopCount)
    http.limits.bodyBytes = command.listening.httpMaxInputSize
    http.limits.connections = command.listening.maxConnections
    http.controlNames = Set(command.listening.controlHost)
    http.unsent = UnsentBytes(limit: command.listening.maxUnsentSize)
    http.warn = { [log] in log.warning($0) }
    (grpc.unsent, grpc.warn) = (http.unsent, http.warn)
    grpc.inflate = GRPCServerOptions.zlib(limit: http.limits.bodyBytes)
    grpc.shutdownTimeout = .nanoseconds(TimeSpan.seconds(command.behaviour.exitTimeoutSecs).nanoseconds)
    let fronts = ServeFronts(server: server, group: group, http: http, grpc: grpc, log: log)
    let listening = command.listening
    // Listening comes before loading: health calls answer while models load.
    let addresses = try fronts.listen(listening)
    // Connections are given a little longer than requests to close.
    let ending = ServeEnding(
      signals: signals, limit: .seconds(command.behaviour.exitTimeoutSecs) + Self.closingTime, say: { [log] in log.say($0) })
    let failures = server.start()
    if !failures.isEmpty, command.models.exitOnError.isOn {
      for (name, error) in failures.sorted(by: { $0.key < $1.key }) { log.say("model '\(name)': \(error.message)", severity: "E") }
      log.say("nothing is served: a model could not be loaded (--exit-on-error false starts without it)", severity: "E")
      throw ExitCode(.failed)
    }
    log.say(server.isReady ? "ready" : "running, not ready")
    if command.behaviour.readyLine {
      Terminal.print(
        ServerReady(
          version: Headroom.version, http: addresses.http, grpc: addresses.grpc, metrics: addresses.metrics, isReady: server.isReady,
          device: command.device.device
        ).line)
    }
    let signal = ending.wait()
    let recorded = command.behaviour.record.map { (RecordedRun(server), $0) }
    fronts.drain(within: .seconds(command.behaviour.exitTimeoutSecs))
    if let (run, path) = recorded { try save(run, to: path) }
    log.info("ended after signal \(signal)")
    try? group.syncShutdownGracefully()
  }

  /// A model of the command line that is not there is said before a port is bound: nothing would be served.
  private func refuseMissingModels() throws {
    guard command.models.exitOnError.isOn else { return }
    for (name, source) in try command.models.byName().sorted(by: { $0.key < $1.key }) {
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
      log.say("--model \(name)=\(source): \(reason)", severity: "E")
      throw ExitCode(.failed)
    }
  }

  private func save(_ run: RecordedRun, to path: String) throws {
    let models = run.models
    for model in models {
      let name = models.count == 1 ? path : BenchCommand.path(path, adding: model.name)
      do { try TraceStore.write(model.trace, to: name) } catch {
        log.say("--record \(name): \(error)", severity: "E")
        throw ExitCode(.failed)
      }
      log.say("recorded \(model.trace.requests.count) requests of '\(model.name)' in \(name)")
    }
  }

  private func tls(protocols: [String]) throws -> NIOSSLContext? {
    guard let certificate = command.listening.tlsCertificate, let key = command.listening.tlsKey else { return nil }
    return try ServeTLS(certificate: certificate, key: key).context(protocols: protocols, options: ("--tls-certificate", "--tls-key", ""))
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
