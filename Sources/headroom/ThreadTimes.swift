import CheckedNumbers
import Glibc

/// CPU time of threads of this process, nanoseconds.
enum ThreadTimes {
  /// The calling thread's.
  static var own: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Of all threads whose names begin so.
  static func sum(named prefix: String) -> Int64 { sum(field: 0, named: prefix) }

  /// How long all threads were ready to run and had no core.
  static var waiting: Int64 { sum(field: 1, named: "") }

  private static func sum(field: Int, named prefix: String) -> Int64 {
    guard let folder = opendir("/proc/self/task") else { return 0 }
    defer { closedir(folder) }
    var sum: Int64 = 0
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasPrefix(".") { continue }
      if !prefix.isEmpty, !read("/proc/self/task/\(name)/comm").hasPrefix(prefix) { continue }
      // schedstat: nanoseconds on a core, nanoseconds waiting for one, time slices (kernel Documentation/scheduler/sched-stats.rst).
      let fields = read("/proc/self/task/\(name)/schedstat").split(separator: " ")
      if fields.count > field, let value = Int64(fields[field]) { sum &+= value }
    }
    return sum
  }

  /// A small file of /proc; empty where it is gone.
  static func read(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 512)
    let count = Glibc.read(file, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : ""
  }
}
