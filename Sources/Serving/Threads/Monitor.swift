import Glibc
import TimeBase

/// A lock with condition variables that wait until an instant of CLOCK_MONOTONIC: what Swift's `Mutex` has not.
///
/// `@unchecked Sendable`: the pthread objects live at fixed addresses from init to deinit and may be used from any thread; nothing else is
/// mutable.
final class Monitor: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let conditions: [UnsafeMutablePointer<pthread_cond_t>]

  /// A monitor with that many conditions.
  init(conditions count: Int = 1) {
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    conditions = (0..<count).map { _ in
      let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(condition, &attributes)
      pthread_condattr_destroy(&attributes)
      return condition
    }
  }

  deinit {
    for condition in conditions {
      pthread_cond_destroy(condition)
      condition.deallocate()
    }
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }

  /// Runs `body` under the lock.
  @inline(__always)
  func withLock<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Waits, the lock released meanwhile. May return for no reason.
  func wait(_ condition: Int = 0) { pthread_cond_wait(conditions[condition], mutex) }

  /// Waits no longer than until `deadline`.
  func wait(_ condition: Int = 0, until deadline: Instant) {
    if deadline == .distantFuture { return wait(condition) }
    var time = timespec(
      tv_sec: Int(max(0, deadline.nanoseconds) / 1_000_000_000), tv_nsec: Int(max(0, deadline.nanoseconds) % 1_000_000_000))
    pthread_cond_timedwait(conditions[condition], mutex, &time)
  }

  /// Wakes every waiter of this condition.
  func broadcast(_ condition: Int = 0) { pthread_cond_broadcast(conditions[condition]) }

  /// Wakes a waiter of this condition.
  func signal(_ condition: Int = 0) { pthread_cond_signal(conditions[condition]) }
}

/// The clock of every time the server takes.
enum MonotonicClock {
  /// CLOCK_MONOTONIC, by the vDSO: some 20 ns and no system call.
  @inline(__always)
  static var now: Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }
}
