import CheckedNumbers
import Glibc

/// Where a trace is read from: a file, a pipe or standard input, with its first bytes at hand to tell its kind.
public final class TraceSource {
  /// The path as it was given; "-" for standard input.
  public let path: String
  /// The first bytes, as they are stored.
  public let head: [UInt8]
  /// Bytes in all; nil for what is no regular file.
  public let byteCount: Int?
  /// Whether the content is compressed with gzip.
  public let isCompressed: Bool
  /// The first bytes of the content, uncompressed.
  public let contentHead: [UInt8]
  let descriptor: Int32
  /// The whole content, where it did not come from a file.
  private var held: [UInt8]?
  /// A copy of what came through a pipe, for readers that need to go back and forth.
  private var spooled: String?

  static let headCount = 1 << 16

  /// Opens a path; "-" is standard input.
  public init(_ path: String) throws(TraceImportError) {
    self.path = path
    descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw TraceImportError(path: path, reason: "cannot open: \(String(cString: strerror(errno)))") }
    var failure: String?
    var status = stat()
    if fstat(descriptor, &status) != 0 {
      failure = "cannot read: \(String(cString: strerror(errno)))"
    } else if status.st_mode & S_IFMT == S_IFDIR {
      failure = "a folder; name a file in it"
    }
    let isRegular = status.st_mode & S_IFMT == S_IFREG
    byteCount = isRegular ? Int(clamping: status.st_size) : nil
    var bytes = [UInt8](repeating: 0, count: Self.headCount)
    var count = 0
    while failure == nil, count < bytes.count {
      let offset = count
      let descriptor = descriptor
      let got = bytes.withUnsafeMutableBytes { raw in
        isRegular
          ? pread(descriptor, raw.baseAddress.map { $0 + offset }, raw.count - offset, off_t(offset))
          : Glibc.read(descriptor, raw.baseAddress.map { $0 + offset }, raw.count - offset)
      }
      if got < 0, errno == EINTR { continue }
      if got < 0 { failure = "cannot read: \(String(cString: strerror(errno)))" }
      if got <= 0 { break }
      count += got
    }
    bytes.removeSubrange(count...)
    head = bytes
    isCompressed = bytes.count >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B
    contentHead = isCompressed ? GzipStream.head(of: bytes, limit: Self.headCount) : bytes
    if failure == nil, bytes.isEmpty { failure = "empty" }
    if let failure { throw TraceImportError(path: path, reason: failure) }
  }

  /// Bytes at hand, for tests and fuzzing; `path` is what errors name.
  init(bytes: [UInt8], path: String) {
    self.path = path
    descriptor = -1
    held = bytes
    byteCount = nil
    head = Array(bytes.prefix(Self.headCount))
    isCompressed = bytes.starts(with: [0x1F, 0x8B])
    contentHead = isCompressed ? GzipStream.head(of: head, limit: Self.headCount) : head
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if let spooled { unlink(spooled) }
  }

  /// The content from its beginning, uncompressed. For a pipe once only.
  func content() throws(TraceImportError) -> any ByteStream {
    let raw: any ByteStream = held.map { ArrayStream($0) } ?? FileStream(self)
    return isCompressed ? try GzipStream(raw, path: path) : raw
  }

  /// A path of a regular file with the same bytes, which lives as long as the source: SQLite reads back and forth.
  func regularFile() throws(TraceImportError) -> String {
    if byteCount != nil, !isCompressed, path != "-" { return path }
    if let spooled { return spooled }
    var template = Array(((getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp") + "/headroom-trace-XXXXXX").utf8CString)
    let file = mkstemp(&template)
    func failure() -> TraceImportError {
      TraceImportError(path: path, reason: "cannot copy it to a temporary file: \(String(cString: strerror(errno)))")
    }
    if file < 0 { throw failure() }
    defer { close(file) }
    spooled = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    let stream = try content()
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let got = try stream.read(into: &buffer)
      if got == 0 { break }
      var written = 0
      while written < got {
        let count = buffer[written..<got].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { throw failure() }
        written += count
      }
    }
    return spooled ?? path
  }

  /// What the content looks like, for errors.
  var looksLike: String {
    if isCompressed, contentHead.isEmpty { return "a gzip stream that cannot be uncompressed" }
    if contentHead.starts(with: "SQLite format 3\0".utf8) { return "a SQLite database without any table of a trace" }
    if contentHead.prefix(100).allSatisfy({ $0 == 0 }) { return "a file that begins with zeros" }
    switch contentHead.first(where: { $0 > 0x20 }) {
    case UInt8(ascii: "{"), UInt8(ascii: "["): return "JSON without trace events"
    default: break
    }
    if String(validating: contentHead.prefix(512), as: UTF8.self) != nil { return "text" }
    return "a file of unknown kind"
  }
}
