import CheckedNumbers
import JSONText
import KServe
import NIOCore
import Synchronization
import Threads
import TimeBase

/// `GET /v2/headroom`, and the page that shows it.
final class LiveDiagnosisPages: LivePages {
  private let server: InferenceServer
  private let clock = FrontEndClock()
  /// Answers by filter. Within this time an answer is given again: however many ask, the loops work out five a second of each.
  private let recent = Mutex<[String: (time: Instant, answer: HTTPAnswer)]>([:])
  private static let reuse = TimeSpan.milliseconds(200)
  /// The diagnosis of so many events takes about 30 ms of an event loop; a busier server is looked at for less than the whole window.
  private static let limits = LiveRecorder.Limits(requests: 1 << 15, batches: 1 << 14, kernels: 1 << 16)

  init(_ server: InferenceServer) { self.server = server }

  func page(_ route: HTTPRoute, _ exchange: HTTPExchange) -> HTTPAnswer? {
    let isGet = exchange.head.method == .get
    switch route {
    case .root:
      // The reference server has nothing here; a browser is shown the way.
      guard isGet, exchange.head.acceptsHTML else { return nil }
      return HTTPAnswer(status: 302, contentType: .plain, fields: [("Location", "/headroom")])
    case .headroomPage: return isGet ? LivePage.answer() : .error(405, "Method Not Allowed", .plain)
    case .headroom: return isGet ? live(Self.value(of: "model", in: exchange.query)) : .error(405, "Method Not Allowed")
    default: return nil
    }
  }

  private func live(_ model: String?) -> HTTPAnswer {
    guard server.live.isRecording else {
      return .error(503, "this server keeps no events, and diagnoses nothing: start it without --live-events false")
    }
    let now = MonotonicClock.now
    if let kept = recent.withLock({ $0[model ?? ""] }), now - kept.time < Self.reuse { return kept.answer }
    let states = server.manager.table.allReady.map { LiveModelState($0) }
    if let model, !states.contains(where: { $0.name == model }) {
      return .error(KServeError(.notFound, "Request for unknown model: '\(model)' is not found"))
    }
    let usage = clock.usage(over: LiveAnswer.window)
    let since = max(server.started, now + TimeSpan(nanoseconds: -LiveAnswer.window.nanoseconds))
    let kept = server.live.events(since: since, limits: Self.limits)
    let events = LiveTrace.Events(requests: kept.requests, batches: kept.batches, kernels: kept.kernels)
    let start = Self.start(of: events, since: since)
    let live = LiveAnswer(
      version: server.options.version, filter: model, states: states, events: events, start: start, now: now,
      uptime: now - server.started, frontEnd: usage)
    var answer = HTTPAnswer.json(live.json)
    answer.fields = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    recent.withLock { recent in
      recent = recent.filter { now - $0.value.time < Self.reuse }
      recent[model ?? ""] = (now, answer)
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

  /// A field of a query, percent escapes resolved; nil where it is missing or empty.
  static func value(of name: String, in query: String) -> String? {
    for field in query.split(separator: "&") {
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == name, !parts[1].isEmpty else { continue }
      var bytes: [UInt8] = []
      var rest = Array(parts[1].utf8)[...]
      while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
          bytes.append(value)
          rest = rest.dropFirst(2)
        } else {
          bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        }
      }
      return String(decoding: bytes, as: UTF8.self)
    }
    return nil
  }
}
