import Glibc
import GRPCFrontEnd
import HTTPFrontEnd
import NIOCore
import Serving
import ServingDiagnosis
import Threads
import TimeBase

/// The listeners of a server, from their start to their end.
struct Listeners {
  let server: InferenceServer
  let log: ServerLog
  /// Whether browsers must ask over TLS.
  let servesTLS: Bool
  let http: HTTPServer
  let metrics: HTTPServer
  let grpc: GRPCServer

  init(
    server: InferenceServer, group: any EventLoopGroup, http: HTTPServer.Options, grpc: GRPCServerOptions, profiles: ServerProfile?,
    log: ServerLog
  ) {
    self.server = server
    self.log = log
    servesTLS = http.tls != nil
    let live = LiveDiagnosisPages(server)
    self.http = HTTPServer(service: server, live: live, profiles: profiles, group: group, options: http)
    // The page of the metrics is in the clear and open, as the reference server's.
    var open = http
    (open.tls, open.restrictions) = (nil, RestrictedAPIs())
    metrics = HTTPServer(metricsOf: server, live: live, group: group, options: open)
    self.grpc = GRPCServer(service: server, group: group, options: grpc)
  }

  /// Where it listens; nil for what is not served.
  struct Addresses {
    var http: String?
    var grpc: String?
    var metrics: String?
  }

  /// Opens what is to be served; the log says where.
  func listen(_ listening: ServerSettings.Listening) throws(ServerStartError) -> Addresses {
    var taken: [Int: String] = [:]
    func open(
      _ name: String, _ option: String, _ address: String, _ port: Int?, _ start: (String, Int) throws -> Int
    ) throws(ServerStartError) -> String? {
      guard let port else { return nil }
      let got: Int
      do { got = try start(address, port) } catch {
        let fault = ListenFault(error: error, address: address, port: port, option: option, ownListener: taken[port])
        log.say(fault.message, severity: "E")
        throw .failed
      }
      taken[got] = name
      log.say("\(name) on \(address):\(got)")
      return "\(address):\(got)"
    }
    var addresses = Addresses()
    addresses.http = try open("HTTP", "--http-port", listening.httpAddress, listening.httpPort) { try http.start(host: $0, port: $1) }
    if let address = addresses.http {
      let port = address[address.index(after: address.lastIndex(of: ":") ?? address.startIndex)...]
      log.say("live diagnosis: \(servesTLS ? "https" : "http")://\(Self.browsable(listening.httpAddress)):\(port)/headroom")
    }
    addresses.grpc = try open("gRPC", "--grpc-port", listening.grpcAddress, listening.grpcPort) { try grpc.start(host: $0, port: $1) }
    let metricsAddress = listening.metricsAddress ?? listening.httpAddress
    addresses.metrics = try open("metrics", "--metrics-port", metricsAddress, listening.metricsPort) {
      try metrics.start(host: $0, port: $1)
    }
    return addresses
  }

  /// An address as a browser on this machine takes it: every interface is reached over loopback, IPv6 stands in brackets.
  private static func browsable(_ address: String) -> String {
    switch address {
    case "0.0.0.0": "127.0.0.1"
    case "::": "[::1]"
    default: address.contains(":") ? "[\(address)]" : address
    }
  }

  /// Readiness goes first, so that balancers look elsewhere. Nobody new is taken, and every connection ends with its next answer; one that is
  /// idle ends after a grace in which a request on its way is still served. Then the queues are closed, and what they hold is answered.
  func drain(within span: TimeSpan) {
    let deadline = MonotonicClock.now + span
    server.beginDraining()
    http.stopListening()
    let drained = grpc.shutdownGracefully()
    http.drain()
    // Clients in the middle of their work send their next request within moments, and it is the last on its connection.
    let grace = min(deadline, MonotonicClock.now + .milliseconds(250))
    while http.connectionCount > 0, MonotonicClock.now < grace { usleep(5000) }
    server.closeModels()
    while server.unansweredRequests > 0, MonotonicClock.now < deadline { usleep(5000) }
    if server.unansweredRequests > 0 { log.error("\(server.unansweredRequests) requests are left unanswered after --exit-timeout-secs") }
    server.finishTraces()
    // What was answered last is on its way, and a client that is still to close is waited for a little (`HTTPLimits.closeIdleTimeout`).
    let last = min(max(deadline, MonotonicClock.now + .milliseconds(50)), MonotonicClock.now + .milliseconds(10_000))
    while http.connectionCount > 0, MonotonicClock.now < last { usleep(5000) }
    try? drained.wait()
    metrics.stopListening()
  }
}
