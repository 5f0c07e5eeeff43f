import Synchronization
import Threads
import TimeBase

/// The device's engines in real time: one for each direction of copies, one for kernels, each first come first served; and the thread that
/// waits for their end.
///
/// `@unchecked Sendable`: everything that varies is used under the monitor's lock.
final class StandInEngine: @unchecked Sendable {
  struct Times: Sendable {
    var start: Instant
    var computeStart: Instant
    var computeEnd: Instant
    var end: Instant
  }

  struct Work: Sendable {
    var submitted: Instant
    var copy: TimeSpan
    var compute: TimeSpan
    var hangs: Bool
    var done: @Sendable (Times) -> Void
  }

  private let monitor = Monitor()
  private var queue: [(work: Work, times: Times)] = []
  private var hung: [(work: Work, times: Times)] = []
  private var isStarted = false
  private var uploadFree = Instant.zero
  private var computeFree = Instant.zero
  private var downloadFree = Instant.zero
  private let correlation = Atomic<Int64>(1)

  func correlations(_ count: Int) -> Int64 { correlation.wrappingAdd(Int64(count), ordering: .relaxed).oldValue }

  func submit(_ work: Work) {
    monitor.lock()
    let start = max(work.submitted, uploadFree)
    uploadFree = start + work.copy
    let computeStart = max(uploadFree, computeFree)
    let computeEnd = computeStart + work.compute
    let downloadStart = max(computeEnd, downloadFree)
    let entry = (work, Times(start: start, computeStart: computeStart, computeEnd: computeEnd, end: downloadStart + work.copy))
    if work.hangs {
      hung.append(entry)
    } else {
      computeFree = computeEnd
      downloadFree = downloadStart + work.copy
      queue.append(entry)
    }
    let isFirst = !isStarted
    isStarted = true
    monitor.unlock()
    if isFirst { DetachedThread.start(named: "stand-in device") { [self] in run() } }
    monitor.signal()
  }

  func release() {
    monitor.lock()
    queue += hung
    hung = []
    monitor.unlock()
    monitor.signal()
  }

  /// Lives as long as the process, as a driver's thread does.
  private func run() {
    monitor.lock()
    while true {
      guard let first = queue.first else {
        monitor.wait()
        continue
      }
      if MonotonicClock.now < first.times.end {
        monitor.wait(until: first.times.end)
        continue
      }
      queue.removeFirst()
      monitor.unlock()
      first.work.done(first.times)
      monitor.lock()
    }
  }
}
