import KServe
import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP2
import Testing

@testable import GRPCFrontEnd
@testable import Serving

/// The connection's handler alone: frames in, frames out, made-up time.
@Suite struct GRPCConnectionTests {
  final class Harness {
    let channel: EmbeddedChannel
    let service = FakeService()
    let connection: GRPCConnection
    let flushes = FlushCounter()

    init(_ options: GRPCServerOptions = GRPCServerOptions()) throws {
      channel = EmbeddedChannel()
      connection = GRPCConnection(service: service, options: options, eventLoop: channel.embeddedEventLoop) { _ in }
      try channel.pipeline.syncOperations.addHandlers([flushes, connection])
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    static func path(_ method: GRPCMethod) -> String { method.path }

    func head(_ stream: HTTP2StreamID, _ path: String, _ extra: [(String, String)] = [], contentType: String = "application/grpc") throws {
      let headers = HPACKHeaders([(":method", "POST"), (":path", path), (":scheme", "http"), ("content-type", contentType)] + extra)
      try channel.writeInbound(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: headers))))
    }

    func data(_ stream: HTTP2StreamID, _ bytes: some Sequence<UInt8>, end: Bool) throws {
      if end { flushes.halfClosed.insert(stream) }
      try channel.writeInbound(
        HTTP2Frame(streamID: stream, payload: .data(.init(data: .byteBuffer(ByteBuffer(bytes: Array(bytes))), endStream: end))))
    }

    func call(_ stream: HTTP2StreamID, _ method: GRPCMethod, _ message: [UInt8], _ extra: [(String, String)] = []) throws {
      try head(stream, method.path, extra)
      try data(stream, GRPCFramingTests.frame(message), end: true)
    }

    /// What was sent, in words: "1 head", "1 data 12", "1 end 0 message", "1 reset".
    func sent() throws -> [String] {
      channel.embeddedEventLoop.run()
      var lines: [String] = []
      while let frame = try channel.readOutbound(as: HTTP2Frame.self) {
        let id = Int(frame.streamID)
        switch frame.payload {
        case .headers(let headers):
          let all = headers.headers
          if !headers.endStream {
            lines.append("\(id) head")
          } else if let status = all.first(name: "grpc-status") {
            lines.append("\(id) end \(status)" + (all.first(name: "grpc-message").map { " " + $0 } ?? ""))
          } else {
            lines.append("\(id) http \(all.first(name: ":status") ?? "")")
          }
        case .data(let data): lines.append("\(id) data \(data.data.readableBytes)")
        case .rstStream: lines.append("\(id) reset")
        case .windowUpdate(let increment): lines.append("\(id) window \(increment)")
        case .goAway(let last, _, _): lines.append("goaway \(Int(last))")
        case .ping: lines.append("ping")
        default: lines.append("?")
        }
      }
      return lines
    }
  }

  /// Stands for the HTTP/2 handler: counts flushes, holds them back while the client takes nothing, and reports streams as closed when both
  /// sides have ended.
  final class FlushCounter: ChannelOutboundHandler {
    typealias OutboundIn = HTTP2Frame
    var count = 0
    var isStuck = false
    var halfClosed: Set<HTTP2StreamID> = []
    private var ended: Set<HTTP2StreamID> = []
    private var held: [(data: NIOAny, promise: EventLoopPromise<Void>?)] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      let frame = unwrapOutboundIn(data)
      switch frame.payload {
      case .headers(let headers) where headers.endStream: ended.insert(frame.streamID)
      case .rstStream:
        ended.insert(frame.streamID)
        halfClosed.insert(frame.streamID)
      default: break
      }
      if isStuck { held.append((data, promise)) } else { context.write(data, promise: promise) }
    }

    func flush(context: ChannelHandlerContext) {
      count += 1
      if isStuck { return }
      let held = held
      self.held = []
      for (data, promise) in held { context.write(data, promise: promise) }
      context.flush()
      for id in ended.intersection(halfClosed).sorted() {
        ended.remove(id)
        context.fireUserInboundEventTriggered(StreamClosedEvent(streamID: id, reason: nil))
      }
    }
  }

  @Test func aCallIsAnswered() throws {
    let harness = try Harness()
    try harness.call(1, .modelInfer, InferRequestTests.request())
    #expect(try harness.sent().map { $0.prefix(6) } == ["1 head", "1 data", "1 end "])
    #expect(harness.connection.streams.isEmpty)
  }

  @Test func anyCutOfARequestGivesTheSameAnswer() throws {
    let bytes = GRPCFramingTests.frame(InferRequestTests.request())
    for cut in 0...bytes.count {
      let harness = try Harness()
      try harness.head(1, GRPCMethod.modelInfer.path)
      try harness.data(1, bytes.prefix(cut), end: false)
      try harness.data(1, bytes.dropFirst(cut), end: true)
      #expect(try harness.sent().last == "1 end 0")
      #expect(harness.service.state.withLock { $0.requests.first.map { InferRequestTests.bytes($0.inputs[0].data) } } == [1, 2, 3, 4])
    }
  }

  @Test func errorsAreTrailersOnly() throws {
    let harness = try Harness()
    try harness.call(1, .modelInfer, InferRequestTests.request(model: "failing"))
    try harness.call(3, .modelMetadata, [0x0A, 1, 0x78])
    try harness.call(5, .modelReady, [0x0A, 1, 0x78, 0x12, 3, 0x61, 0x62, 0x63])
    try harness.call(7, .modelInfer, [0xFF])
    #expect(
      try harness.sent().map { $0.prefix(48) }
        == [
          "1 end 14 Exceeds maximum queue size", "3 end 5 Request for unknown model: 'x' is not foun",
          "5 end 3 failed to get model version from specifi", "7 end 13 unable to parse ModelInferRequest: byte",
        ].map { $0.prefix(48) })
    #expect(harness.connection.streams.isEmpty)
  }

  @Test func whatIsNoCallIsRefused() throws {
    let harness = try Harness()
    try harness.head(1, "/nope")
    try harness.head(3, GRPCMethod.serverLive.path, contentType: "application/json")
    try harness.head(5, GRPCMethod.serverLive.path, contentType: "application/grpc+proto")
    try harness.data(5, [0, 0, 0, 0, 0], end: true)
    try harness.head(7, GRPCMethod.serverLive.path, contentType: "application/grpcfoo")
    #expect(
      try harness.sent() == [
        "1 end 12 unknown call '/nope'", "1 reset", "3 http 415", "3 reset", "5 head", "5 data 7", "5 end 0", "7 http 415", "7 reset",
      ])
  }

  @Test func aUnaryCallHasOneMessage() throws {
    let harness = try Harness()
    try harness.call(1, .modelInfer, [])
    let message = GRPCFramingTests.frame(InferRequestTests.request())
    try harness.head(3, GRPCMethod.modelInfer.path)
    try harness.data(3, message + message, end: true)
    try harness.head(5, GRPCMethod.modelInfer.path)
    try harness.data(5, [], end: true)
    try harness.head(7, GRPCMethod.modelInfer.path)
    try harness.data(7, message.dropLast(), end: true)
    let sent = try harness.sent()
    #expect(
      Array(sent.suffix(3)) == [
        "3 end 13 a second message in a unary call", "5 end 13 a unary call needs one message",
        "7 end 13 the request ends inside a message",
      ])
  }

  @Test func compressionIsRefusedWhereNothingInflates() throws {
    let harness = try Harness()
    try harness.head(1, GRPCMethod.serverLive.path, [("grpc-encoding", "gzip")])
    try harness.data(1, GRPCFramingTests.frame([], compressed: true), end: true)
    #expect(try harness.sent() == ["1 end 12 messages compressed with 'gzip' cannot be read"])
    var options = GRPCServerOptions()
    options.inflate = { _, compression, _ in compression == .gzip ? ByteBuffer() : nil }
    let inflating = try Harness(options)
    try inflating.head(1, GRPCMethod.serverLive.path, [("grpc-encoding", "gzip")])
    try inflating.data(1, GRPCFramingTests.frame([1, 2, 3], compressed: true), end: true)
    #expect(try inflating.sent().last == "1 end 0")
  }

  @Test func aDeadlineEndsAndCancels() throws {
    let harness = try Harness()
    try harness.call(1, .modelInfer, InferRequestTests.request(model: "held"), [("grpc-timeout", "100m")])
    harness.channel.embeddedEventLoop.advanceTime(by: .milliseconds(99))
    #expect(try harness.sent() == [])
    harness.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
    #expect(try harness.sent() == ["1 end 4 Deadline Exceeded"])
    #expect(harness.service.state.withLock { $0.cancelled } == 1)
    // The reply that comes all the same has nowhere to go.
    harness.service.release(0)
    #expect(try harness.sent() == [])
  }

  @Test func aDeadlineInTimeIsForgotten() throws {
    let harness = try Harness()
    try harness.call(1, .modelInfer, InferRequestTests.request(model: "held"), [("grpc-timeout", "1S")])
    harness.service.release(0)
    #expect(try harness.sent().last == "1 end 0")
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    #expect(try harness.sent() == [])
    #expect(harness.service.state.withLock { $0.cancelled } == 0)
  }

  @Test func aResetOrALostConnectionCancels() throws {
    let harness = try Harness()
    try harness.call(1, .modelInfer, InferRequestTests.request(model: "held"))
    try harness.call(3, .modelInfer, InferRequestTests.request(model: "held"))
    harness.channel.pipeline.fireUserInboundEventTriggered(StreamClosedEvent(streamID: 1, reason: .cancel))
    #expect(harness.service.state.withLock { $0.cancelled } == 1)
    _ = try harness.channel.finish(acceptAlreadyClosed: true)
    #expect(harness.service.state.withLock { $0.cancelled } == 2)
    harness.service.release(0)
    harness.service.release(1)
  }

  @Test(arguments: [true, false]) func aStreamKeepsItsOrderIfItShould(keepsOrder: Bool) throws {
    var options = GRPCServerOptions()
    options.keepsStreamOrder = keepsOrder
    let harness = try Harness(options)
    try harness.head(1, GRPCMethod.modelStreamInfer.path)
    for model in ["held", "held", "m"] {
      try harness.data(1, GRPCFramingTests.frame(InferRequestTests.request(model: model)), end: false)
    }
    #expect(try harness.sent().count == (keepsOrder ? 0 : 2))
    try harness.data(1, [], end: true)
    harness.service.release(1)
    #expect(try harness.sent().count == (keepsOrder ? 0 : 1))
    harness.service.release(0)
    #expect(
      try harness.sent().map { $0.prefix(6) } == (keepsOrder ? ["1 head", "1 data", "1 data", "1 data", "1 end "] : ["1 data", "1 end "]))
    #expect(harness.connection.streams.isEmpty)
    #expect(harness.service.state.withLock { $0.cancelled } == 0)
  }

  @Test func aStreamsErrorKeepsItOpenUnlessAskedOtherwise() throws {
    let harness = try Harness()
    try harness.head(1, GRPCMethod.modelStreamInfer.path)
    try harness.data(1, GRPCFramingTests.frame(InferRequestTests.request(model: "failing")), end: false)
    #expect(try harness.sent().count == 2)
    try harness.data(1, GRPCFramingTests.frame(InferRequestTests.request()), end: true)
    #expect(try harness.sent().last == "1 end 0")
    try harness.head(3, GRPCMethod.modelStreamInfer.path, [("triton_grpc_error", "true")])
    try harness.data(3, GRPCFramingTests.frame(InferRequestTests.request(model: "held")), end: false)
    try harness.data(3, GRPCFramingTests.frame(InferRequestTests.request(model: "failing")), end: false)
    #expect(try harness.sent() == ["3 end 14 Exceeds maximum queue size", "3 reset"])
    #expect(harness.service.state.withLock { $0.cancelled } == 1)
  }

  @Test func controlCallsAskForTheToken() throws {
    let harness = try Harness()
    harness.service.state.withLock { $0.token = "secret" }
    let controls: [GRPCMethod] = [
      .repositoryModelLoad, .repositoryModelUnload, .systemSharedMemoryRegister, .systemSharedMemoryUnregister, .cudaSharedMemoryRegister,
      .cudaSharedMemoryUnregister,
    ]
    for (index, method) in controls.enumerated() {
      try harness.call(HTTP2StreamID(4 * index + 1), method, [])
      #expect(try harness.sent().last?.hasPrefix("\(4 * index + 1) end 7") == true, "\(method)")
      try harness.call(HTTP2StreamID(4 * index + 3), method, [], [("authorization", "Bearer secret")])
      #expect(try harness.sent().last?.hasPrefix("\(4 * index + 3) end 7") == false, "\(method)")
    }
    // Looking is free, changing is not.
    try harness.call(101, .traceSetting, [])
    #expect(try harness.sent().last == "101 end 0")
    try harness.call(103, .traceSetting, [0x0A, 0])
    #expect(try harness.sent().last?.hasPrefix("103 end 7") == true)
  }

  @Test func windowsAreRenewedAtHalf() throws {
    let harness = try Harness()
    try harness.channel.writeInbound(HTTP2Frame(streamID: .rootStream, payload: .settings(.settings([]))))
    #expect(try harness.sent() == ["0 window \((16 << 20) - 65_535)"])
    try harness.head(1, GRPCMethod.modelInfer.path)
    let events = harness.channel.pipeline
    events.fireUserInboundEventTriggered(NIOHTTP2WindowUpdatedEvent(streamID: 1, inboundWindowSize: 2 << 20, outboundWindowSize: 1))
    #expect(try harness.sent() == [])
    events.fireUserInboundEventTriggered(NIOHTTP2WindowUpdatedEvent(streamID: 1, inboundWindowSize: 1 << 20, outboundWindowSize: 1))
    events.fireUserInboundEventTriggered(NIOHTTP2WindowUpdatedEvent(streamID: 0, inboundWindowSize: 1 << 20, outboundWindowSize: 1))
    #expect(try harness.sent() == ["1 window \(3 << 20)", "0 window \(15 << 20)"])
  }

  @Test func aDrainWaitsForOpenCalls() throws {
    let harness = try Harness()
    try harness.call(5, .modelInfer, InferRequestTests.request(model: "held"))
    harness.connection.drain()
    #expect(try harness.sent() == ["goaway \(Int(HTTP2StreamID.maxID))", "ping"])
    try harness.channel.writeInbound(HTTP2Frame(streamID: .rootStream, payload: .ping(HTTP2PingData(withInteger: 0), ack: true)))
    #expect(try harness.sent() == ["goaway 5"])
    #expect(harness.channel.isActive)
    harness.service.release(0)
    #expect(try harness.sent().last == "5 end 0")
    #expect(!harness.channel.isActive)
  }

  @Test func aHealthWatchTellsChangesAndEndsWithTheServer() throws {
    let harness = try Harness()
    try harness.call(1, .healthWatch, [])
    #expect(try harness.sent() == ["1 head", "1 data 7"])
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(5))
    #expect(try harness.sent() == [])
    harness.service.state.withLock { $0.isReady = false }
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(try harness.sent() == ["1 data 7"])
    harness.connection.drain()
    #expect(try harness.sent().first == "1 end 14 the server is shutting down")
  }

  @Test func aStreamWhoseAnswersAreNotTakenIsAskedNoMore() throws {
    let harness = try Harness()
    try harness.head(1, GRPCMethod.modelStreamInfer.path)
    harness.flushes.isStuck = true
    let payload = [UInt8](repeating: 7, count: 20_000)
    let request = GRPCFramingTests.frame(InferRequestTests.request(raw: payload))
    for _ in 0..<50 { try harness.data(1, request, end: false) }
    func begun() -> Int { harness.service.state.withLock { $0.requests.count } }
    // 64 KiB and one answer.
    #expect(begun() == 4)
    // What the client may still send is what it was granted.
    harness.channel.pipeline.fireUserInboundEventTriggered(
      NIOHTTP2WindowUpdatedEvent(streamID: 1, inboundWindowSize: 1000, outboundWindowSize: 0))
    #expect(try !harness.sent().contains { $0.contains("window") })
    harness.flushes.isStuck = false
    for _ in 0..<50 {
      harness.channel.flush()
      harness.channel.embeddedEventLoop.run()
    }
    #expect(begun() == 50)
    let sent = try harness.sent()
    #expect(sent.count { $0.hasPrefix("1 data") } == 100)
    #expect(sent.contains { $0.hasPrefix("1 window") })
  }

  @Test func answersThatWaitForAnEarlierOneAreBoundedToo() throws {
    let harness = try Harness()
    try harness.head(1, GRPCMethod.modelStreamInfer.path)
    try harness.data(1, GRPCFramingTests.frame(InferRequestTests.request(model: "held")), end: false)
    let request = GRPCFramingTests.frame(InferRequestTests.request(raw: [UInt8](repeating: 7, count: 20_000)))
    for _ in 0..<50 { try harness.data(1, request, end: false) }
    try harness.data(1, [], end: true)
    #expect(harness.service.state.withLock { $0.requests.count } == 5)
    #expect(try harness.sent().isEmpty)
    harness.service.release(0)
    var sent = try harness.sent()
    for _ in 0..<50 { sent += try harness.sent() }
    #expect(harness.service.state.withLock { $0.requests.count } == 51)
    #expect(sent.last == "1 end 0")
    #expect(harness.connection.streams.isEmpty)
  }

  @Test func callsWaitForAnswersOfTheWholeConnection() throws {
    var options = GRPCServerOptions()
    options.maximumUnsentBytes = 100_000
    let harness = try Harness(options)
    harness.flushes.isStuck = true
    for index in 0..<40 {
      try harness.call(HTTP2StreamID(2 * index + 1), .modelInfer, InferRequestTests.request(raw: [UInt8](repeating: 7, count: 20_000)))
    }
    #expect(harness.service.state.withLock { $0.requests.count } == 5)
    // Another kind of call waits as well: its answer would be held too.
    try harness.call(101, .serverMetadata, [])
    harness.flushes.isStuck = false
    for _ in 0..<50 {
      harness.channel.flush()
      harness.channel.embeddedEventLoop.run()
    }
    #expect(harness.service.state.withLock { $0.requests.count } == 40)
    #expect(try harness.sent().count { $0.hasSuffix("end 0") } == 41)
    #expect(harness.connection.streams.isEmpty)
    #expect(options.unsent.current == 0)
  }

  @Test func inferencesWaitForWhatIsExpectedOfOthers() throws {
    var options = GRPCServerOptions()
    options.maximumExpectedBytes = 50_000
    let harness = try Harness(options)
    let request = InferRequestTests.request(model: "held", raw: [UInt8](repeating: 7, count: 20_000))
    for index in 0..<6 { try harness.call(HTTP2StreamID(2 * index + 1), .modelInfer, request) }
    #expect(harness.service.state.withLock { $0.requests.count } == 3)
    // Looking does not wait for computing.
    try harness.call(101, .serverMetadata, [])
    #expect(try harness.sent().last == "101 end 0")
    harness.service.release(0)
    _ = try harness.sent()
    #expect(harness.service.state.withLock { $0.requests.count } == 4)
    for index in 1..<6 {
      harness.service.release(index)
      _ = try harness.sent()
    }
    #expect(harness.connection.streams.isEmpty)
  }

  @Test func nothingIsReadWhileTheSocketTakesNothing() throws {
    let reads = ReadCounter()
    let harness = try Harness()
    try harness.channel.pipeline.syncOperations.addHandler(reads, position: .first)
    harness.channel.isWritable = false
    harness.channel.pipeline.fireChannelWritabilityChanged()
    harness.channel.read()
    #expect(reads.count == 0)
    harness.channel.isWritable = true
    harness.channel.pipeline.fireChannelWritabilityChanged()
    #expect(reads.count == 1)
  }

  @Test func aSocketThatTakesNothingIsGivenUpAfterItsTime() throws {
    let harness = try Harness()
    harness.channel.isWritable = false
    harness.channel.pipeline.fireChannelWritabilityChanged()
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(59))
    #expect(harness.channel.isActive)
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
    #expect(!harness.channel.isActive)
  }

  @Test func whoTakesNothingIsClosedWhereTheProcessHoldsTooMuch() throws {
    var options = GRPCServerOptions()
    options.unsent = UnsentBytes(limit: 100_000)
    let harness = try Harness(options)
    harness.flushes.isStuck = true
    try harness.head(1, GRPCMethod.modelStreamInfer.path)
    for _ in 0..<50 {
      try harness.data(1, GRPCFramingTests.frame(InferRequestTests.request(raw: [UInt8](repeating: 7, count: 20_000))), end: false)
    }
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
    // A closed window is the client's right.
    #expect(harness.channel.isActive)
    options.unsent.change(by: 100_000)
    harness.channel.embeddedEventLoop.advanceTime(by: .seconds(5))
    #expect(!harness.channel.isActive)
    #expect(options.unsent.current == 100_000)
  }

  @Test func restrictedCallsAskForTheirHeader() throws {
    var options = GRPCServerOptions()
    try options.restrictions.add(
      "metadata,inference:key=value", option: "--grpc-restricted-protocol", headerPrefix: "triton-grpc-protocol-", kind: "protocol")
    let harness = try Harness(options)
    try harness.call(1, .modelInfer, InferRequestTests.request())
    #expect(try harness.sent().first == "1 end 14 This protocol is restricted, expecting header 'triton-grpc-protocol-key'")
    try harness.call(3, .modelInfer, InferRequestTests.request(), [("triton-grpc-protocol-key", "other")])
    #expect(try harness.sent().first?.hasPrefix("3 end 14") == true)
    try harness.call(5, .modelInfer, InferRequestTests.request(), [("triton-grpc-protocol-key", "value")])
    #expect(try harness.sent().last == "5 end 0")
    try harness.call(7, .serverLive, [])
    #expect(try harness.sent().last == "7 end 0")
  }

  final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = NIOAny
    var count = 0
    func read(context: ChannelHandlerContext) {
      count += 1
      context.read()
    }
  }

  @Test func oneFlushForABatchOfAnswers() throws {
    let harness = try Harness()
    for index in 0..<10 { try harness.call(HTTP2StreamID(2 * index + 1), .modelInfer, InferRequestTests.request(model: "held")) }
    let before = harness.flushes.count
    for index in 0..<10 { harness.service.release(index) }
    #expect(try harness.sent().count == 30)
    #expect(harness.flushes.count == before + 1)
  }
}
