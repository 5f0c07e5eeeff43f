import KServe
import NIOCore
import NIOHTTP2
import Serving

/// What a client has asked for and does not take. HTTP/2 has a window for each stream, and behind a closed one answers wait in the handler below;
/// frames must still be read then, or the window would never open. So requests wait instead: those of a stream whose answers are not taken, and
/// all of a connection once its streams together hold too much.
extension GRPCConnection {
  /// The counts.
  struct Backlog: Sendable, Hashable {
    /// Bytes of answers given to the handler below that have not gone to the socket.
    var unsent = 0
    /// Bytes of streamed answers that no promise tells of yet.
    var unconfirmed = 0
    /// Bytes that the answers of inferences in progress are expected to take.
    var expected = 0
    /// The largest answer so far: what is expected where a configuration does not tell.
    var largestAnswer = 0
    /// Told to the process's count.
    var reported = 0
    /// Streams that wait for the connection's backlog, in order.
    var waiting = CircularBuffer<HTTP2StreamID>()
    var isResuming = false
    /// Counts what was taken.
    var taken = 0

    /// Whether the connection's requests wait. Calls other than inferences do not wait for inferences in progress.
    func isHolding(_ options: GRPCServerOptions, isInference: Bool) -> Bool {
      unsent > options.maximumUnsentBytes || isInference && expected > options.maximumExpectedBytes
        || unsent > options.maximumUnsentBytesPerStream && options.unsent.isExceeded
    }
  }

  /// Above that a stream's answers are followed by a promise; above as much of all streams, every answer is.
  private static let promiseBytes = 16 << 10

  /// Whether a stream's request has to wait; then it is remembered.
  func mustWait(_ stream: GRPCStream) -> Bool {
    let isInference = stream.method == .modelInfer || stream.method == .modelStreamInfer
    if backlog.isHolding(options, isInference: isInference) {
      stream.isWaiting = true
      queue(stream)
    } else if stream.unsent > options.maximumUnsentBytesPerStream {
      stream.isWaiting = true
    } else {
      return false
    }
    startWatch()
    return true
  }

  private func queue(_ stream: GRPCStream) {
    if stream.isQueued { return }
    stream.isQueued = true
    backlog.waiting.append(stream.id)
  }

  /// Notes an answer; the promise to give with its last piece, which tells that it has gone. A unary call needs none: the stream's end tells.
  func promise(forAnswerOf bytes: Int, on stream: GRPCStream) -> EventLoopPromise<Void>? {
    backlog.largestAnswer = max(backlog.largestAnswer, bytes)
    stream.unconfirmed += bytes
    backlog.unconfirmed += bytes
    guard stream.method == .modelStreamInfer || stream.method == .healthWatch else {
      confirm(stream)
      return nil
    }
    guard stream.unconfirmed >= Self.promiseBytes || backlog.unconfirmed >= 4 * Self.promiseBytes else { return nil }
    let count = confirm(stream)
    let promise = loop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { [self] _ in
      // What was still waiting when the stream ended was let go of then.
      guard stream.unsent >= count else { return }
      stream.unsent -= count
      gone(count)
      wake(stream)
    }
    return promise
  }

  /// An answer that waits for earlier ones of its stream counts as one that the client does not take.
  func keep(_ pieces: [ByteBuffer], on stream: GRPCStream) {
    stream.unconfirmed += pieces.reduce(0) { $0 + $1.readableBytes }
    backlog.unconfirmed += pieces.reduce(0) { $0 + $1.readableBytes }
    confirm(stream)
  }

  /// Its turn has come: it is counted anew where it is sent.
  func letGo(_ pieces: [ByteBuffer], on stream: GRPCStream) {
    let count = pieces.reduce(0) { $0 + $1.readableBytes }
    stream.unsent -= count
    gone(count)
    wake(stream)
  }

  /// A stream that waited for its own backlog goes on.
  private func wake(_ stream: GRPCStream) {
    guard stream.isWaiting, stream.unsent <= options.maximumUnsentBytesPerStream else { return }
    queue(stream)
    resumeWaiting()
  }

  @discardableResult
  private func confirm(_ stream: GRPCStream) -> Int {
    let count = stream.unconfirmed
    stream.unconfirmed = 0
    backlog.unconfirmed -= count
    stream.unsent += count
    backlog.unsent += count
    reportIfMuch()
    return count
  }

  private func gone(_ count: Int) {
    backlog.unsent -= count
    backlog.taken &+= count
    reportIfMuch()
    resumeWaiting()
  }

  /// A stream has ended: nothing of it waits any more.
  func release(_ stream: GRPCStream) {
    backlog.unconfirmed -= stream.unconfirmed
    stream.unconfirmed = 0
    let count = stream.unsent
    stream.unsent = 0
    expectNoMore(stream.expected, of: stream)
    gone(count)
  }

  // MARK: Inferences in progress

  /// Notes an inference that has begun: its handle with what is expected of it.
  func expect(_ handle: InferenceHandle, forRequestOf bytes: Int, on stream: GRPCStream) -> InferenceHandle {
    var handle = handle
    // Where the configuration does not tell: as much as was asked with, or as came before.
    let expected = handle.expectedBytes > 0 ? handle.expectedBytes : max(bytes, backlog.largestAnswer)
    handle.expectedBytes = min(expected, 1 << 40)
    stream.expected += handle.expectedBytes
    backlog.expected += handle.expectedBytes
    return handle
  }

  func expectNoMore(_ bytes: Int, of stream: GRPCStream) {
    stream.expected -= bytes
    backlog.expected -= bytes
    resumeWaiting()
  }

  // MARK: Going on

  private func resumeWaiting() {
    guard !backlog.waiting.isEmpty, !backlog.isResuming else { return }
    backlog.isResuming = true
    // Not from inside a frame's handling: answers are written here.
    loop.execute { [self] in
      backlog.isResuming = false
      // Those that have to wait again are behind the ones counted here.
      for _ in 0..<backlog.waiting.count {
        guard let id = backlog.waiting.first, let stream = streams[id], !stream.isFinished else {
          _ = backlog.waiting.popFirst()
          continue
        }
        let isInference = stream.method == .modelInfer || stream.method == .modelStreamInfer
        if backlog.isHolding(options, isInference: isInference) { break }
        backlog.waiting.removeFirst()
        stream.isQueued = false
        stream.isWaiting = false
        advance(stream)
        renewHeldWindow(of: stream)
      }
      renewConnectionWindow()
    }
  }

  // MARK: The process

  /// Small changes are not worth a word: they come with every call.
  private func reportIfMuch() {
    if abs(backlog.unsent - backlog.reported) > options.maximumUnsentBytesPerStream { report(backlog.unsent) }
  }

  func report(_ bytes: Int) {
    options.unsent.change(by: bytes - backlog.reported)
    backlog.reported = bytes
  }

  /// Looks again in a while. A closed window is the client's right and is waited for, unless the process is short of memory for it; a socket that
  /// takes nothing is given up after `writeIdleTimeout`.
  func startWatch() {
    guard watch == nil else { return }
    watch = loop.scheduleTask(in: options.pressedWriteIdleTimeout) {
      [self, taken = backlog.taken, buffered = context?.bufferedBytes ?? 0] in
      watch = nil
      look(taken: taken, buffered: buffered, ticks: 1)
    }
  }

  private func look(taken: Int, buffered: Int, ticks: Int64) {
    guard let context else { return }
    let now = context.bufferedBytes
    report(backlog.unsent + now)
    resumeWaiting()
    if now == 0, context.channel.isWritable, backlog.unsent <= options.maximumUnsentBytesPerStream, backlog.waiting.isEmpty { return }
    let isIdle = backlog.taken == taken && now >= buffered
    if isIdle {
      let silence = options.pressedWriteIdleTimeout * ticks
      if options.unsent.isExceeded && backlog.unsent + now > 0 || !context.channel.isWritable && silence >= options.writeIdleTimeout {
        context.close(promise: nil)
        return
      }
    }
    watch = loop.scheduleTask(in: options.pressedWriteIdleTimeout) { [self, taken = backlog.taken] in
      watch = nil
      look(taken: taken, buffered: now, ticks: isIdle ? ticks + 1 : 1)
    }
  }
}
