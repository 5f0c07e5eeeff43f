/// What a load generator, whoever's, said of a run: the rate, the latencies, and what they count.
public struct ObservedLoad: Sendable, Hashable {
  /// Which program wrote it.
  public enum Tool: String, Sendable, Hashable, CaseIterable {
    case locust, k6, perfAnalyzer = "perf_analyzer", genAIPerf = "genai-perf", vegeta, wrk, hey, ab, headroom
  }

  /// Who decides when a request is sent.
  public enum Loop: String, Sendable, Hashable {
    /// Users that wait for each answer.
    case closed
    /// A rate that does not wait.
    case open
  }

  /// One point of a distribution.
  public struct Percentile: Sendable, Hashable {
    /// 0 to 100.
    public var percent: Double
    /// Seconds.
    public var seconds: Double

    /// A point.
    public init(_ percent: Double, seconds: Double) {
      self.percent = percent
      self.seconds = seconds
    }
  }

  /// Mean times in the server of one request, seconds, as perf_analyzer and our generator read them from it.
  public struct ServerTimes: Sendable, Hashable {
    /// Waiting for a batch and an instance.
    public var queue: Double?
    /// Inputs into place.
    public var computeInput: Double?
    /// The model itself.
    public var computeInfer: Double?
    /// Outputs out of place.
    public var computeOutput: Double?

    /// Times; nil where not given.
    public init(queue: Double? = nil, computeInput: Double? = nil, computeInfer: Double? = nil, computeOutput: Double? = nil) {
      self.queue = queue
      self.computeInput = computeInput
      self.computeInfer = computeInfer
      self.computeOutput = computeOutput
    }
  }

  /// Which program.
  public var tool: Tool
  /// What is measured when a file holds several: a request's name, "concurrency 8", "rate 100/s"; empty for the whole.
  public var name: String
  /// Answers per second, failed ones left out where the file tells them apart.
  public var requestsPerSecond: Double?
  /// Requests, failed ones too.
  public var requests: Int64?
  /// Failed requests.
  public var failures: Int64?
  /// Of the window that the figures are of.
  public var seconds: Double?
  /// Users, connections or requests in flight that the run was told to keep.
  public var concurrency: Double?
  /// nil where the file does not tell.
  public var loop: Loop?
  /// Mean latency, seconds.
  public var meanSeconds: Double?
  /// Latencies, by rising percentage.
  public var percentiles: [Percentile] = []
  /// Mean times in the server.
  public var server: ServerTimes?
  /// Rows per second where they are counted apart from requests.
  public var rowsPerSecond: Double?
  /// Whether the generator says that it was the limit; nil where it does not look.
  public var isClientBound: Bool?
  /// What a reader must know of the figures: how they are rounded, what they leave out.
  public var remarks: [String] = []

  /// Nothing known yet.
  public init(_ tool: Tool, name: String = "") {
    self.tool = tool
    self.name = name
  }

  /// The latency at a percentage the file gives; nil for others: nothing is interpolated.
  public func seconds(at percent: Double) -> Double? { percentiles.first { $0.percent == percent }?.seconds }
}

/// A load result that cannot be read.
public struct LoadResultError: Error, Equatable, CustomStringConvertible {
  /// The path as it was given.
  public var path: String
  /// "line 3", "metrics.http_reqs"; nil where it is the file as a whole.
  public var place: String?
  /// What is wrong, and what would be right.
  public var reason: String

  /// An error at a place.
  public init(path: String, place: String? = nil, reason: String) {
    self.path = path
    self.place = place
    self.reason = reason
  }

  /// "stats.csv: line 3: ...".
  public var description: String { "\(path): \(place.map { "\($0): " } ?? "")\(reason)" }
}
