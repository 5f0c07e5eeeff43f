import Glibc
import TimeBase

/// CLOCK_MONOTONIC, the clock of every time a device reports.
enum DeviceClock {
  /// By the vDSO: some 20 ns and no system call.
  @inline(__always)
  static var now: Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }

  /// Blocks the thread.
  static func sleep(until end: Instant) {
    var time = timespec(tv_sec: Int(end.nanoseconds / 1_000_000_000), tv_nsec: Int(end.nanoseconds % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
  }
}
