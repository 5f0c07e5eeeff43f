import FileAccess
import Glibc
import Testing

@Suite struct FileAccessTests {
  static func temporaryPath(_ name: String) -> String {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
    return "\(folder)/headroom-\(getpid())-\(name)"
  }

  @Test func whatIsWrittenIsReadAndMapped() throws {
    let path = Self.temporaryPath("round-trip")
    defer { unlink(path) }
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
    try Files.write(path, bytes)
    #expect(try Files.read(path) == bytes)
    let mapped = try MappedFile(path: path)
    #expect(mapped.count == bytes.count)
    #expect(mapped.withBytes { Array($0) } == bytes)
  }

  @Test func anEmptyFileMapsToNothing() throws {
    let path = Self.temporaryPath("empty")
    defer { unlink(path) }
    try Files.write(path, "")
    #expect(try MappedFile(path: path).withBytes { $0.count } == 0)
  }

  /// A pipe that nobody writes to would be waited at for ever.
  @Test func pipesAreNotWaitedAt() throws {
    let path = Self.temporaryPath("pipe")
    defer { unlink(path) }
    #expect(mkfifo(path, 0o600) == 0)
    let refusal = FileError(path: path, action: "open", reason: "not a regular file")
    #expect(throws: refusal) { try Files.readRegular(path) }
    #expect(throws: refusal) { try MappedFile(path: path) }
  }

  @Test func missingFilesFoldersAndEndlessDevicesAreNamed() {
    #expect(throws: FileError(path: "no/such/file", action: "open", reason: "No such file or directory")) {
      try MappedFile(path: "no/such/file")
    }
    #expect(throws: FileError(path: "/", action: "open", reason: "not a regular file")) { try MappedFile(path: "/") }
    #expect(throws: FileError(path: "/dev/zero", action: "read", reason: "longer than 100000 bytes")) {
      try Files.read("/dev/zero", limit: 100_000)
    }
    #expect(throws: FileError.self) { try Files.write("/no/such/folder/file", "x") }
  }

  @Test func aFailedWriteLeavesTheOldContent() throws {
    let path = Self.temporaryPath("kept")
    defer { unlink(path) }
    try Files.write(path, "old")
    try Files.write(path, "new")
    #expect(try Files.readText(path) == "new")
  }
}
