import CheckedNumbers
import ArgumentParser
import Execution
import GPUModel
import Glibc
import KServe
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

    let tls = try tlsContext()
    let server = InferenceServer(options, devices: try ServeDevices(command.device, log: log).make(), log: log)
    for setting in command.behaviour.traceConfig {
      do throws(KServeError) { _ = try server.updateTraceSettings("", [setting.key: [setting.value]]) } catch {
        throw ValidationError("--trace-config: \(error.message)")
      }
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: command.listening.httpThreadCount ?? Self.eventLoops)
    var limits = HTTPLimits()
    limits.bodyBytes = command.listening.httpMaxInputSize
    limits.connections = command.listening.maxConnections
    let http = HTTPServer(service: server, group: group, limits: limits, tls: tls)
    let metrics = HTTPServer(metricsOf: server, group: group, limits: limits)
    var grpcOptions = GRPCServerOptions()
    grpcOptions.tls = try grpcContext()
    grpcOptions.inflate = GRPCServerOptions.zlib(limit: limits.bodyBytes)
    let grpc = GRPCServer(service: server, group: group, options: grpcOptions)
    let listening = command.listening
    let metricsAddress = listening.metricsAddress ?? listening.httpAddress

    // Listening comes before loading: health calls answer while models load.
    if listening.allowHttp.isOn {
      Self.say(
        "HTTP on \(listening.httpAddress):\(try Self.bind("--http-port", listening.httpPort) { try http.start(host: listening.httpAddress, port: $0) })"
      )
    }
    if listening.allowGrpc.isOn {
      Self.say(
        "gRPC on \(listening.grpcAddress):\(try Self.bind("--grpc-port", listening.grpcPort) { try grpc.start(host: listening.grpcAddress, port: $0) })"
      )
    }
    if listening.allowMetrics.isOn {
      Self.say(
        "metrics on \(metricsAddress):\(try Self.bind("--metrics-port", listening.metricsPort) { try metrics.start(host: metricsAddress, port: $0) })"
      )
    }
    let failures = server.start()
    if !failures.isEmpty, command.models.exitOnError.isOn {
      for (name, error) in failures.sorted(by: { $0.key < $1.key }) { Self.say("model '\(name)': \(error.message)") }
      Self.say("nothing is served: a model could not be loaded (--exit-on-error false starts without it)")
      throw ExitCode(1)
    }
    Self.say(server.isReady ? "ready" : "running, not ready")
    let signal = Self.waitForSignal(signals)
    let recorded = command.behaviour.record.map { (RecordedRun(server), $0) }
    drain(server, http, grpc, metrics)
    if let (run, path) = recorded { try Self.save(run, to: path) }
    log.info("ended after signal \(signal)")
    try? group.syncShutdownGracefully()
  }

  /// Readiness first, so that balancers look elsewhere; then the queues; then the sockets.
  private func drain(_ server: InferenceServer, _ http: HTTPServer, _ grpc: GRPCServer, _ metrics: HTTPServer) {
    server.beginDraining()
    http.stopListening()
    let deadline = Self.now + .seconds(command.behaviour.exitTimeoutSecs)
    server.closeModels()
    while server.unansweredRequests > 0, Self.now < deadline { usleep(5000) }
    if server.unansweredRequests > 0 { log.error("\(server.unansweredRequests) requests are left unanswered after --exit-timeout-secs") }
    server.finishTraces()
    // What was answered last is still in the sockets' hands.
    usleep(50_000)
    try? grpc.shutdownGracefully().wait()
    metrics.stopListening()
  }

  private static func save(_ run: RecordedRun, to path: String) throws {
    let models = run.models
    for model in models {
      let name = models.count == 1 ? path : BenchCommand.path(path, adding: model.name)
      do { try TraceStore.write(model.trace, to: name) } catch {
        say("--record \(name): \(error)")
        throw ExitCode(1)
      }
      say("recorded \(model.trace.requests.count) requests of '\(model.name)' in \(name)")
    }
  }

  private func tlsContext() throws -> NIOSSLContext? { try makeTLS(protocols: ["http/1.1"]) }
  private func grpcContext() throws -> NIOSSLContext? { try makeTLS(protocols: ["h2"]) }

  private func makeTLS(protocols: [String]) throws -> NIOSSLContext? {
    guard let certificate = command.listening.tlsCertificate, let key = command.listening.tlsKey else { return nil }
    do {
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
        privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
      configuration.applicationProtocols = protocols
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw ValidationError("--tls-certificate \(certificate), --tls-key \(key): \(error)")
    }
  }

  // MARK: - The process

  /// Event loops where none are asked for.
  static var eventLoops: Int { max(1, min(8, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)) / 2)) }

  private static var now: Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// A line on standard error, whatever the log settings: scripts wait for it.
  private static func say(_ line: String) {
    _ = Array((line + "\n").utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  }

  private static func bind(_ option: String, _ port: Int, _ start: (Int) throws -> Int) throws -> Int {
    do { return try start(port) } catch {
      say("\(option) \(port) cannot be had: \(error)")
      throw ExitCode(1)
    }
  }

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
    return set
  }

  private static func waitForSignal(_ set: sigset_t) -> Int32 {
    var set = set
    var received: Int32 = 0
    while sigwait(&set, &received) != 0 {}
    return received
  }
}
