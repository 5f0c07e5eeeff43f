import CheckedNumbers

/// Strings of JSON: escapes in and out.
public enum JSONString {
  /// Resolves the escapes of a string's content, which a reader has checked.
  public static func unescaped(_ content: UnsafeRawBufferPointer) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(content.count)
    var index = 0
    func unit() -> UInt32 {
      var value: UInt32 = 0
      for offset in 0..<4 where index + offset < content.count { value = value << 4 | (hexDigit(content[index + offset]) ?? 0) }
      index += 4
      return value
    }
    while index < content.count {
      let byte = content[index]
      index += 1
      guard byte == UInt8(ascii: "\\"), index < content.count else {
        bytes.append(byte)
        continue
      }
      let escape = content[index]
      index += 1
      switch escape {
      case UInt8(ascii: "b"): bytes.append(8)
      case UInt8(ascii: "f"): bytes.append(12)
      case UInt8(ascii: "n"): bytes.append(10)
      case UInt8(ascii: "r"): bytes.append(13)
      case UInt8(ascii: "t"): bytes.append(9)
      case UInt8(ascii: "u"):
        var scalar = unit()
        if scalar >= 0xD800, scalar <= 0xDBFF {
          index += 2
          scalar = 0x10000 + (scalar - 0xD800) << 10 + (unit() &- 0xDC00) & 0x3FF
        }
        bytes += Array(String(Unicode.Scalar(scalar).map(Character.init) ?? "\u{FFFD}").utf8)
      default: bytes.append(escape)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What a hexadecimal digit counts; nil for what is none.
  @inlinable public static func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(truncatingIfNeeded: byte &- 0x30)
    case 0x41...0x46: UInt32(truncatingIfNeeded: byte &- 0x41 &+ 10)
    case 0x61...0x66: UInt32(truncatingIfNeeded: byte &- 0x61 &+ 10)
    default: nil
    }
  }

  /// Appends a string in quotes, as RapidJSON's Writer escapes it: control characters, quote and backslash only.
  /// Inlinable: unspecialized, each byte of a name costs some calls through witness tables.
  @inlinable public static func write(_ text: some StringProtocol, into bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    // Most texts need no escapes: they are copied as they are.
    let isCopied = text.utf8.withContiguousStorageIfAvailable { content in
      for byte in content where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return false }
      bytes.append(contentsOf: content)
      return true
    }
    if isCopied == true { return bytes.append(UInt8(ascii: "\"")) }
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 8: bytes += "\\b".utf8
      case 9: bytes += "\\t".utf8
      case 10: bytes += "\\n".utf8
      case 12: bytes += "\\f".utf8
      case 13: bytes += "\\r".utf8
      case 0..<0x20:
        let digits = Array("0123456789ABCDEF".utf8)
        bytes += "\\u00".utf8
        bytes.append(digits[Int(byte >> 4)])
        bytes.append(digits[Int(byte & 15)])
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
