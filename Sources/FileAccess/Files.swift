import CheckedNumbers
import Glibc

/// Whole-file reading and writing.
public enum Files {
  /// The bytes of a file, a pipe or a device. More than `limit` bytes is an error, so that `/dev/zero` cannot fill the memory.
  public static func read(_ path: String, limit: Int = 1 << 30) throws(FileError) -> [UInt8] {
    try read(path, flags: 0, limit: limit) { _ in nil }
  }

  /// The bytes of a regular file: what is named by something that was sent or stored must not be a pipe to wait at.
  public static func readRegular(_ path: String, limit: Int = 1 << 30) throws(FileError) -> [UInt8] {
    try read(path, flags: O_NONBLOCK, limit: limit) { $0.st_mode & S_IFMT == S_IFREG ? nil : "not a regular file" }
  }

  private static func read(
    _ path: String, flags: Int32, limit: Int, refusing: (stat) -> String?
  ) throws(FileError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | flags)
    if descriptor < 0 { throw FileError(path: path, action: "open", errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    if fstat(descriptor, &status) != 0 { throw FileError(path: path, action: "inspect", errno: errno) }
    if let reason = refusing(status) { throw FileError(path: path, action: "open", reason: reason) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = Glibc.read(descriptor, &chunk, chunk.count)
      if got < 0 {
        if errno == EINTR { continue }
        throw FileError(path: path, action: "read", errno: errno)
      }
      if got == 0 { return bytes }
      if bytes.count + got > limit { throw FileError(path: path, action: "read", reason: "longer than \(limit) bytes") }
      bytes.append(contentsOf: chunk[0..<got])
    }
  }

  /// A folder and those above it; one that exists is fine.
  public static func createFolder(_ path: String) throws(FileError) {
    var partial = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      partial += (partial.isEmpty || partial == "/" ? "" : "/") + part
      if mkdir(partial, 0o755) != 0, errno != EEXIST { throw FileError(path: partial, action: "create", errno: errno) }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw FileError(path: path, action: "create", reason: "it exists and is no folder")
    }
  }

  /// A text file; invalid UTF-8 is an error rather than replacement characters.
  public static func readText(_ path: String, limit: Int = 1 << 28) throws(FileError) -> String {
    let bytes = try read(path, limit: limit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FileError(path: path, action: "read", reason: "not valid UTF-8")
    }
    return text
  }

  /// Writes a file so that readers see the old content or the new one, never half: a temporary file beside it, then a rename.
  /// A path that exists and is not a regular file (a pipe, `/dev/stdout`) is written in place.
  public static func write(_ path: String, _ bytes: [UInt8]) throws(FileError) {
    var status = stat()
    let inPlace = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    let target = inPlace ? path : "\(path).\(getpid()).partial"
    let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (inPlace ? 0 : O_TRUNC)
    let descriptor = open(target, flags, 0o644)
    if descriptor < 0 { throw FileError(path: path, action: "write", errno: errno) }
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 {
        let code = errno
        close(descriptor)
        if !inPlace { unlink(target) }
        throw FileError(path: path, action: "write", errno: code)
      }
      written += count
    }
    // close reports what a full disk or a network file system deferred.
    if close(descriptor) != 0 {
      let code = errno
      if !inPlace { unlink(target) }
      throw FileError(path: path, action: "write", errno: code)
    }
    if !inPlace && rename(target, path) != 0 {
      let code = errno
      unlink(target)
      throw FileError(path: path, action: "write", errno: code)
    }
  }

  /// `write` for text.
  public static func write(_ path: String, _ text: String) throws(FileError) { try write(path, Array(text.utf8)) }
}

extension Files {
  /// Names in a folder, sorted, "." and ".." left out.
  public static func entries(of folder: String) throws(FileError) -> [String] {
    guard let directory = opendir(folder) else { throw FileError(path: folder, action: "list", errno: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// What a path is; nil where there is nothing.
  public static func kind(of path: String) -> Kind? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
  }

  /// Whether a path is a file that may be opened more than once: no pipe, no device.
  public static func isRegular(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// See `kind(of:)`.
  public enum Kind: Sendable, Hashable { case file, folder }

  /// When a path was last changed, nanoseconds since the epoch, and its size; nil where there is nothing.
  public static func stamp(of path: String) -> (modifiedNanoseconds: Int64, byteCount: Int64)? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return (Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec), Int64(status.st_size))
  }
}
