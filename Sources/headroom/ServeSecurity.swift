import ArgumentParser
import Serving
import ServerProcess

/// tritonserver's flags for TLS on gRPC, restricted calls and further end points. Each acts or keeps the server from starting: one that was
/// only taken would leave open what its operator believes closed.
struct ServeSecurity: ParsableArguments {
  @Option(help: "TLS on gRPC, with the files named by --grpc-server-cert and --grpc-server-key.") var grpcUseSsl: TritonFlag?
  @Option(help: "TLS on gRPC with client certificates, verified against --grpc-root-cert.") var grpcUseSslMutual: TritonFlag?
  @Option(help: ArgumentHelp("PEM file with the certificate chain for gRPC.", valueName: "file")) var grpcServerCert: String?
  @Option(help: ArgumentHelp("PEM file with its key.", valueName: "file")) var grpcServerKey: String?
  @Option(help: ArgumentHelp("PEM file with the CA certificates that client certificates are verified against.", valueName: "file"))
  var grpcRootCert: String?
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Calls over HTTP that need a header: health, metadata, inference, shared-memory, model-config, model-repository, statistics, trace, logging. Repeatable.",
      valueName: "api,...:header=value"))
  var httpRestrictedApi: [String] = []
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "The same over gRPC; the header is triton-grpc-protocol-KEY. Repeatable.", valueName: "protocol,...:key=value"))
  var grpcRestrictedProtocol: [String] = []
  @Option(help: .hidden) var allowSagemaker: TritonFlag?
  @Option(help: .hidden) var allowVertexAi: TritonFlag?
  @Option(help: .hidden) var openaiRestrictedApi: [String] = []
  @Option(help: .hidden) var openaiPort: String?

  func validate() throws {
    for (name, isOn) in [("--allow-sagemaker", allowSagemaker?.isOn), ("--allow-vertex-ai", allowVertexAi?.isOn)] where isOn == true {
      throw ValidationError("\(name): this server has no such end point; leave the flag out")
    }
    for (name, isGiven) in [("--openai-port", openaiPort != nil), ("--openai-restricted-api", !openaiRestrictedApi.isEmpty)] where isGiven {
      throw ValidationError("\(name): this server has no OpenAI end points; leave the flag out")
    }
    _ = try httpRestrictions()
    _ = try grpcRestrictions()
    let files = [("--grpc-server-cert", grpcServerCert), ("--grpc-server-key", grpcServerKey), ("--grpc-root-cert", grpcRootCert)]
    if !usesTLS {
      // Said in so many words, as scripts with a switch do, "false" stands.
      if grpcUseSsl == nil, grpcUseSslMutual == nil, let (name, _) = files.first(where: { $0.1 != nil }) {
        throw ValidationError(
          "\(name) has no effect without --grpc-use-ssl: gRPC would be in the clear; add --grpc-use-ssl=true, or =false if that is meant")
      }
      return
    }
    guard grpcServerCert != nil, grpcServerKey != nil else {
      throw ValidationError("\(isMutual ? "--grpc-use-ssl-mutual" : "--grpc-use-ssl") needs --grpc-server-cert and --grpc-server-key")
    }
    if isMutual, grpcRootCert == nil {
      throw ValidationError("--grpc-use-ssl-mutual needs --grpc-root-cert, which signs the clients' certificates")
    }
  }

  var isMutual: Bool { grpcUseSslMutual?.isOn == true }
  /// The mutual flag goes before the other, as in the reference server.
  var usesTLS: Bool { isMutual || grpcUseSsl?.isOn == true }

  func httpRestrictions() throws -> RestrictedAPIs {
    try restrictions(httpRestrictedApi, option: "--http-restricted-api", headerPrefix: "", kind: "api")
  }

  func grpcRestrictions() throws -> RestrictedAPIs {
    try restrictions(grpcRestrictedProtocol, option: "--grpc-restricted-protocol", headerPrefix: "triton-grpc-protocol-", kind: "protocol")
  }

  private func restrictions(_ texts: [String], option: String, headerPrefix: String, kind: String) throws -> RestrictedAPIs {
    var restrictions = RestrictedAPIs()
    for text in texts {
      do throws(RestrictedAPIs.Fault) {
        try restrictions.add(text, option: option, headerPrefix: headerPrefix, kind: kind)
      } catch {
        throw ValidationError(error.message)
      }
    }
    return restrictions
  }

  /// TLS of the gRPC listener alone; nil where these flags do not ask for it.
  var grpcTLS: TLSFiles? {
    guard usesTLS, let grpcServerCert, let grpcServerKey else { return nil }
    return TLSFiles(
      certificate: TLSFiles.Named(grpcServerCert, option: "--grpc-server-cert"),
      key: TLSFiles.Named(grpcServerKey, option: "--grpc-server-key"),
      clientRoots: isMutual ? grpcRootCert.map { TLSFiles.Named($0, option: "--grpc-root-cert") } : nil)
  }
}
