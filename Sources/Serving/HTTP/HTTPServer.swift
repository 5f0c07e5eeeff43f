public import NIOCore
import NIOPosix
public import NIOSSL
import Synchronization

/// Listens for HTTP/1 and serves an application.
public final class HTTPServer: Sendable {
  private let group: any EventLoopGroup
  private let application: any HTTPApplication
  private let limits: HTTPLimits
  private let tls: NIOSSLContext?
  private let connections: ConnectionCount
  private let listener = Mutex<(any Channel)?>(nil)

  /// A server of the KServe protocol. `live`: pages beside the protocol.
  public convenience init(
    service: InferenceServer, group: any EventLoopGroup, limits: HTTPLimits = HTTPLimits(), tls: NIOSSLContext? = nil
  ) {
    self.init(application: KServeApplication(service: service, live: LiveDiagnosisPages(service)), group: group, limits: limits, tls: tls)
  }

  /// A server of the metrics port.
  public convenience init(metricsOf server: InferenceServer, group: any EventLoopGroup, limits: HTTPLimits = HTTPLimits()) {
    self.init(application: MetricsApplication(server: server), group: group, limits: limits, tls: nil)
  }

  init(application: any HTTPApplication, group: any EventLoopGroup, limits: HTTPLimits, tls: NIOSSLContext?) {
    self.application = application
    self.group = group
    self.limits = limits
    self.tls = tls
    connections = ConnectionCount(limit: limits.connections)
  }

  /// Binds and listens; the port it got. Blocking.
  public func start(host: String, port: Int) throws -> Int {
    let (application, limits, connections, tls) = (application, limits, connections, tls)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 4096)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.maxMessagesPerRead, value: 16)
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
          if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
          try pipeline.addHandler(HTTPConnection(application: application, limits: limits, connections: connections))
        }
      }
    let channel = try bootstrap.bind(host: host, port: port).wait()
    listener.withLock { $0 = channel }
    return channel.localAddress?.port ?? port
  }

  /// Takes no more connections; those that are open go on.
  public func stopListening() {
    let channel = listener.withLock { listener in
      defer { listener = nil }
      return listener
    }
    try? channel?.close().wait()
  }

  /// Connections that are open.
  public var connectionCount: Int { connections.current }
}
