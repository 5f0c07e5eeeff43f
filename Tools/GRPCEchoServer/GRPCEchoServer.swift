import FileAccess
import Glibc
import JSONText
import NIOCore
import NIOPosix
import NIOSSL
import GRPCFrontEnd
import Serving

/// `grpc-echo-server PORT THREADS [--token TOKEN] [--configuration FILE.json] [--certificate FILE --key FILE]`: the gRPC front end alone, before a service that gives its
/// inputs back. Prints the port and serves until its standard input ends.
@main
enum GRPCEchoServer {
  static func main() throws {
    let arguments = CommandLine.arguments
    func option(_ name: String) -> String? {
      arguments.firstIndex(of: name).flatMap { arguments.indices.contains($0 + 1) ? arguments[$0 + 1] : nil }
    }
    let numbers = arguments.dropFirst().prefix(2).compactMap { Int($0) }
    guard numbers.count == 2 else {
      print("usage: grpc-echo-server PORT THREADS [--token TOKEN] [--configuration FILE.json]")
      exit(64)
    }
    let configuration = try option("--configuration").map { try JSONValue.parse(try Files.readText($0)) } ?? [:]
    let group = MultiThreadedEventLoopGroup(numberOfThreads: numbers[1])
    var serverOptions = GRPCServerOptions()
    if let certificate = option("--certificate"), let key = option("--key") {
      let chain = try NIOSSLCertificate.fromPEMFile(certificate).map { NIOSSLCertificateSource.certificate($0) }
      var tls = TLSConfiguration.makeServerConfiguration(
        certificateChain: chain, privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
      tls.applicationProtocols = ["h2"]
      serverOptions.tls = try NIOSSLContext(configuration: tls)
    }
    let server = GRPCServer(
      service: EchoService(token: option("--token"), configuration: configuration), group: group, options: serverOptions)
    print("listening on \(try server.start(host: "127.0.0.1", port: numbers[0]))")
    fflush(nil)
    while readLine() != nil {}
    try server.shutdownGracefully().wait()
    try group.syncShutdownGracefully()
    print("closed")
  }
}
