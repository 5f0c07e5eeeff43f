public import JSONText

/// One process's part of a run that several share, as its JSON says.
public struct RunPart: Sendable {
  /// Which part.
  public var share: RunShare
  /// Of all draws: the parts keep to one schedule only with the same one. As text, since JSON's numbers end at 2^53.
  public var seed: String
  /// When all parts were to start, seconds since 1970; nil where nobody said.
  public var startAtEpochSeconds: Double?
  /// How long after that its threads began.
  public var startedLateSeconds: Double
  /// What was asked.
  public var name: String
  /// Load, warm-up and window, as one text: parts of one run have the same.
  public var load: String
  /// Whether somebody ended it early.
  public var wasInterrupted: Bool
  /// Answers without a fault a second of the window.
  public var answersPerSecond: Double
  /// Rows of them.
  public var rowsPerSecond: Double
  /// Bytes received.
  public var bytesReceivedPerSecond: Double
  /// Faults by kind.
  public var errors: [String: Int64]
  /// Requests sent late.
  public var lateCount: Int64
  /// Whose figures they are.
  public var verdict: String
  /// Latencies, ns.
  public var latency: Histogram
  /// Latencies since send, ns.
  public var uncorrected: Histogram
  /// How late requests were sent, ns.
  public var sendLag: Histogram

  /// Reads what --part or --json wrote; errors name the field.
  public init(json: JSONValue) throws(LoadInputError) {
    func field<Value>(_ path: String, _ read: (JSONValue) -> Value?) throws(LoadInputError) -> Value {
      var node: JSONValue? = json
      for name in path.split(separator: ".") { node = node?[String(name)] }
      guard let node else { throw LoadInputError("\(path) is missing: only what --part or --json of this version wrote can be merged") }
      guard let value = read(node) else { throw LoadInputError("\(path) is not what it should be") }
      return value
    }
    func text(_ path: String) throws(LoadInputError) -> String { try field(path, \.stringValue) }
    func number(_ path: String) throws(LoadInputError) -> Double { try field(path) { $0.doubleValue.flatMap { $0 >= 0 ? $0 : nil } } }
    func count(_ path: String) throws(LoadInputError) -> Int64 { try field(path) { $0.integerValue.flatMap { $0 >= 0 ? $0 : nil } } }
    func histogram(_ path: String) throws(LoadInputError) -> Histogram {
      let encoded = try text(path)
      do throws(LoadInputError) { return try Histogram(encoded: encoded) } catch { throw LoadInputError("\(path): \(error)") }
    }
    guard try text("schema") == "headroom.load/1" else { throw LoadInputError("schema is not headroom.load/1") }
    share = try field("part.share") { $0.stringValue.flatMap { RunShare(text: $0) } }
    seed = try text("part.seed")
    startAtEpochSeconds = try field("part.startAtEpochSeconds") { node -> Double?? in
      if node == .null { return .some(nil) }
      return node.doubleValue.map { .some($0) }
    }
    startedLateSeconds = try number("part.startedLateSeconds")
    name = try text("name")
    let lengths = (try number("warmUpSeconds"), try number("windowSeconds"))
    wasInterrupted = try field("interrupted", \.boolValue)
    // An interrupted window is shorter, which is said by itself.
    load =
      (try field("load") { $0 }).serialized(pretty: false) + ", warm-up \(lengths.0) s" + (wasInterrupted ? "" : ", window \(lengths.1) s")
    answersPerSecond = try number("requestsPerSecond")
    rowsPerSecond = try number("rowsPerSecond")
    bytesReceivedPerSecond = try number("bytesReceivedPerSecond")
    var errors: [String: Int64] = [:]
    for member in try field("errorsByKind", \.objectValue) {
      guard let count = member.value.integerValue, count >= 0 else { throw LoadInputError("errorsByKind.\(member.name) is no count") }
      errors[member.name] = count
    }
    self.errors = errors
    lateCount = try count("generator.lateCount")
    verdict = try text("generator.verdict")
    latency = try histogram("part.histograms.latency")
    uncorrected = try histogram("part.histograms.latencySinceSend")
    sendLag = try histogram("part.histograms.sendLag")
  }
}
