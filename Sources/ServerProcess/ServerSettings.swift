public import Serving
public import TimeBase

/// Everything a server's process is started with.
public struct ServerSettings: Sendable {
  /// Where it listens, and how much is taken.
  public struct Listening: Sendable {
    /// Of HTTP.
    public var httpAddress = "127.0.0.1"
    /// Of gRPC.
    public var grpcAddress = "127.0.0.1"
    /// nil: as HTTP.
    public var metricsAddress: String?
    /// 0 for any that is free; nil: HTTP is not served.
    public var httpPort: Int? = 8000
    /// As `httpPort`.
    public var grpcPort: Int? = 8001
    /// As `httpPort`.
    public var metricsPort: Int? = 8002
    /// Event loops for HTTP and gRPC; nil: by the cores.
    public var eventLoops: Int?
    /// Bytes of a request's body at most, decompressed.
    public var maximumBodyBytes = 64 << 20
    /// Connections at one time.
    public var maximumConnections = 60_000
    /// Host names for control calls beside the usual ones.
    public var controlHosts: Set<String> = []
    /// Bytes of responses that wait for slow clients at most, over all connections.
    public var maximumUnsentBytes = 64 << 20
    /// TLS on HTTP, and on gRPC where `grpcTLS` is nil.
    public var tls: TLSFiles?
    /// TLS on gRPC alone.
    public var grpcTLS: TLSFiles?
    /// Calls over HTTP that need a header.
    public var httpRestrictions = RestrictedAPIs()
    /// Calls over gRPC that need a header.
    public var grpcRestrictions = RestrictedAPIs()

    /// The defaults of `headroom serve`.
    public init() {}
  }

  /// Models, limits, what is kept.
  public var service = InferenceServer.Options()
  /// What runs the models.
  public var device = DeviceChoice()
  /// Where it listens.
  public var listening = Listening()
  /// Settings of request traces by name, each with its values.
  public var traceSettings: [String: [String]] = [:]
  /// A model that cannot be loaded at the start ends the process.
  public var endsOnLoadFailure = true
  /// Time that accepted requests are given at the end.
  public var exitTimeout = TimeSpan.seconds(30)
  /// Says that it is ready in one line of JSON on standard output.
  public var printsReadyLine = false
  /// Where what was done is written at the end; with several models their names are added.
  public var recordPath: String?
  /// Usual length of the windows of `POST /v2/headroom/profile`, seconds; nil: none is recorded.
  public var profileWindow: Double?
  /// Where their traces are written.
  public var profileFolder = "."

  /// The defaults of `headroom serve`, without a model.
  public init() {}
}

/// Why a server does not start.
public enum ServerStartError: Error, Sendable, Hashable {
  /// What it was started with cannot be: one sentence that names the option.
  case usage(String)
  /// It was tried and failed; the log says why.
  case failed
}
