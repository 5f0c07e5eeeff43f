import CheckedNumbers
import Glibc
import Threads
import TimeBase

/// The signal that ends a server, and the confidence of the end: after it and `limit` the process is over, whatever a load that does not return
/// (a file system that hangs, an engine that optimizes for ever) still does.
final class EndingSignal: Sendable {
  private let monitor = Monitor()
  // Sendable: read and written under the monitor's lock.
  private nonisolated(unsafe) var received: Int32?

  /// Waits for `signals`, which every thread blocks, on a thread of its own.
  init(signals: sigset_t, limit: TimeSpan, say: @escaping @Sendable (String) -> Void) {
    DetachedThread.start(named: "signals") { [self] in
      var (set, signal) = (signals, Int32(0))
      while sigwait(&set, &signal) != 0 {}
      let deadline = MonotonicClock.now + limit
      monitor.withLock { received = signal }
      monitor.broadcast()
      MonotonicClock.sleep(until: deadline)
      say("ended by force \(limit.seconds) s after signal \(signal): a model that was loading, or a connection, did not end")
      _exit(1)
    }
  }

  /// The signal; waits for it.
  func wait() -> Int32 {
    monitor.withLock {
      while true {
        if let received { return received }
        monitor.wait()
      }
    }
  }
}
