import Synchronization
import Testing
import Threads
import TimeBase

@testable import Execution

/// Threads that share one piece of work at a time: every task once, on whatever threads, and nothing left running.
@Suite struct WorkerPoolTests {
  /// How often each task ran.
  private final class Counts: PoolWork, Sendable {
    let counts: [Count]

    init(_ tasks: Int) { counts = (0..<tasks).map { _ in Count() } }

    func run(_ task: Int) { counts[task].value.wrappingAdd(1, ordering: .relaxed) }
    var all: [Int] { counts.map { $0.value.load(ordering: .relaxed) } }
  }

  private final class Count: Sendable { let value = Atomic<Int>(0) }

  @Test(arguments: [1, 2, 3, 8]) func everyTaskOfEveryRegionRunsOnce(threads: Int) {
    let pool = WorkerPool(threads: threads, firstCore: nil)
    defer { pool.close() }
    for tasks in [0, 1, 2, 3, 7, 64, 1000] {
      for _ in 0..<20 {
        let work = Counts(tasks)
        pool.run(tasks, work)
        #expect(work.all == Array(repeating: 1, count: tasks))
      }
    }
    pool.run(-1) { _ in Issue.record("a region of no tasks ran one") }
  }

  /// Several instances share a pool: one region at a time, none loses a task to another.
  @Test func callersTakeTurns() {
    let pool = WorkerPool(threads: 3, firstCore: nil)
    defer { pool.close() }
    let callers = ThreadGroup()
    let wrong = Mutex<[String]>([])
    for caller in 0..<4 {
      callers.start {
        for region in 0..<200 {
          let work = Counts(1 + (caller + region) % 9)
          pool.run(work.counts.count, work)
          if work.all.contains(where: { $0 != 1 }) { wrong.withLock { $0.append("caller \(caller), region \(region): \(work.all)") } }
        }
      }
    }
    callers.wait()
    #expect(wrong.withLock { $0 } == [])
  }

  /// What tasks wrote is there when `run` returns: the caller reads it without a lock.
  @Test func theCallerSeesWhatTasksWrote() {
    let pool = WorkerPool(threads: 4, firstCore: nil)
    defer { pool.close() }
    let count = 512
    let cells = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
    defer { cells.deallocate() }
    // Each task writes its own cell alone.
    struct Square: PoolWork {
      let cells: UnsafeMutableBufferPointer<Int>
      let factor: Int

      func run(_ task: Int) { cells[task] = factor * task }
    }
    for factor in 1...100 {
      cells.initialize(repeating: -1)
      pool.run(count, Square(cells: cells, factor: factor))
      #expect(cells.elementsEqual((0..<count).map { factor * $0 }))
    }
  }

  /// Two tasks that wait for one another need two threads at work at one time: a helper does come.
  @Test func helpersWorkBesideTheCaller() {
    let pool = WorkerPool(threads: 2, firstCore: nil)
    defer { pool.close() }
    let meeting = Monitor()
    for region in 1...50 {
      let (arrived, missed) = (Count(), Count())
      pool.run(2) { _ in
        meeting.lock()
        arrived.value.wrappingAdd(1, ordering: .relaxed)
        meeting.broadcast()
        let limit = MonotonicClock.now + .milliseconds(20_000)
        while arrived.value.load(ordering: .relaxed) < 2, MonotonicClock.now < limit { meeting.wait(until: limit) }
        if arrived.value.load(ordering: .relaxed) < 2 { missed.value.wrappingAdd(1, ordering: .relaxed) }
        meeting.unlock()
      }
      guard missed.value.load(ordering: .relaxed) == 0 else {
        Issue.record("region \(region): no helper came")
        return
      }
    }
  }

  /// Helpers hold the pool until it is closed; then nothing does.
  @Test func aClosedPoolEndsItsHelpers() {
    weak var left: WorkerPool?
    do {
      let pool = WorkerPool(threads: 4, firstCore: nil)
      left = pool
      pool.run(100) { _ in }
      pool.close()
      let work = Counts(10)
      pool.run(10, work)
      #expect(work.all == Array(repeating: 1, count: 10), "the caller does all work")
    }
    let limit = MonotonicClock.now + .milliseconds(30_000)
    while left != nil, MonotonicClock.now < limit { MonotonicClock.yield() }
    #expect(left == nil, "a helper runs on")
  }

  @Test func aPoolOfNoThreadsIsItsCaller() {
    for threads in [-3, 0, 1] {
      let pool = WorkerPool(threads: threads, firstCore: 0)
      #expect(pool.threads == 1)
      var order: [Int] = []
      pool.run(5) { order.append($0) }
      #expect(order == [0, 1, 2, 3, 4])
    }
  }
}
