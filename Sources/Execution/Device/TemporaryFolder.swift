import FileAccess
import Glibc

/// A folder of this process's own that goes with its owner: files that came in a call, for engines that read files.
public final class TemporaryFolder: Sendable {
  /// Where it is.
  public let path: String

  /// An empty folder that nobody else may read, below `TMPDIR`.
  public init(_ prefix: String = "headroom") throws(FileError) {
    let base = EngineFolders.variable("TMPDIR") ?? "/tmp"
    var template = Array("\(base)/\(prefix)-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } }
    guard let made else { throw FileError(path: base, action: "make a folder in", reason: String(cString: strerror(errno))) }
    path = made
  }

  /// Writes a file below it, its folders included. `name` may not lead elsewhere.
  public func write(_ name: String, _ bytes: [UInt8]) throws(FileError) {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !parts.isEmpty, parts.count <= 16, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && !$0.utf8.contains(0) }) else {
      throw FileError(path: name, action: "write", reason: "a file that is sent is named by folders and a name, without . or ..")
    }
    var folder = path
    for part in parts.dropLast() {
      folder += "/\(part)"
      guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
        throw FileError(path: folder, action: "make", reason: String(cString: strerror(errno)))
      }
    }
    try Files.write("\(path)/\(name)", bytes)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in (try? Files.entries(of: path)) ?? [] {
      let inner = "\(path)/\(name)"
      // A link is removed, not followed.
      if unlink(inner) != 0 { remove(inner) }
    }
    rmdir(path)
  }
}
