import KServe

/// One request at a time, waiting for its answer: metadata, statistics and the answers others are compared with.
public struct BlockingExchange: Sendable {
  /// An answer, whole.
  public struct Answer: Sendable {
    /// HTTP's status.
    public var status: Int
    /// After chunks are joined.
    public var body: [UInt8]
    /// Bytes of JSON before binary tensors; nil without any.
    public var inferenceHeaderLength: Int?
  }

  private static let bodyLimit = 1 << 30

  /// Where to.
  public let endpoint: Endpoint
  /// "Authorization: Bearer ..." and what else every request carries.
  public let headers: [String]
  private let timeoutSeconds: Int

  /// An exchange with that endpoint.
  public init(_ endpoint: Endpoint, headers: [String] = [], timeoutSeconds: Int = 60) {
    self.endpoint = endpoint
    self.headers = headers
    self.timeoutSeconds = timeoutSeconds
  }

  /// The answer to a GET.
  public func get(_ path: String) throws(LoadError) -> Answer {
    try send(RequestText.head("GET", path, endpoint: endpoint, headers: headers))
  }

  /// The answer to a whole request, on a connection of its own.
  public func send(_ request: [UInt8]) throws(LoadError) -> Answer {
    let connection = try BlockingConnection(endpoint, timeoutSeconds: timeoutSeconds)
    try connection.send(request)
    var bytes: [UInt8] = []
    while true {
      if let answer = try Self.answer(in: bytes, hasEnded: false) { return answer }
      guard try connection.receive(into: &bytes) else {
        guard let answer = try Self.answer(in: bytes, hasEnded: true) else {
          throw LoadError(
            "\(connection.place) closed the connection without an answer\(endpoint.tls == nil ? "; if it speaks TLS, write https://" : "")")
        }
        return answer
      }
      if bytes.count > Self.bodyLimit { throw LoadError("\(connection.place): the answer is longer than \(Self.bodyLimit) bytes") }
    }
  }

  /// The answer, once all of it is there.
  static func answer(in bytes: [UInt8], hasEnded: Bool) throws(LoadError) -> Answer? {
    var rest = bytes[...]
    while true {
      let head: AnswerHead
      switch rest.withUnsafeBytes({ AnswerHead.read($0) }) {
      case .incomplete: return nil
      case .malformed: throw LoadError("the answer is no HTTP/1.1")
      case .complete(let read): head = read
      }
      rest = rest.dropFirst(head.byteCount)
      if (100..<200).contains(head.status) { continue }
      let header = head.inferenceHeaderLength >= 0 ? head.inferenceHeaderLength : nil
      func answer(_ body: some Sequence<UInt8>) -> Answer { Answer(status: head.status, body: Array(body), inferenceHeaderLength: header) }
      if head.hasNoBody { return answer([]) }
      if head.isChunked {
        var chunks = ChunkedBody()
        var body: [UInt8] = []
        rest.withUnsafeBytes { raw in
          _ = chunks.read(raw) { body.append(contentsOf: UnsafeRawBufferPointer(rebasing: raw[$0])) }
        }
        if chunks.isMalformed { throw LoadError("the answer's chunks are broken") }
        return chunks.hasEnded ? answer(body) : nil
      }
      if head.contentLength >= 0 { return rest.count >= head.contentLength ? answer(rest.prefix(head.contentLength)) : nil }
      return hasEnded ? answer(rest) : nil
    }
  }
}

/// Requests as bytes.
enum RequestText {
  static func head(_ method: String, _ path: String, endpoint: Endpoint, headers: [String], bodyLength: Int? = nil) -> [UInt8] {
    var text = "\(method) \(path) HTTP/1.1\r\nHost: \(endpoint.authority)\r\n"
    let names = headers.map { $0.prefix { $0 != ":" }.lowercased() }
    if !names.contains("user-agent") { text += "User-Agent: headroom\r\n" }
    for header in headers { text += header + "\r\n" }
    if let bodyLength { text += "Content-Length: \(bodyLength)\r\n" }
    return Array((text + "\r\n").utf8)
  }
}
