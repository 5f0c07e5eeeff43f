import Glibc
import Synchronization
import Testing
import Threads
import TimeBase

@Suite struct ThreadTests {
  private struct Seen: Sendable {
    var name = ""
    var policy: Int32 = -1
    var niceness: Int32 = -1
    var isOver = false
  }

  /// What a thread is while it runs.
  private static func seen(hasShortSlice: Bool, niceness: Int32 = 0) -> Seen {
    let monitor = Monitor(conditions: 1)
    let seen = Mutex(Seen())
    DetachedThread.start(named: "a thread of a name too long") {
      if niceness > 0 { setpriority(__priority_which_t(0), 0, niceness) }
      if hasShortSlice { ShortSliceThread.begin() }
      var buffer = [UInt8](repeating: 0, count: 64)
      let file = open("/proc/thread-self/comm", O_RDONLY)
      let count = read(file, &buffer, buffer.count)
      close(file)
      let name = String(decoding: buffer.prefix(max(0, count - 1)), as: UTF8.self)
      seen.withLock { $0 = Seen(name: name, policy: sched_getscheduler(0), niceness: getpriority(__priority_which_t(0), 0), isOver: true) }
      monitor.lock()
      monitor.unlock()
      monitor.signal(0)
    }
    monitor.lock()
    while !seen.withLock({ $0.isOver }) { monitor.wait(0, until: MonotonicClock.now + .milliseconds(50)) }
    monitor.unlock()
    return seen.withLock { $0 }
  }

  @Test func aThreadHasItsName() {
    #expect(Self.seen(hasShortSlice: false).name == "a thread of a n")
  }

  /// The system call that asks for short slices sets class and niceness too.
  @Test func aPromptThreadKeepsClassAndNiceness() {
    let (plain, prompt) = (Self.seen(hasShortSlice: false, niceness: 3), Self.seen(hasShortSlice: true, niceness: 3))
    #expect(prompt.policy == plain.policy)
    #expect(prompt.niceness == 3 && plain.niceness == 3)
  }
}
