/// The requests of a run, built before it: sending one is one write of bytes that lie ready.
public struct RequestPlan: Sendable {
  /// One of them.
  struct Prepared: Sendable {
    var start: Int
    var count: Int
    var rows: Int
  }

  /// What the run calls them.
  public let name: String
  private(set) var arena: [UInt8] = []
  private(set) var requests: [Prepared] = []
  /// What each answer must look like; nil where nothing is known of it.
  private(set) var expectations: [AnswerExpectation?] = []

  /// No requests yet.
  init(name: String) { self.name = name }

  /// Requests that may be drawn.
  public var count: Int { requests.count }
  /// Bytes of all of them.
  public var byteCount: Int { arena.count }

  mutating func add(_ bytes: [UInt8], rows: Int, expecting expectation: AnswerExpectation? = nil) {
    requests.append(Prepared(start: arena.count, count: bytes.count, rows: rows))
    expectations.append(expectation)
    arena.append(contentsOf: bytes)
  }

  mutating func expect(_ expectation: AnswerExpectation, of index: Int) { expectations[index] = expectation }

  func bytes(of index: Int) -> [UInt8] { Array(arena[requests[index].start..<requests[index].start + requests[index].count]) }
}

extension RequestPlan {
  /// Plain HTTP: always the same request.
  public static func plain(_ method: String, _ path: String, endpoint: Endpoint, headers: [String], body: [UInt8]?) -> RequestPlan {
    var plan = RequestPlan(name: path)
    plan.add(RequestText.head(method, path, endpoint: endpoint, headers: headers, bodyLength: body?.count) + (body ?? []), rows: 1)
    return plan
  }
}
