import CheckedNumbers
public import Diagnosis
import Dispatch
import JSONText
public import KServe
public import Serving
import Synchronization
import Threads
import TimeBase

/// What stands at `GET /v2/headroom`, and the page that shows it.
public final class LiveDiagnosisPages: LivePages {
  private let server: InferenceServer
  private let clock = FrontEndClock()
  /// Answers by filter. Within this time an answer is given again: however many ask, five a second of each are worked out.
  private let recent = Mutex<[String: (time: Instant, answer: String)]>([:])
  private let known = Mutex(Known())
  private static let reuse = TimeSpan.milliseconds(200)
  /// What the last diagnosis for a scrape found.
  private struct Known: Sendable {
    var time: Instant?
    var metrics: [LiveMetrics] = []
    var isBeingMade = false
  }
  /// A scrape that finds older figures has them worked out anew, for the next one.
  private static let metricsAge = TimeSpan.seconds(2)
  /// By a model's number.
  private let headrooms = Mutex<[Int32: Found]>([:])
  private struct Found: Sendable {
    var time: Instant
    var found: LiveHeadroom.Found
  }
  private let goal: LatencyGoal
  private let queue = DispatchQueue(label: "headroom live diagnosis")
  /// What changes would buy takes some more runs of the simulation: nobody waits for them, the next answer has them.
  private let changes = DispatchQueue(label: "headroom live changes", qos: .utility)
  /// An estimator is the next one's stopgap for so long.
  private static let memory = TimeSpan.seconds(60)
  /// The diagnosis of so many events takes about 30 ms; a busier server is looked at for less than the whole window.
  private static let limits = LiveRecorder.Limits(requests: 1 << 15, batches: 1 << 14, kernels: 1 << 16)

  /// Of this server; `goal`: the latency at which headroom is stated.
  public init(_ server: InferenceServer, goal: LatencyGoal = .assumed) {
    self.server = server
    self.goal = goal
  }

  /// The page; nothing of the server's state stands in it.
  public func page() -> LivePageText { LivePage.text() }

  /// The diagnosis of the last seconds, worked out on a thread of its own: an event loop has requests to serve.
  public func answer(
    ofModel name: String?, as format: LiveFormat, whenDone: @escaping @Sendable (Result<String, KServeError>) -> Void
  ) {
    queue.async { [self] in
      do throws(KServeError) { whenDone(.success(try answer(ofModel: name, as: format))) } catch { whenDone(.failure(error)) }
    }
  }

  /// At most five a second of each filter are worked out.
  private func answer(ofModel name: String?, as format: LiveFormat) throws(KServeError) -> String {
    guard server.recordsEvents else {
      throw KServeError(.unavailable, "this server keeps no events, and diagnoses nothing: start it without --live-events false")
    }
    let now = MonotonicClock.now
    let key = "\(format.rawValue)/\(name ?? "")"
    if let kept = recent.withLock({ $0[key] }), now - kept.time < Self.reuse { return kept.answer }
    let live = try liveAnswer(ofModel: name, at: now, quantifies: true)
    let estimators = headrooms.withLock { $0.values.compactMap(\.found.estimator) }
    changes.async { for estimator in estimators { estimator.work() } }
    let answer =
      switch format {
      case .json: live.json.serialized(pretty: false)
      case .text: live.text
      }
    recent.withLock { recent in
      recent = recent.filter { now - $0.value.time < Self.reuse }
      recent[key] = (now, answer)
    }
    return answer
  }

  /// The diagnosis itself.
  /// - Parameter quantifies: whether it says what changes would buy, which takes some more runs of the simulation.
  private func liveAnswer(ofModel name: String?, at now: Instant, quantifies: Bool) throws(KServeError) -> LiveAnswer {
    let states = server.modelStates
    if let name, !states.contains(where: { $0.name == name }) {
      throw KServeError(.notFound, "Request for unknown model: '\(name)' is not found")
    }
    let usage = clock.usage(over: LiveAnswer.window)
    let since = max(server.started, now + TimeSpan(nanoseconds: -LiveAnswer.window.nanoseconds))
    let events = server.events(since: since, limits: Self.limits)
    let start = Self.start(of: events, since: since)
    return LiveAnswer(
      version: server.version, filter: name, states: states, events: events, start: start, now: now, uptime: now - server.started,
      frontEnd: usage,
      search: { diagnosis, events, context in
        var found = self.headroom(of: diagnosis, events, context, now: now)
        if !quantifies { found.estimator = nil }
        return found
      })
  }

  /// A scrape never waits: a simulation may take a second, and counters are wanted at once. It is given what the last diagnosis found, and
  /// asks for the next.
  public func metrics() -> [LiveMetrics] {
    guard server.recordsEvents else { return [] }
    let now = MonotonicClock.now
    let (metrics, isDue) = known.withLock { known in
      let isDue = !known.isBeingMade && known.time.map { now - $0 >= Self.metricsAge } ?? true
      if isDue { known.isBeingMade = true }
      return (known.metrics, isDue)
    }
    if isDue { queue.async { [self] in makeMetrics() } }
    return withoutStale(metrics, at: now)
  }

  /// The last diagnosis is as old as the last scrape: what it found is not said of a load that is no longer the same, or gone.
  private func withoutStale(_ metrics: [LiveMetrics], at now: Instant) -> [LiveMetrics] {
    guard !metrics.isEmpty else { return metrics }
    let since = max(server.started, now + TimeSpan(nanoseconds: -LiveAnswer.window.nanoseconds))
    var limits = Self.limits
    (limits.batches, limits.kernels) = (0, 0)
    let events = server.events(since: since, limits: limits)
    let window = Self.start(of: events, since: since).nanoseconds..<max(now.nanoseconds, since.nanoseconds + 1)
    let states = server.modelStates
    return metrics.map { known in
      guard let state = states.first(where: { $0.name == known.model && $0.version == known.version }) else { return known }
      let own = events.of(state.number)
      let now = own.requests.isEmpty ? "no_requests" : Self.isUnsteady(own, state, window) ? "not_steady" : nil
      return now.map { LiveMetrics(model: known.model, version: known.version, verdict: $0) } ?? known
    }
  }

  private static func isUnsteady(_ events: LiveTrace.Events, _ state: LiveModelState, _ window: Range<Int64>) -> Bool {
    LiveDiagnosis.steadiness(events, of: state, window: window)?.isSteady == false
  }

  private func makeMetrics() {
    let now = MonotonicClock.now
    let metrics: [LiveMetrics]
    do throws(KServeError) {
      let live = try liveAnswer(ofModel: nil, at: now, quantifies: false)
      metrics = live.models.map { $0.metrics(headroom: live.headrooms[$0.state.number]) }
    } catch {
      // Of all models together it fails only where nothing is recorded.
      metrics = []
    }
    known.withLock { known in
      (known.time, known.metrics, known.isBeingMade) = (now, metrics, false)
    }
  }

  /// How much more a model can take. A simulation is fitted once in ten seconds of each model; in between only today's rate is new.
  private func headroom(
    of diagnosis: LiveDiagnosis, _ events: LiveTrace.Events, _ serverContext: LiveDiagnosis.ServerContext, now: Instant
  ) -> LiveHeadroom.Found {
    let number = diagnosis.state.number
    let earlier = headrooms.withLock { $0[number] }
    let isSteady = diagnosis.evidence.steadiness?.isSteady ?? true
    if let earlier, now - earlier.time < LiveAnswer.window, earlier.found.headroom.maximumRate != nil, isSteady, diagnosis.answered > 0 {
      var kept = earlier.found
      kept.headroom.today = diagnosis.figures.requestsPerSecond
      return kept
    }
    let found = LiveHeadroom.find(
      of: diagnosis, events: events, serverContext: serverContext, goal: goal, isPatient: true, earlier: earlier?.found)
    // What was found of a steady window stays for when the load is steady again.
    if !isSteady, earlier != nil { return found }
    // From when it is there: a search takes time itself.
    headrooms.withLock { headrooms in
      headrooms = headrooms.filter { now - $0.value.time < Self.memory }
      headrooms[number] = Found(time: MonotonicClock.now, found: found)
    }
    return found
  }

  /// Where there were more events than are read, the window begins with the oldest that was.
  private static func start(of events: LiveTrace.Events, since: Instant) -> Instant {
    var start = since
    if events.requests.count >= limits.requests, let first = events.requests.first { start = max(start, first.responseEnd) }
    if events.batches.count >= limits.batches, let first = events.batches.first { start = max(start, first.outputEnd) }
    if events.kernels.count >= limits.kernels, let first = events.kernels.first { start = max(start, first.end) }
    return start
  }
}
