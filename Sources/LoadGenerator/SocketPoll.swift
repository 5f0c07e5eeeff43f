import CheckedNumbers
import CLinux
import Glibc

/// Waits for sockets and for an instant: epoll and a timerfd, edge-triggered.
///
/// The owner closes it; it holds descriptors and memory.
struct SocketPoll {
  /// What a socket is ready for.
  struct Readiness {
    private let flags: UInt32

    init(_ flags: UInt32) { self.flags = flags }

    var canRead: Bool { flags & EPOLLIN.rawValue != 0 }
    var canWrite: Bool { flags & EPOLLOUT.rawValue != 0 }
    var hasFailed: Bool { flags & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 }
    /// The peer sends no more, or is gone.
    var hangsUp: Bool { flags & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 }
  }

  private static let capacity = 512
  /// What stands for the timer among the sockets' numbers.
  private static let timerToken = UInt64.max

  private let poll: Int32
  private let timer: Int32
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: SocketPoll.capacity)
  private var armed: Int64 = .max

  /// nil where the system gives no descriptor.
  init?() {
    poll = epoll_create1(Int32(clamping: EPOLL_CLOEXEC))
    timer = timerfd_create(CLOCK_MONOTONIC, Int32(clamping: TFD_NONBLOCK) | Int32(clamping: TFD_CLOEXEC))
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | EPOLLET.rawValue
    event.data.u64 = Self.timerToken
    if poll < 0 || timer < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event) != 0 {
      close()
      return nil
    }
  }

  func close() {
    if poll >= 0 { Glibc.close(poll) }
    if timer >= 0 { Glibc.close(timer) }
    events.deallocate()
  }

  /// Watches a socket under a number. False where that fails.
  func add(_ descriptor: Int32, _ number: Int) -> Bool {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
    event.data.u64 = UInt64(clamping: number)
    return epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) == 0
  }

  /// Ends the wait at that instant of CLOCK_MONOTONIC, nanoseconds; a system call only when it changed.
  mutating func arm(_ instant: Int64) {
    if instant == armed { return }
    armed = instant
    var time = itimerspec()
    time.it_value = timespec(tv_sec: Int(instant / 1_000_000_000), tv_nsec: Int(instant % 1_000_000_000))
    timerfd_settime(timer, Int32(clamping: TFD_TIMER_ABSTIME), &time, nil)
  }

  /// Waits, and calls `body` for each socket that is ready. False where waiting fails.
  mutating func wait(_ body: (Int, Readiness) -> Void) -> Bool {
    let count = epoll_wait(poll, events, Int32(clamping: Self.capacity), -1)
    if count < 0 { return errno == EINTR }
    for index in 0..<Int(count) {
      let token = events[index].data.u64
      if token == Self.timerToken { armed = .max } else { body(Int(clamping: token), Readiness(events[index].events)) }
    }
    return true
  }
}
