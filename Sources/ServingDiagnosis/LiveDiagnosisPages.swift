import CheckedNumbers
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
  /// Answers by filter. Within this time an answer is given again: however many ask, the loops work out five a second of each.
  private let recent = Mutex<[String: (time: Instant, answer: String)]>([:])
  private static let reuse = TimeSpan.milliseconds(200)
  /// The diagnosis of so many events takes about 30 ms of an event loop; a busier server is looked at for less than the whole window.
  private static let limits = LiveRecorder.Limits(requests: 1 << 15, batches: 1 << 14, kernels: 1 << 16)

  /// Of this server.
  public init(_ server: InferenceServer) { self.server = server }

  /// The page; nothing of the server's state stands in it.
  public func page() -> LivePageText { LivePage.text() }

  /// The diagnosis of the last seconds. At most five a second of each filter are worked out.
  public func answer(ofModel name: String?) throws(KServeError) -> String {
    guard server.recordsEvents else {
      throw KServeError(.unavailable, "this server keeps no events, and diagnoses nothing: start it without --live-events false")
    }
    let now = MonotonicClock.now
    if let kept = recent.withLock({ $0[name ?? ""] }), now - kept.time < Self.reuse { return kept.answer }
    let states = server.modelStates
    if let name, !states.contains(where: { $0.name == name }) {
      throw KServeError(.notFound, "Request for unknown model: '\(name)' is not found")
    }
    let usage = clock.usage(over: LiveAnswer.window)
    let since = max(server.started, now + TimeSpan(nanoseconds: -LiveAnswer.window.nanoseconds))
    let events = server.events(since: since, limits: Self.limits)
    let start = Self.start(of: events, since: since)
    let live = LiveAnswer(
      version: server.version, filter: name, states: states, events: events, start: start, now: now, uptime: now - server.started,
      frontEnd: usage)
    let answer = live.json.serialized(pretty: false)
    recent.withLock { recent in
      recent = recent.filter { now - $0.value.time < Self.reuse }
      recent[name ?? ""] = (now, answer)
    }
    return answer
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
