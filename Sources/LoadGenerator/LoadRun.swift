import Glibc
public import LoadModel
import Synchronization
import Threads
public import TimeBase

/// How a run is to go.
public struct LoadConfiguration: Sendable {
  /// Who decides when to send.
  public var load: OfferedLoad
  /// Which part of the run this process takes.
  public var share = RunShare.whole
  /// Of all draws.
  public var seed: UInt64 = 1
  /// Cut off before the window.
  public var warmUp = TimeSpan.milliseconds(1000)
  /// The window.
  public var duration = TimeSpan.milliseconds(10_000)
  /// Threads that send and receive.
  public var threads = 1
  /// Connections of an open loop at most, all threads together.
  public var maxConnections = 4096
  /// Connections a thread of an open loop makes before its start; nil: enough for its rate if an answer takes 10 ms.
  public var initialConnections: Int?
  /// How long an answer may take.
  public var timeout = TimeSpan.milliseconds(30_000)
  /// From which send lag on a request is late.
  public var lateAfter = TimeSpan.milliseconds(1)

  /// A run with that load.
  public init(load: OfferedLoad) { self.load = load }
}

/// A second of a running run, for a live view.
public struct LiveInterval: Sendable {
  /// What an interval belongs to.
  public enum Phase: Sendable, Hashable {
    /// Will be cut off.
    case warmUp
    /// Is looked at.
    case window
    /// Nothing new is sent, the last answers come.
    case drain
  }

  /// Since the start.
  public var startSeconds: Double
  /// What it belongs to.
  public var phase: Phase
  /// Its figures.
  public var summary: IntervalSummary
  /// Its latencies, ns.
  public var latency: Histogram
  /// Its latencies without the generator's own delays, ns.
  public var uncorrected: Histogram
  /// Latencies of answers in it that were due before the window, ns: in no other figure.
  public var earlier: Histogram
  /// How late its requests were sent, ns.
  public var sendLag: Histogram
  /// How late its threads' loops were, ns; see `ClientHealth.schedulingLag`.
  public var schedulingLag: Histogram
}

/// A second of one thread.
struct WorkerReport: Sendable {
  var index = 0
  var startNanoseconds: Int64 = 0
  var endNanoseconds: Int64 = 0
  var latency = Histogram()
  var uncorrected = Histogram()
  /// Of answers that were due before the window and came in it: for the live view alone.
  var earlier = Histogram()
  var sendLag = Histogram()
  var schedulingLag = Histogram()
  var lateCount: Int64 = 0
  var answers: Int64 = 0
  var latencySum: Int64 = 0
  var sinceSendSum: Int64 = 0
  var rows: Int64 = 0
  var bytesReceived: Int64 = 0
  var errors = [Int64](repeating: 0, count: LoadErrorKind.allCases.count)
  var cpuNanoseconds: Int64 = 0
  var users = 0
  /// Each kind of request; empty where there is one.
  var groups: [RequestGroup]

  init(groups: [String]) { self.groups = groups.count > 1 ? groups.map { RequestGroup(name: $0) } : [] }
}

/// What threads and the one that started them tell each other.
final class WorkerMailbox: Sendable {
  struct State: Sendable {
    var reports: [(thread: Int, report: WorkerReport)] = []
    var running = 0
    var connectionsOpened = 0
    var reachedConnectionLimit = false
    var unsentAtEnd = 0
    var failure: LoadError?
    var errorSamples: [LoadErrorKind: String] = [:]
  }

  let state = Mutex(State())
  /// Clock of the run's end: brought forward by an interruption.
  let endNanoseconds: Atomic<Int64>

  init(endNanoseconds: Int64) { self.endNanoseconds = Atomic(endNanoseconds) }
}

/// A run of the load generator: threads with event loops of their own, and one that collects.
public struct LoadRun: Sendable {
  private let configuration: LoadConfiguration
  private let plan: RequestPlan
  private let endpoint: Endpoint

  /// A run of these requests against that endpoint.
  public init(_ configuration: LoadConfiguration, plan: RequestPlan, endpoint: Endpoint) {
    self.configuration = configuration
    self.plan = plan
    self.endpoint = endpoint
  }

  /// Runs it. `start` is an instant of CLOCK_MONOTONIC. `pause` is called over and over; it waits a moment and answers whether somebody wants the run
  /// to end; a second yes ends it at once. `windowBegins` is called when the warm-up is over; `live` after every second.
  public func run(
    start: Instant, pause: () -> Bool, windowBegins: () -> Void = {}, windowEnds: () -> Void = {}, live: (LiveInterval) -> Void = { _ in }
  ) throws(LoadError) -> LoadResult {
    let windowStart = start + configuration.warmUp
    let plannedEnd = windowStart + configuration.duration
    let mailbox = WorkerMailbox(endNanoseconds: plannedEnd.nanoseconds)
    let threads = max(1, configuration.threads)
    mailbox.state.withLock { $0.running = threads }
    for thread in 0..<threads {
      let (configuration, plan, endpoint) = (configuration, plan, endpoint)
      let started = DetachedThread.start(named: "load \(thread)", hasShortSlice: true) {
        var worker = LoadWorker(
          configuration, plan: plan, endpoint: endpoint, thread: thread, start: start.nanoseconds, windowStart: windowStart.nanoseconds,
          mailbox: mailbox)
        worker.run()
        mailbox.state.withLock { $0.running -= 1 }
      }
      if !started { mailbox.state.withLock { ($0.running, $0.failure) = ($0.running - 1, LoadError("the system has no thread left")) } }
    }
    var result = LoadResult(
      name: plan.name, load: configuration.load, share: configuration.share, seed: configuration.seed,
      warmUpSeconds: configuration.warmUp.seconds, windowSeconds: configuration.duration.seconds)
    var collector = IntervalCollector(threads: threads, start: start, windowStart: windowStart)
    var interruptions = 0
    var firstInterruption: Instant?
    var hasBegun = false
    var hasEnded = false
    while true {
      let wantsEnd = pause()
      let now = MonotonicClock.now
      if wantsEnd {
        interruptions += 1
        firstInterruption = firstInterruption ?? now
        result.wasInterrupted = true
        // 0 ends a run without waiting for answers.
        mailbox.endNanoseconds.store(interruptions == 1 ? min(now.nanoseconds, plannedEnd.nanoseconds) : 0, ordering: .relaxed)
      }
      if !hasBegun, now >= windowStart {
        hasBegun = true
        windowBegins()
      }
      if hasBegun, !hasEnded, now.nanoseconds >= mailbox.endNanoseconds.load(ordering: .relaxed) {
        hasEnded = true
        windowEnds()
      }
      let (reports, running) = mailbox.state.withLock { state in
        let reports = state.reports
        state.reports.removeAll(keepingCapacity: true)
        return (reports, state.running)
      }
      for (thread, report) in reports {
        for interval in collector.add(report, thread: thread) { live(interval) }
      }
      if running == 0 { break }
    }
    for (thread, report) in mailbox.state.withLock({ $0.reports }) {
      for interval in collector.add(report, thread: thread) { live(interval) }
    }
    if !hasEnded { windowEnds() }
    let actualEnd = firstInterruption.map { min($0, plannedEnd) } ?? plannedEnd
    result.windowSeconds = max(0, (actualEnd - windowStart).seconds)
    collector.finish(into: &result, configuration: configuration)
    let state = mailbox.state.withLock { $0 }
    result.health.connectionsOpened = state.connectionsOpened
    result.health.reachedConnectionLimit = state.reachedConnectionLimit
    result.health.unsentAtEnd = state.unsentAtEnd
    result.errorSamples = state.errorSamples
    if let failure = state.failure { throw failure }
    return result
  }
}

/// Puts the threads' seconds together.
struct IntervalCollector {
  private let start: Instant
  private let windowStart: Instant
  private let threads: Int
  private var pending: [Int: [WorkerReport]] = [:]
  private var window: [WorkerReport] = []
  private var threadCPU: [Int64]

  init(threads: Int, start: Instant, windowStart: Instant) {
    self.threads = threads
    self.start = start
    self.windowStart = windowStart
    threadCPU = Array(repeating: 0, count: threads)
  }

  /// Seconds that are complete with this report.
  mutating func add(_ report: WorkerReport, thread: Int) -> [LiveInterval] {
    if report.index >= 0, threadCPU.indices.contains(thread) { threadCPU[thread] += report.cpuNanoseconds }
    pending[report.index, default: []].append(report)
    guard let reports = pending[report.index], reports.count == threads else { return [] }
    pending[report.index] = nil
    let sum = Self.sum(reports)
    if sum.index >= 0 { window.append(sum) }
    let seconds = Double(sum.startNanoseconds - start.nanoseconds) / 1e9
    return [
      LiveInterval(
        startSeconds: seconds, phase: sum.index < 0 ? .warmUp : sum.index == Int.max ? .drain : .window, summary: summary(sum),
        latency: sum.latency, uncorrected: sum.uncorrected, earlier: sum.earlier, sendLag: sum.sendLag,
        schedulingLag: sum.schedulingLag)
    ]
  }

  private func summary(_ report: WorkerReport) -> IntervalSummary {
    var summary = IntervalSummary(
      startSeconds: Double(report.startNanoseconds - start.nanoseconds) / 1e9,
      lengthSeconds: Double(report.endNanoseconds - report.startNanoseconds) / 1e9, answers: report.answers,
      errors: report.errors.reduce(0, +), latencySeconds: Double(report.latencySum) / 1e9,
      sinceSendSeconds: Double(report.sinceSendSum) / 1e9, users: report.users)
    summary.percentiles = IntervalSummary.keptPercentiles.compactMap { report.latency.value(atPercentile: $0) }
    return summary
  }

  private static func sum(_ reports: [WorkerReport]) -> WorkerReport {
    var sum = reports[0]
    for report in reports.dropFirst() {
      sum.latency.add(report.latency)
      sum.uncorrected.add(report.uncorrected)
      sum.earlier.add(report.earlier)
      sum.sendLag.add(report.sendLag)
      sum.schedulingLag.add(report.schedulingLag)
      sum.lateCount += report.lateCount
      sum.answers += report.answers
      sum.latencySum += report.latencySum
      sum.sinceSendSum += report.sinceSendSum
      sum.rows += report.rows
      sum.bytesReceived += report.bytesReceived
      sum.users += report.users
      sum.endNanoseconds = max(sum.endNanoseconds, report.endNanoseconds)
      for index in sum.errors.indices { sum.errors[index] += report.errors[index] }
      for index in sum.groups.indices { sum.groups[index].add(report.groups[index]) }
    }
    return sum
  }

  /// The whole window. What finished in the drain behind it counts for latency, not for throughput.
  mutating func finish(into result: inout LoadResult, configuration: LoadConfiguration) {
    let end = windowStart.nanoseconds + TimeSpan(clampingSeconds: result.windowSeconds).nanoseconds
    for leftover in pending.values where !leftover.isEmpty { if leftover[0].index >= 0 { window.append(Self.sum(leftover)) } }
    window.sort { $0.index < $1.index }
    for report in window {
      result.latency.add(report.latency)
      result.uncorrected.add(report.uncorrected)
      result.health.sendLag.add(report.sendLag)
      result.health.lateCount += report.lateCount
      if result.groups.isEmpty {
        result.groups = report.groups
      } else {
        for index in result.groups.indices { result.groups[index].add(report.groups[index]) }
      }
      for (kind, count) in zip(LoadErrorKind.allCases, report.errors) where count > 0 { result.errors[kind, default: 0] += count }
      if report.startNanoseconds < end {
        result.health.schedulingLag.add(report.schedulingLag)
        result.completed += report.answers
        result.rows += report.rows
        result.bytesReceived += report.bytesReceived
        result.intervals.append(summary(report))
      }
    }
    result.health.threads = threads
    result.health.lateAfter = configuration.lateAfter
    result.health.cpuSeconds = Double(threadCPU.reduce(0, +)) / 1e9
    if result.windowSeconds > 0 { result.health.busiestThreadShare = Double(threadCPU.max() ?? 0) / 1e9 / result.windowSeconds }
    result.health.connectionErrors = (result.errors[.connect] ?? 0) + (result.errors[.connection] ?? 0)
    if case .closed(_, _, let think) = configuration.load { result.health.thinkSeconds = think.mean.seconds }
  }
}
