import FileAccess
import Glibc
import Threads

/// CPU time of a process by its threads' names, read from /proc.
struct ProcessUsage: Sendable, Hashable {
  /// Seconds of user and system time, threads of one name together.
  var secondsByThread: [String: Double] = [:]
  /// Threads of each name.
  var threads: [String: Int] = [:]

  /// Of all threads.
  var seconds: Double { secondsByThread.values.reduce(0, +) }

  /// What was used since `earlier`.
  func since(_ earlier: ProcessUsage) -> ProcessUsage {
    var change = self
    for (name, seconds) in earlier.secondsByThread { change.secondsByThread[name] = max(0, (change.secondsByThread[name] ?? 0) - seconds) }
    return change
  }

  /// Of threads whose names begin so.
  func seconds(ofThreads prefix: String) -> Double {
    secondsByThread.reduce(0) { $0 + ($1.key.hasPrefix(prefix) ? $1.value : 0) }
  }

  /// How many threads' names begin so.
  func count(ofThreads prefix: String) -> Int { threads.reduce(0) { $0 + ($1.key.hasPrefix(prefix) ? $1.value : 0) } }

  /// Of a process that runs; nil where it is gone.
  init?(pid: pid_t) {
    for thread in ThreadTimes.all(of: pid).values {
      secondsByThread[thread.name, default: 0] += Double(thread.onCore) / 1e9
      threads[thread.name, default: 0] += 1
    }
    if threads.isEmpty { return nil }
  }

  /// Seconds of CPU time that anything on this machine used, and that were stolen from it: /proc/stat.
  static func machine() -> (busySeconds: Double, stolenSeconds: Double)? {
    guard let text = try? Files.readText("/proc/stat", limit: 1 << 20), let line = text.split(separator: "\n").first else { return nil }
    let fields = line.split(separator: " ").dropFirst().compactMap { Double($0) }
    guard fields.count >= 8 else { return nil }
    let ticks = Double(max(1, sysconf(Int32(clamping: _SC_CLK_TCK))))
    return ((fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / ticks, fields[7] / ticks)
  }
}
