import Glibc
import Synchronization
import Testing
import TimeBase

@testable import Threads

@Suite struct ThreadTimesTests {
  @Test func aThreadIsFoundByItsName() {
    let (started, mayEnd) = (Monitor(), Monitor())
    let state = Mutex((hasWorked: false, ends: false))
    DetachedThread.start(named: "times under test") {
      var sum = 0.0
      // Some work, so that there is time to see.
      while ThreadTimes.own < 2_000_000 { sum += 1 }
      started.withLock { state.withLock { $0.hasWorked = true } }
      started.broadcast()
      mayEnd.lock()
      while !state.withLock({ $0.ends }) { mayEnd.wait() }
      mayEnd.unlock()
    }
    started.lock()
    while !state.withLock({ $0.hasWorked }) { started.wait() }
    started.unlock()
    // Names are cut to fifteen bytes.
    let found = ThreadTimes.all(named: "times under")
    #expect(found.count == 1)
    #expect(found.values.first?.name == "times under tes")
    #expect(found.values.first.map { $0.onCore >= 1_000_000 } == true)
    #expect(ThreadTimes.all(named: "nobody is called so").isEmpty)
    #expect(ThreadTimes.all(of: getpid()).count >= 2)
    mayEnd.withLock { state.withLock { $0.ends = true } }
    mayEnd.broadcast()
  }

  @Test func aProcessThatIsNotThereHasNoThreads() { #expect(ThreadTimes.all(of: -1).isEmpty) }

  @Test func linesOfProc() {
    #expect(ThreadTimes.parse(schedstat: "120 34 5\n").map { $0 == (120, 34) } == true)
    #expect(ThreadTimes.parse(schedstat: "120") == nil)
    #expect(ThreadTimes.parse(schedstat: "a b c") == nil)
    let line = "812 (a (b) c) S 1 812 812 0 -1 1077936192 1219 0 3 0 25 17 0 0 20 0 5 0 3303 1"
    #expect(ThreadTimes.parse(stat: line) == 42)
    #expect(ThreadTimes.parse(stat: "nonsense") == nil)
    #expect(ThreadTimes.parse(stat: "1 (a) S") == nil)
  }
}
