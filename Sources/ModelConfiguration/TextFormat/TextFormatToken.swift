/// A token of protobuf's text format.
struct TextFormatToken {
  enum Kind: Equatable {
    case identifier(String)
    /// Digits as written, without the sign.
    case number(String)
    case string([UInt8])
    case symbol(UInt8)
    case end
  }

  var kind: Kind
  var position: TextPosition

  var text: String {
    switch kind {
    case .identifier(let name): "\"\(name)\""
    case .number(let digits): digits
    case .string: "a string"
    case .symbol(let byte): "\"\(Character(UnicodeScalar(byte)))\""
    case .end: "the end of the file"
    }
  }
}

/// Cuts text into tokens (protobuf.dev, "Text Format Language Specification").
struct TextFormatScanner {
  private let bytes: [UInt8]
  private var index = 0
  private var line = 1
  private var column = 1

  init(_ text: String) { bytes = Array(text.utf8) }

  private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

  private mutating func advance() {
    if bytes[index] == UInt8(ascii: "\n") {
      line += 1
      column = 1
    } else if bytes[index] & 0xC0 != 0x80 {
      // Columns count characters: continuation bytes of UTF-8 are none.
      column += 1
    }
    index += 1
  }

  private mutating func skipBlanks() {
    while let byte = current {
      switch byte {
      case 9...13, 32: advance()
      case UInt8(ascii: "#"): while let byte = current, byte != UInt8(ascii: "\n") { advance() }
      default: return
      }
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) || byte == 95 }
  private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

  mutating func next() throws(ModelConfigurationError) -> TextFormatToken {
    skipBlanks()
    let position = TextPosition(line: line, column: column)
    guard let byte = current else { return TextFormatToken(kind: .end, position: position) }
    if Self.isLetter(byte) {
      let start = index
      while let byte = current, Self.isLetter(byte) || Self.isDigit(byte) { advance() }
      return TextFormatToken(kind: .identifier(String(decoding: bytes[start..<index], as: UTF8.self)), position: position)
    }
    if Self.isDigit(byte) || (byte == UInt8(ascii: ".") && index + 1 < bytes.count && Self.isDigit(bytes[index + 1])) {
      let start = index
      while let byte = current, Self.isLetter(byte) || Self.isDigit(byte) || byte == UInt8(ascii: ".") || isExponentSign(from: start) {
        advance()
      }
      return TextFormatToken(kind: .number(String(decoding: bytes[start..<index], as: UTF8.self)), position: position)
    }
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
      return TextFormatToken(kind: .string(try string(quote: byte, from: position)), position: position)
    }
    guard "{}<>[]:;,-/()".utf8.contains(byte) else {
      let shown = byte < 0x7F && byte > 0x20 ? "\"\(Character(UnicodeScalar(byte)))\"" : "byte \(byte)"
      throw ModelConfigurationError("\(shown) belongs to no token of a configuration", at: position)
    }
    advance()
    return TextFormatToken(kind: .symbol(byte), position: position)
  }

  /// A sign directly behind an exponent letter of a decimal number.
  private func isExponentSign(from start: Int) -> Bool {
    guard let byte = current, byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"), index > start else { return false }
    let isHexadecimal = index - start >= 2 && bytes[start] == UInt8(ascii: "0") && (bytes[start + 1] | 0x20) == UInt8(ascii: "x")
    return !isHexadecimal && (bytes[index - 1] | 0x20) == UInt8(ascii: "e")
  }

  private mutating func string(quote: UInt8, from position: TextPosition) throws(ModelConfigurationError) -> [UInt8] {
    advance()
    var text: [UInt8] = []
    while let byte = current {
      if byte == quote {
        advance()
        return text
      }
      if byte == UInt8(ascii: "\n") { break }
      if byte == UInt8(ascii: "\\") {
        text += try escape()
      } else {
        text.append(byte)
        advance()
      }
    }
    throw ModelConfigurationError("the string that begins here is not closed on its line", at: position)
  }

  private mutating func digits(_ most: Int, radix: UInt32) -> UInt32? {
    var value: UInt32 = 0
    var count = 0
    while count < most, let byte = current, let digit = Character(UnicodeScalar(byte)).hexDigitValue, digit < radix {
      value = value * radix + UInt32(digit)
      count += 1
      advance()
    }
    return count > 0 ? value : nil
  }

  private mutating func escape() throws(ModelConfigurationError) -> [UInt8] {
    let position = TextPosition(line: line, column: column)
    advance()
    guard let byte = current else { throw ModelConfigurationError("the file ends inside an escape", at: position) }
    switch byte {
    case UInt8(ascii: "n"), UInt8(ascii: "t"), UInt8(ascii: "r"), UInt8(ascii: "a"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "v"):
      advance()
      let values: [UInt8: UInt8] = [110: 10, 116: 9, 114: 13, 97: 7, 98: 8, 102: 12, 118: 11]
      return [values[byte] ?? byte]
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "?"):
      advance()
      return [byte]
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      let value = digits(3, radix: 8) ?? 0
      guard value < 256 else { throw ModelConfigurationError("an octal escape above \\377", at: position) }
      return [UInt8(value)]
    case UInt8(ascii: "x"), UInt8(ascii: "X"):
      advance()
      guard let value = digits(2, radix: 16) else { throw ModelConfigurationError("\\x without hexadecimal digits", at: position) }
      return [UInt8(truncatingIfNeeded: value)]
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      let width = byte == UInt8(ascii: "u") ? 4 : 8
      advance()
      let start = index
      guard let value = digits(width, radix: 16), index - start == width, let scalar = UnicodeScalar(value) else {
        throw ModelConfigurationError("\\\(Character(UnicodeScalar(byte))) needs \(width) hexadecimal digits of a character", at: position)
      }
      return Array(String(Character(scalar)).utf8)
    default: throw ModelConfigurationError("unknown escape \\\(Character(UnicodeScalar(byte)))", at: position)
    }
  }
}
