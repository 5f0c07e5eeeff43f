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
  /// Users or connections at its end.
  public var users: Int

  /// A summary.
  public init(startSeconds: Double, lengthSeconds: Double, answers: Int64, errors: Int64, latencySeconds: Double, users: Int) {
    self.startSeconds = startSeconds
    self.lengthSeconds = lengthSeconds
    self.answers = answers
    self.errors = errors
    self.latencySeconds = latencySeconds
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

/// Everything a run of the load generator found out.
public struct LoadResult: Sendable {
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
  /// Answers a second.
  public var answersPerSecond: Double { windowSeconds > 0 ? Double(completed) / windowSeconds : 0 }
  /// Rows a second.
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

  /// Where the users were; nil in an open loop.
  public var balance: UserBalance? {
    guard let users, let meanLatencySeconds else { return nil }
    return UserBalance(
      users: users, throughput: answersPerSecond, meanLatencySeconds: meanLatencySeconds, thinkSeconds: health.thinkSeconds ?? 0)
  }

  /// Requests in flight on average: throughput times mean latency (Little).
  public var inFlight: Double? { meanLatencySeconds.map { $0 * answersPerSecond } }

  /// How long an answer lay unread on average because its thread waited for a core, seconds; nil without answers.
  public var meanUnreadSeconds: Double? {
    let count = answers + errorCount
    return count > 0 ? health.unreadSeconds / Double(count) : nil
  }

  /// Whose figures these are.
  public var verdict: ClientVerdict {
    let unreadShare = meanUnreadSeconds.flatMap { unread in meanLatencySeconds.map { unread / max($0, 1e-9) } }
    return ClientVerdict(health, isClosed: load.isClosed, balance: balance, unreadShare: unreadShare)
  }

  /// Mean latency that the server's own statistics do not hold: network, parsing, and the generator; nil without statistics.
  public var remainderSeconds: Double? {
    guard let server, let mean = uncorrected.mean, server.requests > 0 else { return nil }
    return mean / 1e9 - server.totalSeconds
  }
}
