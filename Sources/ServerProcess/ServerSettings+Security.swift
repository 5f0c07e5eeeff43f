import ProcessContract
import Serving

extension ServerSettings {
  /// tritonserver's flags for TLS on gRPC, restricted calls and further end points, as they were given. Each acts or keeps the server from
  /// starting: one that was only taken would leave open what its operator believes closed.
  package struct Security: Sendable {
    /// `--grpc-use-ssl`; nil: not given.
    package var usesTLS: Bool?
    /// `--grpc-use-ssl-mutual`; nil: not given. It goes before the other, as in the reference server.
    package var usesMutualTLS: Bool?
    /// PEM file with the chain.
    package var certificate: String?
    /// PEM file with its key.
    package var key: String?
    /// PEM file with the CA certificates that clients' are verified against.
    package var clientRoots: String?
    /// "api,...:header=value" each.
    package var httpRestrictions: [String] = []
    /// "protocol,...:key=value" each.
    package var grpcRestrictions: [String] = []
    /// Flags that open end points which this server has not, and whether they ask for them.
    package var missingEndPoints: [String: Bool] = [:]

    /// Nothing was given.
    package init() {}

    /// Puts the flags into where the server listens.
    ///
    /// - Throws: the flag that would leave open what it is meant to close.
    package func apply(to listening: inout Listening) throws(UsageError) {
      for name in missingEndPoints.filter(\.value).keys.sorted() {
        let what = name.hasPrefix("--openai") ? "OpenAI end points" : "such end point"
        throw UsageError("\(name): this server has no \(what); leave the flag out")
      }
      listening.httpRestrictions = try Self.restrictions(httpRestrictions, "--http-restricted-api", header: "", kind: "api")
      listening.grpcRestrictions = try Self.restrictions(
        grpcRestrictions, "--grpc-restricted-protocol", header: "triton-grpc-protocol-", kind: "protocol")
      listening.grpcTLS = try grpcTLS()
    }

    private static func restrictions(_ texts: [String], _ option: String, header: String, kind: String) throws(UsageError) -> RestrictedAPIs
    {
      var restrictions = RestrictedAPIs()
      for text in texts {
        do throws(RestrictedAPIs.Fault) {
          try restrictions.add(text, option: option, headerPrefix: header, kind: kind)
        } catch { throw UsageError(error.message) }
      }
      return restrictions
    }

    /// TLS of the gRPC listener alone; nil where these flags do not ask for it.
    private func grpcTLS() throws(UsageError) -> TLSFiles? {
      let isMutual = usesMutualTLS == true
      guard isMutual || usesTLS == true else {
        let files = [("--grpc-server-cert", certificate), ("--grpc-server-key", key), ("--grpc-root-cert", clientRoots)]
        // Said in so many words, as scripts with a switch do, "false" stands.
        if usesTLS == nil, usesMutualTLS == nil, let (name, _) = files.first(where: { $0.1 != nil }) {
          throw UsageError(
            "\(name) has no effect without --grpc-use-ssl: gRPC would be in the clear; add --grpc-use-ssl=true, or =false if that is meant")
        }
        return nil
      }
      guard let certificate, let key else {
        throw UsageError("\(isMutual ? "--grpc-use-ssl-mutual" : "--grpc-use-ssl") needs --grpc-server-cert and --grpc-server-key")
      }
      if isMutual, clientRoots == nil {
        throw UsageError("--grpc-use-ssl-mutual needs --grpc-root-cert, which signs the clients' certificates")
      }
      return TLSFiles(
        certificate: TLSFiles.Named(certificate, option: "--grpc-server-cert"), key: TLSFiles.Named(key, option: "--grpc-server-key"),
        clientRoots: isMutual ? clientRoots.map { TLSFiles.Named($0, option: "--grpc-root-cert") } : nil)
    }
  }
}
