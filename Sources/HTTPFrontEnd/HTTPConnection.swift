import Glibc
import KServe
import NIOCore
import Serving
import Threads
import TimeBase

/// One HTTP/1 connection: framing, limits, order of answers. What a request means decides `HTTPApplication`.
///
/// One request at a time is worked on; what a client pipelines behind it waits in `unread`, and reading stops while that is much. No request is
/// begun while what the client has not taken of earlier answers exceeds `HTTPLimits.unsentBytes`: the connection holds that and one answer more,
/// however much is asked for.
final class HTTPConnection: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  enum State {
    /// Between requests, or within a head.
    case head
    case body(HTTPRequestHead, missing: Int)
    case chunks(HTTPRequestHead, ChunkedBody)
    /// The application works.
    case answering(HTTPRequestHead)
    /// The last answer is written; what still comes is dropped, and the connection ends when the client has everything.
    case closing
    case closed
  }

  let application: any HTTPApplication
  let limits: HTTPLimits
  let connections: HTTPConnections
  let unsent: UnsentBytes
  var state = State.head
  var unread: ByteBuffer?
  private var body = HTTPBody()
  private var received = Instant.zero
  private var inference = HTTPInference()
  private var lastPath: [UInt8] = []
  private var lastRoute: HTTPRoute?
  private var bearer: String?
  private var query = ""
  private var refusal: HTTPAnswer?
  private var handle: InferenceHandle?
  /// Counts requests: an answer to an earlier one is dropped.
  private var serial = 0
  var inputHasEnded = false
  var isDraining = false
  var isReadHeld = false
  private var isHandling = false
  /// Requests begun since the event loop came to this connection.
  private var begunInTurn = 0
  /// More is to be done once the loop's other connections had their turn.
  private var hasYielded = false
  var needsFlush = false
  var isInRead = false
  private var timeout: Scheduled<Void>?
  var context: ChannelHandlerContext?

  // What the client has not taken: HTTPConnection+Answers.
  var backlog = WriteBacklog()
  /// This connection's share of `unsent`.
  var reported = 0
  var watch: Scheduled<Void>?
  var lingering: Lingering?

  init(application: any HTTPApplication, limits: HTTPLimits, connections: HTTPConnections, unsent: UnsentBytes = UnsentBytes()) {
    self.application = application
    self.limits = limits
    self.connections = connections
    self.unsent = unsent
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelInactive(context: ChannelHandlerContext) {
    connections.leave(self)
    state = .closed
    timeout?.cancel()
    timeout = nil
    watch?.cancel()
    watch = nil
    unread = nil
    report(0)
    handle?.cancel()
    handle = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard let event = event as? ChannelEvent, event == .inputClosed else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    inputHasEnded = true
    switch state {
    // A client that hung up and one that only has no more to say look alike until something is written to them. The second is owed its
    // answer; the first costs a batch row. A reset leaves no doubt and cancels (channelInactive).
    case .answering: break
    // What was pipelined before the end, and waits for room, is answered.
    case .head where unread != nil && (hasYielded || isBlocked(context)): break
    case .head, .body, .chunks: end(context)
    case .closing: lingerOn()
    case .closed: break
    }
  }

  func read(context: ChannelHandlerContext) {
    if shouldHoldRead(context) { holdRead() } else { context.read() }
  }

  private func shouldHoldRead(_ context: ChannelHandlerContext) -> Bool {
    switch state {
    case .answering: (unread?.readableBytes ?? 0) > HTTPLimits.unsentBytes
    case .head: hasYielded && (unread?.readableBytes ?? 0) > HTTPLimits.unsentBytes || isBlocked(context)
    case .body, .chunks, .closing, .closed: false
    }
  }

  /// Lets the loop's other connections have their turn before the next request that was pipelined here.
  private func yield(_ context: ChannelHandlerContext) {
    hasYielded = true
    context.eventLoop.assumeIsolated().execute { [weak self] in
      guard let self, let context = self.context else { return }
      self.hasYielded = false
      self.isInRead = true
      self.resume(context)
      self.isInRead = false
      if self.needsFlush { self.flushNow(context) }
    }
  }

  private func holdRead() {
    isReadHeld = true
    guard let bytes = unread, bytes.storageCapacity > 2 * bytes.readableBytes + 1024 else { return }
    // It may wait for long, in a buffer that was made for the largest read.
    unread = bytes.readableBytes == 0 ? nil : ByteBuffer(bytes: bytes.readableBytesView)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    switch state {
    case .closing, .closed: return
    case .head, .body, .chunks, .answering: break
    }
    isInRead = true
    if unread == nil {
      unread = bytes
    } else {
      unread?.writeBuffer(&bytes)
    }
    work(context)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isInRead = false
    if needsFlush { flushNow(context) }
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { resume(context) }
    context.fireChannelWritabilityChanged()
  }

  /// There may be room again, or the answer is written: on with what waits.
  func resume(_ context: ChannelHandlerContext) {
    if isReadHeld, !shouldHoldRead(context) {
      isReadHeld = false
      context.read()
    }
    work(context)
  }

  /// Called on the loop when the server ends: the next answer is the last, and a connection without a request ends after `grace`, in which a
  /// request that is on its way is still taken.
  func drain(grace: TimeAmount) {
    guard let context, !isDraining else { return }
    isDraining = true
    _ = context.eventLoop.assumeIsolated().scheduleTask(in: grace) { [weak self] in
      guard let self, let context = self.context else { return }
      if case .head = self.state, self.unread == nil { self.end(context) }
    }
  }

  // MARK: - Framing

  private func work(_ context: ChannelHandlerContext) {
    guard !isHandling, !hasYielded else { return }
    isHandling = true
    defer { isHandling = false }
    begunInTurn = 0
    while unread != nil {
      switch state {
      case .head:
        if begunInTurn == HTTPLimits.requestsPerTurn { return yield(context) }
        if isBlocked(context) || !readHead(context) { return }
      case .body(let head, let missing): if !readBody(context, head, missing) { return }
      case .chunks(let head, let chunks): if !readChunks(context, head, chunks) { return }
      case .answering: return
      case .closing, .closed:
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
        end(context)
      } else if bytes.readableBytes > limits.headBytes {
        send(.error(431, "the request's header is longer than \(limits.headBytes) bytes", closes: true), nil)
      } else if timeout == nil {
        received = MonotonicClock.now
        wait(limits.headTime, "the request's header")
      }
      return false
    case .malformed:
      end(context)
      return false
    case .refused(let problem):
      send(.error(400, problem, closes: true), nil)
      return false
    case .head(let head):
      if head.length > limits.headBytes {
        send(.error(431, "the request's header is longer than \(limits.headBytes) bytes", closes: true), nil)
        return false
      }
      if timeout == nil { received = MonotonicClock.now } else { stopWaiting() }
      return begin(context, head, bytes)
    }
  }

  private func begin(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ bytes: ByteBuffer) -> Bool {
    route(head, bytes)
    bearer = head.bearerToken.flatMap { bytes.getString(at: bytes.readerIndex + $0.lowerBound, length: $0.count) }
    query = head.query.isEmpty ? "" : bytes.getString(at: bytes.readerIndex + head.query.lowerBound, length: head.query.count) ?? ""
    refusal = bytes.withUnsafeReadableBytes {
      application.refusal(
        of: lastRoute, HTTPFields(head: head, bytes: UnsafeRawBufferPointer(rebasing: $0[..<head.length])), context.channel)
    }
    unread?.moveReaderIndex(forwardBy: head.length)
    body = HTTPBody()
    if let length = head.contentLength, length > limits.bodyBytes {
      send(tooLarge(length, head), head)
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
      if unread == nil { wait(limits.readIdleTimeout, "the request's body") }
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
    wait(limits.readIdleTimeout, "the request's body")
    return false
  }

  private func readChunks(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ chunks: ChunkedBody) -> Bool {
    guard var bytes = unread else { return false }
    var chunks = chunks
    let start = bytes.readerIndex
    var slices = HTTPBody()
    let used = bytes.withUnsafeReadableBytes { raw in
      chunks.read(raw) { range in
        if let slice = bytes.getSlice(at: start + range.lowerBound, length: range.count) { slices.append(slice) }
      }
    }
    for slice in slices.slices { body.append(slice) }
    bytes.moveReaderIndex(forwardBy: used)
    unread = bytes.readableBytes > 0 ? bytes : nil
    if chunks.isMalformed {
      send(.error(400, "the request's chunked body is malformed", closes: true), head)
      return false
    }
    if body.byteCount > limits.bodyBytes {
      send(tooLarge(body.byteCount, head), head)
      return false
    }
    if chunks.hasEnded {
      stopWaiting()
      finish(head)
      return true
    }
    state = .chunks(head, chunks)
    wait(limits.readIdleTimeout, "the request's body")
    return false
  }

  /// In the words of server `src/http_server.cc` (EVBufferToJson, EVBufferToRawInput), which answers with 400.
  private func tooLarge(_ bytes: Int, _ head: HTTPRequestHead) -> HTTPAnswer {
    let (what, unit) =
      head.inferenceHeaderLength == nil
      ? ("request JSON size of \(bytes) bytes", "input size") : ("Raw input has a byte_size (\(bytes) bytes) that", "value")
    return .error(
      413,
      "\(what) exceeds the maximum allowed \(unit) of \(limits.bodyBytes) bytes. Use --http-max-input-size to increase the limit.",
      closes: true)
  }

  /// The route of the head's path; most connections ask for one path all the time.
  private func route(_ head: HTTPRequestHead, _ bytes: ByteBuffer) {
    bytes.withUnsafeReadableBytes { raw in
      let path = UnsafeRawBufferPointer(rebasing: raw[head.path])
      if lastPath.withUnsafeBytes({ Self.areEqual($0, path) }) { return }
      lastPath = Array(path)
      lastRoute = HTTPRoute(path: String(decoding: path, as: UTF8.self))
    }
  }

  private static func areEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    guard one.count == other.count, let first = one.baseAddress, let second = other.baseAddress else { return false }
    return memcmp(first, second, one.count) == 0
  }

  private func finish(_ head: HTTPRequestHead) {
    guard let context else { return }
    state = .answering(head)
    begunInTurn += 1
    serial += 1
    let number = serial
    var whole = body
    body = HTTPBody()
    if let refusal {
      self.refusal = nil
      return send(refusal, head)
    }
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
    var exchange = HTTPExchange(
      route: lastRoute, path: lastPath, query: query, head: head, body: whole, bearerToken: bearer, received: received,
      loop: context.eventLoop)
    // As GET, and `send` leaves the content out (RFC 9110, 9.3.2).
    if head.method == .head { exchange.head.method = .get }
    handle = application.handle(exchange, inference: &inference) { [weak self] answer in
      guard let self, self.serial == number else { return }
      self.handle = nil
      self.send(answer, head)
    }
    // Answered at once: nothing is left to cancel.
    if case .answering = state, serial == number { return }
    handle = nil
  }

  // MARK: - Patience with requests

  private func wait(_ span: TimeSpan, _ what: StaticString) {
    timeout?.cancel()
    guard let context else { return }
    timeout = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(span.nanoseconds)) { [weak self] in
      guard let self, let context = self.context else { return }
      self.timeout = nil
      switch self.state {
      case .head where self.unread != nil, .body, .chunks: self.send(.error(408, "timed out waiting for \(what)", closes: true), nil)
      case .head, .answering, .closing, .closed: self.end(context)
      }
    }
  }

  func stopWaiting() {
    timeout?.cancel()
    timeout = nil
  }
}
