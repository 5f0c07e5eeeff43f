import CheckedNumbers
import Console
import FileAccess
import Glibc
import LoadGenerator
import LoadModel
public import ProcessContract
import Threads
import TimeBase

/// A run of the load generator from options to exit status.
public struct LoadSession {
  private let options: LoadRunOptions
  private let settings: ResolvedLoad

  /// Reads the scenario file, looks the server's address up.
  ///
  /// - Throws: `UsageError`, `LoadError`, `FileError`, `YAMLFieldError`.
  public init(_ options: LoadRunOptions) throws {
    self.options = options
    settings = try ResolvedLoad(options)
  }

  /// A run and what is written of it.
  private struct Measurement {
    var result: LoadResult
    var log: HistogramLog
  }

  /// Runs, reports, and says how the process is to end. To be called on the process's first thread.
  ///
  /// - Throws: `LoadError`, `FileError`.
  public func run() throws -> ExitStatus {
    // Before any thread is made: all inherit the mask, and the signals come to `pause` alone.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let plan = try planWhenReady()
    let configuration = settings.configuration
    try checkDescriptors(configuration)
    do {
      if let goal = options.pace.findRate { return try search(goal, plan, configuration, signals) }
      return try report(try measure(plan, configuration, signals))
    } catch is LateStart { return .runInvalid }
  }

  /// A server that was started a moment ago does not listen yet, or loads its models.
  private func planWhenReady() throws -> RequestPlan {
    let began = MonotonicClock.now
    var isSaid = false
    while true {
      do { return try settings.plan() } catch let error as LoadError {
        guard let limit = settings.readinessTimeout, MonotonicClock.now - began < limit else { throw error }
        if !isSaid, !options.output.isQuiet { Terminal.note("headroom load: waiting for the server to be ready") }
        isSaid = true
        usleep(100_000)
      }
    }
  }

  /// A part of a run on several machines was ready too late.
  private struct LateStart: Error {}

  private func report(_ measurement: Measurement, search: RateSearch? = nil) throws -> ExitStatus {
    let result = measurement.result
    let page = LoadReport(result: result, conditions: settings.failOn, scenario: options.pace.scenario, search: search)
    if let prefix = options.output.csvPrefix { try page.writeCSV(prefix: prefix, startEpochSeconds: measurement.log.startEpochSeconds) }
    if let file = options.output.histogramLog { try Files.write(file, measurement.log.text) }
    if let file = options.output.page { try Files.write(file, page.html) }
    if options.output.isJSON {
      Terminal.print(page.json.serialized(pretty: true))
    } else {
      Terminal.print(page.lines(width: Terminal.width).joined(separator: "\n"))
    }
    if settings.failOn.contains(where: { $0.isMet(by: result) }) { return .thresholdCrossed }
    if result.wasInterrupted { return .interrupted }
    if result.answers == 0 {
      if result.errorCount > 0 { throw LoadError("no good answer from \(result.name): \(page.errorText)") }
      // Neither an answer nor an error: the server may be well and slower than the window is long.
      let seconds = (result.windowSeconds * 10).rounded() / 10
      Terminal.note(
        "headroom load: \(result.name) answered nothing in the window of \(seconds) s, and refused nothing: a longer --duration tells more")
      return .inconclusive
    }
    return .ok
  }

  private func checkDescriptors(_ configuration: LoadConfiguration) throws {
    let allowed = Endpoint.raiseDescriptorLimit() - 64
    if case .closed(let users, _, _) = configuration.load, users / configuration.share.count > allowed {
      throw LoadError("\(users) users need as many open files and the system allows \(allowed): raise `ulimit -n`, or split with --share")
    }
  }

  /// CLOCK_MONOTONIC's instant of the start, seconds since 1970 of the same, and by how much it is missed.
  private func start() -> (instant: Instant, epochSeconds: Double, lateSeconds: Double) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let epoch = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    // Threads and connections first: 20 ms are enough, and nobody waits for them.
    let wanted = options.startEpochSeconds ?? epoch + 0.02
    if wanted > epoch + 1, !options.output.isQuiet { Terminal.note("starts in \(Int(saturating: wanted - epoch)) s") }
    return (MonotonicClock.now + TimeSpan(clampingSeconds: wanted - epoch), wanted, max(0, epoch - wanted))
  }

  private func measure(_ plan: RequestPlan, _ configuration: LoadConfiguration, _ signals: sigset_t) throws -> Measurement {
    let (start, epoch, lateSeconds) = start()
    var log = HistogramLog(startEpochSeconds: epoch)
    func part(_ result: LoadResult) -> RunPart {
      RunPart(result, startEpochSeconds: epoch, lateSeconds: lateSeconds, plannedSeconds: configuration.duration.seconds)
    }
    if lateSeconds > RunMerge.lateLimitSeconds {
      // The log says that this part was there and too late, so that a merge can name the reason.
      log.part = part(
        LoadResult(
          name: plan.name, load: configuration.load, share: configuration.share, seed: configuration.seed,
          warmUpSeconds: configuration.warmUp.seconds, windowSeconds: 0))
      if let file = options.output.histogramLog { try Files.write(file, log.text) }
      Terminal.note(
        "headroom load: part \(configuration.share.text) was ready \((lateSeconds * 100).rounded() / 100) s after --start-at: the run is not valid. "
          + "Choose a later instant")
      throw LateStart()
    }
    let (settings, keepsLog) = (settings, options.output.histogramLog != nil)
    let view = LoadView(
      isQuiet: options.output.isQuiet, totalSeconds: configuration.warmUp.seconds + configuration.duration.seconds,
      statistics: { ServerStatistics(models: settings.models, transport: settings.transport(timeoutSeconds: 2)) })
    var before: ServerStatistics?
    var after: ServerStatistics?
    var waited = signals
    var result = try LoadRun(configuration, plan: plan, endpoint: settings.endpoint).run(
      start: start,
      pause: {
        var moment = timespec(tv_sec: 0, tv_nsec: 50_000_000)
        return sigtimedwait(&waited, nil, &moment) > 0
      },
      windowBegins: { before = ServerStatistics(models: settings.models, transport: settings.transport()) },
      windowEnds: { after = ServerStatistics(models: settings.models, transport: settings.transport()) },
      live: { interval in
        view.show(interval)
        if keepsLog, interval.phase != .warmUp { log.append(interval) }
      })
    view.clear()
    if let before, let after { result.server = after.since(before) }
    log.part = part(result)
    for (index, group) in result.groups.enumerated() where group.latency.count > 0 {
      log.entries.append(
        .init(
          tag: RunPart.tag(ofGroup: index), startSeconds: result.warmUpSeconds, lengthSeconds: result.windowSeconds,
          histogram: group.latency)
      )
    }
    return Measurement(result: result, log: log)
  }

  // MARK: The search for a rate

  /// Doubles the rate until the goal is missed, then halves the gap until it is 5 %.
  private func search(
    _ goal: FailCondition, _ plan: RequestPlan, _ configuration: LoadConfiguration, _ signals: sigset_t
  ) throws -> ExitStatus {
    var search = RateSearch(condition: goal)
    var configuration = configuration
    var rate: Double = options.pace.rate?.peakPerSecond ?? 100
    var good: (rate: Double, measurement: Measurement)?
    var bad: Double?
    var last: Measurement?
    while search.trials.count < 24 {
      configuration.load = .open(RateProfile(perSecond: rate), isPoisson: options.pace.isPoisson || options.pace.scenario == .server)
      let measurement = try measure(plan, configuration, signals)
      let result = measurement.result
      last = measurement
      // A rate the generator did not offer proves nothing; nor one whose answers fail or pile up.
      let holds =
        goal.isMet(by: result) && result.answers > 0 && result.errorCount == 0
        && result.answersPerSecond > 0.95 * rate / Double(configuration.share.count)
      search.trials.append(.init(rate: rate, holds: holds, value: goal.value(in: result), verdict: result.verdict.kind))
      if !options.output.isQuiet { Terminal.note(search.line(of: search.trials.count - 1)) }
      if result.wasInterrupted { break }
      if holds { good = (rate, measurement) } else { bad = rate }
      if result.verdict.kind == .clientBound, !holds { search.endedClientBound = true }
      switch (good?.rate, bad) {
      case (let low?, let high?):
        if high / low < 1.05 { return try finish() }
        rate = (low + high) / 2
      case (_?, nil): rate *= 2
      case (nil, _):
        rate /= 2
        if rate < 0.1 { return try finish() }
      }
    }
    return try finish()
    func finish() throws -> ExitStatus {
      search.best = good?.rate
      if let best = good { return try report(best.measurement, search: search) }
      let status = try last.map { try report($0, search: search) } ?? .ok
      return status == .ok ? .inconclusive : status
    }
  }
}

extension HistogramLog {
  /// A second of a run: its latencies, and with a tag each what else a merge needs.
  fileprivate mutating func append(_ interval: LiveInterval) {
    let kinds: [(RunPart.Tag?, Histogram)] = [
      (nil, interval.latency), (.uncorrected, interval.uncorrected), (.sendLag, interval.sendLag), (.schedulingLag, interval.schedulingLag),
    ]
    for (tag, histogram) in kinds where histogram.count > 0 {
      entries.append(
        .init(
          tag: tag?.rawValue, startSeconds: interval.startSeconds, lengthSeconds: interval.summary.lengthSeconds, histogram: histogram))
    }
  }
}
