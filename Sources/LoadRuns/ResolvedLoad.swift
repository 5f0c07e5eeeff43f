import FileAccess
import LoadGenerator
import LoadModel
import ProcessContract
import TimeBase
import Workload

/// What a run of the load generator is to be: the scenario file, or the options, and where both speak the options.
struct ResolvedLoad {
  let scenario: LoadScenario
  let endpoint: Endpoint
  let encoding: LoadScenario.Encoding
  let headers: [String]
  let seed: UInt64
  let failOn: [FailCondition]
  let configuration: LoadConfiguration
  private let options: LoadRunOptions

  init(_ options: LoadRunOptions) throws {
    self.options = options
    let request = options.request
    let url: LoadURL
    switch request.target {
    case .scenario(let file):
      scenario = try LoadScenarioFile.read(path: file)
      encoding = request.encoding ?? scenario.encoding ?? .binary
      if encoding == .grpc, let path = scenario.requests.compactMap(\.path).first {
        throw UsageError("--protocol grpc: \(file) asks for \(path), and over gRPC there are models only")
      }
      url = try Self.server(request.server ?? scenario.url, encoding)
    case .model(let name, let version):
      var wanted = LoadScenario.Request(.model(name: name, version: version))
      wanted.rows = request.rows ?? .fixed(options.pace.scenario == .multiStream ? 8 : 1)
      wanted.data = request.data ?? .random
      wanted.shapes = request.shapes
      wanted.inputFiles = request.inputFiles
      scenario = LoadScenario(requests: [wanted])
      encoding = request.encoding ?? .binary
      url = try Self.server(request.server, encoding)
    case .page(let text, let method, let bodyFile):
      url = try LoadURL(text)
      scenario = LoadScenario(requests: [.init(.path(url.path, method: method, bodyFile: bodyFile))])
      encoding = .binary
    }
    headers = scenario.headers + request.headers
    if request.certificateFile != nil, !url.isSecure { throw UsageError("--ca: only https:// needs certificates") }
    let tls = url.isSecure ? try TLSSettings(certificateFile: request.certificateFile, offersHTTP2: encoding == .grpc) : nil
    endpoint = try Endpoint(host: url.host, port: url.port, tls: tls)
    seed = options.pace.seed ?? scenario.seed ?? 1
    failOn = scenario.failOn + options.output.failOn
    configuration = try Self.configuration(options, scenario, seed: seed)
  }

  private static func server(_ text: String?, _ encoding: LoadScenario.Encoding) throws -> LoadURL {
    let port = encoding == .grpc ? 8001 : 8000
    let url = try LoadURL(text ?? "localhost", defaultPort: port)
    if url.path != "/" { throw UsageError("--url \(text ?? ""): give host and port alone; the model's path is known") }
    return url
  }

  private static func configuration(_ options: LoadRunOptions, _ scenario: LoadScenario, seed: UInt64) throws -> LoadConfiguration {
    let pace = options.pace
    var configuration = LoadConfiguration(load: try load(pace, scenario))
    configuration.share = options.share
    configuration.seed = seed
    configuration.duration = TimeSpan(clampingSeconds: pace.windowSeconds ?? scenario.seconds ?? 10)
    if let warmup = pace.warmUpSeconds ?? scenario.warmUpSeconds {
      configuration.warmUp = TimeSpan(clampingSeconds: warmup)
    } else if case .closed(let users, let spawnRate, _) = configuration.load {
      configuration.warmUp = TimeSpan(clampingSeconds: min(86_400, Double(users) / spawnRate + 1))
    }
    configuration.threads = pace.threads
    configuration.maxConnections = pace.maximumConnections
    configuration.initialConnections = pace.connections.map { ($0 + pace.threads - 1) / pace.threads }
    configuration.timeout = TimeSpan(clampingSeconds: pace.timeoutSeconds)
    configuration.lateAfter = TimeSpan(clampingSeconds: pace.lateAfterMilliseconds / 1000)
    return configuration
  }

  private static func load(_ pace: LoadRunOptions.Pace, _ scenario: LoadScenario) throws -> OfferedLoad {
    if let name = pace.scenario, name != .server {
      // Offline is all samples at once; over HTTP that is enough requests in flight that the server always has a full batch.
      return .closed(users: name == .offline ? 256 : 1, spawnRate: 1e7, think: .constant(.zero))
    }
    if let profile = pace.rate ?? (pace.findRate == nil ? nil : RateProfile(perSecond: 100)) {
      return .open(profile, isPoisson: pace.isPoisson || pace.scenario == .server)
    }
    if let file = pace.replayFile {
      do { return .replay(try RecordedArrivals.read(Files.readText(file))) } catch let error as LoadInputError {
        throw LoadError("\(file): \(error)")
      }
    }
    let think = pace.think
    if let users = pace.users {
      return .closed(users: users, spawnRate: pace.spawnRate ?? Double(users), think: think ?? .constant(.zero))
    }
    switch scenario.load {
    case .closed(let users, let spawnRate, let ownThink):
      return .closed(users: users, spawnRate: pace.spawnRate ?? spawnRate, think: think ?? ownThink)
    case .some(let load):
      if think != nil || pace.spawnRate != nil { throw UsageError("--think: the scenario file's load is an open loop; give --users") }
      return load
    case nil: return .closed(users: 1, spawnRate: pace.spawnRate ?? 1, think: think ?? .constant(.zero))
    }
  }

  // MARK: Requests

  /// How the server is asked about its models, within that time.
  func transport(timeoutSeconds: Int = 60) -> KServeTransport {
    encoding == .grpc
      ? .grpc(GRPCExchange(endpoint, headers: headers, timeoutSeconds: timeoutSeconds))
      : .http(BlockingExchange(endpoint, headers: headers, timeoutSeconds: timeoutSeconds))
  }

  /// How long a server whose models cannot be asked may still become ready; nil where it is ready, or does not say.
  var readinessTimeout: TimeSpan? {
    guard !models.isEmpty, case .http(let exchange) = transport(timeoutSeconds: 2) else { return nil }
    guard let answer = try? exchange.get("/v2/health/ready") else { return .milliseconds(3_000) }
    // What a server says that loads its models: Triton 400, others 503.
    return answer.status == 400 || answer.status == 503 ? .milliseconds(20_000) : nil
  }

  /// The models that are asked, each once; none where something else is asked too, which no model's counters hold.
  var models: [String] {
    var names: [String] = []
    for request in scenario.requests {
      guard case .model(let name, _) = request.target else { return [] }
      if !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// Builds every request, and asks the server each once.
  func plan() throws -> RequestPlan {
    let parts = try scenario.requests.map { (plan: try plan(of: $0), weight: $0.weight) }
    if parts.count == 1 { return parts[0].plan }
    return RequestPlan(name: options.request.scenarioFile ?? "mix", mixing: parts)
  }

  private func plan(of request: LoadScenario.Request) throws -> RequestPlan {
    switch request.target {
    case .path(let path, let method, let bodyFile):
      let body = try bodyFile.map { try Files.read($0, limit: 1 << 28) }
      return .plain(method ?? (body == nil ? "GET" : "POST"), path, endpoint: endpoint, headers: headers, body: body)
    case .model(let name, let version):
      var options = KServeModel.RequestOptions()
      options.rows = request.rows
      options.isBinary = encoding != .json
      options.seed = seed
      options.headers = headers
      options.shapes = request.shapes
      // Enough different row counts that their distribution is met.
      if request.rows != .fixed(request.rows.largest) { options.variety = 256 }
      switch request.data {
      case .random: options.data = .random
      case .zero: options.data = .zero
      case .file: options.data = .files(try request.inputFiles.mapValues { try Files.read($0) })
      }
      return try KServeModel(name: name, version: version, transport: transport()).plan(
        options, verifiesValues: self.options.request.verifiesValues)
    }
  }
}

extension LoadScenario.Request {
  /// Of anything that is no model.
  fileprivate var path: String? { if case .path(let path, _, _) = target { path } else { nil } }
}

extension LoadRunOptions.Request {
  /// The scenario file, where requests come from one.
  var scenarioFile: String? { if case .scenario(let file) = target { file } else { nil } }
}
