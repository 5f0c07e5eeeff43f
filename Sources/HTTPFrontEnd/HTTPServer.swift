import CheckedNumbers
import Glibc
public import NIOCore
import NIOPosix
public import NIOSSL
public import Serving
import Synchronization

/// Listens for HTTP/1 and serves an application.
public final class HTTPServer: Sendable {
  /// Event loops where none are asked for: half of the processors, 8 at most; the other half computes.
  public static var usualEventLoopCount: Int { max(1, min(8, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)) / 2)) }

  /// What a listener is given besides its application.
  public struct Options: Sendable {
    /// What clients may ask for.
    public var limits = HTTPLimits()
    /// With it the server speaks TLS.
    public var tls: NIOSSLContext?
    /// Shared by all listeners of the process.
    public var unsent = UnsentBytes()
    /// Groups of calls that need a header.
    public var restrictions = RestrictedAPIs()
    /// Names under which control calls are taken, besides those of loopback and the address itself.
    public var controlNames: Set<String> = []
    /// Told what the operator should know.
    public var warn: @Sendable (String) -> Void = { _ in }

    /// The defaults.
    public init() {}
  }

  private let group: any EventLoopGroup
  private let application: any HTTPApplication
  private let options: Options
  private let connections: HTTPConnections
  private let listener = Mutex<(any Channel)?>(nil)

  /// A server of the KServe protocol, with the live pages, where there are any, beside it.
  public convenience init(
    service: any KServeService, live: (any LivePages)? = nil, profiles: (any ProfileWindows)? = nil, group: any EventLoopGroup,
    options: Options = Options()
  ) {
    let application = KServeApplication(
      service: service, live: live, profiles: profiles, restrictions: options.restrictions,
      browsers: BrowserGuard(names: Set(options.controlNames.map { $0.lowercased() })))
    self.init(application: application, group: group, options: options)
  }

  /// A server of the metrics port.
  public convenience init(
    metricsOf server: InferenceServer, live: (any LivePages)? = nil, group: any EventLoopGroup, options: Options = Options()
  ) {
    self.init(application: MetricsApplication(server: server, live: live), group: group, options: options)
  }

  init(application: any HTTPApplication, group: any EventLoopGroup, options: Options) {
    self.application = application
    self.group = group
    self.options = options
    connections = HTTPConnections(limit: options.limits.connections)
  }

  /// Binds and listens; the port it got. Blocking.
  public func start(host: String, port: Int) throws -> Int {
    let (application, options, connections) = (application, options, connections)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 4096)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.maxMessagesPerRead, value: 16)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptWatch("HTTP", say: options.warn)) }
      }
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(
        .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: 256 << 10)
      )
      .childChannelInitializer { channel in
        guard connections.enter() else { return channel.close() }
        return channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let tls = options.tls {
            try pipeline.addHandler(NIOSSLServerHandler(context: tls))
            try pipeline.addHandler(HandshakeLimit(limit: .nanoseconds(options.limits.handshakeTime.nanoseconds)))
          }
          let connection = HTTPConnection(
            application: application, limits: options.limits, connections: connections, unsent: options.unsent)
          try pipeline.addHandler(connection)
          connections.add(connection, on: channel.eventLoop)
        }
      }
    let channel = try bootstrap.bind(host: host, port: port).wait()
    listener.withLock { $0 = channel }
    return channel.localAddress?.port ?? port
  }

  /// Takes no more connections; those that are open go on. Blocking.
  public func stopListening() {
    let channel = listener.withLock { listener in
      defer { listener = nil }
      return listener
    }
    channel?.stopAccepting()
  }

  /// Every connection ends with its next answer, and one without a request after the grace. Returns at once.
  public func drain(grace: TimeAmount = .milliseconds(250)) { connections.drain(grace: grace) }

  /// Connections that are open.
  public var connectionCount: Int { connections.current }
}
