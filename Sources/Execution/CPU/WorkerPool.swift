import CheckedNumbers
import CKernels
import Synchronization
import Threads

/// Tasks for a pool's threads. A value, not a closure: a region on the way of a batch takes nothing from the heap.
protocol PoolWork {
  /// Called once a task, on any of the threads.
  func run(_ task: Int)
}

/// Threads that share one piece of work at a time with the thread that brings it.
///
/// Work comes as regions: a number of tasks and a body. Tasks are taken one by one, so that a thread that a neighbour slows down takes fewer.
/// Between the regions of a batch helpers spin for some microseconds; then they sleep, and an idle pool wakes up never.
///
/// `@unchecked Sendable`: `body` is written by the owner of `owner`'s lock before `ticket` is published, and read only by threads whose task
/// belongs to that publication.
final class WorkerPool: @unchecked Sendable {
  /// Threads, the caller included.
  let threads: Int

  /// Region number in the high half, next task in the low one.
  private let ticket = Atomic<UInt64>(0)
  private let taskCount = Atomic<Int>(0)
  private let tasksDone = Atomic<Int>(0)
  /// Address of the region's `Body`.
  private let body = Atomic<UInt>(0)
  private let sleepers = Atomic<Int>(0)
  private let isClosing = Atomic<Bool>(false)
  private let sleep = Monitor()
  /// One caller at a time: several instances share the pool.
  private let owner = Monitor()

  /// A work of any type, behind one address.
  private struct Body {
    let work: UnsafeRawPointer
    let call: (UnsafeRawPointer, Int) -> Void
  }

  private struct ClosureWork: PoolWork {
    let body: (Int) -> Void

    func run(_ task: Int) { body(task) }
  }

  /// About 20 us of spinning: longer than the gap between two layers, shorter than what a sleeping thread costs to wake.
  private static let spins = 600

  init(threads: Int, firstCore: Int?) {
    self.threads = max(1, threads)
    for index in 1..<max(2, threads) where index < threads {
      // The thread keeps the pool alive until `close`.
      DetachedThread.start(named: "compute \(index)") { [self] in
        if let firstCore { _ = headroom_pin_thread(Int32(clamping: firstCore.addingSaturated(index))) }
        help()
      }
    }
  }

  /// Ends the helpers.
  func close() {
    isClosing.store(true, ordering: .sequentiallyConsistent)
    sleep.withLock {}
    sleep.broadcast()
  }

  /// Runs `body` for every task from 0, on all threads; returns when all are done. Not reentrant.
  func run(_ tasks: Int, _ body: (Int) -> Void) {
    withoutActuallyEscaping(body) { run(tasks, ClosureWork(body: $0)) }
  }

  /// The same without an allocation.
  func run<Work: PoolWork>(_ tasks: Int, _ work: Work) {
    if tasks <= 1 || threads == 1 {
      for task in 0..<max(0, tasks) { work.run(task) }
      return
    }
    owner.lock()
    withUnsafePointer(to: work) { work in
      let body = Body(work: UnsafeRawPointer(work)) { $0.assumingMemoryBound(to: Work.self).pointee.run($1) }
      withUnsafePointer(to: body) { pointer in
        self.body.store(UInt(bitPattern: pointer), ordering: .relaxed)
        taskCount.store(tasks, ordering: .relaxed)
        tasksDone.store(0, ordering: .relaxed)
        let region = (ticket.load(ordering: .relaxed) >> 32 &+ 1) & 0xFFFF_FFFF
        ticket.store(region << 32, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
          sleep.withLock {}
          sleep.broadcast()
        }
        self.work(region)
        // Only tasks that a helper has begun are waited for.
        var spins = 0
        while tasksDone.load(ordering: .acquiring) < tasks {
          spins += 1
          if spins < 2000 { headroom_pause() } else { MonotonicClock.yield() }
        }
      }
    }
    owner.unlock()
  }

  /// Takes tasks of the region until there are none left.
  private func work(_ region: UInt64) {
    while true {
      let seen = ticket.load(ordering: .acquiring)
      guard seen >> 32 == region else { return }
      // Read before the task is taken: if taking it succeeds, the region has not ended, and what was read is its own.
      let count = taskCount.load(ordering: .relaxed)
      let address = body.load(ordering: .relaxed)
      let task = Int(clamping: seen & 0xFFFF_FFFF)
      guard task < count else { return }
      guard ticket.compareExchange(expected: seen, desired: seen &+ 1, ordering: .acquiringAndReleasing).exchanged else { continue }
      if let body = UnsafePointer<Body>(bitPattern: address)?.pointee { body.call(body.work, task) }
      tasksDone.wrappingAdd(1, ordering: .releasing)
    }
  }

  private func help() {
    var last: UInt64 = 0
    while !isClosing.load(ordering: .relaxed) {
      var spins = 0
      while ticket.load(ordering: .acquiring) >> 32 == last {
        spins += 1
        if spins < Self.spins {
          headroom_pause()
          continue
        }
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        sleep.lock()
        while ticket.load(ordering: .sequentiallyConsistent) >> 32 == last, !isClosing.load(ordering: .relaxed) { sleep.wait() }
        sleep.unlock()
        sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        if isClosing.load(ordering: .relaxed) { return }
      }
      last = ticket.load(ordering: .acquiring) >> 32
      work(last)
    }
  }
}
