import CheckedNumbers

extension TextLexer {
  /// A text in quotes, escapes decoded.
  mutating func string(quote: UInt8) throws(ModelConfigurationError) -> [UInt8] {
    let start = place
    advance()
    var text: [UInt8] = []
    while let byte = current {
      switch byte {
      case quote:
        advance()
        return text
      case UInt8(ascii: "\n"): throw failure("a text must end in the line it starts in; write \\n for a line break", at: start)
      case UInt8(ascii: "\\"): try escape(into: &text)
      default:
        text.append(byte)
        advance()
      }
    }
    throw failure("this text has no closing quote", at: start)
  }

  private mutating func escape(into text: inout [UInt8]) throws(ModelConfigurationError) {
    let start = place
    guard let mark = peek(1) else { throw failure("the text ends in an escape", at: start) }
    advance(by: 2)
    switch mark {
    case UInt8(ascii: "a"): text.append(0x07)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "v"): text.append(0x0B)
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "?"): text.append(mark)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      var value = UInt32(mark - UInt8(ascii: "0"))
      for _ in 0..<2 {
        guard let digit = current, digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "7") else { break }
        value = value << 3 | UInt32(digit - UInt8(ascii: "0"))
        advance()
      }
      guard let byte = UInt8(exactly: value) else { throw failure("an octal escape is at most \\377", at: start) }
      text.append(byte)
    case UInt8(ascii: "x"), UInt8(ascii: "X"):
      let value = hexadecimal(upTo: 2)
      guard let value else { throw failure("expected hexadecimal digits after \\x", at: start) }
      text.append(UInt8(truncatingIfNeeded: value))
    case UInt8(ascii: "u"): try scalar(digits: 4, at: start, into: &text)
    case UInt8(ascii: "U"): try scalar(digits: 8, at: start, into: &text)
    default: throw failure("this escape is unknown; write \\\\ for a backslash", at: start)
    }
  }

  /// Nil where not even one digit stands.
  private mutating func hexadecimal(upTo count: Int) -> UInt32? {
    var value: UInt32?
    for _ in 0..<count {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { break }
      value = (value ?? 0) << 4 | UInt32(clamping: digit)
      advance()
    }
    return value
  }

  private mutating func scalar(digits: Int, at start: ConfigurationPlace, into text: inout [UInt8]) throws(ModelConfigurationError) {
    var value = try codeUnit(digits: digits, at: start)
    // A pair of UTF-16 surrogates stands for one scalar, as in protobuf's own reader.
    if digits == 4, (0xD800..<0xDC00).contains(value), current == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "u") {
      advance(by: 2)
      let low = try codeUnit(digits: 4, at: start)
      guard (0xDC00..<0xE000).contains(low) else { throw failure("a high surrogate must be followed by a low one", at: start) }
      value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(value) else { throw failure("this escape is not a Unicode character", at: start) }
    text.append(contentsOf: String(Character(scalar)).utf8)
  }

  private mutating func codeUnit(digits: Int, at start: ConfigurationPlace) throws(ModelConfigurationError) -> UInt32 {
    let first = position
    guard let value = hexadecimal(upTo: digits), position - first == digits else {
      throw failure("expected \(digits) hexadecimal digits in this escape", at: start)
    }
    return value
  }
}
