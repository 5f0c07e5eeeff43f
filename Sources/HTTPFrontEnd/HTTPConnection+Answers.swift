import KServe
import NIOCore
import Serving
import TimeBase

/// Answers on their way out: written, held while the client does not take them, and the connection's end.
extension HTTPConnection {
  func send(_ answer: HTTPAnswer, _ head: HTTPRequestHead?) {
    guard let context, context.channel.isActive else { return }
    switch state {
    case .closing, .closed: return
    case .head, .body, .chunks, .answering: break
    }
    let keepsAlive =
      (head?.keepsAlive ?? false) && !answer.closes && !isDraining && !(inputHasEnded && (unread?.readableBytes ?? 0) == 0)
    // A response to HEAD has the fields of the one to GET and no content.
    let hasContent = head?.method != .head
    var out = context.channel.allocator.buffer(capacity: 192 + min(hasContent ? answer.byteCount : 0, 4096))
    answer.writeHead(
      into: &out, version: (head?.majorVersion ?? 1, head?.minorVersion ?? 1), keepsAlive: keepsAlive, saidClose: head?.saysClose ?? true)
    var written = 0
    if hasContent { written = write(answer, &out, context) }
    written += out.readableBytes
    backlog.wrote(written)
    if keepsAlive {
      context.write(wrapOutboundOut(out), promise: nil)
      state = .head
      flush(context)
      resume(context)
    } else {
      close(context, with: out)
    }
  }

  /// Writes the content; what is left of it is in `out`. Bytes written.
  private func write(_ answer: HTTPAnswer, _ out: inout ByteBuffer, _ context: ChannelHandlerContext) -> Int {
    if answer.isChunked {
      for part in answer.body where part.readableBytes > 0 {
        out.writeString(String(part.readableBytes, radix: 16) + "\r\n")
        out.writeImmutableBuffer(part)
        out.writeStaticString("\r\n")
      }
      out.writeStaticString("0\r\n\r\n")
      return 0
    }
    var written = 0
    // Small bodies ride in the head's buffer; large ones go out as they are, in one writev.
    for part in answer.body where part.readableBytes > 0 {
      if out.readableBytes + part.readableBytes <= 16 << 10 {
        out.writeImmutableBuffer(part)
      } else {
        written += out.readableBytes
        context.write(wrapOutboundOut(out), promise: nil)
        out = part
      }
    }
    return written
  }

  /// Answers to a burst of pipelined requests leave together, as long as they are not much.
  private func flush(_ context: ChannelHandlerContext) {
    if isInRead, backlog.unmeasured < HTTPLimits.unsentBytes { needsFlush = true } else { flushNow(context) }
  }

  func flushNow(_ context: ChannelHandlerContext) {
    needsFlush = false
    context.flush()
    if backlog.isDue { measure(context) }
  }

  // MARK: - What the client does not take

  /// Whether the next request has to wait until the client has taken more.
  func isBlocked(_ context: ChannelHandlerContext) -> Bool {
    if backlog.bytes == 0, context.channel.isWritable, backlog.unmeasured == 0 || !unsent.isExceeded { return false }
    if needsFlush { flushNow(context) }
    measure(context)
    return !context.channel.isWritable || backlog.bytes > HTTPLimits.unsentBytes || backlog.bytes > 0 && unsent.isExceeded
  }

  private func measure(_ context: ChannelHandlerContext) {
    backlog.measured(context.bufferedBytes, at: context.loopTime)
    report(backlog.bytes + (isReadHeld ? unread?.readableBytes ?? 0 : 0))
    if backlog.bytes > 0 { startWatch(context) }
  }

  func report(_ bytes: Int) {
    unsent.change(by: bytes - reported)
    reported = bytes
  }

  /// Looks again in a while: the only clock of a client that takes nothing. Requests do not touch it.
  private func startWatch(_ context: ChannelHandlerContext) {
    guard watch == nil else { return }
    let span = unsent.isExceeded ? TimeSpan.milliseconds(100) : min(limits.writeIdleTimeout, limits.pressedWriteIdleTimeout)
    watch = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(span.nanoseconds)) { [weak self] in
      guard let self, let context = self.context else { return }
      self.watch = nil
      self.measure(context)
      if self.backlog.isStalled(
        for: self.unsent.isExceeded ? self.limits.pressedWriteIdleTimeout : self.limits.writeIdleTimeout, at: context.loopTime)
      {
        self.state = .closed
        context.close(promise: nil)
      } else {
        self.resume(context)
      }
    }
  }

  // MARK: - The end

  /// Ends the connection without a further answer; those before are delivered.
  func end(_ context: ChannelHandlerContext) {
    switch state {
    case .closing, .closed: return
    case .head, .body, .chunks, .answering: break
    }
    if needsFlush { flushNow(context) }
    close(context, with: ByteBuffer())
  }

  /// Writes the last bytes and ends when the client has them: closing a socket earlier drops what the kernel still holds, or has it answered by
  /// a reset where the client is still sending (RFC 9112, 9.6).
  private func close(_ context: ChannelHandlerContext, with last: ByteBuffer) {
    state = .closing
    unread = nil
    stopWaiting()
    let flushed = context.eventLoop.makePromise(of: Void.self)
    flushed.futureResult.assumeIsolated().whenSuccess { [weak self] in self?.linger() }
    needsFlush = false
    context.writeAndFlush(wrapOutboundOut(last), promise: flushed)
    if lingering == nil, context.channel.isActive { measure(context) }
    if isReadHeld {
      isReadHeld = false
      context.read()
    }
  }

  /// How the end goes: everything is in the kernel, and the client acknowledges.
  struct Lingering {
    /// Bytes not acknowledged when it was last looked.
    var left: Int
    /// When that last changed.
    var changed: Instant
    var pause = TimeSpan.milliseconds(5)
  }

  private func linger() {
    guard let context, case .closing = state, lingering == nil else { return }
    lingering = Lingering(left: context.unacknowledgedBytes, changed: context.loopTime)
    report(0)
    if !inputHasEnded { context.close(mode: .output, promise: nil) }
    lingerOn()
  }

  func lingerOn() {
    guard let context, case .closing = state, var lingering else { return }
    let now = context.loopTime
    let left = context.unacknowledgedBytes
    if left != lingering.left { lingering.changed = now }
    lingering.left = left
    let silence = now - lingering.changed
    // Acknowledged: the client's own end is waited for, since what it still sends would be answered with a reset.
    if left == 0 ? inputHasEnded || silence >= limits.closeIdleTimeout : silence >= limits.writeIdleTimeout {
      state = .closed
      context.close(promise: nil)
      return
    }
    lingering.pause = min(.milliseconds(250), lingering.pause + lingering.pause)
    self.lingering = lingering
    watch?.cancel()
    watch = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(lingering.pause.nanoseconds)) { [weak self] in
      self?.watch = nil
      self?.lingerOn()
    }
  }
}
