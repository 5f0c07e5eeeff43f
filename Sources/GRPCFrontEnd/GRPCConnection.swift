import KServe
import NIOCore
import NIOHPACK
import NIOHTTP2
import Serving
import TimeBase

/// One client's connection: HTTP/2 frames in, calls of the service, frames out.
///
/// It stands directly behind `NIOHTTP2Handler`, which knows the protocol's states, splits DATA to the peer's windows and holds it back. There
/// is no channel for every stream, as the multiplexer makes them: a small call would pay for one more pipeline (Docs/decisions/grpc.md).
///
/// `@unchecked Sendable`: closures that come back to it are only ever run on its channel's event loop (replies of the service by its
/// contract, scheduled tasks by construction), and no other thread reads or writes a variable of it; `drain` and `close` only hop there.
final class GRPCConnection: ChannelDuplexHandler, @unchecked Sendable {
  typealias InboundIn = HTTP2Frame
  typealias OutboundIn = Never
  typealias OutboundOut = HTTP2Frame

  let service: any KServeService
  let options: GRPCServerOptions
  let loop: any EventLoop
  let allocator = ByteBufferAllocator()
  private let onClose: @Sendable (GRPCConnection) -> Void
  private(set) var context: ChannelHandlerContext?
  var streams: [HTTP2StreamID: GRPCStream] = [:]

  // What the client has not taken: GRPCConnection+Backlog.
  var backlog = Backlog()
  var watch: Scheduled<Void>?
  private var isReadHeld = false

  private var isReading = false
  private var isFlushScheduled = false
  private var needsFlush = false
  private var hasOpenedWindow = false
  /// What the client may send, as last told by the handler below.
  private var connectionWindow = 65_535
  private var isDraining = false
  private var hasSaidLastStream = false
  private var lastStream = HTTP2StreamID.rootStream

  init(
    service: any KServeService, options: GRPCServerOptions, eventLoop: any EventLoop, onClose: @escaping @Sendable (GRPCConnection) -> Void
  ) {
    self.service = service
    self.options = options
    loop = eventLoop
    self.onClose = onClose
  }

  static func now() -> Instant { Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { abandonAll() }

  func channelInactive(context: ChannelHandlerContext) {
    abandonAll()
    context.fireChannelInactive()
  }

  private func abandonAll() {
    guard context != nil else { return }
    context = nil
    let open = streams
    streams = [:]
    for stream in open.values {
      stream.isFinished = true
      stream.abandon()
      release(stream)
    }
    watch?.cancel()
    watch = nil
    report(0)
    onClose(self)
  }

  /// While the socket takes nothing, nothing is read: what was read would be answered, if only by refusals and acknowledgements.
  func read(context: ChannelHandlerContext) {
    if context.channel.isWritable { context.read() } else { isReadHeld = true }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if !context.channel.isWritable {
      startWatch()
    } else if isReadHeld {
      isReadHeld = false
      context.read()
    }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Frames in

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isReading = true
    let frame = unwrapInboundIn(data)
    switch frame.payload {
    case .headers(let headers): received(headers, on: frame.streamID)
    case .data(let payload):
      guard let stream = streams[frame.streamID] else { return }
      if case .byteBuffer(let bytes) = payload.data { received(bytes, isLast: payload.endStream, on: stream) }
    case .settings: openWindow()
    case .ping(_, ack: true): if isDraining { sayLastStream() }
    default: break
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flushNow()
    context.fireChannelReadComplete()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    // A call has five of them, and a conditional cast to another type is dear: the types are compared first.
    let type = type(of: event)
    if type == NIOHTTP2WindowUpdatedEvent.self, let change = event as? NIOHTTP2WindowUpdatedEvent {
      windowChanged(change)
    } else if type == StreamClosedEvent.self, let closed = event as? StreamClosedEvent {
      // An answered call ends here too: its answer has left the windows' buffers.
      if let stream = streams.removeValue(forKey: closed.streamID) {
        stream.isFinished = true
        stream.abandon()
        release(stream)
        closeIfDrained()
      }
    } else if type == ChannelEvent.self, let event = event as? ChannelEvent, event == .inputClosed {
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A stream's error was answered with RST_STREAM by the handler below; anything else is the end of the connection.
    if error is NIOHTTP2Errors.StreamError { return }
    context.close(promise: nil)
  }

  // MARK: Windows

  private func openWindow() {
    if hasOpenedWindow { return }
    hasOpenedWindow = true
    // Every connection starts with 65,535 bytes, which SETTINGS cannot change (RFC 9113, 6.9.2).
    let increment = options.connectionWindowBytes - 65_535
    if increment > 0 { write(.windowUpdate(windowSizeIncrement: increment), on: .rootStream) }
  }

  private func windowChanged(_ change: NIOHTTP2WindowUpdatedEvent) {
    guard let size = change.inboundWindowSize else { return }
    if change.streamID == .rootStream {
      connectionWindow = size
      renewConnectionWindow()
    } else if size < options.streamWindowBytes / 2, let stream = streams[change.streamID], !stream.isHalfClosed, !stream.isFinished {
      if stream.outstanding >= options.maximumOutstandingPerStream || stream.isWaiting {
        stream.isWindowHeld = true
      } else {
        write(.windowUpdate(windowSizeIncrement: options.streamWindowBytes - size), on: change.streamID)
      }
    }
  }

  /// At half of it, unless requests wait: then what the client may still send is what it was granted.
  func renewConnectionWindow() {
    guard connectionWindow < options.connectionWindowBytes / 2, !backlog.isHolding(options, isInference: true) else { return }
    let increment = options.connectionWindowBytes - connectionWindow
    connectionWindow = options.connectionWindowBytes
    write(.windowUpdate(windowSizeIncrement: increment), on: .rootStream)
  }

  /// After an answer: a stream whose window ran low while too much waited gets it back.
  func renewHeldWindow(of stream: GRPCStream) {
    guard stream.isWindowHeld, !stream.isWaiting, stream.outstanding < options.maximumOutstandingPerStream / 2, !stream.isHalfClosed,
      !stream.isFinished
    else { return }
    stream.isWindowHeld = false
    // At least half of the window is spent, or it would not have been held.
    write(.windowUpdate(windowSizeIncrement: max(1, options.streamWindowBytes / 2)), on: stream.id)
  }

  // MARK: Requests

  private func received(_ payload: HTTP2Frame.FramePayload.Headers, on id: HTTP2StreamID) {
    if let stream = streams[id] {
      // Trailers of a request, which gRPC clients do not send, only end it.
      if payload.endStream { received(ByteBuffer(), isLast: true, on: stream) }
      return
    }
    if id > lastStream { lastStream = id }
    let head = GRPCRequestHead(payload.headers)
    guard head.isGRPC, head.method == "POST" else {
      write(.headers(.init(headers: GRPCHeaders.refusal(httpStatus: head.method == "POST" ? 415 : 405), endStream: true)), on: id)
      if !payload.endStream { write(.rstStream(.noError), on: id) }
      return
    }
    guard let method = GRPCMethod.byPath[head.path] else {
      refuse(.unimplemented("unknown call '\(head.path)'"), on: id, isHalfClosed: payload.endStream)
      return
    }
    let stream = GRPCStream(id: id, method: method, received: Self.now(), maximumBytes: options.maximumMessageBytes)
    stream.encoding = head.encoding
    stream.bearerToken = head.bearerToken
    stream.requiresReal = head.requiresReal
    stream.endsOnError = head.endsOnError
    if !options.restrictions.isEmpty, let restriction = options.restrictions[method.group],
      !restriction.admits(payload.headers.first(name: restriction.header))
    {
      // server src/grpc/grpc_server.cc, CommonCallData::Execute.
      let text = "This protocol is restricted, expecting header '\(restriction.header)'"
      refuse(GRPCStatus(code: 14, text), on: id, isHalfClosed: payload.endStream)
      return
    }
    streams[id] = stream
    if let text = head.timeout {
      guard let timeout = GRPCTimeout.parse(text) else {
        stream.isHalfClosed = payload.endStream
        finish(stream, .internalError("malformed grpc-timeout '\(text)'"))
        return
      }
      // A deadline of zero is scheduled like any other and comes due before the next read.
      stream.deadline = loop.scheduleTask(in: timeout) { [self] in
        if let late = streams[id] { finish(late, .deadlineExceeded) }
      }
    }
    if payload.endStream { received(ByteBuffer(), isLast: true, on: stream) }
  }

  private func received(_ bytes: ByteBuffer, isLast: Bool, on stream: GRPCStream) {
    if isLast { stream.isHalfClosed = true }
    if stream.isFinished { return }
    if bytes.readableBytes > 0 { stream.assembler.append(bytes) }
    if !stream.isWaiting { advance(stream) }
  }

  /// Acts on what has come of a stream's request, unless too much waits for the client.
  func advance(_ stream: GRPCStream) {
    do throws(GRPCStatus) {
      while !stream.isFinished {
        if mustWait(stream) { return }
        guard let message = try stream.assembler.next() else { break }
        try take(try plain(message, on: stream), on: stream)
      }
      if stream.isHalfClosed, !stream.isFinished, !stream.isRequestTaken {
        stream.isRequestTaken = true
        try endOfRequest(stream)
      }
    } catch {
      finish(stream, error)
    }
  }

  /// The message without its compression.
  private func plain(_ message: GRPCMessageAssembler.Message, on stream: GRPCStream) throws(GRPCStatus) -> ByteBuffer {
    guard message.isCompressed else { return message.bytes }
    guard let encoding = stream.encoding else { throw .internalError("a message is flagged as compressed, but grpc-encoding is identity") }
    guard let inflate = options.inflate, let compression = GRPCServerOptions.Compression(rawValue: encoding) else {
      throw .unimplemented("messages compressed with '\(encoding)' cannot be read")
    }
    guard let bytes = inflate(message.bytes, compression, options.maximumMessageBytes) else {
      throw .internalError("a message is not valid \(encoding), or larger than \(options.maximumMessageBytes) bytes")
    }
    return bytes
  }

  private func take(_ message: ByteBuffer, on stream: GRPCStream) throws(GRPCStatus) {
    if stream.method == .modelStreamInfer { return inferStreamed(message, on: stream) }
    // A unary call begins when the request is complete: only then is it known to be one message.
    guard stream.message == nil else { throw .internalError("a second message in a unary call") }
    stream.message = message
  }

  private func endOfRequest(_ stream: GRPCStream) throws(GRPCStatus) {
    if stream.assembler.isInsideMessage { throw .internalError("the request ends inside a message") }
    if stream.method == .modelStreamInfer { return finishIfAnswered(stream) }
    guard let message = stream.message else { throw .internalError("a unary call needs one message") }
    stream.message = nil
    switch stream.method {
    case .modelInfer: infer(message, on: stream)
    case .healthWatch: try watchHealth(message, on: stream)
    default:
      let calls = ControlCalls(service: service, loop: loop, bearerToken: stream.bearerToken)
      let id = stream.id
      calls.answer(stream.method, message) { [self] outcome in
        guard let stream = streams[id] else { return }
        switch outcome {
        case .success(let bytes):
          send(framed(bytes), on: stream)
          finish(stream, .ok)
        case .failure(let status): finish(stream, status)
        }
      }
    }
  }

  // MARK: Answers

  /// An encoded message behind its prefix.
  func framed(_ message: [UInt8]) -> [ByteBuffer] {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(message.count + 5)
    buffer.writeInteger(0, as: UInt8.self)
    buffer.writeInteger(UInt32(clamping: message.count))
    buffer.writeBytes(message)
    return [buffer]
  }

  /// A message in pieces, after the response's head if it is the first.
  func send(_ pieces: [ByteBuffer], on stream: GRPCStream) {
    if stream.isFinished || pieces.isEmpty { return }
    if !stream.hasSentHead {
      stream.hasSentHead = true
      write(.headers(.init(headers: GRPCHeaders.head)), on: stream.id)
    }
    var bytes = 0
    for piece in pieces { bytes += piece.readableBytes }
    let promise = promise(forAnswerOf: bytes, on: stream)
    for (index, piece) in pieces.enumerated() {
      write(.data(.init(data: .byteBuffer(piece))), on: stream.id, index == pieces.count - 1 ? promise : nil)
    }
  }

  /// Ends a call; what still runs for it is cancelled.
  func finish(_ stream: GRPCStream, _ status: GRPCStatus) {
    if stream.isFinished { return }
    stream.isFinished = true
    stream.abandon()
    let headers: HPACKHeaders
    if status.code == 0, stream.hasSentHead {
      headers = GRPCHeaders.okTrailers
    } else {
      headers = GRPCHeaders.trailers(status, alone: !stream.hasSentHead, acceptEncoding: status.code == 12 ? acceptEncoding : nil)
    }
    // A client that still sends after its answer is told to stop; but RST_STREAM would overtake messages that wait for its window. The handler
    // below reports the stream as closed when the last frame has left it.
    let mustReset = !stream.isHalfClosed && !stream.hasSentHead
    write(.headers(.init(headers: headers, endStream: true)), on: stream.id)
    if mustReset { write(.rstStream(.noError), on: stream.id) }
  }

  private var acceptEncoding: String { options.inflate == nil ? "identity" : "identity,deflate,gzip" }

  /// An error for a stream that never became a call.
  private func refuse(_ status: GRPCStatus, on id: HTTP2StreamID, isHalfClosed: Bool) {
    let headers = GRPCHeaders.trailers(status, alone: true, acceptEncoding: nil)
    write(.headers(.init(headers: headers, endStream: true)), on: id)
    if !isHalfClosed { write(.rstStream(.noError), on: id) }
  }

  private func write(_ payload: HTTP2Frame.FramePayload, on id: HTTP2StreamID, _ promise: EventLoopPromise<Void>? = nil) {
    guard let context else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    context.write(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: promise)
    needsFlush = true
    // Inside a read one flush follows at its end; outside, one for all answers of this turn of the loop.
    if isReading || isFlushScheduled { return }
    isFlushScheduled = true
    loop.execute { [self] in
      isFlushScheduled = false
      flushNow()
    }
  }

  private func flushNow() {
    guard needsFlush, let context else { return }
    needsFlush = false
    context.flush()
  }

  // MARK: The end

  /// Takes no new calls and closes when the open ones are answered. From any thread.
  func drain() {
    loop.execute { [self] in
      guard context != nil, !isDraining else { return }
      isDraining = true
      // A watch never ends by itself; its client is told and will ask the next server.
      for stream in Array(streams.values) where stream.method == .healthWatch {
        finish(stream, GRPCStatus(code: 14, "the server is shutting down"))
      }
      // Two GOAWAYs with a round trip between, so that no call on its way is refused (RFC 9113, 6.8).
      write(.goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil), on: .rootStream)
      write(.ping(HTTP2PingData(withInteger: 0x68_65_61_64_72_6F_6F_6D), ack: false), on: .rootStream)
      loop.scheduleTask(in: .seconds(1)) { [self] in sayLastStream() }
    }
  }

  /// Closes at once. From any thread.
  func close() {
    loop.execute { [self] in context?.close(promise: nil) }
  }

  private func sayLastStream() {
    if hasSaidLastStream || context == nil { return }
    hasSaidLastStream = true
    write(.goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil), on: .rootStream)
    closeIfDrained()
  }

  private func closeIfDrained() {
    guard hasSaidLastStream, streams.isEmpty else { return }
    // Behind what is being written, and not from inside a frame's handling.
    loop.execute { [self] in
      flushNow()
      closeWhenTaken()
    }
  }

  /// The client has its last answer before it sees the end, and it closes first if it will: what it still sends would be answered by a reset.
  private func closeWhenTaken() {
    guard let context else { return }
    if context.bufferedBytes > 0 {
      loop.scheduleTask(in: .milliseconds(10)) { [self] in closeWhenTaken() }
      return
    }
    context.close(mode: .output, promise: nil)
    loop.scheduleTask(in: .seconds(1)) { [self] in self.context?.close(promise: nil) }
  }
}
