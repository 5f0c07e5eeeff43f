import CheckedNumbers
public import JSONText
import ProcessContract
import TimeBase

/// A run's result as a document: the one place that writes it and reads it. `headroom load --json` carries it under "result", a histogram
/// log's comment carries a part's, and `headroom bench` reads what its generators wrote. Values are those the result holds, unrounded.
extension LoadResult {
  /// Of the document's form.
  public static let schema = "headroom.load-result/2"

  /// Whether histograms are in the document, or beside it in a log.
  public enum Histograms: Sendable, Hashable {
    case included
    case beside
  }

  /// Everything the result holds. Of a replay the arrivals' number and length alone.
  public func document(histograms: Histograms = .included) -> JSONValue {
    func encoded(_ histogram: Histogram) -> JSONValue { histograms == .included ? .string(histogram.encoded) : .null }
    return [
      "schema": .string(Self.schema), "name": .string(name), "load": .string(load.text), "share": .string(share.text),
      "seed": .string(String(seed)), "warmUpSeconds": JSONValue(warmUpSeconds), "windowSeconds": JSONValue(windowSeconds),
      "interrupted": .bool(wasInterrupted), "latency": encoded(latency), "latencySinceSend": encoded(uncorrected),
      "completed": JSONValue(completed), "rows": JSONValue(rows), "bytesReceived": JSONValue(bytesReceived),
      "errors": .object(errors.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, JSONValue($0.value)) }),
      "errorSamples": .object(
        errorSamples.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, .string($0.value)) }),
      "requests": .array(
        groups.map { ["name": .string($0.name), "latency": encoded($0.latency), "errors": JSONValue($0.errors)] }),
      "intervals": .array(
        intervals.map {
          [
            "startSeconds": JSONValue($0.startSeconds), "lengthSeconds": JSONValue($0.lengthSeconds), "responses": JSONValue($0.answers),
            "errors": JSONValue($0.errors), "latencySeconds": JSONValue($0.latencySeconds),
            "sinceSendSeconds": JSONValue($0.sinceSendSeconds), "users": JSONValue($0.users),
            "percentilesNanoseconds": .array($0.percentiles.map { JSONValue($0) }),
          ]
        }),
      "health": [
        "threads": JSONValue(health.threads), "cpuSeconds": JSONValue(health.cpuSeconds),
        "busiestThreadShare": JSONValue(health.busiestThreadShare), "schedulingLag": encoded(health.schedulingLag),
        "sendLag": encoded(health.sendLag), "lateCount": JSONValue(health.lateCount),
        "lateAfterNanoseconds": JSONValue(health.lateAfter.nanoseconds), "connectionsOpened": JSONValue(health.connectionsOpened),
        "connectionErrors": JSONValue(health.connectionErrors), "reachedConnectionLimit": .bool(health.reachedConnectionLimit),
        "unsentAtEnd": JSONValue(health.unsentAtEnd), "thinkSeconds": JSONValue(health.thinkSeconds),
      ],
      "server": server.map {
        [
          "requests": JSONValue($0.requests), "rows": JSONValue($0.rows), "batches": JSONValue($0.batches),
          "totalSeconds": JSONValue($0.totalSeconds), "queueSeconds": JSONValue($0.queueSeconds),
          "inputSeconds": JSONValue($0.inputSeconds), "inferSeconds": JSONValue($0.inferSeconds),
          "outputSeconds": JSONValue($0.outputSeconds),
        ]
      } ?? .null,
      "verdict": .string(verdict.kind.rawValue), "stability": .string(stability.kind.rawValue),
    ]
  }

  /// Reads what `document` wrote. Verdict and stability follow from the rest and are not read. Histograms that are beside it stay empty.
  ///
  /// - Throws: an error that names the field; of another schema both.
  public init(document: JSONValue) throws(LoadInputError) {
    do throws(ContractError) {
      try ContractError.check(document["schema"]?.stringValue, is: Self.schema, in: "the result of a load run")
    } catch { throw LoadInputError(error.description) }
    let fields = ResultFields(document, "")
    self.init(
      name: try fields.text("name"), load: try fields.parsed("load") { OfferedLoad(text: $0) },
      share: try fields.parsed("share") { RunShare(text: $0) }, seed: try fields.parsed("seed") { UInt64($0) },
      warmUpSeconds: try fields.number("warmUpSeconds"), windowSeconds: try fields.number("windowSeconds"))
    wasInterrupted = try fields.flag("interrupted")
    latency = try fields.histogram("latency")
    uncorrected = try fields.histogram("latencySinceSend")
    completed = try fields.count("completed")
    rows = try fields.count("rows")
    bytesReceived = try fields.count("bytesReceived")
    for member in try fields.members("errors") {
      errors[try fields.kind(member.name)] = try fields.count(member.value, "errors.\(member.name)")
    }
    for member in try fields.members("errorSamples") {
      guard let sample = member.value.stringValue else { throw fields.fault("errorSamples.\(member.name)") }
      errorSamples[try fields.kind(member.name)] = sample
    }
    for entry in try fields.list("requests") {
      var group = RequestGroup(name: try entry.text("name"))
      group.latency = try entry.histogram("latency")
      group.errors = try entry.count("errors")
      groups.append(group)
    }
    for entry in try fields.list("intervals") {
      var interval = IntervalSummary(
        startSeconds: try entry.number("startSeconds"), lengthSeconds: try entry.number("lengthSeconds"),
        answers: try entry.count("responses"),
        errors: try entry.count("errors"), latencySeconds: try entry.number("latencySeconds"),
        sinceSendSeconds: try entry.number("sinceSendSeconds"), users: Int(clamping: try entry.count("users")))
      interval.percentiles = try entry.counts("percentilesNanoseconds")
      intervals.append(interval)
    }
    health = try Self.health(try fields.object("health"))
    if let entry = try fields.optionalObject("server") {
      server = ServerPhases(
        requests: try entry.count("requests"), rows: try entry.count("rows"), batches: try entry.count("batches"),
        totalSeconds: try entry.number("totalSeconds"), queueSeconds: try entry.number("queueSeconds"),
        inputSeconds: try entry.number("inputSeconds"), inferSeconds: try entry.number("inferSeconds"),
        outputSeconds: try entry.number("outputSeconds"))
    }
  }

  private static func health(_ fields: ResultFields) throws(LoadInputError) -> ClientHealth {
    var health = ClientHealth()
    health.threads = Int(clamping: try fields.count("threads"))
    health.cpuSeconds = try fields.number("cpuSeconds")
    health.busiestThreadShare = try fields.number("busiestThreadShare")
    health.schedulingLag = try fields.histogram("schedulingLag")
    health.sendLag = try fields.histogram("sendLag")
    health.lateCount = try fields.count("lateCount")
    health.lateAfter = .nanoseconds(try fields.count("lateAfterNanoseconds"))
    health.connectionsOpened = Int(clamping: try fields.count("connectionsOpened"))
    health.connectionErrors = try fields.count("connectionErrors")
    health.reachedConnectionLimit = try fields.flag("reachedConnectionLimit")
    health.unsentAtEnd = Int(clamping: try fields.count("unsentAtEnd"))
    health.thinkSeconds = try fields.optionalNumber("thinkSeconds")
    return health
  }
}

extension LoadResult {
  /// Under which name a report of `headroom load --json` carries the result.
  public static let reportMember = "result"

  /// The result in a report of `headroom load --json`.
  ///
  /// - Throws: an error that says what is wrong with the report.
  public init(report bytes: [UInt8]) throws(LoadInputError) {
    let tree: JSONValue
    do { tree = try JSONValue.parse(bytes) } catch { throw LoadInputError("the report of a load run is no JSON: \(error)") }
    guard let document = tree[Self.reportMember] else {
      throw LoadInputError("the report of a load run has no \"\(Self.reportMember)\": it is of another program, or another version")
    }
    self = try LoadResult(document: document)
  }
}

/// Reads members of a document; errors name them with the way to them.
struct ResultFields {
  private let value: JSONValue
  private let path: String

  init(_ value: JSONValue, _ path: String) {
    self.value = value
    self.path = path
  }

  func fault(_ name: String) -> LoadInputError {
    LoadInputError("the result of a load run has no \"\(path)\(name)\" that can be read")
  }

  private func get<T>(_ name: String, _ convert: (JSONValue) -> T?) throws(LoadInputError) -> T {
    guard let found = value[name].flatMap(convert) else { throw fault(name) }
    return found
  }

  func text(_ name: String) throws(LoadInputError) -> String { try get(name, \.stringValue) }
  func flag(_ name: String) throws(LoadInputError) -> Bool { try get(name, \.boolValue) }
  func members(_ name: String) throws(LoadInputError) -> [JSONValue.Member] { try get(name, \.objectValue) }

  func parsed<T>(_ name: String, _ parse: (String) -> T?) throws(LoadInputError) -> T { try get(name) { $0.stringValue.flatMap(parse) } }

  /// At least 0 and no more than any run has.
  func number(_ name: String) throws(LoadInputError) -> Double {
    try get(name) { $0.doubleValue.flatMap { (0...1e15).contains($0) ? $0 : nil } }
  }

  func optionalNumber(_ name: String) throws(LoadInputError) -> Double? {
    guard let found = value[name], found != .null else { return nil }
    return try number(name)
  }

  func count(_ name: String) throws(LoadInputError) -> Int64 { try get(name, Self.count) }

  func count(_ value: JSONValue, _ name: String) throws(LoadInputError) -> Int64 {
    guard let count = Self.count(value) else { throw fault(name) }
    return count
  }

  func counts(_ name: String) throws(LoadInputError) -> [Int64] {
    let all = try get(name, \.arrayValue)
    let counts = all.compactMap(Self.count)
    guard counts.count == all.count else { throw fault(name) }
    return counts
  }

  private static func count(_ value: JSONValue) -> Int64? { value.integerValue.flatMap { (0...(1 << 62)).contains($0) ? $0 : nil } }

  func kind(_ name: String) throws(LoadInputError) -> LoadErrorKind {
    guard let kind = LoadErrorKind(rawValue: name) else {
      throw LoadInputError("the result of a load run counts errors of the kind \"\(name)\", which is none")
    }
    return kind
  }

  /// Empty where it is beside the document.
  func histogram(_ name: String) throws(LoadInputError) -> Histogram {
    guard let found = value[name], found != .null else { return Histogram() }
    guard let text = found.stringValue else { throw fault(name) }
    do throws(LoadInputError) { return try Histogram(encoded: text) } catch {
      throw LoadInputError("\"\(path)\(name)\" of the result of a load run: \(error)")
    }
  }

  func object(_ name: String) throws(LoadInputError) -> ResultFields {
    _ = try members(name)
    return ResultFields(value[name] ?? .null, "\(path)\(name).")
  }

  func optionalObject(_ name: String) throws(LoadInputError) -> ResultFields? {
    guard let found = value[name], found != .null else { return nil }
    return try object(name)
  }

  func list(_ name: String) throws(LoadInputError) -> [ResultFields] {
    try get(name, \.arrayValue).enumerated().map { ResultFields($1, "\(path)\(name)[\($0)].") }
  }
}
