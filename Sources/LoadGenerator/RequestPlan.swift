import TimeBase

/// The requests of a run, built before it: sending one is one write of bytes that lie ready.
public struct RequestPlan: Sendable {
  /// One of them.
  struct Prepared: Sendable {
    var start: Int
    var count: Int
    /// Bytes at its start that are gRPC's header block; 0 for HTTP/1.1.
    var headerCount = 0
    var rows: Int
    /// Which kind of request it is.
    var group: Int
  }

  /// What the run calls them.
  public let name: String
  private(set) var arena: [UInt8] = []
  private(set) var requests: [Prepared] = []
  /// What each answer must look like; nil where nothing is known of it.
  private(set) var expectations: [AnswerExpectation?] = []
  /// Kinds of requests, by name.
  private(set) var groups: [String]
  /// Where each request's part of all draws ends; empty where all are as likely.
  private var ends: [Double] = []

  /// No requests yet.
  init(name: String) {
    self.name = name
    groups = [name]
  }

  /// Several plans as one, each drawn as often as its weight says.
  public init(name: String, mixing plans: [(plan: RequestPlan, weight: Double)]) {
    self.name = name
    groups = []
    var end = 0.0
    for (plan, weight) in plans where plan.count > 0 {
      for index in plan.requests.indices {
        var request = plan.requests[index]
        request.start += arena.count
        request.group = groups.count
        requests.append(request)
        end += weight / Double(plan.count)
        ends.append(end)
      }
      expectations += plan.expectations
      arena += plan.arena
      groups.append(plan.name)
    }
  }

  /// Whether they are gRPC calls.
  var isGRPC: Bool { requests.contains { $0.headerCount > 0 } }
  /// Requests that may be drawn.
  public var count: Int { requests.count }
  /// Bytes of all of them.
  public var byteCount: Int { arena.count }

  mutating func add(_ bytes: [UInt8], headerCount: Int = 0, rows: Int) {
    requests.append(Prepared(start: arena.count, count: bytes.count, headerCount: headerCount, rows: rows, group: 0))
    expectations.append(nil)
    arena.append(contentsOf: bytes)
  }

  mutating func expect(_ expectation: AnswerExpectation, of index: Int) { expectations[index] = expectation }

  /// Which request comes next.
  func draw(_ random: inout SplitMix64) -> Int {
    if requests.count == 1 { return 0 }
    guard let total = ends.last else { return Int(clamping: random.next() % UInt64(clamping: requests.count)) }
    let wanted = random.nextUnitDouble() * total
    var (low, high) = (0, ends.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if ends[middle] > wanted { high = middle } else { low = middle + 1 }
    }
    return low
  }

  func bytes(of index: Int) -> [UInt8] { Array(arena[requests[index].start..<requests[index].start + requests[index].count]) }
}

extension RequestPlan {
  /// Plain HTTP: always the same request.
  public static func plain(_ method: String, _ path: String, endpoint: Endpoint, headers: [String], body: [UInt8]?) -> RequestPlan {
    var plan = RequestPlan(name: "\(endpoint.tls == nil ? "http" : "https")://\(endpoint.authority)\(path)")
    plan.add(RequestText.head(method, path, endpoint: endpoint, headers: headers, bodyLength: body?.count) + (body ?? []), rows: 1)
    return plan
  }
}
