import NIOCore
import Threads
import TimeBase

/// Says that no connection can be accepted because the process or the system is out of descriptors, once for a while of it. The pause itself
/// is NIO's: its bootstrap puts an `AcceptBackoffHandler` behind this, which accepts again after a second.
final class AcceptWatch: ChannelInboundHandler {
  typealias InboundIn = Channel

  private let name: String
  private let say: @Sendable (String) -> Void
  private var lastError: Instant?
  /// Silence after which the next error is news again.
  private static let while_ = TimeSpan.milliseconds(10_000)

  init(_ name: String, say: @escaping @Sendable (String) -> Void) {
    self.name = name
    self.say = say
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let error = error as? IOError {
      let now = MonotonicClock.now
      if lastError.map({ now - $0 >= Self.while_ }) ?? true {
        say(
          "\(name): no connection can be accepted (\(error)); accepting pauses a second at a time. Raise the limit on open files (ulimit -n) or lower --max-connections"
        )
      }
      lastError = now
    }
    context.fireErrorCaught(error)
  }
}
