import KServe
import NIOCore
import TimeBase
import Threads

/// One HTTP/1 connection: framing, limits, order of answers. What a request means decides `HTTPApplication`.
///
/// One request at a time is worked on; what a client pipelines behind it waits in `unread`, and reading stops while that is much.
final class HTTPConnection: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  private enum State {
    /// Between requests, or within a head.
    case head
    case body(HTTPRequestHead, missing: Int)
    case chunks(HTTPRequestHead, ChunkedBody)
    /// The application works.
    case answering(HTTPRequestHead)
    case closed
  }

  private let application: any HTTPApplication
  private let limits: HTTPLimits
  private let connections: ConnectionCount
  private var state = State.head
  private var unread: ByteBuffer?
  private var body = HTTPBody()
  private var received = Instant.zero
  private var inference = HTTPInference()
  private var lastPath: [UInt8] = []
  private var lastRoute: HTTPRoute?
  private var handle: InferenceHandle?
  /// Counts requests: an answer to an earlier one is dropped.
  private var serial = 0
  private var inputHasEnded = false
  private var isReadHeld = false
  private var isHandling = false
  private var needsFlush = false
  private var isInRead = false
  private var patience: Scheduled<Void>?
  private var context: ChannelHandlerContext?
  private static let unreadLimit = 1 << 20

  init(application: any HTTPApplication, limits: HTTPLimits, connections: ConnectionCount) {
    self.application = application
    self.limits = limits
    self.connections = connections
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelInactive(context: ChannelHandlerContext) {
    connections.leave()
    state = .closed
    patience?.cancel()
    patience = nil
    handle?.cancel()
    handle = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed {
      inputHasEnded = true
      guard case .answering = state else {
        context.close(promise: nil)
        return
      }
      // A client that hung up and one that only has no more to say look alike until something is written to them. The second is owed its
      // answer; the first costs a batch row. A reset leaves no doubt and cancels (channelInactive).
      return
    }
    context.fireUserInboundEventTriggered(event)
  }

  func read(context: ChannelHandlerContext) {
    if case .answering = state, (unread?.readableBytes ?? 0) > Self.unreadLimit {
      isReadHeld = true
    } else {
      context.read()
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isInRead = true
    var bytes = unwrapInboundIn(data)
    if unread == nil {
      unread = bytes
    } else {
      unread?.writeBuffer(&bytes)
    }
    work(context)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isInRead = false
    if needsFlush {
      needsFlush = false
      context.flush()
    }
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    // The client takes bytes again.
    if context.channel.isWritable, case .head = state { stopWaiting() }
    context.fireChannelWritabilityChanged()
  }

  // MARK: - Framing

  private func work(_ context: ChannelHandlerContext) {
    guard !isHandling else { return }
    isHandling = true
    defer { isHandling = false }
    while unread != nil {
      switch state {
      case .head: if !readHead(context) { return }
      case .body(let head, let missing): if !readBody(context, head, missing) { return }
      case .chunks(let head, let chunks): if !readChunks(context, head, chunks) { return }
      case .answering: return
      case .closed:
        unread = nil
        return
      }
    }
  }

  /// True when there may be more to do at once.
  private func readHead(_ context: ChannelHandlerContext) -> Bool {
    guard let bytes = unread, bytes.readableBytes > 0 else {
      unread = nil
      return false
    }
    switch bytes.withUnsafeReadableBytes(HTTPRequestParser.parse) {
    case .incomplete:
      if inputHasEnded {
        close(context)
      } else if bytes.readableBytes > limits.headBytes {
        send(.error(431, "the request's header is longer than \(limits.headBytes) bytes", closes: true), nil)
      } else if patience == nil {
        received = MonotonicClock.now
        wait(limits.headTime, "the request's header")
      }
      return false
    case .malformed:
      close(context)
      return false
    case .head(let head):
      if head.length > limits.headBytes {
        send(.error(431, "the request's header is longer than \(limits.headBytes) bytes", closes: true), nil)
        return false
      }
      if patience == nil { received = MonotonicClock.now } else { stopWaiting() }
      return begin(context, head, bytes)
    }
  }

  private func begin(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ bytes: ByteBuffer) -> Bool {
    route(head, bytes)
    let bearer = head.bearerToken.flatMap { bytes.getString(at: bytes.readerIndex + $0.lowerBound, length: $0.count) }
    self.bearer = bearer
    query = head.query.isEmpty ? "" : bytes.getString(at: bytes.readerIndex + head.query.lowerBound, length: head.query.count) ?? ""
    unread?.moveReaderIndex(forwardBy: head.length)
    body = HTTPBody()
    if let length = head.contentLength, length > limits.bodyBytes {
      send(.error(413, "the request's body is \(length) bytes; the limit is \(limits.bodyBytes) bytes", closes: true), head)
      return false
    }
    if head.expectsContinue, head.contentLength ?? (head.isChunked ? 1 : 0) > 0, (unread?.readableBytes ?? 0) == 0 {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
    }
    if head.isChunked {
      state = .chunks(head, ChunkedBody())
      return true
    }
    let length = head.contentLength ?? 0
    if length > 0 {
      state = .body(head, missing: length)
      if (unread?.readableBytes ?? 0) == 0 { unread = nil }
      if unread == nil { wait(limits.bodySilence, "the request's body") }
      return true
    }
    finish(head)
    return true
  }

  private func readBody(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ missing: Int) -> Bool {
    guard var bytes = unread else { return false }
    let count = min(missing, bytes.readableBytes)
    if let slice = bytes.readSlice(length: count) { body.append(slice) }
    unread = bytes.readableBytes > 0 ? bytes : nil
    if count == missing {
      stopWaiting()
      finish(head)
      return true
    }
    state = .body(head, missing: missing - count)
    wait(limits.bodySilence, "the request's body")
    return false
  }

  private func readChunks(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ chunks: ChunkedBody) -> Bool {
    guard var bytes = unread else { return false }
    var chunks = chunks
    let start = bytes.readerIndex
    var slices: [ByteBuffer] = []
    let used = bytes.withUnsafeReadableBytes { raw in
      chunks.read(raw) { range in
        if let slice = bytes.getSlice(at: start + range.lowerBound, length: range.count) { slices.append(slice) }
      }
    }
    for slice in slices { body.append(slice) }
    bytes.moveReaderIndex(forwardBy: used)
    unread = bytes.readableBytes > 0 ? bytes : nil
    if chunks.isMalformed {
      close(context)
      return false
    }
    if body.byteCount > limits.bodyBytes {
      send(.error(413, "the request's body is longer than the limit of \(limits.bodyBytes) bytes", closes: true), head)
      return false
    }
    if chunks.hasEnded {
      stopWaiting()
      finish(head)
      return true
    }
    state = .chunks(head, chunks)
    wait(limits.bodySilence, "the request's body")
    return false
  }

  private var bearer: String?
  private var query = ""

  /// The route of the head's path; most connections ask for one path all the time.
  private func route(_ head: HTTPRequestHead, _ bytes: ByteBuffer) {
    bytes.withUnsafeReadableBytes { raw in
      let path = UnsafeRawBufferPointer(rebasing: raw[head.path])
      if lastPath.count == path.count, lastPath.elementsEqual(path) { return }
      lastPath = Array(path)
      lastRoute = HTTPRoute(path: String(decoding: path, as: UTF8.self))
    }
  }

  private func finish(_ head: HTTPRequestHead) {
    guard let context else { return }
    state = .answering(head)
    serial += 1
    let number = serial
    var whole = body
    body = HTTPBody()
    if head.contentCoding != .identity, whole.byteCount > 0 || head.contentCoding == nil {
      guard let coding = head.contentCoding else { return send(.error(501, "Unsupported compression type", .plain), head) }
      do throws(BodyCoding.Failure) {
        let inflated = try BodyCoding.inflated(whole.slices, coding, limit: limits.bodyBytes)
        whole = HTTPBody()
        whole.append(inflated)
      } catch {
        return send(
          error == .tooLarge
            ? .error(413, "the request's body is longer than the limit of \(limits.bodyBytes) bytes once decompressed", closes: true)
            : .error(400, "the request's body is no \(coding.rawValue) stream", .plain), head)
      }
    }
    let exchange = HTTPExchange(
      route: lastRoute, path: lastPath, query: query, head: head, body: whole, bearerToken: bearer, received: received,
      loop: context.eventLoop)
    handle = application.handle(exchange, inference: &inference) { [weak self] answer in
      guard let self, self.serial == number else { return }
      self.handle = nil
      self.send(answer, head)
    }
    // Answered at once: nothing is left to cancel.
    if case .answering = state, serial == number { return }
    handle = nil
  }

  // MARK: - Answers

  private func send(_ answer: HTTPAnswer, _ head: HTTPRequestHead?) {
    guard let context, context.channel.isActive else { return }
    if case .closed = state { return }
    let keepsAlive = (head?.keepsAlive ?? false) && !answer.closes && !(inputHasEnded && (unread?.readableBytes ?? 0) == 0)
    var out = context.channel.allocator.buffer(capacity: 192 + min(answer.byteCount, 4096))
    answer.writeHead(
      into: &out, version: (head?.majorVersion ?? 1, head?.minorVersion ?? 1), keepsAlive: keepsAlive, saidClose: head?.saysClose ?? true)
    if answer.isChunked {
      for part in answer.body where part.readableBytes > 0 {
        out.writeString(String(part.readableBytes, radix: 16) + "\r\n")
        out.writeImmutableBuffer(part)
        out.writeStaticString("\r\n")
      }
      out.writeStaticString("0\r\n\r\n")
    } else {
      // Small bodies ride in the head's buffer; large ones go out as they are, in one writev.
      for part in answer.body where part.readableBytes > 0 {
        if out.readableBytes + part.readableBytes <= 16 << 10 {
          out.writeImmutableBuffer(part)
        } else {
          context.write(wrapOutboundOut(out), promise: nil)
          out = part
        }
      }
    }
    context.write(wrapOutboundOut(out), promise: nil)
    if keepsAlive {
      state = .head
      flush(context)
      if !context.channel.isWritable { wait(limits.writeSilence, "the answer to be taken") }
      if isReadHeld {
        isReadHeld = false
        context.read()
      }
      work(context)
    } else {
      state = .closed
      context.flush()
      // The client may still be sending: what it sends is dropped, and the close waits until what was written is gone.
      context.close(mode: .output, promise: nil)
      wait(.milliseconds(2000), "the client's close")
    }
  }

  /// Answers to a burst of pipelined requests leave together.
  private func flush(_ context: ChannelHandlerContext) {
    if isInRead { needsFlush = true } else { context.flush() }
  }

  private func close(_ context: ChannelHandlerContext) {
    state = .closed
    context.close(promise: nil)
  }

  // MARK: - Patience

  private func wait(_ span: TimeSpan, _ what: StaticString) {
    patience?.cancel()
    guard let context else { return }
    patience = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(span.nanoseconds)) { [weak self] in
      guard let self, let context = self.context else { return }
      self.patience = nil
      if case .head = self.state, self.unread != nil { return self.send(.error(408, "timed out waiting for \(what)", closes: true), nil) }
      if case .body = self.state { return self.send(.error(408, "timed out waiting for \(what)", closes: true), nil) }
      if case .chunks = self.state { return self.send(.error(408, "timed out waiting for \(what)", closes: true), nil) }
      self.close(context)
    }
  }

  private func stopWaiting() {
    patience?.cancel()
    patience = nil
  }
}

/// One request on its way to an answer.
struct HTTPExchange {
  /// nil: there is no such path.
  var route: HTTPRoute?
  var path: [UInt8]
  var query: String
  var head: HTTPRequestHead
  var body: HTTPBody
  var bearerToken: String?
  var received: Instant
  var loop: any EventLoop
}

/// What requests mean. Called on the connection's event loop; `answer` is to be called once, there.
protocol HTTPApplication: Sendable {
  func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle?
}
