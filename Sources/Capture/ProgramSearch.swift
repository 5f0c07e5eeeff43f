import FileAccess
import Glibc

/// Finds the program a command names, and says beforehand where nothing of it would be seen.
public struct ProgramSearch: Sendable {
  /// Path of the program.
  public var path: String

  /// Looks for `name` as a shell does, and into what it finds.
  public init(_ name: String) throws(CaptureError) {
    path = try Self.find(name)
    try Self.check(path, depth: 0)
  }

  private static func find(_ name: String) throws(CaptureError) -> String {
    if name.isEmpty { throw CaptureError(.notFound, "an empty name is no program") }
    if name.contains("/") {
      guard access(name, F_OK) == 0 else { throw CaptureError(.notFound, "\(name): \(String(cString: strerror(errno)))") }
      return name
    }
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    for folder in path.split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = (folder.isEmpty ? "." : String(folder)) + "/" + name
      if isFile(candidate), access(candidate, X_OK) == 0 { return candidate }
    }
    throw CaptureError(.notFound, "\(name): no such program in PATH")
  }

  private static func isFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  private static func check(_ path: String, depth: Int) throws(CaptureError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw CaptureError(.notFound, "\(path): \(String(cString: strerror(errno)))") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw CaptureError(.cannotBeSeen, "\(path) is no file") }
    guard access(path, X_OK) == 0 else { throw CaptureError(.cannotBeSeen, "\(path) may not be run: \(String(cString: strerror(errno)))") }
    // The dynamic linker ignores LD_PRELOAD where a program runs with rights that are not its user's (ld.so(8), secure-execution mode).
    let takesUser = status.st_mode & S_ISUID != 0 && status.st_uid != getuid()
    let takesGroup = status.st_mode & S_ISGID != 0 && status.st_gid != getgid()
    if takesUser || takesGroup {
      throw CaptureError(
        .cannotBeSeen,
        "\(path) is set-\(takesUser ? "user" : "group")-id: the dynamic linker loads nothing into it; run it as its owner (\(status.st_uid))"
      )
    }
    let file: MappedFile
    do throws(FileError) { file = try MappedFile(path: path) } catch { return }
    switch file.withBytes(ProgramFile.init) {
    case .dynamic, .unknown: return
    case .staticBinary:
      throw CaptureError(
        .cannotBeSeen,
        "\(path) is a static binary: it makes its system calls itself, and nothing can be loaded into it. Link it dynamically, or use perf trace"
      )
    case .foreign(let reason): throw CaptureError(.cannotBeSeen, "\(path) cannot be seen: \(reason)")
    case .script(let interpreter):
      // Linux itself follows at most five.
      if depth < 5 { try check(interpreter, depth: depth + 1) }
    }
  }
}
