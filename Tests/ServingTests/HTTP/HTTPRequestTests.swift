import Glibc
import KServe
import NIOCore
import NIOEmbedded
import Synchronization
import Testing
import TimeBase

@testable import HTTPFrontEnd
@testable import Serving

/// Requests through a connection's handler: what the application is given, what it is spared, and the order of what comes back.
@Suite struct HTTPRequestTests {
  /// Notes what it is given; answers at once with a text of its own, or when the test says so.
  private final class Application: HTTPApplication {
    struct Seen: Equatable {
      var method = HTTPMethod.get
      var path = ""
      var query = ""
      var body = ""
      var token: String?
      var route: HTTPRoute?
    }

    let seen = Mutex<[Seen]>([])
    let answers = Mutex<[NIOLoopBound<AnswerCallback>]>([])
    let cancelled = Tally()
    let holds: Bool
    let refuses: @Sendable (HTTPFields) -> HTTPAnswer?

    init(holds: Bool = false, refuses: @escaping @Sendable (HTTPFields) -> HTTPAnswer? = { _ in nil }) {
      (self.holds, self.refuses) = (holds, refuses)
    }

    func refusal(of route: HTTPRoute?, _ fields: HTTPFields, _ channel: any Channel) -> HTTPAnswer? { refuses(fields) }

    func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
      var body = exchange.body
      let text = body.takeJoined(body.byteCount).map { String(decoding: $0.readableBytesView, as: UTF8.self) } ?? "?"
      let count = seen.withLock { seen in
        seen.append(
          Seen(
            method: exchange.head.method, path: String(decoding: exchange.path, as: UTF8.self), query: exchange.query, body: text,
            token: exchange.bearerToken, route: exchange.route))
        return seen.count
      }
      if holds {
        answers.withLock { $0.append(NIOLoopBound(AnswerCallback(answer), eventLoop: exchange.loop)) }
        let cancelled = cancelled
        return InferenceHandle { cancelled.add() }
      }
      answer(HTTPAnswer(contentType: .plain, body: [ByteBuffer(string: "answer \(count)")]))
      return nil
    }

    func answer(_ number: Int) {
      answers.withLock { $0[number] }.value.answer(HTTPAnswer(contentType: .plain, body: [ByteBuffer(string: "answer \(number)")]))
    }

    var all: [Seen] { seen.withLock { $0 } }
  }

  private final class Harness {
    let channel = EmbeddedChannel()
    let application: Application
    let connections = HTTPConnections(limit: 10)

    init(_ application: Application = Application(), _ limits: HTTPLimits = HTTPLimits()) throws {
      self.application = application
      #expect(connections.enter())
      let connection = HTTPConnection(application: application, limits: limits, connections: connections)
      try channel.pipeline.syncOperations.addHandler(connection)
      connections.add(connection, on: channel.eventLoop)
      try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }
    func send(_ head: String, _ body: ByteBuffer) throws {
      var bytes = ByteBuffer(string: head)
      bytes.writeImmutableBuffer(body)
      try channel.writeInbound(bytes)
    }

    func received() throws -> String {
      var text = ""
      while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
      return text
    }

    func pass(_ span: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: span) }
  }

  private static func post(_ body: String, _ lines: String = "") -> String {
    "POST /v2/models/m/infer HTTP/1.1\r\n\(lines)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  @Test func theApplicationIsGivenWhatWasSent() throws {
    let harness = try Harness()
    try harness.send(
      "GET /v2?a=b HTTP/1.1\r\nAuthorization: Bearer t\r\n\r\n" + Self.post("{}")
        + "PUT /v2/nothing HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nHEAD /v2 HTTP/1.1\r\n\r\n")
    #expect(
      harness.application.all == [
        .init(path: "/v2", query: "a=b", token: "t", route: .serverMetadata),
        .init(method: .post, path: "/v2/models/m/infer", body: "{}", route: .infer(model: "m", version: "")),
        // As GET: what is different is the connection's work.
        .init(method: .put, path: "/v2/nothing", body: "abc"), .init(path: "/v2", route: .serverMetadata),
      ])
  }

  @Test func everySplitOfTheBytesGivesTheSame() throws {
    let text =
      Self.post("hello") + "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n" + "GET /v2 HTTP/1.1\r\n\r\n"
    let whole = try Harness()
    try whole.send(text)
    let answers = try whole.received()
    #expect(whole.application.all.map(\.body) == ["hello", "abc", ""])
    let bytes = Array(text.utf8)
    for cut in 1..<bytes.count {
      let harness = try Harness()
      try harness.send(String(decoding: bytes[..<cut], as: UTF8.self))
      try harness.send(String(decoding: bytes[cut...], as: UTF8.self))
      #expect(harness.application.all == whole.application.all, "cut at \(cut)")
      #expect(try harness.received() == answers)
    }
  }

  @Test func pipelinedRequestsAreBegunOneByOneAndAnsweredInOrder() throws {
    let harness = try Harness(Application(holds: true))
    try harness.send(Self.post("a") + Self.post("b") + Self.post("c"))
    #expect(harness.application.all.map(\.body) == ["a"])
    harness.application.answer(0)
    #expect(harness.application.all.map(\.body) == ["a", "b"])
    #expect(try harness.received().hasSuffix("answer 0"))
    // Twice: the second has nobody to go to.
    harness.application.answer(0)
    #expect(try harness.received() == "")
    harness.application.answer(1)
    harness.application.answer(2)
    #expect(try harness.received().components(separatedBy: "answer").count == 3)
    #expect(harness.application.cancelled.value == 0)
  }

  @Test func aClientThatIsGoneCancels() throws {
    let harness = try Harness(Application(holds: true))
    try harness.send(Self.post("a"))
    // It only has no more to say: it is owed its answer.
    harness.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    #expect(harness.application.cancelled.value == 0 && harness.channel.isActive)
    harness.channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNRESET, reason: "read"))
    harness.channel.embeddedEventLoop.run()
    #expect(harness.application.cancelled.value == 1)
    #expect(harness.connections.current == 0)
  }

  // MARK: - Limits

  private static func limits(_ change: (inout HTTPLimits) -> Void) -> HTTPLimits {
    var limits = HTTPLimits()
    change(&limits)
    return limits
  }

  private static func status(_ text: String) -> String { String(text.dropFirst(9).prefix(3)) }

  @Test(arguments: [
    "POST /v2 HTTP/1.1\r\nContent-Length: 101\r\n\r\n", "POST /v2 HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + String(repeating: "x", count: 101),
    "POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\nx\r\n", count: 101),
  ])
  func aBodyOverTheLimitIsNotTaken(text: String) throws {
    let harness = try Harness(Application(), Self.limits { $0.bodyBytes = 100 })
    try harness.send(text)
    let answer = try harness.received()
    try harness.send(Self.post("later"))
    #expect(Self.status(answer) == "413" && answer.contains("Connection: close"))
    #expect(answer.contains("exceeds the maximum allowed input size of 100 bytes. Use --http-max-input-size to increase the limit."))
    #expect(harness.application.all.isEmpty)
  }

  @Test func aBodyOfTheLimitIsTaken() throws {
    let body = String(repeating: "x", count: 100)
    let harness = try Harness(Application(), Self.limits { $0.bodyBytes = 100 })
    try harness.send(Self.post(body) + "POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n\(body)\r\n0\r\n\r\n")
    #expect(harness.application.all.map(\.body) == [body, body])
  }

  /// Whole or not yet, a head has so many bytes at most.
  @Test(arguments: [true, false]) func aHeadOverTheLimitIsNotTaken(isWhole: Bool) throws {
    let harness = try Harness(Application(), Self.limits { $0.headBytes = 100 })
    try harness.send("GET /v2 HTTP/1.1\r\nX: \(String(repeating: "y", count: 100))" + (isWhole ? "\r\n\r\n" : ""))
    #expect(Self.status(try harness.received()) == "431")
    #expect(harness.application.all.isEmpty)
    let enough = "GET /v2 HTTP/1.1\r\nX: \(String(repeating: "y", count: 75))\r\n\r\n"
    #expect(enough.utf8.count == 100)
    let other = try Harness(Application(), Self.limits { $0.headBytes = 100 })
    try other.send(enough)
    #expect(Self.status(try other.received()) == "200")
  }

  @Test func aHeadThatDoesNotEndIsGivenUp() throws {
    let harness = try Harness()
    harness.pass(.hours(10))
    #expect(harness.channel.isActive, "nothing was begun")
    try harness.send("GET /v2 HT")
    harness.pass(.seconds(20))
    // The time is the whole head's: a byte now and then does not renew it.
    try harness.send("TP/1.1\r\n")
    harness.pass(.seconds(9))
    #expect(try harness.received() == "")
    harness.pass(.seconds(1))
    let answer = try harness.received()
    #expect(Self.status(answer) == "408" && answer.contains("timed out waiting for the request's header"))
    harness.pass(.seconds(3))
    #expect(!harness.channel.isActive)
  }

  @Test(arguments: ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\na\r\n"]) func aBodyMayBeSlowAndNotSilent(lines: String)
    throws
  {
    let harness = try Harness()
    try harness.send("POST /v2 HTTP/1.1\r\n\(lines)")
    for _ in 0..<5 {
      try harness.send("x")
      harness.pass(.seconds(59))
      #expect(try harness.received() == "")
    }
    harness.pass(.seconds(1))
    let answer = try harness.received()
    #expect(Self.status(answer) == "408" && answer.contains("timed out waiting for the request's body"))
  }

  @Test func whoeverExpectsToBeToldGoOnIs() throws {
    let head = "POST /v2 HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    let harness = try Harness()
    try harness.send(head)
    #expect(try harness.received() == "HTTP/1.1 100 Continue\r\n\r\n")
    try harness.send("ok")
    #expect(harness.application.all.map(\.body) == ["ok"])
    // The body came along: nobody waits.
    let quick = try Harness()
    try quick.send(head + "ok")
    #expect(try !quick.received().contains("100 Continue"))
    // Too large: that is said instead.
    let large = try Harness(Application(), Self.limits { $0.bodyBytes = 1 })
    try large.send(head)
    #expect(Self.status(try large.received()) == "413")
    let empty = try Harness()
    try empty.send("POST /v2 HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
    #expect(try !empty.received().contains("100 Continue"))
  }

  // MARK: - Refused by the head

  @Test func aRefusalCostsTheBodyAndNotTheConnection() throws {
    let harness = try Harness(Application { $0.value("x-secret") == nil ? .error(403, "no") : nil })
    try harness.send(Self.post("first") + Self.post("second", "X-Secret: s\r\n"))
    let answers = try harness.received()
    #expect(Self.status(answers) == "403" && answers.contains("{\"error\":\"no\"}HTTP/1.1 200 OK"))
    #expect(harness.application.all.map(\.body) == ["second"])
  }

  // MARK: - Codings

  @Test(arguments: [ContentCoding.gzip, .deflate]) func aCodedBodyIsDecoded(coding: ContentCoding) throws {
    let text = String(repeating: "hello ", count: 50)
    let coded = try #require(BodyCoding.deflated([ByteBuffer(string: text)], coding))
    func head(_ length: Int) -> String { "POST /v2 HTTP/1.1\r\nContent-Encoding: \(coding.rawValue)\r\nContent-Length: \(length)\r\n\r\n" }
    let harness = try Harness()
    try harness.send(head(coded.readableBytes), coded)
    #expect(harness.application.all.map(\.body) == [text])
    // Empty stays empty.
    try harness.send(head(0))
    #expect(harness.application.all.map(\.body) == [text, ""])
    #expect(Self.status(try harness.received()) == "200")
    // Torn; larger than allowed; of no known coding.
    try harness.send(head(coded.readableBytes - 3), coded.getSlice(at: 0, length: coded.readableBytes - 3) ?? ByteBuffer())
    let torn = try harness.received()
    #expect(Self.status(torn) == "400" && torn.contains("is no \(coding.rawValue) stream"))
    let small = try Harness(Application(), Self.limits { $0.bodyBytes = 299 })
    try small.send(head(coded.readableBytes), coded)
    #expect(Self.status(try small.received()) == "413")
    try harness.send("POST /v2 HTTP/1.1\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx")
    #expect(Self.status(try harness.received()) == "501")
    #expect(harness.application.all.count == 2 && small.application.all.isEmpty)
  }

  // MARK: - How answers are written

  @Test(
    arguments: [
      ("HTTP/1.1", "", nil), ("HTTP/1.1", "Connection: close\r\n", "close"), ("HTTP/1.0", "", nil),
      ("HTTP/1.0", "Connection: keep-alive\r\n", "keep-alive"), ("HTTP/1.0", "Connection: close\r\n", "close"),
    ] as [(String, String, String?)])
  func anAnswerIsOfTheRequestsVersionAndSaysHowItGoesOn(version: String, lines: String, says: String?) throws {
    let harness = try Harness()
    try harness.send("GET /v2 \(version)\r\n\(lines)\r\n")
    let answer = try harness.received()
    #expect(answer.hasPrefix("\(version) 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n"))
    #expect(answer.hasSuffix("\r\n\r\nanswer 1"))
    let found = answer.components(separatedBy: "\r\n").first { $0.hasPrefix("Connection: ") }
    #expect(found == says.map { "Connection: \($0)" })
  }

  @Test func aChunkedAnswerIsItsPartsInChunks() throws {
    let harness = try Harness(Application(holds: true))
    try harness.send("GET /v2 HTTP/1.1\r\n\r\n")
    var answer = HTTPAnswer(
      contentType: .events, body: [ByteBuffer(string: "0123456789abcdef"), ByteBuffer(), ByteBuffer(string: "x")], isChunked: true)
    answer.fields = [("Retry-After", "1")]
    harness.application.answers.withLock { $0[0] }.value.answer(answer)
    #expect(
      try harness.received()
        == "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\nRetry-After: 1\r\n\r\n"
        + "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n")
  }
}
