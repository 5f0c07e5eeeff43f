import CheckedNumbers
import FileAccess
import JSONReading
import Trace

/// Requests as Triton's own tracing wrote them (`--trace-config triton,file=...`, level TIMESTAMPS; triton-inference-server/server
/// `docs/user_guide/trace.md`): a list of objects, in which those of one id belong to one request. Times are nanoseconds of Triton's clock.
public struct TritonTrace: Sendable {
  /// One request.
  public struct Request: Sendable, Hashable {
    /// Triton's number of it.
    public var id: Int64
    /// The model; "" where not given.
    public var model = ""
    /// The client's own id, where it sent a number.
    public var requestID = Trace.unknown
    /// First and last byte of the request, `Trace.unknown` where not recorded; so are the others.
    public var received = Trace.unknown
    /// See `received`.
    public var parsed = Trace.unknown
    /// The request entered the model's queue.
    public var queued = Trace.unknown
    /// Its batch began.
    public var computeStart = Trace.unknown
    /// Inputs were in place.
    public var inputEnd = Trace.unknown
    /// Outputs began to be fetched.
    public var outputStart = Trace.unknown
    /// Its batch ended.
    public var computeEnd = Trace.unknown
    /// The answer began to be written.
    public var responseStart = Trace.unknown
    /// The answer was written.
    public var responseEnd = Trace.unknown
  }

  /// By id, in the order of the file.
  public var requests: [Request] = []
  /// What was passed over.
  public var notes: [ImportNote] = []

  /// Reads a file; gzip is uncompressed. A file that ends early, as that of a server that was killed, gives what is there.
  public init(path: String) throws(TraceImportError) {
    let source = try TraceSource(path)
    let stream = try source.content()
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = try stream.read(into: &buffer)
      if count == 0 { break }
      bytes += buffer[..<count]
      if bytes.count > 1 << 30 { throw TraceImportError(path: path, reason: "more than 1 GB of request traces") }
    }
    try self.init(bytes, path: path)
    if let cut = stream.cutShort { notes.append(ImportNote(.warning, .incomplete, cut)) }
  }

  /// As above, of bytes at hand.
  init(_ bytes: [UInt8], path: String) throws(TraceImportError) {
    let result = bytes.withUnsafeBufferPointer { text -> Result<Void, TraceImportError> in
      do throws(TraceImportError) { return .success(try read(JSONCursor(text), path: path)) } catch { return .failure(error) }
    }
    try result.get()
    if requests.isEmpty {
      throw TraceImportError(
        path: path, reason: "no requests with time stamps", remedy: "Triton writes them with --trace-config level=TIMESTAMPS")
    }
  }

  private mutating func read(_ start: JSONCursor, path: String) throws(TraceImportError) {
    var cursor = start
    var positions: [Int64: Int] = [:]
    var damaged = 0
    cursor.skipSpace()
    guard cursor.consume(UInt8(ascii: "[")) || cursor.peek == UInt8(ascii: "{") else {
      throw TraceImportError(path: path, place: "byte \(cursor.position)", reason: "not JSON: no list begins here")
    }
    while true {
      cursor.skipSpace()
      if cursor.consume(UInt8(ascii: ",")) { continue }
      // A file may hold several lists one behind the other, as servers that were asked to write at intervals leave it.
      if cursor.consume(UInt8(ascii: "]")) || cursor.consume(UInt8(ascii: "[")) { continue }
      if cursor.isAtEnd { break }
      let before = cursor.position
      do throws(JSONFault) {
        try entry(&cursor, &positions)
      } catch {
        damaged += 1
        cursor.position = before
        guard (try? cursor.skipValue()) != nil, cursor.position > before else {
          notes.append(ImportNote(.warning, .incomplete, "the file ends inside an entry at byte \(before); what came before it was read"))
          break
        }
      }
    }
    if damaged > 0 { notes.append(ImportNote(.warning, .unreadable, "\(damaged) entries could not be read and were passed over")) }
    requests.removeAll { $0.computeStart == Trace.unknown && $0.queued == Trace.unknown && $0.received == Trace.unknown }
  }

  /// One object: a request's model, or some of its time stamps.
  private mutating func entry(_ cursor: inout JSONCursor, _ positions: inout [Int64: Int]) throws(JSONFault) {
    guard cursor.consume(UInt8(ascii: "{")) else { throw JSONFault(reason: .valueInvalid, offset: cursor.position) }
    var request = Request(id: -1)
    try members(&cursor) { key, cursor throws(JSONFault) in
      if cursor.matches(key, "id") {
        request.id = try cursor.integer() ?? -1
      } else if cursor.matches(key, "model_name") {
        request.model = cursor.string(try cursor.string())
      } else if cursor.matches(key, "request_id") {
        request.requestID = try cursor.integer() ?? Trace.unknown
      } else if cursor.matches(key, "timestamps") {
        try stamps(&cursor, &request)
      } else {
        try cursor.skipValue()
      }
    }
    guard request.id >= 0 else { return }
    if let position = positions[request.id] {
      requests[position].add(request)
    } else {
      positions[request.id] = requests.count
      requests.append(request)
    }
  }

  private func stamps(_ cursor: inout JSONCursor, _ request: inout Request) throws(JSONFault) {
    guard cursor.consume(UInt8(ascii: "[")) else { return try cursor.skipValue() }
    while true {
      cursor.skipSpace()
      if cursor.consume(UInt8(ascii: ",")) { continue }
      if cursor.consume(UInt8(ascii: "]")) { return }
      guard cursor.consume(UInt8(ascii: "{")) else { throw JSONFault(reason: .missingCommaOrBracket, offset: cursor.position) }
      var name = ""
      var time = Trace.unknown
      try members(&cursor) { key, cursor throws(JSONFault) in
        if cursor.matches(key, "name") {
          name = cursor.string(try cursor.string())
        } else if cursor.matches(key, "ns") {
          time = try cursor.integer() ?? Trace.unknown
        } else {
          try cursor.skipValue()
        }
      }
      if time > 0 { request.set(name, time) }
    }
  }

  /// The members of an object, from behind its opening brace.
  private func members(
    _ cursor: inout JSONCursor, _ body: (JSONCursor.Span, inout JSONCursor) throws(JSONFault) -> Void
  ) throws(JSONFault) {
    while true {
      cursor.skipSpace()
      if cursor.consume(UInt8(ascii: ",")) { continue }
      if cursor.consume(UInt8(ascii: "}")) { return }
      let key = try cursor.string()
      cursor.skipSpace()
      guard cursor.consume(UInt8(ascii: ":")) else { throw JSONFault(reason: .missingColon, offset: cursor.position) }
      cursor.skipSpace()
      try body(key, &cursor)
    }
  }
}

extension TritonTrace.Request {
  /// Takes what another entry of the same request knows.
  fileprivate mutating func add(_ other: Self) {
    if !other.model.isEmpty { model = other.model }
    func known(_ path: WritableKeyPath<Self, Int64>) {
      if other[keyPath: path] != Trace.unknown { self[keyPath: path] = other[keyPath: path] }
    }
    for path in Self.times { known(path) }
  }

  private static var times: [WritableKeyPath<Self, Int64>] {
    [
      \.requestID, \.received, \.parsed, \.queued, \.computeStart, \.inputEnd, \.outputStart, \.computeEnd, \.responseStart, \.responseEnd,
    ]
  }

  /// Names of triton-inference-server/core `src/infer_trace.h` and of the server's front ends.
  fileprivate mutating func set(_ name: String, _ time: Int64) {
    switch name {
    case "HTTP_RECV_START", "GRPC_WAITREAD_START", "REQUEST_START": if received == Trace.unknown || time < received { received = time }
    case "HTTP_RECV_END", "GRPC_WAITREAD_END": parsed = time
    case "QUEUE_START": queued = time
    case "COMPUTE_START": computeStart = time
    case "COMPUTE_INPUT_END": inputEnd = time
    case "COMPUTE_OUTPUT_START": outputStart = time
    case "COMPUTE_END": computeEnd = time
    case "HTTP_SEND_START", "GRPC_SEND_START": responseStart = time
    case "HTTP_SEND_END", "GRPC_SEND_END": responseEnd = time
    case "REQUEST_END": if responseEnd == Trace.unknown || time > responseEnd { responseEnd = time }
    default: break
    }
  }
}
