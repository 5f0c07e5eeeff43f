/// What kind of failure a request had.
public enum LoadErrorKind: String, Sendable, Hashable, CaseIterable {
  /// No connection.
  case connect
  /// The connection broke or was closed in the middle of an answer.
  case connection
  /// No answer within `--timeout`.
  case timeout
  /// The answer is no HTTP.
  case protocolBroken = "protocol"
  /// A status of 400 to 499.
  case clientStatus = "status 4xx"
  /// A status of 500 to 599.
  case serverStatus = "status 5xx"
  /// A status that is neither 2xx nor an error.
  case otherStatus = "other status"
  /// A gRPC status that is not OK.
  case grpcStatus = "grpc status"
  /// The outputs do not have the shapes they should have.
  case shape
  /// The outputs are not what the same request got before the run.
  case values
}

/// A second of a run.
public struct IntervalSummary: Sendable, Hashable {
  /// Since the run's start.
  public var startSeconds: Double
  /// How long.
  public var lengthSeconds: Double
  /// Answers without a fault.
  public var answers: Int64
  /// Faults.
  public var errors: Int64
  /// Sum of latencies, seconds.
  public var latencySeconds: Double
  /// Sum of the times from send to answer, seconds.
  public var sinceSendSeconds: Double
  /// Users or connections at its end.
  public var users: Int
  /// Latencies of the answers that came in it at `keptPercentiles`, ns; empty without answers.
  public var percentiles: [Int64] = []

  /// Locust's (locustio/locust `locust/stats.py`, PERCENTILES_TO_REPORT).
  public static let keptPercentiles = [50.0, 66, 75, 80, 90, 95, 98, 99, 99.9, 99.99, 100]

  /// A summary.
  public init(
    startSeconds: Double, lengthSeconds: Double, answers: Int64, errors: Int64, latencySeconds: Double, sinceSendSeconds: Double, users: Int
  ) {
    self.startSeconds = startSeconds
    self.lengthSeconds = lengthSeconds
    self.answers = answers
    self.errors = errors
    self.latencySeconds = latencySeconds
    self.sinceSendSeconds = sinceSendSeconds
    self.users = users
  }
}

/// What the server's own statistics say of the window: differences of its counters.
public struct ServerPhases: Sendable, Hashable {
  /// Requests it answered.
  public var requests: Int64
  /// Rows and batches it ran; their quotient is the mean batch.
  public var rows: Int64
  /// See `rows`.
  public var batches: Int64
  /// Mean time of a request in the server, seconds, and its parts.
  public var totalSeconds: Double
  /// Waiting for a batch and an instance.
  public var queueSeconds: Double
  /// Inputs into place.
  public var inputSeconds: Double
  /// The model itself.
  public var inferSeconds: Double
  /// Outputs out of place.
  public var outputSeconds: Double

  /// What its own total holds besides the parts; nil where rounding explains it.
  public var restSeconds: Double? {
    let rest = totalSeconds - queueSeconds - inputSeconds - inferSeconds - outputSeconds
    return rest.magnitude > totalSeconds * 1e-3 ? rest : nil
  }

  /// Mean rows of a batch; nil when nothing ran.
  public var meanBatch: Double? { batches > 0 ? Double(rows) / Double(batches) : nil }

  /// All of it.
  public init(
    requests: Int64, rows: Int64, batches: Int64, totalSeconds: Double, queueSeconds: Double, inputSeconds: Double, inferSeconds: Double,
    outputSeconds: Double
  ) {
    self.requests = requests
    self.rows = rows
    self.batches = batches
    self.totalSeconds = totalSeconds
    self.queueSeconds = queueSeconds
    self.inputSeconds = inputSeconds
    self.inferSeconds = inferSeconds
    self.outputSeconds = outputSeconds
  }
}

/// One kind of request among several.
public struct RequestGroup: Sendable, Equatable {
  /// A model or a path.
  public var name: String
  /// As `LoadResult.latency`.
  public var latency = Histogram()
  /// Faults.
  public var errors: Int64 = 0

  /// None yet.
  public init(name: String) { self.name = name }

  /// Counts everything of another.
  public mutating func add(_ other: RequestGroup) {
    latency.add(other.latency)
    errors += other.errors
  }
}

/// Everything a run of the load generator found out.
public struct LoadResult: Sendable, Equatable {
  /// What was asked, as a person writes it: a model or a URL.
  public var name: String
  /// Who decided when to send.
  public var load: OfferedLoad
  /// Which part of a run this was.
  public var share: RunShare
  /// Of all draws.
  public var seed: UInt64
  /// Cut off before the window.
  public var warmUpSeconds: Double
  /// The window's length.
  public var windowSeconds: Double
  /// Whether somebody ended the run before its time.
  public var wasInterrupted = false
  /// From the due instant (open loop) or the end of think time (closed loop) to the answer's last byte; answers without a fault, ns.
  public var latency = Histogram()
  /// From the send to the answer's last byte, ns: what a generator reports that forgets its own delays.
  public var uncorrected = Histogram()
  /// Answers without a fault whose last byte came inside the window: throughput. Latency is that of requests due inside it.
  public var completed: Int64 = 0
  /// Rows of these answers.
  public var rows: Int64 = 0
  /// Bytes received in the window.
  public var bytesReceived: Int64 = 0
  /// Faults by kind.
  public var errors: [LoadErrorKind: Int64] = [:]
  /// What the first fault of a kind said, where it said anything.
  public var errorSamples: [LoadErrorKind: String] = [:]
  /// Each kind of request where there are several.
  public var groups: [RequestGroup] = []
  /// The window's seconds.
  public var intervals: [IntervalSummary] = []
  /// The generator itself.
  public var health = ClientHealth()
  /// The server's side; nil where it has no statistics.
  public var server: ServerPhases?

  /// An empty result.
  public init(name: String, load: OfferedLoad, share: RunShare, seed: UInt64, warmUpSeconds: Double, windowSeconds: Double) {
    self.name = name
    self.load = load
    self.share = share
    self.seed = seed
    self.warmUpSeconds = warmUpSeconds
    self.windowSeconds = windowSeconds
  }

  /// Percentiles that are printed.
  public static let percentiles = [50.0, 75, 90, 95, 99, 99.9, 99.99]

  /// Answers without a fault.
  public var answers: Int64 { latency.count }
  /// All faults.
  public var errorCount: Int64 { errors.values.reduce(0, +) }
  /// Faults over all requests; nil without any.
  public var errorShare: Double? {
    let all = answers + errorCount
    return all > 0 ? Double(errorCount) / Double(all) : nil
  }
  /// Answers per second.
  public var answersPerSecond: Double { windowSeconds > 0 ? Double(completed) / windowSeconds : 0 }
  /// Rows per second.
  public var rowsPerSecond: Double { windowSeconds > 0 ? Double(rows) / windowSeconds : 0 }
  /// A percentile in seconds; nil without answers.
  public func latencySeconds(percentile: Double) -> Double? { latency.value(atPercentile: percentile).map { Double($0) / 1e9 } }
  /// The mean in seconds; nil without answers.
  public var meanLatencySeconds: Double? { latency.mean.map { $0 / 1e9 } }

  /// Late sends over all sends; nil without any.
  public var lateShare: Double? {
    health.sendLag.count > 0 ? Double(health.lateCount) / Double(health.sendLag.count) : nil
  }

  /// Throughput with its interval.
  public var throughputInterval: MeanInterval? { BatchMeans.interval(fullIntervals.map { Double($0.answers) / $0.lengthSeconds }) }

  /// Mean latency with its interval, seconds.
  public var latencyInterval: MeanInterval? {
    BatchMeans.interval(fullIntervals.filter { $0.answers > 0 }.map { $0.latencySeconds / Double($0.answers) })
  }

  /// A run's last interval may be a scrap whose rate says nothing.
  private var fullIntervals: [IntervalSummary] { intervals.filter { $0.lengthSeconds >= 0.5 } }

  /// Stable or not.
  public var stability: Stability {
    Stability(
      throughput: fullIntervals.map { Double($0.answers) / $0.lengthSeconds },
      latency: fullIntervals.filter { $0.answers > 0 }.map { $0.latencySeconds / Double($0.answers) })
  }

  /// Users of this share; nil in an open loop.
  public var users: Int? {
    guard case .closed(let users, _, _) = load else { return nil }
    return (users - share.index + share.count - 1) / share.count
  }

  /// Mean latency of the answers whose last byte came in the window, whenever they were due: what Little's law and the server's counters speak
  /// of. Without intervals that of all.
  public var meanCompletedLatencySeconds: Double? { mean(\.latencySeconds) ?? meanLatencySeconds }

  /// As `meanCompletedLatencySeconds`, from the send.
  public var meanCompletedSinceSendSeconds: Double? { mean(\.sinceSendSeconds) ?? uncorrected.mean.map { $0 / 1e9 } }

  private func mean(_ seconds: KeyPath<IntervalSummary, Double>) -> Double? {
    let count = intervals.reduce(0) { $0 + $1.answers }
    return count > 0 ? intervals.reduce(0) { $0 + $1[keyPath: seconds] } / Double(count) : nil
  }

  /// Where the users were; nil in an open loop.
  public var balance: UserBalance? {
    guard let users, let meanCompletedLatencySeconds else { return nil }
    return UserBalance(
      users: users, throughput: answersPerSecond, meanLatencySeconds: meanCompletedLatencySeconds, thinkSeconds: health.thinkSeconds ?? 0)
  }

  /// Requests in flight on average: throughput times mean latency (Little).
  public var inFlight: Double? { meanCompletedLatencySeconds.map { $0 * answersPerSecond } }

  /// Whose figures these are.
  public var verdict: ClientVerdict {
    ClientVerdict(health, isClosed: load.isClosed, balance: balance, meanLatencySeconds: meanCompletedLatencySeconds)
  }

  /// Mean time from send to answer that the server's own statistics do not hold: network, parsing, and the generator; nil without statistics.
  public var remainderSeconds: Double? {
    guard let server, let meanCompletedSinceSendSeconds, server.requests > 0 else { return nil }
    return meanCompletedSinceSendSeconds - server.totalSeconds
  }
}
