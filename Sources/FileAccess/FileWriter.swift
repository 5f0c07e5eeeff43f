import Glibc

/// Writes a file piece by piece, for content too large to hold: into a temporary file beside it, which `finish` renames into place. Without
/// `finish` nothing is left behind.
public final class FileWriter {
  private let path: String
  private let temporary: String
  private var descriptor: Int32

  /// Begins a file that will replace `path`.
  public init(_ path: String) throws(FileError) {
    self.path = path
    temporary = "\(path).\(getpid()).partial"
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    if descriptor < 0 { throw FileError(path: path, action: "write", errno: errno) }
  }

  deinit {
    if descriptor >= 0 {
      close(descriptor)
      unlink(temporary)
    }
  }

  /// Writes all of `bytes` behind what is there.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = write(descriptor, rest.baseAddress, rest.count)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { throw FileError(path: path, action: "write", errno: errno) }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Writes all of `bytes` behind what is there.
  public func append(_ bytes: [UInt8]) throws(FileError) {
    let result = bytes.withUnsafeBytes { raw in Result { () throws(FileError) in try append(raw) } }
    try result.get()
  }

  /// Puts the file into place.
  public func finish() throws(FileError) {
    let closed = close(descriptor)
    descriptor = -1
    if closed != 0 || rename(temporary, path) != 0 {
      let code = errno
      unlink(temporary)
      throw FileError(path: path, action: "write", errno: code)
    }
  }
}
