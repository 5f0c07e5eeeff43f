import CheckedNumbers
import FileAccess
import Glibc

/// Processes below a recorded program that use CUDA and are not recorded: they were started with an environment that somebody had cleaned, or the
/// driver loads no library into them.
public enum UnrecordedProcesses {
  /// One of them.
  public struct Process: Sendable, Hashable {
    /// The system's number.
    public var process: Int64
    /// Path of its program; empty where it cannot be read.
    public var program: String
  }

  /// Those that run now. What has ended already is not found.
  ///
  /// - Parameters:
  ///   - root: the recorded program.
  ///   - recorded: processes that have a file in the capture.
  ///   - libraries: names of the driver's library, as they stand in /proc/PID/maps.
  public static func find(below root: Int64, recorded: Set<Int64>, libraries: [String] = ["libcuda.so"]) -> [Process] {
    let names = ((try? Files.entries(of: "/proc")) ?? []).compactMap { Int64($0) }
    let parents = Dictionary(
      names.compactMap { process in parent(of: process).map { (process, $0) } }, uniquingKeysWith: { first, _ in first })
    return names.sorted().filter { process in
      !recorded.contains(process) && isBelow(process, root, parents) && usesLibrary(process, libraries)
    }.map { Process(process: $0, program: program(of: $0)) }
  }

  /// Whether `process` is `root` or one that it started, directly or not.
  static func isBelow(_ process: Int64, _ root: Int64, _ parents: [Int64: Int64]) -> Bool {
    var (at, steps) = (process, 0)
    while at > 1, steps < 1000 {
      if at == root { return true }
      guard let next = parents[at] else { return false }
      (at, steps) = (next, steps + 1)
    }
    return false
  }

  /// proc(5): the fields behind the program's name, which may hold anything.
  private static func parent(of process: Int64) -> Int64? {
    guard let text = try? Files.readText("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 1 ? Int64(fields[1]) : nil
  }

  private static func usesLibrary(_ process: Int64, _ libraries: [String]) -> Bool {
    guard let text = try? Files.readText("/proc/\(process)/maps", limit: 16 << 20) else { return false }
    return libraries.contains { text.contains("/" + $0) }
  }

  private static func program(of process: Int64) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/\(process)/exe", &buffer, buffer.count - 1)
    return count > 0 ? String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
  }
}
