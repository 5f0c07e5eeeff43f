import CheckedNumbers

/// Where and why a text is not JSON.
public struct JSONError: Error, Equatable, CustomStringConvertible {
  /// 1-based.
  public var line: Int
  /// 1-based, in bytes.
  public var column: Int
  /// What was wrong, in words.
  public var reason: String
  /// "line 3, column 7: ...".
  public var description: String { "line \(line), column \(column): \(reason)" }
}

extension JSONValue {
  /// Reads one JSON document (RFC 8259): nothing may follow it but white space, names within an object must differ, nesting
  /// ends at 128 levels. Integers that fit Int64 stay integers.
  public static func parse(_ text: some Sequence<UInt8>) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes: Array(text))
    return try parser.document()
  }

  /// Reads one JSON document.
  public static func parse(_ text: String) throws(JSONError) -> JSONValue { try parse(text.utf8) }
}

struct JSONParser {
  let bytes: [UInt8]
  var position = 0
  static let deepestNesting = 128

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try self.value(depth: 0)
    skipWhiteSpace()
    if position < bytes.count { throw failure("unexpected text after the document") }
    return value
  }

  func failure(_ reason: String) -> JSONError {
    var line = 1
    var lineStart = 0
    for index in 0..<min(position, bytes.count) where bytes[index] == UInt8(ascii: "\n") {
      line += 1
      lineStart = index + 1
    }
    return JSONError(line: line, column: position - lineStart + 1, reason: reason)
  }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func skipWhiteSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipWhiteSpace()
    guard let byte = current else { throw failure("the text ends where a value was expected") }
    if depth > Self.deepestNesting { throw failure("nested deeper than \(Self.deepestNesting) levels") }
    switch byte {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let expected = Array("\(text)".utf8)
    guard bytes[position...].starts(with: expected) else { throw failure("expected \(text)") }
    position += expected.count
    return value
  }

  mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    position += 1
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    skipWhiteSpace()
    if current == UInt8(ascii: "}") {
      position += 1
      return .object([])
    }
    while true {
      skipWhiteSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("expected a member name in quotes") }
      let start = position
      let name = try string()
      if !names.insert(name).inserted {
        position = start
        throw failure("\"\(name)\" is given twice")
      }
      skipWhiteSpace()
      guard current == UInt8(ascii: ":") else { throw failure("expected ':' after \"\(name)\"") }
      position += 1
      members.append(JSONValue.Member(name, try value(depth: depth + 1)))
      skipWhiteSpace()
      switch current {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return .object(members)
      default: throw failure("expected ',' or '}'")
      }
    }
  }

  mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    skipWhiteSpace()
    if current == UInt8(ascii: "]") {
      position += 1
      return .array([])
    }
    while true {
      elements.append(try value(depth: depth + 1))
      skipWhiteSpace()
      switch current {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return .array(elements)
      default: throw failure("expected ',' or ']'")
      }
    }
  }

  mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    var isInteger = true
    if current == UInt8(ascii: "-") { position += 1 }
    guard let first = current, isDigit(first) else {
      position = start
      throw failure("expected a value")
    }
    if first == UInt8(ascii: "0"), position + 1 < bytes.count, isDigit(bytes[position + 1]) {
      throw failure("a number may not start with 0")
    }
    skipDigits()
    if current == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      guard let digit = current, isDigit(digit) else { throw failure("expected a digit after '.'") }
      skipDigits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      guard let digit = current, isDigit(digit) else { throw failure("expected a digit in the exponent") }
      skipDigits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let integer = Int64(text) { return .integer(integer) }
    guard let double = Double(text), double.isFinite else {
      position = start
      throw failure("\(text) is out of a double's range")
    }
    return .number(double)
  }

  func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  mutating func skipDigits() {
    while let byte = current, isDigit(byte) { position += 1 }
  }

  mutating func string() throws(JSONError) -> String {
    position += 1
    var text: [UInt8] = []
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let decoded = String(validating: text, as: UTF8.self) else { throw failure("a string is not valid UTF-8") }
        return decoded
      case UInt8(ascii: "\\"):
        position += 1
        try escape(into: &text)
      case 0..<0x20: throw failure("a control character in a string must be escaped")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw failure("a string has no closing quote")
  }

  mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    guard let byte = current else { throw failure("a string has no closing quote") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var scalar = try hexadecimal()
      if (0xD800..<0xDC00).contains(scalar) {
        guard current == UInt8(ascii: "\\") else { throw failure("a high surrogate stands alone") }
        position += 1
        guard current == UInt8(ascii: "u") else { throw failure("a high surrogate stands alone") }
        position += 1
        let low = try hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw failure("a high surrogate stands alone") }
        scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let unicode = Unicode.Scalar(scalar) else { throw failure("a low surrogate stands alone") }
      text.append(contentsOf: String(Character(unicode)).utf8)
    default: throw failure("unknown escape")
    }
  }

  mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("expected four hexadecimal digits")
      }
      value = value << 4 | UInt32(clamping: digit)
      position += 1
    }
    return value
  }
}
