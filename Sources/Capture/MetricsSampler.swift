import Execution
import Threads
import TimeBase

/// Counters of this machine's GPUs, read beside a recording by a thread of our own.
///
/// `@unchecked Sendable`: everything mutable is used under the monitor's lock.
package final class MetricsSampler: @unchecked Sendable {
  /// One reading of all GPUs.
  package struct Sample: Sendable {
    package var time: Instant
    package var gpus: [GPUReading]
  }

  private let monitor = Monitor()
  private var samples: [Sample] = []
  private var failure: String?
  private var isStopped = false
  private var hasEnded = false

  /// Begins to read. An error of the driver's is told with the samples: the recording goes on without.
  package init(_ search: CUDASearch, interval: TimeSpan) {
    let hasStarted = DetachedThread.start(named: "metrics") { self.work(search, interval) }
    if !hasStarted { (failure, hasEnded) = ("no thread could be started", true) }
  }

  private func work(_ search: CUDASearch, _ interval: TimeSpan) {
    do throws(DeviceError) {
      let management = try GPUManagement(search)
      var last = MonotonicClock.now
      // A thread that was stopped for a while does not make up for the readings it missed.
      while waits(until: last + interval) {
        last = MonotonicClock.now
        let sample = Sample(time: last, gpus: management.read())
        monitor.withLock { samples.append(sample) }
      }
    } catch {
      monitor.withLock { failure = error.description }
    }
    monitor.withLock { hasEnded = true }
    monitor.broadcast()
  }

  /// Whether the reading goes on at that instant: its end is not waited for.
  private func waits(until due: Instant) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    while !isStopped, MonotonicClock.now < due { monitor.wait(until: due) }
    return !isStopped
  }

  /// Ends the reading: what was read within a recording, and why there is nothing where there is not.
  package func stop(from start: Instant?, to end: Instant) -> MetricsResult {
    monitor.lock()
    defer { monitor.unlock() }
    isStopped = true
    monitor.broadcast()
    while !hasEnded { monitor.wait() }
    let kept = start.map { start in samples.filter { $0.time >= start && $0.time <= end } } ?? []
    return MetricsResult(samples: kept, failure: failure)
  }
}
