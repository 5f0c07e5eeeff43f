import ArgumentParser
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

  var settings: ServerSettings.Security {
    var settings = ServerSettings.Security()
    settings.usesTLS = grpcUseSsl?.isOn
    settings.usesMutualTLS = grpcUseSslMutual?.isOn
    settings.certificate = grpcServerCert
    settings.key = grpcServerKey
    settings.clientRoots = grpcRootCert
    settings.httpRestrictions = httpRestrictedApi
    settings.grpcRestrictions = grpcRestrictedProtocol
    settings.missingEndPoints = [
      "--allow-sagemaker": allowSagemaker?.isOn == true, "--allow-vertex-ai": allowVertexAi?.isOn == true,
      "--openai-port": openaiPort != nil,
      "--openai-restricted-api": !openaiRestrictedApi.isEmpty,
    ]
    return settings
  }
}
