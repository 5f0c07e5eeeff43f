import CheckedNumbers
import Glibc
public import TimeBase

/// A lock with condition variables that wait until an instant of CLOCK_MONOTONIC: what Swift's `Mutex` has not.
///
/// `@unchecked Sendable`: the pthread objects live at fixed addresses from init to deinit and may be used from any thread; nothing else is
/// mutable.
public final class Monitor: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let conditions: [UnsafeMutablePointer<pthread_cond_t>]

  /// A monitor with that many conditions.
  public init(conditions count: Int = 1) {
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

  /// Takes the lock.
  public func lock() { pthread_mutex_lock(mutex) }
  /// Gives it back.
  public func unlock() { pthread_mutex_unlock(mutex) }

  /// Runs `body` under the lock.
  public func withLock<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Waits, the lock released meanwhile. May return for no reason.
  public func wait(_ condition: Int = 0) { pthread_cond_wait(conditions[condition], mutex) }

  /// Waits no longer than until `deadline`.
  public func wait(_ condition: Int = 0, until deadline: Instant) {
    if deadline == .distantFuture { return wait(condition) }
    var time = timespec(
      tv_sec: Int(max(0, deadline.nanoseconds) / 1_000_000_000), tv_nsec: Int(max(0, deadline.nanoseconds) % 1_000_000_000))
    pthread_cond_timedwait(conditions[condition], mutex, &time)
  }

  /// Wakes every waiter of this condition.
  public func broadcast(_ condition: Int = 0) { pthread_cond_broadcast(conditions[condition]) }

  /// Wakes a waiter of this condition.
  public func signal(_ condition: Int = 0) { pthread_cond_signal(conditions[condition]) }
}

/// The clock of every time that is measured.
public enum MonotonicClock {
  /// CLOCK_MONOTONIC, by the vDSO: some 20 ns and no system call.
  public static var now: Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }
  /// Lets another thread run.
  public static func yield() { sched_yield() }

  /// Blocks the thread.
  public static func sleep(until end: Instant) {
    var time = timespec(tv_sec: Int(max(0, end.nanoseconds) / 1_000_000_000), tv_nsec: Int(max(0, end.nanoseconds) % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
  }
}
