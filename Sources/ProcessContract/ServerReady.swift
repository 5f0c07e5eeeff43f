import JSONText

/// What `headroom serve --ready-line` writes once to standard output when its models are loaded: a line for programs that started it. The
/// log keeps its words for people.
public struct ServerReady: Sendable, Hashable {
  /// Of the line's form.
  public static let schema = "headroom.serve-ready/1"

  /// Version of the server.
  public var version: String
  /// "127.0.0.1:8000"; nil where HTTP is not served. With port 0 asked for, the port that was got.
  public var http: String?
  /// As `http`.
  public var grpc: String?
  /// As `http`.
  public var metrics: String?
  /// Whether the server counts as ready: with strict readiness only while every model is.
  public var isReady: Bool
  /// What runs its models: "cpu", "cuda:0".
  public var device: String

  /// Every field stated.
  public init(version: String, http: String?, grpc: String?, metrics: String?, isReady: Bool, device: String) {
    self.version = version
    self.http = http
    self.grpc = grpc
    self.metrics = metrics
    self.isReady = isReady
    self.device = device
  }

  /// One line, without its end.
  public var line: String {
    let value: JSONValue = [
      "schema": .string(Self.schema), "headroom": .string(version), "ready": .bool(isReady), "device": .string(device),
      "http": JSONValue(http), "grpc": JSONValue(grpc), "metrics": JSONValue(metrics),
    ]
    return value.serialized(pretty: false)
  }

  /// Reads a line.
  ///
  /// - Throws: a sentence that says what is wrong with it; of another schema both are named.
  public init(line: String) throws(ContractError) {
    let tree: JSONValue
    do { tree = try JSONValue.parse(line) } catch { throw ContractError("the server's ready line is no JSON: \(error)") }
    try ContractError.check(tree["schema"]?.stringValue, is: Self.schema, in: "the server's ready line")
    guard let version = tree["headroom"]?.stringValue, let isReady = tree["ready"]?.boolValue, let device = tree["device"]?.stringValue
    else { throw ContractError("the server's ready line lacks \"headroom\", \"ready\" or \"device\"") }
    self.init(
      version: version, http: tree["http"]?.stringValue, grpc: tree["grpc"]?.stringValue, metrics: tree["metrics"]?.stringValue,
      isReady: isReady, device: device)
  }
}

/// Why one process did not understand another.
public struct ContractError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong, where.
  public let description: String

  /// An error of these words.
  public init(_ description: String) { self.description = description }

  /// Two programs of different versions must not guess.
  public static func check(_ found: String?, is expected: String, in place: String) throws(ContractError) {
    guard let found else { throw ContractError("\(place) names no schema; \(expected) was expected") }
    guard found == expected else {
      throw ContractError("\(place) has schema \(found); this program reads \(expected): both must be of one version")
    }
  }
}
