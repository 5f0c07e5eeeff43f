import CheckedNumbers
import FileAccess
import Glibc

/// What a thread did with its time, read from /proc.
public struct ThreadTimes: Sendable, Hashable {
  /// As the kernel knows it: fifteen bytes at most.
  public var name: String
  /// On a core, nanoseconds.
  public var onCore: Int64
  /// Ready to run without a core, nanoseconds; 0 where the kernel does not say.
  public var waiting: Int64

  /// How SwiftNIO names the threads of its event loops: "NIO-ELT-0-#1".
  public static let eventLoopName = "NIO-ELT"

  /// Every field stated.
  public init(name: String, onCore: Int64, waiting: Int64) {
    self.name = name
    self.onCore = onCore
    self.waiting = waiting
  }

  /// The threads of a process (nil: this one) whose names begin so, by their numbers; empty where there is no such process.
  public static func all(of process: Int32? = nil, named prefix: String = "") -> [Int32: ThreadTimes] {
    let folder = "/proc/\(process.map { String($0) } ?? "self")/task"
    guard let entries = try? Files.entries(of: folder) else { return [:] }
    var threads: [Int32: ThreadTimes] = [:]
    for entry in entries {
      guard let number = Int32(entry), let times = read("\(folder)/\(entry)", named: prefix) else { continue }
      threads[number] = times
    }
    return threads
  }

  /// CPU time of the threads whose names begin so, nanoseconds; this process's.
  public static func onCore(named prefix: String) -> Int64 { all(named: prefix).values.reduce(0) { $0 &+ $1.onCore } }

  /// CPU time of the calling thread, nanoseconds.
  public static var own: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// nil for a thread that is called otherwise, and for one that has just ended.
  private static func read(_ folder: String, named prefix: String) -> ThreadTimes? {
    guard let name = try? Files.readText("\(folder)/comm", limit: 1 << 10).split(separator: "\n").first.map({ String($0) }) ?? "",
      name.hasPrefix(prefix)
    else { return nil }
    // Absent from kernels without scheduler statistics.
    if let text = try? Files.readText("\(folder)/schedstat", limit: 1 << 10), let times = parse(schedstat: text) {
      return ThreadTimes(name: name, onCore: times.onCore, waiting: times.waiting)
    }
    guard let text = try? Files.readText("\(folder)/stat", limit: 1 << 16), let ticks = parse(stat: text) else { return nil }
    let perSecond = Double(max(1, sysconf(Int32(clamping: _SC_CLK_TCK))))
    return ThreadTimes(name: name, onCore: Int64(saturating: ticks / perSecond * 1e9), waiting: 0)
  }

  /// Nanoseconds on a core, nanoseconds waiting for one, time slices (kernel Documentation/scheduler/sched-stats.rst).
  static func parse(schedstat text: String) -> (onCore: Int64, waiting: Int64)? {
    let fields = text.split { $0 == " " || $0 == "\n" }.map { Int64($0) }
    guard fields.count >= 2, let onCore = fields[0], let waiting = fields[1] else { return nil }
    return (onCore, waiting)
  }

  /// Ticks of user and system time: proc(5), fields 14 and 15. The name before them may hold blanks and parentheses.
  static func parse(stat text: String) -> Double? {
    guard let close = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
    return user + system
  }
}
