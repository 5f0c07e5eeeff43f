import CheckedNumbers
import Diagnosis
import Glibc
import Synchronization
import Threads
import TimeBase

/// CPU time of the event loops' threads and of the process. Sampled when somebody asks and never by a timer: an idle server stays asleep.
final class FrontEndClock: Sendable {
  /// Counters at one moment.
  struct Sample: Sendable {
    var time: Instant
    /// By thread id: nanoseconds on a core, and nanoseconds ready to run without one.
    var loops: [Int32: (onCore: Int64, waiting: Int64)]
    /// CPU time of all threads, nanoseconds.
    var process: Int64
  }

  /// What happened between two samples.
  struct Usage: Sendable {
    var seconds: Double
    var loops: Int
    /// Mean over the loops, 0...1.
    var busyShare: Double
    /// Of the busiest loop.
    var busiestShare: Double
    /// Ready to run and without a core: mean over the loops.
    var waitShare: Double
    /// Cores that the whole process used.
    var coresUsed: Double
  }

  private let samples = Mutex<[Sample]>([])

  /// Takes a sample and compares it with the one that is nearest to `window` before. nil at the first call in a while.
  func usage(over window: TimeSpan) -> Usage? {
    let now = Self.sample()
    return samples.withLock { samples in
      let oldest = now.time + TimeSpan(nanoseconds: -window.nanoseconds - window.nanoseconds / 5)
      samples.removeAll { $0.time < oldest }
      defer { if samples.last.map({ (now.time - $0.time) >= .milliseconds(50) }) ?? true { samples.append(now) } }
      // Less than a fifth of a second would show single scheduler ticks.
      guard let before = samples.first, now.time - before.time >= .milliseconds(200) else { return nil }
      return Self.usage(from: before, to: now)
    }
  }

  static func usage(from before: Sample, to now: Sample) -> Usage? {
    let wall = Double((now.time - before.time).nanoseconds)
    let shares = now.loops.compactMap { id, value -> (Double, Double)? in
      guard let old = before.loops[id] else { return nil }
      return (Double(value.onCore - old.onCore) / wall, Double(value.waiting - old.waiting) / wall)
    }
    guard wall > 0, !shares.isEmpty else { return nil }
    let count = Double(shares.count)
    return Usage(
      seconds: wall / 1e9, loops: shares.count, busyShare: min(1, shares.reduce(0) { $0 + $1.0 } / count),
      busiestShare: min(1, shares.map(\.0).max() ?? 0), waitShare: min(1, shares.reduce(0) { $0 + $1.1 } / count),
      coresUsed: Double(now.process - before.process) / wall)
  }

  private static func sample() -> Sample {
    var process = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process)
    return Sample(
      time: MonotonicClock.now, loops: ThreadTimes.all(named: ThreadTimes.eventLoopName).mapValues { ($0.onCore, $0.waiting) },
      process: Int64(process.tv_sec) * 1_000_000_000 + Int64(process.tv_nsec))
  }
}
