import CheckedNumbers

/// A place in a piece of JSON text: what long documents are read with, value by value, without building anything.
///
/// The text may be a window onto a longer document. Where it ends inside a value, reading fails; the caller then brings more text and reads
/// that value again. Laxer than `JSONTape` on purpose: control characters in strings are taken as they are, numbers may stand in quotes.
@frozen public struct JSONCursor {
  /// The text.
  public let text: UnsafeBufferPointer<UInt8>
  /// Offset of the next byte.
  public var position: Int

  /// A string's content in the text, without its quotes.
  @frozen public struct Span {
    /// Offset of the first byte.
    public var first: Int
    /// Bytes, escapes as they are written.
    public var count: Int
    /// Whether there are escapes in it.
    public var isEscaped: Bool
    /// A content.
    @inlinable public init(first: Int, count: Int, isEscaped: Bool) {
      self.first = first
      self.count = count
      self.isEscaped = isEscaped
    }
  }

  /// A place in a text.
  @inlinable public init(_ text: UnsafeBufferPointer<UInt8>, position: Int = 0) {
    self.text = text
    self.position = position
  }

  /// Whether all is read.
  @inlinable public var isAtEnd: Bool { position >= text.count }

  /// The next byte; 0 at the end.
  @inlinable @inline(__always) public var peek: UInt8 { position < text.count ? text[position] : 0 }

  /// Passes the byte if it is the next one.
  @inlinable @inline(__always) public mutating func consume(_ byte: UInt8) -> Bool {
    guard position < text.count, text[position] == byte else { return false }
    position &+= 1
    return true
  }

  /// Passes white space.
  @inlinable @inline(__always) public mutating func skipSpace() {
    while position < text.count, text[position] <= 0x20 { position &+= 1 }
  }

  /// A string, from its opening quote.
  @inlinable public mutating func string() throws(JSONFault) -> Span {
    guard consume(UInt8(ascii: "\"")) else { throw JSONFault(reason: .valueInvalid, offset: position) }
    let first = position
    var isEscaped = false
    while true {
      position = Self.quoteOrBackslash(text, from: position)
      guard position < text.count else { throw JSONFault(reason: .missingQuote, offset: position) }
      if text[position] == UInt8(ascii: "\"") {
        position &+= 1
        return Span(first: first, count: position &- 1 &- first, isEscaped: isEscaped)
      }
      isEscaped = true
      position &+= 2
    }
  }

  /// Offset of the first quote or backslash at or behind `start`, else the end. Eight bytes at a time: haszero of "Bit Twiddling Hacks"
  /// (S. E. Anderson, Stanford), whose lowest hit is exact in little endian.
  @inlinable @inline(__always) static func quoteOrBackslash(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    var index = start
    guard let base = text.baseAddress else { return text.count }
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    while index &+ 8 <= text.count {
      let word = UInt64(littleEndian: UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self))
      let quotes = word ^ (ones &* 0x22)
      let slashes = word ^ (ones &* 0x5C)
      let hits = ((quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes) & highs
      if hits != 0 { return index &+ hits.trailingZeroBitCount >> 3 }
      index &+= 8
    }
    while index < text.count {
      let byte = text[index]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return index }
      index &+= 1
    }
    return text.count
  }

  /// Passes a value of any kind, checking no more of it than finding its end needs. Takes constant memory however deep it nests.
  @inlinable public mutating func skipValue() throws(JSONFault) {
    skipSpace()
    let start = position
    switch peek {
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      var depth = 0
      while position < text.count {
        let byte = text[position]
        if byte == UInt8(ascii: "\"") {
          _ = try string()
          continue
        }
        position &+= 1
        // '{' and '[', '}' and ']' differ in one bit.
        if byte | 0x20 == UInt8(ascii: "{") {
          depth &+= 1
        } else if byte | 0x20 == UInt8(ascii: "}") {
          depth &-= 1
          if depth == 0 { return }
        }
      }
      throw JSONFault(reason: .missingCommaOrBrace, offset: position)
    default:
      while position < text.count {
        let byte = text[position]
        if byte == UInt8(ascii: ",") || byte | 0x20 == UInt8(ascii: "}") || byte <= 0x20 { break }
        position &+= 1
      }
      // A number or a word ends where something else begins: at the end of a window it may go on.
      if position == start || position >= text.count { throw JSONFault(reason: .valueInvalid, offset: position) }
    }
  }

  /// A whole number, in quotes or not; a fraction is cut off. nil, and the value passed, where there is another value or the number does not
  /// fit.
  @inlinable public mutating func integer() throws(JSONFault) -> Int64? { try scaled(by: 0) }

  /// A number times 10^`digits`, to the nearest: microseconds with a fraction become nanoseconds with 3 digits, exactly. In quotes or
  /// not. nil, and the value passed, where there is another value or the result does not fit.
  @inlinable public mutating func scaled(by digits: Int) throws(JSONFault) -> Int64? {
    let start = position
    let isQuoted = consume(UInt8(ascii: "\""))
    let isNegative = consume(UInt8(ascii: "-"))
    var value: UInt64 = 0
    var count = 0
    while position < text.count, case let digit = text[position] &- 0x30, digit < 10 {
      // 19 digits fit 64 bits; more go the slow way.
      if count == 19 { return try slow(from: start, scaledBy: digits) }
      value = value &* 10 &+ UInt64(truncatingIfNeeded: digit)
      if value > 0 { count &+= 1 }
      position &+= 1
    }
    guard position > start, text[position &- 1] &- 0x30 < 10 else { return try slow(from: start, scaledBy: digits) }
    var missing = digits
    var rounding = false
    if consume(UInt8(ascii: ".")) {
      while position < text.count, case let digit = text[position] &- 0x30, digit < 10 {
        if missing > 0 {
          if count == 19 { return try slow(from: start, scaledBy: digits) }
          value = value &* 10 &+ UInt64(truncatingIfNeeded: digit)
          if value > 0 { count &+= 1 }
          missing &-= 1
        } else if missing == 0 {
          rounding = digit >= 5
          missing &-= 1
        }
        position &+= 1
      }
    }
    if position < text.count, text[position] | 0x20 == UInt8(ascii: "e") { return try slow(from: start, scaledBy: digits) }
    if isQuoted, !consume(UInt8(ascii: "\"")) { return try slow(from: start, scaledBy: digits) }
    while missing > 0 {
      if count == 19 { return nil }
      value = value &* 10
      if value > 0 { count &+= 1 }
      missing &-= 1
    }
    if rounding { value &+= 1 }
    guard let magnitude = Int64(exactly: value) else { return nil }
    return isNegative ? 0 &- magnitude : magnitude
  }

  /// Exponents, very long numbers, and whatever is not a number.
  @usableFromInline mutating func slow(from start: Int, scaledBy digits: Int) throws(JSONFault) -> Int64? {
    position = start
    var content = Span(first: start, count: 0, isEscaped: false)
    if peek == UInt8(ascii: "\"") {
      content = try string()
    } else {
      try skipValue()
      content.count = position - start
    }
    guard content.count <= 400, let value = Self.double(UnsafeBufferPointer(rebasing: text[content.first..<content.first + content.count]))
    else { return nil }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    return Int64(exactly: (value * scale).rounded())
  }

  /// A number as a Double, in quotes or not. nil, and the value passed, where there is another value.
  public mutating func double() throws(JSONFault) -> Double? {
    let start = position
    var content = Span(first: start, count: 0, isEscaped: false)
    if peek == UInt8(ascii: "\"") {
      content = try string()
    } else {
      try skipValue()
      content.count = position - start
    }
    return Self.double(UnsafeBufferPointer(rebasing: text[content.first..<content.first + content.count]))
  }

  private static func double(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
    guard text.count <= 400, let first = text.first, first == UInt8(ascii: "-") || first &- 0x30 < 10 else { return nil }
    return Double(String(decoding: text, as: UTF8.self))
  }

  /// Whether a string's content is this text.
  @inlinable @inline(__always) public func matches(_ span: Span, _ name: StaticString) -> Bool {
    guard span.count == name.utf8CodeUnitCount, span.first &+ span.count <= text.count else { return false }
    var offset = 0
    while offset < span.count {
      if text[span.first &+ offset] != name.utf8Start[offset] { return false }
      offset &+= 1
    }
    return true
  }

  /// A string's text, escapes resolved; what is no UTF-8 is replaced.
  public func string(_ span: Span) -> String {
    let content = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: text[span.first..<span.first + span.count]))
    return span.isEscaped ? JSONString.unescaped(content) : String(decoding: content, as: UTF8.self)
  }
}
