import CheckedNumbers
public import NIOCore
public import NIOSSL
public import Serving

/// What a gRPC server is told besides its service.
public struct GRPCServerOptions: Sendable {
  /// How a message is compressed.
  public enum Compression: String, Sendable {
    case gzip, deflate
  }

  /// Undoes a compression: the message, how it is compressed, and how many bytes it may become; nil when it cannot.
  public typealias Inflate = @Sendable (_ message: ByteBuffer, _ compression: Compression, _ maximumBytes: Int) -> ByteBuffer?

  /// Calls that one connection may have open.
  public var maximumConcurrentStreams = 16_384
  /// Larger messages are refused. Memory grows with the bytes received, not with what a prefix claims.
  public var maximumMessageBytes = Int(Int32.max)
  /// Bytes that a call may send ahead of what was read.
  public var streamWindowBytes = 4 << 20
  /// Bytes all calls of a connection may send ahead.
  public var connectionWindowBytes = 16 << 20
  /// Inferences of one ModelStreamInfer that may wait for their answer; beyond, the client's window is not renewed.
  public var maximumOutstandingPerStream = 4_096
  /// Bytes of a stream's answers that the client has not taken; above, requests of the stream wait, and its window is not renewed.
  public var maximumUnsentBytesPerStream = 64 << 10
  /// The same of all streams of a connection.
  public var maximumUnsentBytes = 4 << 20
  /// Bytes that the answers of inferences in progress will take, as far as that can be told; more inferences wait.
  public var maximumExpectedBytes = 32 << 20
  /// Shared by all listeners of the process.
  public var unsent = UnsentBytes()
  /// A client that reads nothing from its socket is closed after this.
  public var writeIdleTimeout: TimeAmount = .seconds(60)
  /// One that takes nothing of its answers, while the process holds more unsent bytes than it should.
  public var pressedWriteIdleTimeout: TimeAmount = .seconds(2)
  /// From the beginning of a TLS connection to the end of its handshake.
  public var handshakeTime: TimeAmount = .seconds(30)
  /// Groups of calls that need a header.
  public var restrictions = RestrictedAPIs()
  /// Told what the operator should know.
  public var warn: @Sendable (String) -> Void = { _ in }
  /// Answers of one ModelStreamInfer come in the order of its requests, as the reference server sends them for models with one answer a
  /// request (triton-inference-server/server `src/grpc/stream_infer_handler.cc`); otherwise as they are ready.
  public var keepsStreamOrder = true
  /// Without it compressed messages are answered with UNIMPLEMENTED and `grpc-accept-encoding: identity`.
  public var inflate: Inflate?
  /// With it the server speaks TLS; ALPN must offer "h2".
  public var tls: NIOSSLContext?
  /// How long a graceful shutdown waits for open calls.
  public var shutdownTimeout: TimeAmount = .seconds(30)

  /// zlib, with a message bounded at `limit` bytes too: a small message may claim to become a large one.
  public static func zlib(limit: Int) -> Inflate {
    { message, compression, maximumBytes in
      try? BodyCoding.inflated([message], compression == .gzip ? .gzip : .deflate, limit: min(limit, maximumBytes))
    }
  }

  /// The defaults.
  public init() {}
}
