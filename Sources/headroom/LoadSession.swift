import ArgumentParser
import FileAccess
import Glibc
import LoadGenerator
import LoadModel
import Reporting
import Threads
import TimeBase
import Workload

/// A run of `headroom load` from options to exit code.
struct LoadSession {
  private let command: LoadCommand
  private let endpoint: Endpoint
  private let exchange: BlockingExchange
  private let path: String

  init(_ command: LoadCommand) throws {
    self.command = command
    let url = try LoadURL(command.targets.first ?? command.request.url)
    path = url.path
    endpoint = try Endpoint(host: url.host, port: url.port)
    exchange = BlockingExchange(endpoint, headers: command.request.headers)
  }

  func run() throws {
    // Before any thread is made: all inherit the mask, and the signals come to `pause` alone.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let plan = try self.plan()
    let configuration = try self.configuration()
    try checkDescriptors(configuration)
    if let goal = command.pace.findRate.flatMap({ FailCondition(text: $0) }) {
      return try search(goal, plan, configuration, signals)
    }
    let (result, log) = try measure(plan, configuration, signals)
    try report(result, log)
  }

  private func report(_ result: LoadResult, _ log: HistogramLog, search: RateSearch? = nil) throws {
    let conditions = command.output.failOn.compactMap { FailCondition(text: $0) }
    let met = conditions.filter { $0.isMet(by: result) }
    let page = LoadReport(result: result, conditions: conditions, scenario: command.pace.scenario, search: search)
    if let prefix = command.output.csv { try page.writeCSV(prefix: prefix, startEpochSeconds: log.startEpochSeconds) }
    if let file = command.output.part { try Files.write(file, page.json.serialized(pretty: true) + "\n") }
    if let file = command.output.html { try Files.write(file, Array(page.page.html.utf8)) }
    if let file = command.output.hdrLog { try Files.write(file, log.text) }
    if command.output.json {
      Terminal.print(page.json.serialized(pretty: true))
    } else {
      Terminal.print(page.lines(width: Terminal.width).joined(separator: "\n"))
    }
    if result.hasStartedLate {
      Terminal.note(
        "headroom load: invalid: threads started \(Int((result.startedLateSeconds * 1000).rounded())) ms after --start-at; run all parts again "
          + "with a later one")
      throw ExitCode(4)
    }
    if !met.isEmpty { throw ExitCode(2) }
    if result.wasInterrupted { throw ExitCode(130) }
    if result.answers == 0 {
      throw LoadError(
        "no good answer from \(endpoint.host):\(endpoint.port): "
          + (result.errorCount > 0 ? page.errorText : "nothing was answered in the window"))
    }
  }

  private func plan() throws -> RequestPlan {
    let options = command.request
    guard let name = options.model else {
      let body = try options.bodyFile.map { try Files.read($0, limit: 1 << 28) }
      return .plain(options.method ?? (body == nil ? "GET" : "POST"), path, endpoint: endpoint, headers: options.headers, body: body)
    }
    var request = KServeModel.RequestOptions()
    request.rows = RowDistribution(text: options.rows) ?? .fixed(1)
    if command.pace.scenario == .multiStream, options.rows == "1" { request.rows = .fixed(8) }
    request.isBinary = options.encoding == .binary
    request.seed = command.pace.seed
    request.headers = options.headers
    request.shapes = try options.shapes()
    // Enough different row counts that the mean is met.
    if case .uniform = request.rows { request.variety = 256 }
    switch options.data {
    case .random: request.data = .random
    case .zero: request.data = .zero
    case .file:
      var files: [String: [UInt8]] = [:]
      for text in options.input {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2 { files[parts[0]] = try Files.read(parts[1]) }
      }
      request.data = .files(files)
    }
    return try KServeModel(name: name, version: options.modelVersion, exchange: exchange).plan(request, verifiesValues: options.verify)
  }

  private func configuration() throws -> LoadConfiguration {
    let pace = command.pace
    let think = ThinkTime(text: pace.think) ?? .constant(.zero)
    let load: OfferedLoad
    if let scenario = pace.scenario, scenario != .server {
      // Offline is all samples at once; over HTTP that is enough requests in flight that the server always has a full batch.
      load = .closed(users: scenario == .offline ? 256 : 1, spawnRate: 1e7, think: .constant(.zero))
    } else if let rate = pace.rate ?? (pace.findRate == nil ? nil : "100"), let profile = RateProfile(text: rate) {
      load = .open(profile, isPoisson: pace.poisson || pace.scenario == .server)
    } else if let file = pace.replay {
      do { load = .replay(try RecordedArrivals.read(Files.readText(file))) } catch let error as LoadInputError {
        throw LoadError("\(file): \(error)")
      }
    } else {
      let users = pace.users ?? 1
      load = .closed(users: users, spawnRate: pace.spawnRate ?? Double(users), think: think)
    }
    var configuration = LoadConfiguration(load: load)
    configuration.share = RunShare(text: command.sharing.share) ?? .whole
    configuration.seed = pace.seed
    configuration.duration = TimeSpan(clampingSeconds: pace.duration)
    if let warmup = pace.warmup {
      configuration.warmUp = TimeSpan(clampingSeconds: warmup)
    } else if case .closed(let users, let spawnRate, _) = load {
      configuration.warmUp = TimeSpan(clampingSeconds: min(86_400, Double(users) / spawnRate + 1))
    }
    configuration.threads = pace.threads
    configuration.maxConnections = pace.maxConnections
    configuration.initialConnections = pace.connections.map { ($0 + pace.threads - 1) / pace.threads }
    configuration.timeout = TimeSpan(clampingSeconds: pace.timeout)
    configuration.lateAfter = TimeSpan(clampingSeconds: pace.lateAfterMilliseconds / 1000)
    return configuration
  }

  private func checkDescriptors(_ configuration: LoadConfiguration) throws {
    let allowed = Endpoint.raiseDescriptorLimit() - 64
    if case .closed(let users, _, _) = configuration.load, users / configuration.share.count > allowed {
      throw LoadError("\(users) users need as many open files and the system allows \(allowed): raise `ulimit -n`, or split with --share")
    }
  }

  /// CLOCK_MONOTONIC's instant of the start, and seconds since 1970 of the same.
  private func start() throws -> (Instant, Double) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let epoch = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    let wanted: Double
    switch RunStart(startAt: command.sharing.startAt, now: epoch) {
    case .at(let epochSeconds): wanted = epochSeconds
    case .missed(let seconds):
      Terminal.note(
        "headroom load: invalid: --start-at was \(NumberText.significant(seconds)) s ago when this part was ready; run all parts again with a later one"
      )
      throw ExitCode(4)
    }
    if wanted > epoch + 1, !command.output.quiet { Terminal.note("starts in \(Int(wanted - epoch)) s") }
    return (MonotonicClock.now + TimeSpan(clampingSeconds: wanted - epoch), wanted)
  }

  private func measure(_ plan: RequestPlan, _ configuration: LoadConfiguration, _ signals: sigset_t) throws -> (LoadResult, HistogramLog) {
    let (start, epoch) = try start()
    var log = HistogramLog(startEpochSeconds: epoch)
    let model = command.request.model
    let impatient = BlockingExchange(endpoint, headers: exchange.headers, timeoutSeconds: 2)
    let view = LoadView(isQuiet: command.output.quiet, totalSeconds: configuration.warmUp.seconds + configuration.duration.seconds) {
      model.flatMap { ServerStatistics(model: $0, exchange: impatient) }
    }
    var before: ServerStatistics?
    var after: ServerStatistics?
    var waited = signals
    var result = try LoadRun(configuration, plan: plan, endpoint: endpoint).run(
      start: start,
      pause: {
        var moment = timespec(tv_sec: 0, tv_nsec: 50_000_000)
        return sigtimedwait(&waited, nil, &moment) > 0
      },
      windowBegins: { before = model.flatMap { ServerStatistics(model: $0, exchange: exchange) } },
      windowEnds: { after = model.flatMap { ServerStatistics(model: $0, exchange: exchange) } },
      live: { interval in
        view.show(interval)
        if interval.phase == .warmUp || interval.latency.count == 0 || command.output.hdrLog == nil { return }
        let length = interval.summary.lengthSeconds
        log.entries.append(.init(startSeconds: interval.startSeconds, lengthSeconds: length, histogram: interval.latency))
        log.entries.append(
          .init(tag: "uncorrected", startSeconds: interval.startSeconds, lengthSeconds: length, histogram: interval.uncorrected))
      })
    view.clear()
    result.startAtEpochSeconds = command.sharing.startAt
    if let before, let after { result.server = after.since(before) }
    return (result, log)
  }

  // MARK: The search for a rate

  /// Doubles the rate until the goal is missed, then halves the gap until it is 5 %.
  private func search(_ goal: FailCondition, _ plan: RequestPlan, _ configuration: LoadConfiguration, _ signals: sigset_t) throws {
    var search = RateSearch(condition: goal)
    var configuration = configuration
    var rate: Double = command.pace.rate.flatMap { RateProfile(text: $0)?.peakPerSecond } ?? 100
    var good: (rate: Double, result: LoadResult, log: HistogramLog)?
    var bad: Double?
    var last: (LoadResult, HistogramLog)?
    while search.trials.count < 24 {
      configuration.load = .open(RateProfile(perSecond: rate), isPoisson: command.pace.poisson || command.pace.scenario == .server)
      let (result, log) = try measure(plan, configuration, signals)
      last = (result, log)
      // A rate the generator did not offer proves nothing; nor one whose answers fail or pile up.
      let holds =
        goal.isMet(by: result) && result.answers > 0 && result.errorCount == 0
        && result.answersPerSecond > 0.95 * rate / Double(configuration.share.count)
      search.trials.append(.init(rate: rate, holds: holds, value: goal.value(in: result), verdict: result.verdict.code))
      if !command.output.quiet { Terminal.note(search.line(of: search.trials.count - 1)) }
      if result.wasInterrupted { break }
      if holds { good = (rate, result, log) } else { bad = rate }
      if case .clientBound = result.verdict, !holds {
        search.endedClientBound = true
      }
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
    try finish()
    func finish() throws {
      search.best = good?.rate
      if let best = good { return try report(best.result, best.log, search: search) }
      if let (result, log) = last { try report(result, log, search: search) }
      throw ExitCode(3)
    }
  }
}

/// How a search went.
struct RateSearch {
  struct Trial {
    var rate: Double
    var holds: Bool
    var value: Double?
    var verdict: String
  }

  var condition: FailCondition
  var goal: String { condition.text }
  var trials: [Trial] = []
  var best: Double?
  var endedClientBound = false
}
