public import NIOCore
import NIOHTTP2
import NIOPosix
import NIOSSL
public import Serving
import Synchronization

/// KServe v2 over gRPC: the calls of triton-inference-server/common `protobuf/grpc_service.proto` (package `inference`) and
/// `grpc.health.v1.Health`.
public final class GRPCServer: Sendable {
  private struct State {
    var listeners: [any Channel] = []
    var connections: [ObjectIdentifier: GRPCConnection] = [:]
    /// Set by a graceful shutdown; done when the last connection is.
    var drained: EventLoopPromise<Void>?
  }

  private let service: any KServeService
  private let group: any EventLoopGroup
  private let options: GRPCServerOptions
  private let state = Mutex(State())

  /// A server that listens nowhere yet. It answers on the loops of `group`, which outlives it.
  public init(service: any KServeService, group: any EventLoopGroup, options: GRPCServerOptions = GRPCServerOptions()) {
    self.service = service
    self.group = group
    self.options = options
  }

  /// Listens; gives the port, which is the system's choice when 0 is asked for. May be called more than once.
  public func bind(host: String, port: Int) -> EventLoopFuture<Int> {
    ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1_024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { [options] channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptWatch("gRPC", say: options.warn)) }
      }
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture { try self.addHandlers(to: channel) }
      }
      .bind(host: host, port: port)
      .map { [self] channel in
        state.withLock { $0.listeners.append(channel) }
        return channel.localAddress?.port ?? port
      }
  }

  /// Listens, and waits until it does. Not from an event loop or a task.
  @available(*, noasync)
  public func start(host: String, port: Int) throws -> Int { try bind(host: host, port: port).wait() }

  /// Stops listening, lets open calls end and closes their connections; after `shutdownTimeout` whatever is left is cut off.
  public func shutdownGracefully() -> EventLoopFuture<Void> {
    let loop = group.next()
    let promise = loop.makePromise(of: Void.self)
    let (listeners, connections, earlier) = state.withLock { state in
      let before = (state.listeners, Array(state.connections.values), state.drained)
      state.listeners = []
      if before.2 == nil { state.drained = promise }
      return before
    }
    if let earlier {
      // A promise must be kept, even one that nobody waits for.
      promise.succeed(())
      return earlier.futureResult
    }
    for listener in listeners { listener.close(promise: nil) }
    for connection in connections { connection.drain() }
    let cutOff = loop.scheduleTask(in: options.shutdownTimeout) { [self] in
      for connection in state.withLock({ Array($0.connections.values) }) { connection.close() }
    }
    promise.futureResult.whenComplete { _ in cutOff.cancel() }
    if connections.isEmpty { promise.succeed(()) }
    return promise.futureResult
  }

  /// Puts the handlers of a connection into a channel's pipeline; what `bind` does for every client. On the channel's loop.
  func addHandlers(to channel: any Channel) throws {
    let pipeline = channel.pipeline.syncOperations
    if let tls = options.tls {
      try pipeline.addHandler(NIOSSLServerHandler(context: tls))
      try pipeline.addHandler(HandshakeLimit(limit: options.handshakeTime))
    }
    var connection = NIOHTTP2Handler.ConnectionConfiguration()
    connection.initialSettings = [
      HTTP2Setting(parameter: .maxConcurrentStreams, value: options.maximumConcurrentStreams),
      HTTP2Setting(parameter: .initialWindowSize, value: options.streamWindowBytes),
      HTTP2Setting(parameter: .maxHeaderListSize, value: 16_384),
    ]
    // The defaults take a client for an attacker that cancels 200 calls in half a minute, or measures its round trip with as many
    // pings, as grpc-core does during large transfers.
    connection.controlFrameRateLimit.maximumCount = 10_000
    connection.maximumSequentialEmptyDataFrames = 16
    connection.contentLengthValidation = .disabled
    var stream = NIOHTTP2Handler.StreamConfiguration()
    stream.streamResetFrameRateLimit.maximumCount = 100_000
    stream.streamErrorRateLimit.maximumCount = 10_000
    try pipeline.addHandler(IdleResetHandler())
    try pipeline.addHandler(NIOHTTP2Handler(mode: .server, connectionConfiguration: connection, streamConfiguration: stream))
    let handler = GRPCConnection(service: service, options: options, eventLoop: channel.eventLoop) { [self] in forget($0) }
    try pipeline.addHandler(handler)
    let isDraining = state.withLock { state in
      state.connections[ObjectIdentifier(handler)] = handler
      return state.drained != nil
    }
    if isDraining { handler.drain() }
  }

  private func forget(_ connection: GRPCConnection) {
    let drained = state.withLock { state in
      state.connections.removeValue(forKey: ObjectIdentifier(connection))
      return state.connections.isEmpty ? state.drained : nil
    }
    drained?.succeed(())
  }
}
