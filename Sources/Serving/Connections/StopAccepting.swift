import Glibc
import NIOCore

extension Channel {
  /// Ends a listener without a reset for those who have just connected. Closing a listening socket resets every connection that the kernel has
  /// completed and nobody has accepted, so the queue is first shortened to nothing and what is in it taken. Blocking.
  package func stopAccepting() {
    let shortened = eventLoop.submit {
      _ = try? self.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { listen($0, 0) }
    }
    try? shortened.wait()
    // The loop accepts as many at once as one read takes; a few turns of it empty any queue.
    try? eventLoop.scheduleTask(in: .milliseconds(20)) {}.futureResult.wait()
    try? close().wait()
  }
}
