import Testing
import TimeBase

@testable import LoadGenerator

/// The client's end against frames written by hand.
@Suite struct HTTP2SessionTests {
  static func frame(_ type: UInt8, _ flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
    var bytes: [UInt8] = [16, 8, 0].map { UInt8(truncatingIfNeeded: payload.count >> $0) }
    bytes += [type, flags]
    for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: stream >> shift)) }
    return bytes + payload
  }

  /// Literals without names in any table.
  static func block(_ fields: [(String, String)]) -> [UInt8] {
    var bytes: [UInt8] = []
    for (name, value) in fields {
      bytes.append(0)
      for text in [name, value] {
        bytes.append(UInt8(clamping: text.utf8.count))
        bytes += Array(text.utf8)
      }
    }
    return bytes
  }

  static let ok = block([(":status", "200"), ("content-type", "application/grpc")])

  static func answer(stream: UInt32, _ message: [UInt8], status: String = "0") -> [UInt8] {
    var bytes = frame(1, 4, stream: stream, ok)
    bytes += frame(0, 0, stream: stream, [0, 0, 0, 0, UInt8(clamping: message.count)] + message)
    bytes += frame(1, 5, stream: stream, block([("grpc-status", status), ("grpc-message", "why not")]))
    return bytes
  }

  /// A session with a call of `count` bytes, its preface read.
  static func begun(count: Int = 10) -> (session: HTTP2Session, data: [UInt8]) {
    var session = HTTP2Session()
    session.output = []
    let data = [UInt8](repeating: 7, count: count)
    begin(&session, data)
    return (session, data)
  }

  static func begin(_ session: inout HTTP2Session, _ data: [UInt8]) {
    ([0x83] as [UInt8]).withUnsafeBytes { headers in data.withUnsafeBytes { session.begin(headers: headers, data: $0) } }
  }

  static func feed(_ session: inout HTTP2Session, _ bytes: [UInt8], _ data: [UInt8]) -> HTTP2Session.Outcome {
    bytes.withUnsafeBytes { bytes in data.withUnsafeBytes { session.receive(bytes, data: $0) } }
  }

  /// Types, flags and lengths of the frames in what a session said.
  static func frames(_ output: [UInt8]) -> [[Int]] {
    var frames: [[Int]] = []
    var position = 0
    while output.count - position >= 9 {
      let length = Int(output[position]) << 16 | Int(output[position + 1]) << 8 | Int(output[position + 2])
      frames.append([Int(output[position + 3]), Int(output[position + 4]), length])
      position += 9 + length
    }
    return frames
  }

  @Test func itBeginsWithThePreface() {
    let session = HTTP2Session()
    #expect(session.output.starts(with: Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)))
    #expect(Self.frames(Array(session.output.dropFirst(24))) == [[4, 0, 12], [8, 0, 4]])
  }

  @Test func anAnswerMayComeInAnyPieces() {
    let bytes = Self.frame(4, 0, [0, 3, 0, 0, 0, 100]) + Self.answer(stream: 1, [1, 2, 3])
    for size in [1, 2, 7, 16, bytes.count] {
      var (session, data) = Self.begun()
      #expect(Self.frames(session.output) == [[1, 4, 1], [0, 1, 10]])
      var outcomes: [HTTP2Session.Outcome] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        outcomes.append(Self.feed(&session, Array(bytes[start..<min(start + size, bytes.count)]), data))
      }
      #expect(outcomes.last == .answered)
      #expect(outcomes.dropLast().allSatisfy { $0 == .pending })
      #expect(session.status == 0 && session.httpStatus == 200)
      #expect(session.message == [0, 0, 0, 0, 3, 1, 2, 3])
    }
  }

  @Test func callsFollowOneAnother() {
    var (session, data) = Self.begun()
    #expect(Self.feed(&session, Self.answer(stream: 1, [1]), data) == .answered)
    session.output = []
    Self.begin(&session, data)
    #expect(session.output[8] == 3, "streams of clients are odd")
    #expect(Self.feed(&session, Self.answer(stream: 3, [2], status: "14"), data) == .answered)
    #expect(session.status == 14)
    #expect(session.statusMessage == "why not")
    #expect(session.message == [0, 0, 0, 0, 1, 2])
  }

  @Test func aStatusAloneIsAnAnswer() {
    var (session, data) = Self.begun()
    let block = Self.block([(":status", "200"), ("grpc-status", "5"), ("grpc-message", "no such model")])
    #expect(Self.feed(&session, Self.frame(1, 5, stream: 1, block), data) == .answered)
    #expect(session.status == 5)
    #expect(session.statusMessage == "no such model")
  }

  @Test func largeRequestsWaitForThePeersWindow() {
    var (session, data) = Self.begun(count: 100_000)
    func sent() -> Int { Self.frames(session.output).reduce(0) { $0 + ($1[0] == 0 ? $1[2] : 0) } }
    #expect(sent() == 65_535)
    #expect(Self.frames(session.output).allSatisfy { $0[2] <= 16_384 })
    // The connection's window alone does not help.
    #expect(Self.feed(&session, Self.frame(8, 0, stream: 0, [0, 1, 0, 0]), data) == .pending)
    #expect(sent() == 65_535)
    #expect(Self.feed(&session, Self.frame(8, 0, stream: 1, [0, 0, 0, 10]), data) == .pending)
    #expect(sent() == 65_545)
    // A larger initial window counts for open streams too (RFC 9113, 6.9.2).
    #expect(Self.feed(&session, Self.frame(4, 0, [0, 4, 0, 2, 0, 0]), data) == .pending)
    #expect(sent() == 100_000)
    #expect(Self.frames(session.output).filter { $0[0] == 0 }.last?[1] == 1, "the last frame ends the stream")
  }

  @Test func anEarlyAnswerEndsTheRequest() {
    var (session, data) = Self.begun(count: 100_000)
    session.output = []
    #expect(Self.feed(&session, Self.frame(1, 5, stream: 1, Self.block([(":status", "200"), ("grpc-status", "8")])), data) == .answered)
    #expect(Self.frames(session.output) == [[3, 0, 4]])
  }

  @Test func pingsAndSettingsAreAcknowledged() {
    var (session, data) = Self.begun()
    session.output = []
    #expect(Self.feed(&session, Self.frame(6, 0, [1, 2, 3, 4, 5, 6, 7, 8]) + Self.frame(4), data) == .pending)
    #expect(Self.frames(session.output) == [[6, 1, 8], [4, 1, 0]])
    #expect(Array(session.output[9..<17]) == [1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test func aPeerThatGoesAwayAnswersWhatItTook() {
    var (session, data) = Self.begun()
    #expect(Self.feed(&session, Self.frame(7, 0, [0, 0, 0, 1, 0, 0, 0, 0]), data) == .pending)
    #expect(!session.takesCalls)
    #expect(Self.feed(&session, Self.answer(stream: 1, [1]), data) == .answered)
    var (other, otherData) = Self.begun()
    #expect(Self.feed(&other, Self.frame(7, 0, [0, 0, 0, 0, 0, 0, 0, 0]), otherData) == .reset)
  }

  @Test func aResetTakesTheCallBack() {
    var (session, data) = Self.begun()
    #expect(Self.feed(&session, Self.frame(3, 0, stream: 1, [0, 0, 0, 8]), data) == .reset)
  }

  @Test(arguments: [
    Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), frame(0, 0, stream: 0, [1]), frame(5, 0, stream: 1, [0, 0, 0, 2]),
    frame(6, 0, [1]), frame(4, 0, [1, 2, 3]), frame(1, 0, stream: 1, [0x83]) + frame(0, 0, stream: 1, [1]),
    frame(1, 4, stream: 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), frame(0, 8, stream: 1, [9, 1]), frame(9, 4, stream: 1, [0x83]),
    frame(8, 0, stream: 1, [0x7F, 0xFF, 0xFF, 0xFF]),
  ])
  func whatIsNoHTTP2IsToldSo(bytes: [UInt8]) {
    var (session, data) = Self.begun()
    #expect(Self.feed(&session, bytes, data) == .broken)
  }

  @Test func noBytesTrap() {
    var random = SplitMix64(seed: 12)
    let whole = Self.frame(4, 0, [0, 4, 0, 2, 0, 0]) + Self.answer(stream: 1, [1, 2, 3])
    for _ in 0..<3000 {
      var bytes = whole
      for _ in 0..<(1 + random.next() % 4) {
        bytes[Int(clamping: random.next() % UInt64(clamping: bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      var (session, data) = Self.begun(count: 70_000)
      _ = Self.feed(&session, bytes, data)
    }
  }

  @Test func headersAreLiteralsAnyPeerCanRead() throws {
    let block = try GRPCRequest.headers(
      "ModelInfer", authority: "host:1", isSecure: false, metadata: ["Authorization: Bearer x", "User-Agent: mine"])
    // :method POST, :scheme http, then :path with an indexed name.
    #expect(block.starts(with: [0x83, 0x86, 0x04]))
    let text = String(decoding: block, as: UTF8.self)
    #expect(text.contains("/inference.GRPCInferenceService/ModelInfer"))
    #expect(text.contains("authorization") && text.contains("Bearer x") && !text.contains("headroom"))
    #expect(throws: LoadError.self) {
      try GRPCRequest.headers("M", authority: "a", isSecure: true, metadata: ["x: " + String(repeating: "y", count: 17_000)])
    }
  }

  @Test func messagesHaveTheirLengthBefore() throws {
    let bytes = try GRPCRequest.prefixed([9, 8])
    #expect(bytes == [0, 0, 0, 0, 2, 9, 8])
    #expect(bytes.withUnsafeBytes { GRPCRequest.message(in: $0).map(Array.init) } == [9, 8])
    for broken in [[], [0, 0, 0, 0], [1, 0, 0, 0, 2, 9, 8], [0, 0, 0, 0, 3, 9, 8], [0, 0, 0, 0, 1, 9, 8]] as [[UInt8]] {
      #expect(broken.withUnsafeBytes { GRPCRequest.message(in: $0).map(Array.init) } == nil)
    }
  }
}
