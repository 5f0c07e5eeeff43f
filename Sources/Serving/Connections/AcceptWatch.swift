import Glibc
import NIOCore
import Threads
import TimeBase

/// Pauses accepting while the process or the system is out of descriptors or memory, and says so once for a while of it.
///
/// NIO's own `AcceptBackoffHandler` only delays the next read; the listener stays registered and the loop spins on the connection that it cannot
/// accept. Turning automatic reads off takes it out of the selector.
package final class AcceptWatch: ChannelInboundHandler {
  package typealias InboundIn = Channel

  private let name: String
  private let say: @Sendable (String) -> Void
  private let pause: TimeAmount
  private var lastError: Instant?
  private var isPausing = false
  /// Silence after which the next error is news again.
  private static let renewal = TimeSpan.milliseconds(10_000)

  package init(_ name: String, pause: TimeAmount = .milliseconds(200), say: @escaping @Sendable (String) -> Void) {
    self.name = name
    self.pause = pause
    self.say = say
  }

  package func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let code = (error as? IOError)?.errnoCode else { return context.fireErrorCaught(error) }
    switch code {
    // The client was gone before it was accepted.
    case ECONNABORTED: return
    case EMFILE, ENFILE, ENOBUFS, ENOMEM: break
    default: return context.fireErrorCaught(error)
    }
    let now = MonotonicClock.now
    if lastError.map({ now - $0 >= Self.renewal }) ?? true {
      say(
        "\(name): no connection can be accepted (\(String(cString: strerror(code)))); accepting pauses until one can. "
          + "Raise the limit on open files (ulimit -n), or lower --max-connections"
      )
    }
    lastError = now
    if isPausing { return }
    isPausing = true
    try? context.channel.syncOptions?.setOption(.autoRead, value: false)
    _ = context.eventLoop.assumeIsolated().scheduleTask(in: pause) {
      self.isPausing = false
      try? context.channel.syncOptions?.setOption(.autoRead, value: true)
    }
  }
}
