import CheckedNumbers

extension TextLexer {
  /// Decimal, octal (0...), hexadecimal (0x...) or floating point, without a sign, which is a token of its own.
  mutating func number() throws(ModelConfigurationError) -> TextToken.Kind {
    let start = position
    let place = self.place
    let kind: TextToken.Kind
    if current == UInt8(ascii: "0"), let mark = peek(1), mark | 0x20 == UInt8(ascii: "x") {
      advance(by: 2)
      let digits = position
      while let byte = current, Character(Unicode.Scalar(byte)).isHexDigit { advance() }
      guard position > digits else { throw failure("expected hexadecimal digits after 0x", at: place) }
      kind = integer(from: start, digits: digits, radix: 16)
    } else if current == UInt8(ascii: "0"), peek(1).map(isDigit) == true {
      while let byte = current, isDigit(byte) {
        if byte > UInt8(ascii: "7") { throw failure("a number that starts with 0 is octal and has only the digits 0 to 7", at: place) }
        advance()
      }
      kind = integer(from: start, digits: start, radix: 8)
    } else {
      kind = try decimal(from: start)
    }
    if let byte = current, isIdentifierPart(byte) || byte == UInt8(ascii: ".") {
      throw failure("a number ends in '\(Character(Unicode.Scalar(byte)))'; put a space after it, or the text in quotes", at: place)
    }
    return kind
  }

  private func integer(from start: Int, digits: Int, radix: Int) -> TextToken.Kind {
    let magnitude = UInt64(String(decoding: bytes[digits..<position], as: UTF8.self), radix: radix)
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    return .integer(IntegerLiteral(isNegative: false, magnitude: magnitude, isDecimal: radix == 10, text: text))
  }

  private mutating func decimal(from start: Int) throws(ModelConfigurationError) -> TextToken.Kind {
    var isInteger = true
    skipDigits()
    if current == UInt8(ascii: ".") {
      isInteger = false
      advance()
      skipDigits()
    }
    if let mark = current, mark | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      advance()
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { advance() }
      guard current.map(isDigit) == true else { throw failure("expected digits in the exponent") }
      skipDigits()
    }
    let end = position
    if let mark = current, mark | 0x20 == UInt8(ascii: "f") {
      isInteger = false
      advance()
    }
    if isInteger { return integer(from: start, digits: start, radix: 10) }
    guard let value = Double(Self.padded(bytes[start..<end])) else { throw failure("this is not a number") }
    return .number(value)
  }

  /// Swift reads neither "1." nor ".5": a zero is put beside a bare point.
  private static func padded(_ original: ArraySlice<UInt8>) -> String {
    var text = String(decoding: original, as: UTF8.self)
    if text.hasPrefix(".") { text = "0" + text }
    guard let dot = text.firstIndex(of: ".") else { return text }
    let next = text.index(after: dot)
    if next == text.endIndex || !text[next].isNumber { text.insert("0", at: next) }
    return text
  }

  private mutating func skipDigits() {
    while let byte = current, isDigit(byte) { advance() }
  }
}
