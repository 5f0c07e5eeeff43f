import Foundation
import KServe
import NIOCore
import NIOEmbedded
import Synchronization
import Testing
import TimeBase

@testable import HTTPFrontEnd
@testable import Serving

/// The connection's handler alone: bytes in, bytes out, made-up time and a client that takes what it likes.
@Suite struct HTTPConnectionTests {
  /// Answers every request at once with as many bytes, or when the test says so.
  final class Application: HTTPApplication {
    let count = Mutex(0)
    let held = Mutex<[NIOLoopBound<AnswerCallback>]>([])
    let bytes: Int
    let holds: Bool

    init(bytes: Int, holds: Bool = false) { (self.bytes, self.holds) = (bytes, holds) }

    func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
      count.withLock { $0 += 1 }
      if holds {
        held.withLock { $0.append(NIOLoopBound(AnswerCallback(answer), eventLoop: exchange.loop)) }
      } else {
        answer(body)
      }
      return nil
    }

    var body: HTTPAnswer { HTTPAnswer(contentType: .plain, body: [ByteBuffer(repeating: UInt8(ascii: "x"), count: bytes)]) }
    var begun: Int { count.withLock { $0 } }
  }

  /// Stands for a socket: takes nothing while it is stuck, and says so as a channel does.
  final class Socket: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    var isStuck = false
    var reads = 0
    private(set) var held = 0

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      held += unwrapOutboundIn(data).readableBytes
      context.write(data, promise: promise)
      if held > 64 << 10, isStuck { set(false, context) }
    }

    func flush(context: ChannelHandlerContext) {
      if isStuck { return }
      held = 0
      context.flush()
      set(true, context)
    }

    private func set(_ isWritable: Bool, _ context: ChannelHandlerContext) {
      guard let channel = context.channel as? EmbeddedChannel, channel.isWritable != isWritable else { return }
      channel.isWritable = isWritable
      context.fireChannelWritabilityChanged()
    }

    func read(context: ChannelHandlerContext) {
      reads += 1
      context.read()
    }
  }

  final class Harness {
    let channel = EmbeddedChannel()
    let socket = Socket()
    let application: Application
    let connections = HTTPConnections(limit: 10)
    let unsent: UnsentBytes
    let connection: HTTPConnection

    init(bytes: Int = 10, holds: Bool = false, unsent: UnsentBytes = UnsentBytes()) throws {
      application = Application(bytes: bytes, holds: holds)
      self.unsent = unsent
      #expect(connections.enter())
      connection = HTTPConnection(application: application, limits: HTTPLimits(), connections: connections, unsent: unsent)
      try channel.pipeline.syncOperations.addHandlers([socket, connection])
      connections.add(connection, on: channel.eventLoop)
      try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

    func pass(_ span: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: span) }

    /// The client takes everything.
    func unstick() {
      socket.isStuck = false
      channel.pipeline.flush()
      channel.embeddedEventLoop.run()
    }

    func received() throws -> String {
      var text = ""
      while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
      return text
    }

    func clientEnds() { channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
  }

  private static let get = "GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"

  /// One client that pipelines may not hold up the others of its event loop.
  @Test func manyPipelinedRequestsTakeTurns() throws {
    let harness = try Harness()
    try harness.send(String(repeating: Self.get, count: 100))
    #expect(harness.application.begun == HTTPLimits.requestsPerTurn)
    harness.channel.embeddedEventLoop.run()
    #expect(harness.application.begun == 100)
    #expect(try harness.received().components(separatedBy: "HTTP/1.1 200").count == 101)
  }

  @Test func whatWaitsForItsTurnIsAnsweredAfterTheClientsEnd() throws {
    let harness = try Harness()
    try harness.send(String(repeating: Self.get, count: 100))
    harness.clientEnds()
    #expect(harness.channel.isActive)
    harness.channel.embeddedEventLoop.run()
    #expect(harness.application.begun == 100)
    #expect(try harness.received().components(separatedBy: "HTTP/1.1 200").count == 101)
  }

  /// A client that sends faster than it is served does not fill the memory meanwhile.
  @Test func readingStopsWhileMuchWaitsForItsTurn() throws {
    let harness = try Harness()
    let many = String(repeating: Self.get, count: 2 * HTTPLimits.unsentBytes / Self.get.utf8.count)
    try harness.send(many)
    let reads = harness.socket.reads
    harness.channel.read()
    #expect(harness.socket.reads == reads, "held")
    harness.channel.embeddedEventLoop.run()
    #expect(harness.application.begun == 2 * HTTPLimits.unsentBytes / Self.get.utf8.count)
    #expect(harness.socket.reads > reads)
  }

  @Test func aClientThatTakesNothingIsAnsweredABoundedTime() throws {
    let harness = try Harness(bytes: 20_000)
    harness.socket.isStuck = true
    try harness.send(String(repeating: Self.get, count: 1000))
    // 64 KiB and one answer.
    #expect(harness.application.begun == 4)
    let reads = harness.socket.reads
    harness.channel.read()
    #expect(harness.socket.reads == reads)
    harness.unstick()
    #expect(harness.application.begun == 1000)
    #expect(try harness.received().components(separatedBy: "HTTP/1.1 200 OK").count == 1001)
    #expect(harness.socket.reads > reads)
    #expect(harness.unsent.current == 0)
  }

  @Test func requestsDoNotRenewTheTimeToTakeAnAnswer() throws {
    let harness = try Harness(bytes: 20_000)
    harness.socket.isStuck = true
    try harness.send(Self.get)
    for _ in 0..<11 {
      harness.pass(.seconds(5))
      #expect(harness.channel.isActive)
      try? harness.send(Self.get)
    }
    harness.pass(.seconds(10))
    #expect(!harness.channel.isActive)
    #expect(harness.unsent.current == 0)
  }

  @Test func aClientThatTakesALittleKeepsItsConnection() throws {
    let harness = try Harness(bytes: 200_000)
    for _ in 0..<5 {
      harness.socket.isStuck = true
      try harness.send(Self.get)
      harness.pass(.seconds(50))
      harness.unstick()
      harness.pass(.seconds(5))
      #expect(harness.channel.isActive)
    }
  }

  @Test func whoHoldsMuchOfTheProcessIsClosedSoon() throws {
    let unsent = UnsentBytes(limit: 100_000)
    let (one, other) = (try Harness(bytes: 50_000, unsent: unsent), try Harness(bytes: 20_000, unsent: unsent))
    one.socket.isStuck = true
    other.socket.isStuck = true
    try one.send(Self.get + Self.get)
    #expect(unsent.isExceeded)
    // Nothing of its own is unsent: it is answered. Then it waits like the other.
    try other.send(Self.get + Self.get)
    #expect(other.application.begun == 1)
    other.unstick()
    other.pass(.seconds(1))
    #expect(other.application.begun == 2)
    one.pass(.seconds(3))
    #expect(!one.channel.isActive)
    #expect(other.channel.isActive)
    #expect(unsent.current == 0)
  }

  @Test(arguments: ["GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /v2 HTTP/1.0\r\n\r\n"], [true, false])
  func theLastAnswerIsDeliveredBeforeTheEnd(request: String, endsFirst: Bool) throws {
    let harness = try Harness(bytes: 500_000)
    harness.socket.isStuck = true
    try harness.send(request)
    if endsFirst { harness.clientEnds() }
    harness.pass(.seconds(50))
    #expect(harness.channel.isActive)
    #expect(try harness.received().isEmpty)
    harness.unstick()
    #expect(try harness.received().count > 500_000)
    harness.pass(.seconds(3))
    #expect(!harness.channel.isActive)
  }

  @Test func anEndOfInputDoesNotCutOffEarlierAnswers() throws {
    let harness = try Harness(bytes: 50_000)
    harness.socket.isStuck = true
    try harness.send(Self.get + Self.get + Self.get + Self.get + "GET /half")
    harness.clientEnds()
    harness.pass(.seconds(5))
    harness.unstick()
    #expect(try harness.received().components(separatedBy: "HTTP/1.1 200 OK").count == 5)
    harness.pass(.seconds(3))
    #expect(!harness.channel.isActive)
  }

  @Test func headIsGetWithoutContent() throws {
    let harness = try Harness(bytes: 321)
    try harness.send("HEAD /v2 HTTP/1.1\r\n\r\n" + Self.get)
    let answers = try harness.received().components(separatedBy: "HTTP/1.1 200 OK\r\n")
    #expect(answers.count == 3)
    #expect(answers[1] == "Content-Type: text/plain\r\nContent-Length: 321\r\n\r\n")
    #expect(answers[2].hasSuffix(String(repeating: "x", count: 321)))
  }

  @Test func doubtfulFramingIsAnsweredAndEndsTheConnection() throws {
    let harness = try Harness()
    try harness.send("GET /v2 HTTP/1.1\r\nX: a\rb\r\n\r\n" + Self.get)
    let answer = try harness.received()
    #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request"))
    #expect(answer.contains("Connection: close"))
    #expect(harness.application.begun == 0)
  }

  @Test func chunksOfOneByteAreGathered() throws {
    let harness = try Harness()
    try harness.send("POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in 0..<30 { try harness.send(String(repeating: "1\r\nx\r\n", count: 1000)) }
    try harness.send("0\r\n\r\n" + Self.get)
    #expect(try harness.received().components(separatedBy: "HTTP/1.1 200 OK").count == 3)
    var body = HTTPBody()
    for _ in 0..<10_000 { body.append(ByteBuffer(string: "x")) }
    #expect(body.byteCount == 10_000)
    #expect(body.slices.count < 10)
  }

  @Test func aDrainEndsIdleConnectionsAndLastAnswersSaySo() throws {
    let (idle, busy) = (try Harness(), try Harness(holds: true))
    try idle.send(Self.get)
    #expect(try !idle.received().contains("Connection: close"))
    try busy.send(Self.get)
    for harness in [idle, busy] {
      harness.connections.drain(grace: .milliseconds(250))
      harness.pass(.milliseconds(200))
      #expect(harness.channel.isActive)
    }
    // A request that was on its way.
    try idle.send(Self.get)
    #expect(try idle.received().contains("Connection: close"))
    busy.pass(.seconds(20))
    #expect(busy.channel.isActive)
    busy.application.held.withLock { $0 }.first?.value.answer(busy.application.body)
    #expect(try busy.received().contains("Connection: close"))
    let quiet = try Harness()
    quiet.connections.drain(grace: .milliseconds(250))
    for harness in [idle, busy, quiet] {
      harness.clientEnds()
      harness.pass(.seconds(1))
      #expect(!harness.channel.isActive)
      #expect(harness.connections.current == 0)
    }
  }
}

@Suite struct WriteBacklogTests {
  private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

  @Test func smallAnswersAreNotMeasured() {
    var backlog = WriteBacklog()
    for _ in 0..<10 { backlog.wrote(300) }
    #expect(!backlog.isDue)
    backlog.wrote(3000)
    #expect(backlog.isDue)
    backlog.measured(0, at: at(1))
    #expect(!backlog.isDue)
  }

  @Test func onlyTakingRenewsTheTime() {
    var backlog = WriteBacklog()
    backlog.wrote(10_000)
    backlog.measured(10_000, at: at(1))
    backlog.wrote(5_000)
    backlog.measured(15_000, at: at(50))
    #expect(backlog.isStalled(for: .milliseconds(49_000), at: at(50)))
    backlog.wrote(5_000)
    backlog.measured(19_999, at: at(51))
    #expect(!backlog.isStalled(for: .milliseconds(1_000), at: at(51)))
    backlog.measured(0, at: at(52))
    #expect(!backlog.isStalled(for: .zero, at: at(1000)))
  }
}
