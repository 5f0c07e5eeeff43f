public import LoadModel
public import Workload

/// What a run of the load generator is asked for, before files are read and a server is asked: the options of `headroom load`, parsed.
public struct LoadRunOptions: Sendable {
  /// Where requests go.
  public enum Target: Sendable {
    /// Any page: http://HOST:PORT/PATH.
    case page(url: String, method: String?, bodyFile: String?)
    /// A model of a KServe v2 server.
    case model(name: String, version: String?)
    /// A file that mixes requests.
    case scenario(file: String)
  }

  /// What is sent.
  public struct Request: Sendable {
    /// Where requests go.
    public var target: Target
    /// HOST:PORT of a KServe v2 server; nil: the scenario's, else this machine's usual port.
    public var server: String?
    /// How tensors travel; nil: the scenario's, else binary.
    public var encoding: LoadScenario.Encoding?
    /// Rows of a request; nil for one, with MLPerf's multi-stream eight.
    public var rows: RowDistribution?
    /// nil for random values.
    public var data: LoadScenario.InputData?
    /// Files of bytes by input.
    public var inputFiles: [String: String] = [:]
    /// Sizes of inputs whose dimensions the model leaves open, without rows.
    public var shapes: [String: [Int64]] = [:]
    /// Each answer's values are compared with those the same request got before the run.
    public var verifiesValues = false
    /// "Name: value" each.
    public var headers: [String] = []
    /// PEM file that is believed over https; nil: the system's.
    public var certificateFile: String?

    /// One request of one row.
    public init(_ target: Target) { self.target = target }
  }

  /// When it is sent.
  public struct Pace: Sendable {
    /// Closed loop.
    public var users: Int?
    /// Users that start in a second; nil: all in one.
    public var spawnRate: Double?
    /// Between an answer and the next request.
    public var think: ThinkTime?
    /// Open loop.
    public var rate: RateProfile?
    /// Arrivals are independent of one another.
    public var isPoisson = false
    /// Open loop: a file with a time per line.
    public var replayFile: String?
    /// An MLPerf scenario.
    package var scenario: MLPerfScenario?
    /// Search the highest rate at which this holds.
    public var findRate: FailCondition?
    /// nil: the scenario file's, else 10.
    public var windowSeconds: Double?
    /// nil: the scenario file's, else until all users are there, and a second.
    public var warmUpSeconds: Double?
    /// Threads that send and receive.
    public var threads = 1
    /// Connections an open loop makes before its start; nil: for answers of 10 ms.
    public var connections: Int?
    /// Connections of an open loop at most.
    public var maximumConnections = 4096
    /// Time an answer may take.
    public var timeoutSeconds = 30.0
    /// A request sent later than that is late.
    public var lateAfterMilliseconds = 1.0
    /// nil: the scenario file's, else 1.
    public var seed: UInt64?

    /// One user.
    public init() {}
  }

  /// What comes out.
  public struct Output: Sendable {
    /// What ends the run with `ExitStatus.thresholdCrossed`.
    public var failOn: [FailCondition] = []
    /// One JSON object in place of the report.
    public var isJSON = false
    /// Prefix of files in Locust's columns.
    public var csvPrefix: String?
    /// File for an HdrHistogram log.
    public var histogramLog: String?
    /// File for a page.
    public var page: String?
    /// No progress.
    public var isQuiet = false

    /// The report alone.
    public init() {}
  }

  /// What is sent.
  public var request: Request
  /// When it is sent.
  public var pace = Pace()
  /// What comes out.
  public var output = Output()
  /// This process's part of the run.
  public var share = RunShare.whole
  /// When the run starts, seconds since 1970; nil: at once.
  public var startEpochSeconds: Double?

  /// One user, one row, no files.
  public init(_ request: Request) { self.request = request }
}
