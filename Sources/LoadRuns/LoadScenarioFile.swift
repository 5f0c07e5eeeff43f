import CheckedNumbers
import FileAccess
public import LoadModel
import Workload
public import YAMLFields

/// Scenarios of the load generator as YAML files. Errors name file, line and field.
public enum LoadScenarioFile {
  /// Reads one.
  public static func read(path: String) throws(YAMLFieldError) -> LoadScenario {
    let text: String
    do { text = try Files.readText(path, limit: 1 << 20) } catch { throw YAMLFieldError("\(error)") }
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) + "/" } ?? ""
    return try parse(text, file: path, folder: folder)
  }

  /// Reads the text of one.
  ///
  /// - Parameters:
  ///   - file: for messages.
  ///   - folder: relative paths in the file start here; ends in "/" unless empty.
  public static func parse(_ text: String, file: String, folder: String = "") throws(YAMLFieldError) -> LoadScenario {
    let fields = try YAMLFields(
      text: text, file: file, kind: "a scenario", whenEmpty: "`headroom load --init` writes one to start from")
    return try Reader(file: file, folder: folder).scenario(fields)
  }

  /// A commented file to start from.
  public static let template = """
    # A scenario of the load generator: what is sent, how often, and when. Options on the command line win over what stands here.
    # Run it with: headroom load FILE
    url: localhost:8000          # HOST:PORT or http://..., https://...
    protocol: binary             # binary or json over HTTP, or grpc
    # headers: ["X-Team: vision"]
    seed: 1

    workload:
      users: 50                  # a closed loop; or an open one: `rate: 500`, `rate: 0-500:30,500:60` (a ramp, then a step)
      spawnRate: 25              # users started per second
      think: uniform:0.1,0.5     # constant:S, uniform:S,S or exponential:S, seconds
      # arrivals: poisson        # of an open loop; otherwise evenly spaced
      warmUpSeconds: 3           # cut off
      seconds: 20                # looked at

    failOn: ["p99>2s", "errors>0"]

    requests:
      - model: seqlen
        weight: 3                # three of four requests
        rows: 1:60,8:30,32:10    # 60 % with one row, 30 % with 8, 10 % with 32; or 8, or 1-16
      - model: linear
        weight: 1
        rows: 1-16
        # version: "1"
        # data: zero             # random, zero, or file with `inputs`
        # inputs: {x: x.bin}     # bytes, row after row
        # shapes: {x: [128, 64]} # dimensions the model leaves open, without rows
      # - path: /v2/health/ready # anything else the server answers
      #   method: GET
      #   weight: 0.1

    """
}

/// Puts a scenario together from its file.
private struct Reader {
  let file: String
  let folder: String

  func scenario(_ all: YAMLFields) throws(YAMLFieldError) -> LoadScenario {
    var fields = all
    try fields.check(known: "url, protocol, headers, seed, workload, failOn, requests")
    let url = try fields.string("url")
    let encoding = try fields.value("protocol", "binary, json or grpc") { LoadScenario.Encoding(rawValue: $0) }
    let headers = try strings("headers", &fields, "\"Name: value\"") { $0.contains(":") && !$0.contains(where: \.isNewline) ? $0 : nil }
    let seed = try fields.value("seed", "a whole number") { UInt64($0) }
    let failOn = try strings("failOn", &fields, "p99>50ms, errors>0, late>1% or the like") { FailCondition(text: $0) }
    let workload = try fields.fields("workload")
    guard let list = try fields.list("requests"), !list.isEmpty else {
      throw YAMLFieldError("\(file): requests: at least one is needed")
    }
    guard list.count <= 64 else { throw YAMLFieldError("\(file): requests: at most 64") }
    var requests: [LoadScenario.Request] = []
    for (index, node) in list.enumerated() {
      requests.append(try request(YAMLFields(node, path: "requests[\(index)]", file: file), encoding))
    }
    var scenario = LoadScenario(requests: requests)
    (scenario.url, scenario.encoding, scenario.headers, scenario.seed, scenario.failOn) = (url, encoding, headers, seed, failOn)
    if let workload { try read(workload, into: &scenario) }
    return scenario
  }

  private func strings<T>(_ name: String, _ fields: inout YAMLFields, _ expected: String, _ convert: (String) -> T?)
    throws(YAMLFieldError) -> [T]
  {
    var values: [T] = []
    for node in try fields.list(name) ?? [] {
      guard let text = node.string, let value = convert(text) else {
        throw fields.error(name, node, "\(node.string.map { "\"\($0)\"; " } ?? "")\(expected) is expected")
      }
      values.append(value)
    }
    return values
  }

  private func read(_ all: YAMLFields, into scenario: inout LoadScenario) throws(YAMLFieldError) {
    var fields = all
    try fields.check(known: "users, spawnRate, think, rate, arrivals, replay, warmUpSeconds, seconds")
    let users = try fields.int("users", 1...1_000_000)
    let spawnRate = try fields.number("spawnRate", 0.001...10_000_000)
    let think = try fields.value("think", "constant:S, uniform:S,S or exponential:S in seconds") { ThinkTime(text: $0) }
    let rate = try fields.value("rate", "500, 0-1000:30 or 100:10,200:10") { RateProfile(text: $0) }
    let isPoisson = try fields.value("arrivals", "poisson or constant") { ["poisson": true, "constant": false][$0] }
    let replay = try fields.string("replay")
    scenario.warmUpSeconds = try fields.number("warmUpSeconds", 0...86_400)
    scenario.seconds = try fields.number("seconds", 0.1...2_592_000)
    guard [users != nil, rate != nil, replay != nil].count(where: { $0 }) <= 1 else {
      throw all.error("users", nil, "give one of users (closed loop), rate and replay (open loop)")
    }
    if users == nil, spawnRate != nil || think != nil {
      throw all.error("think", nil, "only users of a closed loop think and are started; give users")
    }
    if rate == nil, isPoisson != nil { throw all.error("arrivals", nil, "only an open loop has arrivals; give rate") }
    if let users {
      scenario.load = .closed(users: users, spawnRate: spawnRate ?? Double(users), think: think ?? .constant(.zero))
    } else if let rate {
      scenario.load = .open(rate, isPoisson: isPoisson ?? false)
    } else if let replay {
      let path = path(replay)
      do { scenario.load = .replay(try RecordedArrivals.read(Files.readText(path))) } catch let error as FileError {
        throw all.error("replay", nil, "\(error)")
      } catch { throw all.error("replay", nil, "\(path): \(error)") }
    }
  }

  private func path(_ name: String) -> String { name.hasPrefix("/") ? name : folder + name }

  private func request(_ all: YAMLFields, _ encoding: LoadScenario.Encoding?) throws(YAMLFieldError) -> LoadScenario.Request {
    var fields = all
    try fields.check(known: "model, version, weight, rows, data, inputs, shapes, path, method, body")
    let model = try fields.string("model")
    let target = try fields.value("path", "a path such as /v2/health/ready") {
      $0.hasPrefix("/") && !$0.contains(where: \.isWhitespace) ? $0 : nil
    }
    guard (model == nil) != (target == nil) else { throw all.error("model", nil, "either a model or a path is needed") }
    var request: LoadScenario.Request
    if let model {
      request = LoadScenario.Request(.model(name: model, version: try fields.string("version")))
    } else {
      if encoding == .grpc { throw all.error("path", nil, "over gRPC there are models only") }
      let method = try fields.value("method", "a method such as GET") { $0.allSatisfy { $0.isASCII && $0.isUppercase } ? $0 : nil }
      request = LoadScenario.Request(.path(target ?? "/", method: method, bodyFile: try fields.string("body").map(path)))
    }
    request.weight = try fields.number("weight", 1e-6...1e9) ?? 1
    request.rows =
      try fields.value("rows", "8, a range such as 1-16 or shares such as 1:60,8:30,32:10") { RowDistribution(text: $0) } ?? .fixed(1)
    request.data = try fields.value("data", "random, zero or file") { LoadScenario.InputData(rawValue: $0) } ?? .random
    if var files = try fields.fields("inputs") {
      for name in files.names { request.inputFiles[name] = path(try files.string(name) ?? "") }
    }
    if var shapes = try fields.fields("shapes") {
      for name in shapes.names {
        let sizes = try strings(name, &shapes, "a size above 0") { Int64($0).flatMap { $0 > 0 ? $0 : nil } }
        request.shapes[name] = sizes
      }
    }
    if request.data == .file, request.inputFiles.isEmpty { throw all.error("inputs", nil, "data: file needs a file for each input") }
    return request
  }
}
