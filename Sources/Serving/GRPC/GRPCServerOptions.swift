import CheckedNumbers
public import NIOCore
public import NIOSSL

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
  /// Bytes a call may send ahead of what was read.
  public var streamWindowBytes = 4 << 20
  /// Bytes all calls of a connection may send ahead.
  public var connectionWindowBytes = 16 << 20
  /// Inferences of one ModelStreamInfer that may wait for their answer; beyond, the client's window is not renewed.
  public var maximumOutstandingPerStream = 4_096
  /// Answers of one ModelStreamInfer come in the order of its requests, as the reference server sends them for models with one answer a
  /// request (triton-inference-server/server `src/grpc/stream_infer_handler.cc`); otherwise as they are ready.
  public var keepsStreamOrder = true
  /// Without it compressed messages are answered with UNIMPLEMENTED and `grpc-accept-encoding: identity`.
  public var inflate: Inflate?
  /// With it the server speaks TLS; ALPN must offer "h2".
  public var tls: NIOSSLContext?
  /// How long a graceful shutdown waits for open calls.
  public var shutdownPatience: TimeAmount = .seconds(30)

  /// zlib, with a message bounded at `limit` bytes too: a small message may claim to become a large one.
  public static func zlib(limit: Int) -> Inflate {
    { message, compression, maximumBytes in
      try? BodyCoding.inflated([message], compression == .gzip ? .gzip : .deflate, limit: min(limit, maximumBytes))
    }
  }

  /// The defaults.
  public init() {}
}
