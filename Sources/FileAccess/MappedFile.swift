import CheckedNumbers
import Glibc

/// A regular file's bytes, mapped read-only for the object's lifetime: a 48 MB model costs page-cache references, not memory.
///
/// A file that another process truncates while it is mapped raises SIGBUS on access, as with every mapping; replace model files
/// by renaming a new one over them.
public final class MappedFile: Sendable {
  /// The path as it was given.
  public let path: String
  /// The file's length in bytes.
  public let count: Int
  // Sendable: the address is written once, the pages are never written, and `deinit` runs when nobody can hold `self`.
  private nonisolated(unsafe) let base: UnsafeRawPointer?

  /// Maps the regular file at `path`.
  public init(path: String) throws(FileError) {
    // Without waiting: a pipe that nobody writes to is refused below, not waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0 { throw FileError(path: path, action: "open", errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    if fstat(descriptor, &status) != 0 { throw FileError(path: path, action: "inspect", errno: errno) }
    if status.st_mode & S_IFMT != S_IFREG { throw FileError(path: path, action: "open", reason: "not a regular file") }
    self.path = path
    self.count = Int(status.st_size)
    if count == 0 {
      self.base = nil
      return
    }
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw FileError(path: path, action: "map", errno: errno)
    }
    self.base = UnsafeRawPointer(address)
  }

  deinit {
    if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
  }

  /// Calls `body` with the whole file. The pointer is valid only inside.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(start: base, count: count)) }
  }
}
