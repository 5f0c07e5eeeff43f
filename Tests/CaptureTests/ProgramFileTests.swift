import Capture
import FileAccess
import Testing
import TimeBase

@Suite struct ProgramFileTests {
  static func kind(_ bytes: [UInt8]) -> ProgramFile { bytes.withUnsafeBytes(ProgramFile.init) }

  /// A dynamic executable's head with one program header.
  static func dynamic(linker: String, class kind: UInt8 = 2, machine: UInt64 = ProgramFile.machine) -> [UInt8] {
    var bytes = StaticProgram.bytes
    bytes[4] = kind
    bytes[18] = UInt8(truncatingIfNeeded: machine)
    bytes[19] = UInt8(truncatingIfNeeded: machine >> 8)
    bytes[64] = 3
    let text = Array(linker.utf8) + [0]
    bytes.replaceSubrange(72..<80, with: [UInt8(clamping: bytes.count), 0, 0, 0, 0, 0, 0, 0])
    bytes.replaceSubrange(96..<104, with: [UInt8(clamping: text.count), 0, 0, 0, 0, 0, 0, 0])
    return bytes + text
  }

  @Test func kinds() {
    #expect(Self.kind(StaticProgram.bytes) == .staticBinary)
    #expect(Self.kind(Self.dynamic(linker: "/lib64/ld-linux-x86-64.so.2")) == .dynamic)
    if case .foreign(let reason) = Self.kind(Self.dynamic(linker: "/lib/ld-musl-x86_64.so.1")) {
      #expect(reason.contains("musl"))
    } else {
      Issue.record("musl")
    }
    if case .foreign = Self.kind(Self.dynamic(linker: "/lib/ld-linux.so.2", class: 1)) {} else { Issue.record("32 bits") }
    if case .foreign = Self.kind(Self.dynamic(linker: "/lib/ld.so", machine: 243)) {} else { Issue.record("another processor") }
    #expect(Self.kind(Array("#!/bin/sh -e\necho".utf8)) == .script(interpreter: "/bin/sh"))
    #expect(Self.kind(Array("#! \t/usr/bin/env python3".utf8)) == .script(interpreter: "/usr/bin/env"))
    #expect(Self.kind(Array("#!\n".utf8)) == .unknown)
    #expect(Self.kind(Array("hello".utf8)) == .unknown)
    #expect(Self.kind([]) == .unknown)
  }

  @Test func damagedHeadsNeverTrap() {
    var random = SplitMix64(seed: 7)
    let whole = Self.dynamic(linker: "/lib64/ld-linux-x86-64.so.2")
    for length in 0...whole.count { _ = Self.kind(Array(whole.prefix(length))) }
    for _ in 0..<20_000 {
      var bytes = whole
      for _ in 0..<(1 + random.next() % 6) {
        bytes[Int(clamping: random.next() % UInt64(clamping: bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      _ = Self.kind(bytes)
    }
  }

  @Test func whatIsNotThereIsSaid() {
    for (name, kind) in [
      ("no-such-program-4711", CaptureError.Kind.notFound), ("/no/such/file", .notFound), ("", .notFound), ("/tmp", .cannotBeSeen),
      ("/etc/passwd", .cannotBeSeen),
    ] {
      do throws(CaptureError) {
        _ = try ProgramSearch(name)
        Issue.record("\(name) was found")
      } catch { #expect(error.kind == kind, "\(error)") }
    }
    #expect((try? ProgramSearch("sh"))?.path.hasSuffix("/sh") == true)
  }
}
