import CheckedNumbers
import ArgumentParser
import LoadModel
import LoadRuns
import Workload

/// What is sent.
struct LoadRequestOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Model of a KServe v2 server.", valueName: "name")) var model: String?
  @Option(help: ArgumentHelp("Its version; the server's choice otherwise.", valueName: "number")) var modelVersion: String?
  @Option(
    help: ArgumentHelp(
      "Where the server is; https://HOST:PORT for TLS. (default: localhost:8000, with --protocol grpc localhost:8001)",
      valueName: "host:port"))
  var url: String?
  @Option(name: .customLong("protocol"), help: "How tensors travel: binary or json over HTTP, or grpc. (default: binary)")
  var encoding: LoadScenario.Encoding?
  @Option(help: "Rows of a request: 8, 1-16 for any number between, or 1:60,8:30,32:10 for shares. (default: 1)") var rows: String?
  @Option(help: "Inputs: random, zero, or file with --input. (default: random)") var data: LoadScenario.InputData?
  @Option(help: ArgumentHelp("Bytes of an input, row after row. May be repeated.", valueName: "name=file")) var input: [String] = []
  @Option(
    help: ArgumentHelp("Sizes of an input whose dimensions the model leaves open, without rows. May be repeated.", valueName: "name:sizes"))
  var shape: [String] = []
  @Flag(help: "Compare each answer's values with those the same request got before the run.") var verify = false
  @Option(help: ArgumentHelp("Method of a plain URL. (default: GET, or POST with a body)", valueName: "name")) var method: String?
  @Option(help: ArgumentHelp("Body of a plain URL.", valueName: "file")) var bodyFile: String?
  @Option(help: ArgumentHelp("Header of every request. May be repeated.", valueName: "name: value")) var header: [String] = []
  @Option(help: ArgumentHelp("Authorization: Bearer.", valueName: "token")) var bearer: String?
  @Option(help: ArgumentHelp("Certificates that are believed over https, in PEM form, in place of the system's.", valueName: "file"))
  var ca: String?

  func validate() throws {
    if let rows, RowDistribution(text: rows) == nil { throw ValidationError("--rows \(rows): write 8, 1-16 or 1:60,8:30,32:10") }
    if let method, method.isEmpty || !method.allSatisfy({ $0.isASCII && $0.isLetter }) {
      throw ValidationError("--method \(method): write a method such as GET")
    }
    for text in header where !text.contains(":") || text.contains(where: \.isNewline) {
      throw ValidationError("--header \(text): write 'Name: value'")
    }
    if let bearer, bearer.contains(where: \.isNewline) { throw ValidationError("--bearer: a token has no line end") }
    for text in input where !text.contains("=") { throw ValidationError("--input \(text): write NAME=FILE") }
    if data == .file && input.isEmpty { throw ValidationError("--data file: give --input NAME=FILE for each input") }
    _ = try shapes()
  }

  var headers: [String] { header + (bearer.map { ["Authorization: Bearer \($0)"] } ?? []) }

  func parsed(_ target: LoadRunOptions.Target) throws -> LoadRunOptions.Request {
    var parsed = LoadRunOptions.Request(target)
    parsed.server = url
    parsed.encoding = encoding
    parsed.rows = rows.flatMap { RowDistribution(text: $0) }
    parsed.data = data
    for text in input {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { parsed.inputFiles[parts[0]] = parts[1] }
    }
    parsed.shapes = try shapes()
    parsed.verifiesValues = verify
    parsed.headers = headers
    parsed.certificateFile = ca
    return parsed
  }

  func shapes() throws -> [String: [Int64]] {
    var shapes: [String: [Int64]] = [:]
    for text in shape {
      guard let colon = text.lastIndex(of: ":") else { throw ValidationError("--shape \(text): write NAME:3,224,224") }
      let sizes = text[text.index(after: colon)...].split(separator: ",").map { Int64($0) }
      guard !sizes.isEmpty, sizes.allSatisfy({ ($0 ?? 0) > 0 }) else { throw ValidationError("--shape \(text): write NAME:3,224,224") }
      shapes[String(text[..<colon])] = sizes.compactMap { $0 }
    }
    return shapes
  }
}

/// When it is sent.
struct LoadPaceOptions: ParsableArguments {
  @Option(help: "Closed loop: so many users, a connection each. (default: 1)") var users: Int?
  @Option(help: "Users that start per second. (default: all in one)") var spawnRate: Double?
  @Option(help: "Between an answer and the next request, seconds: constant:0.2, uniform:0.1,0.5 or exponential:0.3. (default: none)")
  var think: String?
  @Option(
    help: ArgumentHelp("Open loop: requests per second; 0-1000:30 ramps in 30 s, 100:10,200:10 steps.", valueName: "profile"))
  var rate: String?
  @Flag(help: "Arrivals of the open loop are independent of one another, not evenly spaced.") var poisson = false
  @Option(help: ArgumentHelp("Open loop: a time per line, seconds since the start.", valueName: "file")) var replay: String?
  @Option(
    help: ArgumentHelp("An MLPerf scenario: single-stream, multi-stream, server (with --rate) or offline.", valueName: "name"))
  var scenario: MLPerfScenario?
  @Option(help: ArgumentHelp("Search the highest --rate at which this holds, as in 'p99<50ms'.", valueName: "goal")) var findRate: String?
  @Option(help: "Seconds looked at, after the warm-up. (default: 10)") var duration: Double?
  @Option(help: "Seconds cut off before. (default: until all users are there, and one more)") var warmup: Double?
  @Option(help: "Threads that send and receive.") var threads = 1
  @Option(help: "Connections an open loop makes before its start. (default: for answers of 10 ms)") var connections: Int?
  @Option(help: "Connections of an open loop at most.") var maxConnections = 4096
  @Option(help: "Seconds an answer may take.") var timeout = 30.0
  @Option(name: .customLong("late-after-ms"), help: "A request sent later than so many milliseconds is late.") var lateAfterMilliseconds =
    1.0
  @Option(help: "Seed of all draws. (default: 1)") var seed: UInt64?

  func validate() throws {
    if let users, !(1...1_000_000).contains(users) { throw ValidationError("--users \(users): from 1 to 1000000") }
    if let spawnRate, !(spawnRate > 0 && spawnRate <= 1e7) { throw ValidationError("--spawn-rate \(spawnRate): above 0") }
    if let think, ThinkTime(text: think) == nil {
      throw ValidationError("--think \(think): write constant:0.2, uniform:0.1,0.5 or exponential:0.3, in seconds")
    }
    if let rate, RateProfile(text: rate) == nil { throw ValidationError("--rate \(rate): write 500, 0-1000:30 or 100:10,200:10") }
    if [users != nil, rate != nil && findRate == nil, replay != nil].count(where: { $0 }) > 1 {
      throw ValidationError("--users is a closed loop, --rate and --replay are open ones: give one of them")
    }
    if users == nil, scenario == nil, rate != nil || replay != nil || findRate != nil, think != nil || spawnRate != nil {
      throw ValidationError("--think and --spawn-rate are for the users of a closed loop: give --users")
    }
    if scenario == .server && rate == nil && findRate == nil { throw ValidationError("--scenario server: give --rate") }
    if let scenario, scenario != .server, users != nil || rate != nil || replay != nil {
      throw ValidationError("--scenario \(scenario.rawValue) says itself when to send: leave out --users, --rate and --replay")
    }
    if let findRate {
      guard FailCondition(text: findRate) != nil else { throw ValidationError("--find-rate \(findRate): write a goal as p99<50ms") }
      if let rate, RateProfile(text: rate)?.isConstant != true { throw ValidationError("--find-rate starts from a constant --rate") }
      if users != nil || replay != nil { throw ValidationError("--find-rate is an open loop: leave out --users and --replay") }
    }
    if let duration, !(duration > 0 && duration <= 86_400 * 30) {
      throw ValidationError("--duration \(duration): above 0, at most 30 days")
    }
    if let warmup, !(warmup >= 0 && warmup <= 86_400) { throw ValidationError("--warmup \(warmup): from 0 to 86400") }
    if !(1...64).contains(threads) { throw ValidationError("--threads \(threads): from 1 to 64") }
    if let connections, !(1...1_000_000).contains(connections) { throw ValidationError("--connections \(connections): from 1 to 1000000") }
    if !(1...1_000_000).contains(maxConnections) { throw ValidationError("--max-connections \(maxConnections): from 1 to 1000000") }
    if !(timeout > 0 && timeout <= 3600) { throw ValidationError("--timeout \(timeout): above 0, at most 3600") }
    if !(lateAfterMilliseconds > 0 && lateAfterMilliseconds <= 1e6) { throw ValidationError("--late-after-ms: above 0") }
  }
}

extension LoadPaceOptions {
  var parsed: LoadRunOptions.Pace {
    var parsed = LoadRunOptions.Pace()
    parsed.users = users
    parsed.spawnRate = spawnRate
    parsed.think = think.flatMap { ThinkTime(text: $0) }
    parsed.rate = rate.flatMap { RateProfile(text: $0) }
    parsed.isPoisson = poisson
    parsed.replayFile = replay
    parsed.scenario = scenario
    parsed.findRate = findRate.flatMap { FailCondition(text: $0) }
    parsed.windowSeconds = duration
    parsed.warmUpSeconds = warmup
    parsed.threads = threads
    parsed.connections = connections
    parsed.maximumConnections = maxConnections
    parsed.timeoutSeconds = timeout
    parsed.lateAfterMilliseconds = lateAfterMilliseconds
    parsed.seed = seed
    return parsed
  }
}

extension LoadScenario.Encoding: ExpressibleByArgument {}
extension LoadScenario.InputData: ExpressibleByArgument {}

/// One run on several machines.
struct LoadSharingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("This process's part of the run, 0/4 to 3/4: every 4th arrival, or user.", valueName: "i/N")) var share = "0/1"
  @Option(help: ArgumentHelp("When the run starts, seconds since 1970: the same for all parts.", valueName: "seconds")) var startAt: Double?

  func validate() throws {
    if RunShare(text: share) == nil { throw ValidationError("--share \(share): write 0/4 to 3/4") }
    if let startAt, !(startAt > 0 && startAt < 1e11) { throw ValidationError("--start-at \(startAt): seconds since 1970") }
  }
}

/// What comes out.
struct LoadOutputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "End with exit code 2 when this comes true: p99>50ms, mean>1s, late>1%, errors>0, rps<1000, cpu>80%. May be repeated.",
      valueName: "condition"))
  var failOn: [String] = []
  @Flag(help: "Print one JSON object in place of the report.") var json = false
  @Option(
    help: ArgumentHelp("Write PREFIX_stats.csv, PREFIX_stats_history.csv and PREFIX_failures.csv in Locust's columns.", valueName: "prefix")
  )
  var csv: String?
  @Option(help: ArgumentHelp("Write each second's latencies as an HdrHistogram log.", valueName: "file")) var hdrLog: String?
  @Option(help: ArgumentHelp("Write the report as a page of its own.", valueName: "file")) var html: String?
  @Flag(help: "No progress.") var quiet = false

  func validate() throws {
    for text in failOn where FailCondition(text: text) == nil {
      throw ValidationError("--fail-on \(text): write p99>50ms, mean>1s, max>1s, late>1%, errors>0, errors>1%, rps<1000 or cpu>80%")
    }
  }
}

extension LoadOutputOptions {
  var parsed: LoadRunOptions.Output {
    var parsed = LoadRunOptions.Output()
    parsed.failOn = failOn.compactMap { FailCondition(text: $0) }
    parsed.isJSON = json
    parsed.csvPrefix = csv
    parsed.histogramLog = hdrLog
    parsed.page = html
    parsed.isQuiet = quiet
    return parsed
  }
}

extension MLPerfScenario: ExpressibleByArgument {}
