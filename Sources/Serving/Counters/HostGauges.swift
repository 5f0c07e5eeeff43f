import FileAccess
import Synchronization

/// Processor and memory of the machine, as the reference server shows them (core `src/metrics.cc`, PollCacheMetrics and its CPU part).
final class HostGauges: Sendable {
  /// What the gauges say now.
  struct Values: Sendable, Hashable {
    /// Share of all cores' time that was not idle since the page was last read: 0 to 1.
    var utilization = 0.0
    /// Bytes.
    var totalMemory = 0.0
    /// Bytes that programs cannot have: total less available.
    var usedMemory = 0.0
  }

  private struct Ticks {
    var all = 0.0
    var idle = 0.0
  }

  private let last = Mutex(Ticks())

  init() { last.withLock { $0 = Self.ticks() } }

  func read() -> Values {
    var values = Values()
    let now = Self.ticks()
    last.withLock { last in
      if now.all > last.all { values.utilization = max(0, min(1, 1 - (now.idle - last.idle) / (now.all - last.all))) }
      last = now
    }
    let memory = Self.fields("/proc/meminfo", of: ["MemTotal:", "MemAvailable:"])
    values.totalMemory = (memory["MemTotal:"]?.first ?? 0) * 1024
    values.usedMemory = max(0, values.totalMemory - (memory["MemAvailable:"]?.first ?? 0) * 1024)
    return values
  }

  /// proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
  private static func ticks() -> Ticks {
    guard let columns = fields("/proc/stat", of: ["cpu"])["cpu"], columns.count >= 4 else { return Ticks() }
    return Ticks(all: columns.prefix(8).reduce(0, +), idle: columns[3] + (columns.count > 4 ? columns[4] : 0))
  }

  /// The numbers behind each of these names at a line's start; none where the file cannot be read.
  private static func fields(_ path: String, of names: Set<String>) -> [String: [Double]] {
    guard let text = try? Files.readText(path) else { return [:] }
    var found: [String: [Double]] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard let name = words.first.map(String.init), names.contains(name) else { continue }
      found[name] = words.dropFirst().compactMap { Double($0) }
    }
    return found
  }
}
