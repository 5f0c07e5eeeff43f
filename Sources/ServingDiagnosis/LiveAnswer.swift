import CheckedNumbers
import Diagnosis
import Explanation
import Glibc
import Serving
import TimeBase

/// The live answer: what the server did in the last seconds and what limits it.
struct LiveAnswer: Sendable {
  /// A stretch of the window, for charts.
  struct Slice: Sendable {
    var endSecondsAgo: Double
    var seconds: Double
    var answered = 0
    var failed = 0
    var medianMilliseconds: Double?
    var p99Milliseconds: Double?
  }

  /// Longest window.
  static let window = TimeSpan.milliseconds(10_000)
  static let sliceCount = 10

  let version: String
  /// Which model was asked for.
  let filter: String?
  let windowRange: Range<Int64>
  let models: [LiveDiagnosis]
  let frontEnd: FrontEndClock.Usage?
  let slices: [Slice]
  let notes: [String]
  let uptime: TimeSpan
  /// Of each model, by its number.
  let headrooms: [Int32: Headroom]

  /// Finds out how much more a model can take, and gives what tries changes on it; asked for each model that is shown.
  typealias HeadroomSearch = (LiveDiagnosis, LiveTrace.Events, LiveDiagnosis.ServerContext) -> LiveHeadroom.Found

  /// - Parameter search: nil leaves headroom unknown.
  init(
    version: String, filter: String?, states: [LiveModelState], events: LiveTrace.Events, start: Instant, now: Instant, uptime: TimeSpan,
    frontEnd: FrontEndClock.Usage?, search: HeadroomSearch? = nil
  ) {
    self.version = version
    self.filter = filter
    self.frontEnd = frontEnd
    self.uptime = uptime
    let window = start.nanoseconds..<max(start.nanoseconds + 1, now.nanoseconds)
    windowRange = window
    let byModel = states.map { events.of($0.number) }
    var headrooms: [Int32: Headroom] = [:]
    models = zip(states, byModel).filter { filter == nil || $0.0.name == filter }.map { state, own in
      var serverContext = LiveDiagnosis.ServerContext(frontEnd: frontEnd, loops: frontEnd?.loops)
      serverContext.allRequests = events.requests.count
      serverContext.neighbours = zip(states, byModel).filter {
        $0.0.number != state.number && $0.0.device.name == state.device.name && !$0.1.batches.isEmpty
      }.map(\.0.name)
      var diagnosis = LiveDiagnosis(state, events: own, window: window, serverContext: serverContext)
      if let found = search?(diagnosis, own, serverContext) {
        headrooms[state.number] = found.headroom
        if let estimator = found.estimator { diagnosis.quantify(by: estimator) }
      } else {
        headrooms[state.number] = Headroom(
          goal: .assumed, today: diagnosis.figures.requestsPerSecond, unknownBecause: "nothing was simulated")
      }
      return diagnosis
    }
    self.headrooms = headrooms
    let shown = Set(models.map(\.state.number))
    let requests = events.requests.filter { shown.contains($0.model) }
    slices = Self.slices(requests, window: window)
    var notes = ["what a client waits outside this server (its own queue, the network) cannot be seen here"]
    if frontEnd == nil {
      notes.append("the front end's share needs two answers within the window: ask again after a second")
    }
    if start.nanoseconds > max(now.nanoseconds - min(uptime, Self.window).nanoseconds, 0) + 1_000_000 {
      notes.append(
        "this server does more in \(LiveDiagnosis.seconds(0..<min(uptime, Self.window).nanoseconds)) s than an answer reads: the window is shorter"
      )
    }
    let known = Set(states.map(\.number))
    let gone = events.requests.count { !known.contains($0.model) }
    if filter == nil, gone > 0 { notes.append("\(gone) requests of models that are no longer loaded are left out") }
    self.notes = notes
  }

  /// The model whose instances had the most to do; nil where nothing ran.
  var focus: LiveDiagnosis? {
    models.filter { $0.assessment != nil }.max { $0.instanceBusyShare < $1.instanceBusyShare }
  }

  var isSimulated: Bool { models.contains { $0.state.device.isSimulated } }
  var windowSeconds: Double { Double(windowRange.upperBound - windowRange.lowerBound) / 1e9 }

  /// What is said first of a model.
  func answer(of model: LiveDiagnosis) -> RunAnswer {
    model.answer(headrooms[model.state.number] ?? Headroom(goal: .assumed, today: nil, unknownBecause: "nothing was simulated"))
  }

  /// The ten lines of each model, the busiest first.
  var text: String {
    guard !models.isEmpty else { return "no model is loaded\n" }
    let first = focus?.state.number
    let order = models.filter { $0.state.number == first } + models.filter { $0.state.number != first }
    let simulated = isSimulated ? "SIMULATED devices are marked sim:. " : ""
    let footer = "the last \(LiveDiagnosis.seconds(windowRange)) s of this server. \(simulated)Tables and charts: /headroom"
    return AnswerList(order.map(answer), footer: footer).lines(isWhole: true).joined(separator: "\n") + "\n"
  }

  /// One sentence for a human.
  var summary: String {
    if let focus { return models.count > 1 ? "\(focus.state.name): \(focus.sentence)" : focus.sentence }
    if models.isEmpty { return "no model is loaded" }
    if let waiting = models.first(where: { $0.state.queuedRequests > 0 || $0.state.instancesAtWork > 0 }) { return waiting.sentence }
    return "no requests in the last \(LiveDiagnosis.seconds(windowRange)) s"
  }

  static func slices(_ requests: [LiveRecorder.Request], window: Range<Int64>) -> [Slice] {
    let length = Double(window.upperBound - window.lowerBound)
    let width = length / Double(sliceCount)
    var slices = (0..<sliceCount).map {
      Slice(endSecondsAgo: width * Double(sliceCount - 1 - $0) / 1e9, seconds: width / 1e9)
    }
    var latencies = [[Int64]](repeating: [], count: sliceCount)
    for request in requests where window.contains(request.responseEnd.nanoseconds) {
      let place = min(sliceCount - 1, Int(saturating: Double(request.responseEnd.nanoseconds - window.lowerBound) / width))
      if request.failed {
        slices[place].failed += 1
      } else {
        slices[place].answered += 1
        latencies[place].append((request.responseEnd - request.received).nanoseconds)
      }
    }
    for index in slices.indices {
      latencies[index].sort()
      slices[index].medianMilliseconds = LiveFigures.percentile(50, of: latencies[index])
      slices[index].p99Milliseconds = LiveFigures.percentile(99, of: latencies[index])
    }
    return slices
  }
}
