import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS

/// How connections are secured: whose certificates are believed, and which protocol is spoken inside.
public struct TLSSettings: Sendable {
  let context: NIOSSLContext

  /// `certificateFile` holds certificates in PEM form that are believed in place of the system's; `offersHTTP2` is for gRPC.
  public init(certificateFile: String?, offersHTTP2: Bool) throws(LoadError) {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.applicationProtocols = [offersHTTP2 ? "h2" : "http/1.1"]
    do {
      if let certificateFile { configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(certificateFile)) }
      context = try NIOSSLContext(configuration: configuration)
    } catch { throw LoadError("--ca \(certificateFile ?? ""): no certificates could be read: \(error)") }
  }
}

/// A client's end of a TLS connection: bytes go in and come out, no socket. NIOSSL's handler does the work inside a channel that leads nowhere.
final class TLSSession {
  private final class Watcher: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    var isEstablished = false
    var plaintext = ByteBuffer()
    var failure: (any Error)?

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if case TLSUserEvent.handshakeCompleted = event { isEstablished = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      var buffer = unwrapInboundIn(data)
      plaintext.writeBuffer(&buffer)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { failure = failure ?? error }
  }

  private let channel: EmbeddedChannel
  private let watcher = Watcher()

  /// Whether both sides agreed; only then is there anything to encrypt.
  var isEstablished: Bool { watcher.isEstablished }
  /// Why there is no connection; nil where nothing went wrong.
  var failure: String? { watcher.failure.map(Self.words) }

  /// BoringSSL's reason without the places in its source.
  static func words(_ error: any Error) -> String {
    let text = "\(error)"
    if text.contains("CERTIFICATE_VERIFY_FAILED") {
      return "the server's certificate is not believed; --ca FILE names the certificates that are"
    }
    guard let marker = text.firstRange(of: "OPENSSL_internal:") else { return String(text.prefix(120)) }
    return text[marker.upperBound...].prefix { $0 != " " }.lowercased().replacing("_", with: " ")
  }

  /// A session with that host, by name or address.
  init(_ settings: TLSSettings, host: String, port: Int) throws {
    // An address is checked against the certificate's addresses, a name against its names.
    let address = try? SocketAddress(ipAddress: host, port: port)
    let handler = try NIOSSLClientHandler(context: settings.context, serverHostname: address == nil ? host : nil)
    channel = EmbeddedChannel()
    channel.remoteAddress = try address ?? SocketAddress(ipAddress: "127.0.0.1", port: port)
    try channel.pipeline.syncOperations.addHandlers([handler, watcher])
    channel.connect(to: try address ?? SocketAddress(ipAddress: "127.0.0.1", port: port), promise: nil)
  }

  /// Appends what is to be sent to the peer.
  func takeOutput(into output: inout [UInt8]) {
    while let buffer = try? channel.readOutbound(as: ByteBuffer.self) { output.append(contentsOf: buffer.readableBytesView) }
  }

  /// Encrypts; the result comes with `takeOutput`.
  func send(_ bytes: UnsafeRawBufferPointer) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

  /// Takes what the peer sent; gives what it says. False where the connection is broken.
  func receive(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
    channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
    channel.pipeline.fireChannelReadComplete()
    if watcher.plaintext.readableBytes > 0 {
      watcher.plaintext.withUnsafeReadableBytes { body($0) }
      watcher.plaintext.clear()
    }
    return watcher.failure == nil
  }
}
