import ArgumentParser
import ProcessContract
import Glibc
import GRPCFrontEnd
import HTTPFrontEnd
import NIOCore
import Serving
import ServingDiagnosis
import Threads
import TimeBase

/// The listeners of a server, from their start to their end.
struct ServeFronts {
  let server: InferenceServer
  let http: HTTPServer
  let metrics: HTTPServer
  let grpc: GRPCServer

  init(server: InferenceServer, group: any EventLoopGroup, http: HTTPServer.Options, grpc: GRPCServerOptions) {
    self.server = server
    self.http = HTTPServer(service: server, live: LiveDiagnosisPages(server), group: group, options: http)
    // The page of the metrics is in the clear and open, as the reference server's.
    var open = http
    (open.tls, open.restrictions) = (nil, RestrictedAPIs())
    metrics = HTTPServer(metricsOf: server, group: group, options: open)
    self.grpc = GRPCServer(service: server, group: group, options: grpc)
  }

  /// Where it listens; nil for what is not served.
  struct Addresses {
    var http: String?
    var grpc: String?
    var metrics: String?
  }

  func listen(_ listening: ServeListening) throws -> Addresses {
    var addresses = Addresses()
    func say(_ name: String, _ option: String, _ address: String, _ port: Int, _ start: (String, Int) throws -> Int) throws -> String {
      let got: Int
      do { got = try start(address, port) } catch {
        ServeRun.say("\(option) \(port): \(Self.reason(error, address, port, option))")
        throw ExitCode(.failed)
      }
      ServeRun.say("\(name) on \(address):\(got)")
      return "\(address):\(got)"
    }
    if listening.allowHttp.isOn {
      addresses.http = try say("HTTP", "--http-port", listening.httpAddress, listening.httpPort) { try http.start(host: $0, port: $1) }
    }
    if listening.allowGrpc.isOn {
      addresses.grpc = try say("gRPC", "--grpc-port", listening.grpcAddress, listening.grpcPort) { try grpc.start(host: $0, port: $1) }
    }
    if listening.allowMetrics.isOn {
      let address = listening.metricsAddress ?? listening.httpAddress
      addresses.metrics = try say("metrics", "--metrics-port", address, listening.metricsPort) { try metrics.start(host: $0, port: $1) }
    }
    return addresses
  }

  private static func reason(_ error: any Error, _ address: String, _ port: Int, _ option: String) -> String {
    switch (error as? IOError)?.errnoCode {
    case EADDRINUSE:
      "\(address):\(port) is in use already; end the program that listens there, or choose another port (0: any that is free)"
    case EACCES: "\(address):\(port) needs privileges (ports below 1024); choose another port"
    case EADDRNOTAVAIL: "this machine has no address \(address)"
    default: "cannot listen on \(address):\(port): \(error)"
    }
  }

  /// Readiness goes first, so that balancers look elsewhere. Nobody new is taken, and every connection ends with its next answer; one that is
  /// idle ends after a grace in which a request on its way is still served. Then the queues are closed, and what they hold is answered.
  func drain(within span: TimeSpan, log: ServerLog) {
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
    // What was answered last is on its way, and a client that is still to close is waited for a little (`HTTPLimits.closeSilence`).
    let last = min(max(deadline, MonotonicClock.now + .milliseconds(50)), MonotonicClock.now + .milliseconds(10_000))
    while http.connectionCount > 0, MonotonicClock.now < last { usleep(5000) }
    try? drained.wait()
    metrics.stopListening()
  }
}
