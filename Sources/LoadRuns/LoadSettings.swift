import CheckedNumbers
import LoadModel
import ProcessContract
import Workload

/// The options of `headroom load` as they are written; `parsed` makes what a run is started with.
package struct LoadSettings: Sendable {
  /// What is sent.
  package struct Request: Sendable {
    /// A model of a KServe v2 server.
    package var model: String?
    /// Its version.
    package var modelVersion: String?
    /// HOST:PORT.
    package var server: String?
    /// How tensors travel.
    package var encoding: LoadScenario.Encoding?
    /// "8", "1-16", "1:60,8:30".
    package var rows: String?
    /// What inputs hold.
    package var data: LoadScenario.InputData?
    /// "NAME=FILE" each.
    package var inputs: [String] = []
    /// "NAME:3,224,224" each.
    package var shapes: [String] = []
    /// Values are compared.
    package var verifiesValues = false
    /// Of a plain URL.
    package var method: String?
    /// Of a plain URL.
    package var bodyFile: String?
    /// "Name: value" each.
    package var headers: [String] = []
    /// Token of "Authorization: Bearer".
    package var bearer: String?
    /// PEM file.
    package var certificateFile: String?

    /// Nothing is said.
    package init() {}

    /// - Throws: the option that cannot be meant.
    func check() throws(UsageError) {
      if let rows, RowDistribution(text: rows) == nil { throw UsageError("--rows \(rows): write 8, 1-16 or 1:60,8:30,32:10") }
      if let method, method.isEmpty || !method.allSatisfy({ $0.isASCII && $0.isLetter }) {
        throw UsageError("--method \(method): write a method such as GET")
      }
      for text in headers where !text.contains(":") || text.contains(where: \.isNewline) {
        throw UsageError("--header \(text): write 'Name: value'")
      }
      if let bearer, bearer.contains(where: \.isNewline) { throw UsageError("--bearer: a token has no line end") }
      for text in inputs where !text.contains("=") { throw UsageError("--input \(text): write NAME=FILE") }
      if data == .file && inputs.isEmpty { throw UsageError("--data file: give --input NAME=FILE for each input") }
      _ = try parsedShapes()
    }

    /// As a run takes it.
    package func parsed(_ target: LoadRunOptions.Target) throws(UsageError) -> LoadRunOptions.Request {
      var parsed = LoadRunOptions.Request(target)
      (parsed.server, parsed.encoding, parsed.data) = (server, encoding, data)
      parsed.rows = rows.flatMap { RowDistribution(text: $0) }
      for text in inputs {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2 { parsed.inputFiles[parts[0]] = parts[1] }
      }
      parsed.shapes = try parsedShapes()
      parsed.verifiesValues = verifiesValues
      parsed.headers = headers + (bearer.map { ["Authorization: Bearer \($0)"] } ?? [])
      parsed.certificateFile = certificateFile
      return parsed
    }

    private func parsedShapes() throws(UsageError) -> [String: [Int64]] {
      var shapes: [String: [Int64]] = [:]
      for text in self.shapes {
        guard let colon = text.lastIndex(of: ":") else { throw UsageError("--shape \(text): write NAME:3,224,224") }
        let sizes = text[text.index(after: colon)...].split(separator: ",").map { Int64($0) }
        guard !sizes.isEmpty, sizes.allSatisfy({ ($0 ?? 0) > 0 }) else { throw UsageError("--shape \(text): write NAME:3,224,224") }
        shapes[String(text[..<colon])] = sizes.compactMap { $0 }
      }
      return shapes
    }
  }

  /// When it is sent.
  package struct Pace: Sendable {
    /// Closed loop.
    package var users: Int?
    /// That start per second.
    package var spawnRate: Double?
    /// "constant:0.2", seconds.
    package var think: String?
    /// "500", "0-1000:30".
    package var rate: String?
    /// "p99<50ms".
    package var findRate: String?
    /// File with a time per line.
    package var replay: String?
    /// An MLPerf scenario.
    package var scenario: MLPerfScenario?
    /// Everything that needs no reading.
    package var rest = LoadRunOptions.Pace()

    /// One user.
    package init() {}

    /// - Throws: the option that cannot be meant, or not beside another.
    func check() throws(UsageError) {
      if let users, !(1...1_000_000).contains(users) { throw UsageError("--users \(users): from 1 to 1000000") }
      if let spawnRate, !(spawnRate > 0 && spawnRate <= 1e7) { throw UsageError("--spawn-rate \(spawnRate): above 0") }
      if let think, ThinkTime(text: think) == nil {
        throw UsageError("--think \(think): write constant:0.2, uniform:0.1,0.5 or exponential:0.3, in seconds")
      }
      if let rate, RateProfile(text: rate) == nil { throw UsageError("--rate \(rate): write 500, 0-1000:30 or 100:10,200:10") }
      if [users != nil, rate != nil && findRate == nil, replay != nil].count(where: { $0 }) > 1 {
        throw UsageError("--users is a closed loop, --rate and --replay are open ones: give one of them")
      }
      if users == nil, scenario == nil, rate != nil || replay != nil || findRate != nil, think != nil || spawnRate != nil {
        throw UsageError("--think and --spawn-rate are for the users of a closed loop: give --users")
      }
      if scenario == .server && rate == nil && findRate == nil { throw UsageError("--scenario server: give --rate") }
      if let scenario, scenario != .server, users != nil || rate != nil || replay != nil {
        throw UsageError("--scenario \(scenario.rawValue) says itself when to send: leave out --users, --rate and --replay")
      }
      if let findRate {
        guard FailCondition(text: findRate) != nil else { throw UsageError("--find-rate \(findRate): write a goal as p99<50ms") }
        if let rate, RateProfile(text: rate)?.isConstant != true { throw UsageError("--find-rate starts from a constant --rate") }
        if users != nil || replay != nil { throw UsageError("--find-rate is an open loop: leave out --users and --replay") }
      }
      if let duration = rest.windowSeconds, !(duration > 0 && duration <= 86_400 * 30) {
        throw UsageError("--duration \(duration): above 0, at most 30 days")
      }
      if let warmup = rest.warmUpSeconds, !(warmup >= 0 && warmup <= 86_400) { throw UsageError("--warmup \(warmup): from 0 to 86400") }
      if !(1...64).contains(rest.threads) { throw UsageError("--threads \(rest.threads): from 1 to 64") }
      if let connections = rest.connections, !(1...1_000_000).contains(connections) {
        throw UsageError("--connections \(connections): from 1 to 1000000")
      }
      if !(1...1_000_000).contains(rest.maximumConnections) {
        throw UsageError("--max-connections \(rest.maximumConnections): from 1 to 1000000")
      }
      if !(rest.timeoutSeconds > 0 && rest.timeoutSeconds <= 3600) {
        throw UsageError("--timeout \(rest.timeoutSeconds): above 0, at most 3600")
      }
      if !(rest.lateAfterMilliseconds > 0 && rest.lateAfterMilliseconds <= 1e6) {
        throw UsageError("--late-after-ms \(rest.lateAfterMilliseconds): above 0, at most 1000000")
      }
    }

    /// As a run takes it.
    package var parsed: LoadRunOptions.Pace {
      var parsed = rest
      (parsed.users, parsed.spawnRate, parsed.replayFile, parsed.scenario) = (users, spawnRate, replay, scenario)
      parsed.think = think.flatMap { ThinkTime(text: $0) }
      parsed.rate = rate.flatMap { RateProfile(text: $0) }
      parsed.findRate = findRate.flatMap { FailCondition(text: $0) }
      return parsed
    }
  }

  /// A URL, a scenario file, or "merge" and files.
  package var targets: [String]
  /// What is sent.
  package var request = Request()
  /// When it is sent.
  package var pace = Pace()
  /// Conditions, "p99>50ms" each.
  package var failOn: [String] = []
  /// What comes out; without the conditions.
  package var output = LoadRunOptions.Output()
  /// "0/4": this process's part of the run.
  package var share = "0/1"
  /// Seconds since 1970.
  package var startAt: Double?

  /// To these targets.
  package init(targets: [String]) { self.targets = targets }

  /// Histogram logs are added up, in place of a run.
  package var isMerge: Bool { targets.first == "merge" }

  /// The scenario file among the targets.
  private var scenarioFile: String? { targets.first.flatMap { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") ? $0 : nil } }

  /// - Throws: the option that cannot be meant, or not beside another.
  package func check() throws(UsageError) {
    try request.check()
    try pace.check()
    for text in failOn where FailCondition(text: text) == nil {
      throw UsageError("--fail-on \(text): write p99>50ms, mean>1s, max>1s, late>1%, errors>0, errors>1%, rps<1000 or cpu>80%")
    }
    if RunShare(text: share) == nil { throw UsageError("--share \(share): write 0/4 to 3/4") }
    if let startAt, !(startAt > 0 && startAt < 1e11) { throw UsageError("--start-at \(startAt): seconds since 1970") }
    try checkTargets()
  }

  private func checkTargets() throws(UsageError) {
    if isMerge {
      if targets.count < 2 { throw UsageError("load merge: name at least one --hdr-log file") }
      return
    }
    if targets.count > 1 { throw UsageError("give one URL or scenario file, not \(targets.count)") }
    if scenarioFile != nil {
      let given = [
        ("--model", request.model != nil), ("--rows", request.rows != nil), ("--data", request.data != nil),
        ("--method", request.method != nil), ("--body-file", request.bodyFile != nil), ("--input", !request.inputs.isEmpty),
        ("--shape", !request.shapes.isEmpty),
      ]
      if let (name, _) = given.first(where: { $0.1 }) { throw UsageError("\(name): the scenario file says what is sent; write it there") }
      return
    }
    if let model = request.model, let target = targets.first {
      throw UsageError("with --model the server is named by --url: headroom load --model \(model) --url \(target)")
    }
    if targets.isEmpty == (request.model == nil) {
      throw UsageError("give a URL, --model NAME of a KServe v2 server, or a scenario file, and only one of them")
    }
    if let url = targets.first {
      _ = try LoadURL(url)
      if request.encoding == .grpc { throw UsageError("--protocol grpc: give --model; a plain URL is HTTP") }
    }
  }

  /// What comes out, with the conditions.
  package var parsedOutput: LoadRunOptions.Output {
    var parsed = output
    parsed.failOn = failOn.compactMap { FailCondition(text: $0) }
    return parsed
  }

  /// What a run is started with.
  package func parsed() throws(UsageError) -> LoadRunOptions {
    let target: LoadRunOptions.Target =
      if let file = scenarioFile { .scenario(file: file) } else if let model = request.model {
        .model(name: model, version: request.modelVersion)
      } else { .page(url: targets.first ?? "", method: request.method, bodyFile: request.bodyFile) }
    var options = LoadRunOptions(try request.parsed(target))
    (options.pace, options.output) = (pace.parsed, parsedOutput)
    (options.share, options.startEpochSeconds) = (RunShare(text: share) ?? .whole, startAt)
    return options
  }
}
