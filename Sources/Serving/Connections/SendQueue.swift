import CheckedNumbers
import Glibc
import NIOCore
import TimeBase

extension ChannelHandlerContext {
  /// The loop's clock, which tests advance.
  package var loopTime: Instant { Instant(nanoseconds: Int64(clamping: eventLoop.now.uptimeNanoseconds)) }

  /// Bytes that the channel holds because the kernel would not take them.
  package var bufferedBytes: Int { (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }

  /// Bytes that the kernel holds because the client has not acknowledged them (Linux: SIOCOUTQ, the same number as TIOCOUTQ; tcp(7)). 0
  /// where there is no socket.
  package var unacknowledgedBytes: Int {
    let queued = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket -> Int in
      var count: Int32 = 0
      return ioctl(socket, UInt(clamping: TIOCOUTQ), &count) == 0 ? max(0, Int(count)) : 0
    }
    return queued ?? 0
  }
}
