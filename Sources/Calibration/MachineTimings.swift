import FileAccess
import Glibc
import Simulation
import Synchronization
import Threads
import TimeBase

/// What the machine itself costs, without our server: facts beside the profile, and the wake-up of a thread.
package enum MachineTimings {
  /// A fact: name, unit, values.
  package struct Fact {
    package var name: String
    package var unit: String
    package var values: [Double]
    package var how: String

    package init(_ name: String, _ unit: String, _ values: [Double], _ how: String) {
      self.name = name
      self.unit = unit
      self.values = values
      self.how = how
    }
  }

  package static var facts: [Fact] {
    var facts = [
      Fact("cores", "count", [Double(sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)))], "online processors"),
      Fact("clock", "nanoseconds", batches(of: 10_000) { _ = MonotonicClock.now }, "a reading of CLOCK_MONOTONIC"),
      Fact("systemCall", "nanoseconds", batches(of: 2000) { _ = getppid() }, "getppid, the cheapest call that enters the kernel"),
      Fact("timerDelay", "microseconds", timerDelays, "how late a thread runs after a wait of 1 ms for a condition"),
      Fact("copyPerByte", "nanosecondsPerByte", copies, "memcpy of 32 MiB, one thread"),
    ]
    let slack = (try? Files.readText("/proc/self/timerslack_ns", limit: 64))?.split(separator: "\n").first.flatMap { Double($0) }
    if let slack {
      facts.insert(Fact("timerSlack", "microseconds", [slack / 1000], "what the kernel may add to a wait: /proc/self/timerslack_ns"), at: 3)
    }
    return facts
  }

  /// From a signal to the waiting thread's running, microseconds: half a round trip of two threads.
  package static func wakeUps(rounds: Int = 4000) -> [Double] {
    let game = PingPong()
    DetachedThread.start(named: "calibrate") { game.answer(rounds: rounds) }
    var times: [Double] = []
    times.reserveCapacity(rounds)
    for _ in 0..<rounds {
      let start = MonotonicClock.now
      game.serve()
      times.append((MonotonicClock.now - start).seconds * 1e6 / 2)
    }
    return Array(times.dropFirst(rounds / 10))
  }

  /// Nanoseconds of one call, in 21 batches.
  private static func batches(of count: Int, _ body: () -> Void) -> [Double] {
    (0..<21).map { _ in
      let start = MonotonicClock.now
      for _ in 0..<count { body() }
      return Double((MonotonicClock.now - start).nanoseconds) / Double(count)
    }
  }

  private static var timerDelays: [Double] {
    let monitor = Monitor()
    return (0..<100).map { _ in
      let end = MonotonicClock.now + .milliseconds(1)
      monitor.lock()
      while MonotonicClock.now < end { monitor.wait(until: end) }
      monitor.unlock()
      return (MonotonicClock.now - end).seconds * 1e6
    }
  }

  private static var copies: [Double] {
    let bytes = 32 << 20
    let (from, to) = (
      UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64), UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    )
    defer {
      from.deallocate()
      to.deallocate()
    }
    from.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
    to.initializeMemory(as: UInt8.self, repeating: 2, count: bytes)
    return (0..<9).map { _ in
      let start = MonotonicClock.now
      to.copyMemory(from: from, byteCount: bytes)
      return Double((MonotonicClock.now - start).nanoseconds) / Double(bytes)
    }
  }
}

/// Two threads that wake each other.
///
/// `@unchecked Sendable`: `isServed` is used under the monitor's lock alone.
private final class PingPong: @unchecked Sendable {
  private let monitor = Monitor(conditions: 2)
  private var isServed = false

  func serve() {
    monitor.lock()
    isServed = true
    monitor.signal(0)
    while isServed { monitor.wait(1) }
    monitor.unlock()
  }

  func answer(rounds: Int) {
    monitor.lock()
    for _ in 0..<rounds {
      while !isServed { monitor.wait(0) }
      isServed = false
      monitor.signal(1)
    }
    monitor.unlock()
  }
}
