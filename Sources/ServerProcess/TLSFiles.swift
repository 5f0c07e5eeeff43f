import Glibc
import NIOSSL

/// PEM files of a TLS listener, with the options that name them.
public struct TLSFiles: Sendable, Hashable {
  /// A file and the option that it came by.
  public struct Named: Sendable, Hashable {
    /// As given.
    public var path: String
    /// "--tls-key".
    public var option: String

    /// Both stated.
    public init(_ path: String, option: String) {
      self.path = path
      self.option = option
    }
  }

  /// The certificate chain.
  public var certificate: Named
  /// Its key.
  public var key: Named
  /// Clients must show a certificate that one of these signed; nil: none is asked for.
  public var clientRoots: Named?

  /// Both files stated.
  public init(certificate: Named, key: Named, clientRoots: Named? = nil) {
    self.certificate = certificate
    self.key = key
    self.clientRoots = clientRoots
  }

  /// The files read and checked against each other. `protocols`: what is offered to clients (ALPN).
  ///
  /// - Throws: `ServerStartError.usage` that names the option and the file.
  public func context(protocols: [String]) throws(ServerStartError) -> NIOSSLContext {
    let chain = try Self.read(certificate, "certificate") { try NIOSSLCertificate.fromPEMFile($0) }
    let privateKey = try Self.read(key, "private key") { try NIOSSLPrivateKey(file: $0, format: .pem) }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
    configuration.applicationProtocols = protocols
    if let clientRoots {
      configuration.trustRoots = .certificates(try Self.read(clientRoots, "certificate") { try NIOSSLCertificate.fromPEMFile($0) })
      configuration.certificateVerification = .noHostnameVerification
    }
    do { return try NIOSSLContext(configuration: configuration) } catch {
      throw .usage(
        "\(key.option) \(key.path) does not belong to \(certificate.option) \(certificate.path), or one of them is damaged: \(error)")
    }
  }

  private static func read<Content>(_ file: Named, _ what: String, _ body: (String) throws -> Content) throws(ServerStartError) -> Content {
    if access(file.path, R_OK) != 0 { throw .usage("\(file.option) \(file.path): cannot open: \(String(cString: strerror(errno)))") }
    do { return try body(file.path) } catch {
      throw .usage("\(file.option) \(file.path): it holds no \(what) in PEM form that can be read: \(error)")
    }
  }
}
