import CheckedNumbers

/// What kind of program a file holds, as far as recording its calls is concerned. Pure: bytes in.
public enum ProgramFile: Sendable, Hashable {
  /// A dynamic executable of this machine's kind: the interposer can be loaded into it.
  case dynamic
  /// No dynamic linker will run: nothing can be loaded into it.
  case staticBinary
  /// A dynamic executable that the interposer does not fit.
  case foreign(String)
  /// A text that names its interpreter.
  case script(interpreter: String)
  /// Neither; the system will say.
  case unknown

  // The machine numbers of ELF that the interposer is built for.
  #if arch(x86_64)
    /// This machine in ELF.
    public static let machine: UInt64 = 62
  #elseif arch(arm64)
    /// This machine in ELF.
    public static let machine: UInt64 = 183
  #else
    /// This machine in ELF.
    public static let machine: UInt64 = 0
  #endif

  /// Looks at a file's bytes. The head and the program headers decide; what follows may be missing.
  public init(_ bytes: UnsafeRawBufferPointer) {
    func number(_ offset: UInt64, _ size: Int) -> UInt64? {
      guard let start = Int(exactly: offset), start <= bytes.count, bytes.count - start >= size else { return nil }
      return (0..<size).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(clamping: 8 * $1) }
    }
    if bytes.starts(with: "#!".utf8) {
      let line = bytes.dropFirst(2).prefix(255).prefix { $0 != UInt8(ascii: "\n") }.drop {
        $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t")
      }
      let word = line.prefix { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") && $0 != UInt8(ascii: "\r") }
      self = word.isEmpty ? .unknown : .script(interpreter: String(decoding: word, as: UTF8.self))
      return
    }
    guard bytes.starts(with: [0x7F, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F")]) else {
      self = .unknown
      return
    }
    // The ELF-64 object file format: class at 4, byte order at 5, machine at 18, program headers' offset at 32, size and number at 54.
    guard number(4, 1) == 2, number(5, 1) == 1 else {
      self = .foreign("not a 64-bit little-endian program")
      return
    }
    guard number(18, 2) == Self.machine else {
      self = .foreign("made for another processor")
      return
    }
    guard let table = number(32, 8), let size = number(54, 2), let count = number(56, 2), size >= 56 else {
      self = .unknown
      return
    }
    for index in 0..<count {
      let (entry, overflow) = table.addingReportingOverflow(index * size)
      guard !overflow, entry < 1 << 62, let type = number(entry, 4) else { break }
      // PT_INTERP: the dynamic linker's path.
      if type == 3, let offset = number(entry + 8, 8), let length = number(entry + 32, 8) {
        let name = Self.text(bytes, at: offset, length: length)
        self = name.contains("musl") ? .foreign("linked with musl libc; the interposer is for glibc") : .dynamic
        return
      }
    }
    self = .staticBinary
  }

  private static func text(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, length: UInt64) -> String {
    guard let start = Int(exactly: offset), start <= bytes.count else { return "" }
    let end = min(bytes.count, start + min(Int(clamping: length), 4096))
    return String(decoding: bytes[start..<end].prefix { $0 != 0 }, as: UTF8.self)
  }
}
