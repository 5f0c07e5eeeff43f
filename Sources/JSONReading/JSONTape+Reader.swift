import CheckedNumbers

extension JSONTape {
  /// A place in the text and the grammar's terminals. Every read is checked against the end; the end reads as NUL, as in RapidJSON.
  struct Reader {
    let text: UnsafeBufferPointer<UInt8>
    var position = 0

    init(text: UnsafeBufferPointer<UInt8>) { self.text = text }

    enum Number {
      case integer(Int64)
      /// Above Int64.max.
      case unsigned(UInt64)
      case double(Double)
    }

    var isAtEnd: Bool { position >= text.count }

    @inline(__always)
    var peek: UInt8 { position < text.count ? text[position] : 0 }

    @inline(__always)
    func byte(_ index: Int) -> UInt8 { index < text.count ? text[index] : 0 }

    @inline(__always)
    mutating func consume(_ byte: UInt8) -> Bool {
      guard position < text.count, text[position] == byte else { return false }
      position += 1
      return true
    }

    @inline(__always)
    mutating func skipSpace() {
      while position < text.count, text[position] <= 0x20 {
        let byte = text[position]
        guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
        position += 1
      }
    }

    @inline(__always)
    var startsNumber: Bool {
      let byte = peek
      return (byte &- 0x30) < 10 || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "N") || byte == UInt8(ascii: "I")
    }

    mutating func word(_ word: StaticString) throws(JSONFault) {
      for index in 0..<word.utf8CodeUnitCount where !consume(word.utf8Start[index]) {
        throw JSONFault(reason: .valueInvalid, offset: position)
      }
    }

    /// A string's content: where it starts, its bytes, and whether it holds escapes.
    mutating func string() throws(JSONFault) -> (first: Int, count: Int, isEscaped: Bool) {
      position += 1
      let first = position
      var isEscaped = false
      while position < text.count {
        let byte = text[position]
        if byte == UInt8(ascii: "\"") {
          position += 1
          return (first, position - 1 - first, isEscaped)
        }
        if byte == UInt8(ascii: "\\") {
          isEscaped = true
          try escape()
        } else if byte < 0x20 {
          throw JSONFault(reason: byte == 0 ? .missingQuote : .invalidEncoding, offset: position)
        } else {
          position += 1
        }
      }
      throw JSONFault(reason: .missingQuote, offset: position)
    }

    private mutating func escape() throws(JSONFault) {
      let start = position
      position += 1
      switch peek {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
        UInt8(ascii: "r"), UInt8(ascii: "t"):
        position += 1
      case UInt8(ascii: "u"):
        position += 1
        let unit = try hex(from: start)
        guard unit >= 0xD800, unit <= 0xDFFF else { return }
        guard unit <= 0xDBFF, consume(UInt8(ascii: "\\")), consume(UInt8(ascii: "u")) else {
          throw JSONFault(reason: .invalidSurrogate, offset: start)
        }
        let second = try hex(from: start)
        guard second >= 0xDC00, second <= 0xDFFF else { throw JSONFault(reason: .invalidSurrogate, offset: start) }
      default: throw JSONFault(reason: .invalidEscape, offset: start)
      }
    }

    private mutating func hex(from start: Int) throws(JSONFault) -> UInt32 {
      var value: UInt32 = 0
      for _ in 0..<4 {
        guard let digit = JSONString.hexDigit(peek) else { throw JSONFault(reason: .invalidHex, offset: start) }
        value = value << 4 | digit
        position += 1
      }
      return value
    }

    /// A whole number of up to 18 digits with a comma, bracket or space behind it: most of what tables of labels and tokens hold. nil, and
    /// nothing read, for anything else.
    @inline(__always)
    mutating func shortInteger() -> Int64? {
      var index = position
      let isNegative = byte(index) == UInt8(ascii: "-")
      if isNegative { index &+= 1 }
      let first = index
      var value: Int64 = 0
      while case let digit = byte(index) &- 0x30, digit < 10 {
        value = value &* 10 &+ Int64(digit)
        index &+= 1
      }
      let digits = index &- first
      // A zero in front of others is an error that the general way words.
      guard digits > 0, digits <= 18, digits == 1 || byte(first) != 0x30 else { return nil }
      let end = byte(index)
      guard end == UInt8(ascii: ",") || end == UInt8(ascii: "]") || end == 0x20 || end == 0x0A else { return nil }
      // Whether "-0" is whole is the general way's to say too.
      if isNegative, value == 0 { return nil }
      position = index
      return isNegative ? -value : value
    }

    /// A number, or NaN, Inf, Infinity with a sign.
    @inline(__always)
    mutating func number() throws(JSONFault) -> Number {
      let start = position
      var index = position
      let isNegative = byte(index) == UInt8(ascii: "-")
      if isNegative { index += 1 }
      var significand: UInt64 = 0
      let firstDigit = index
      if byte(index) == 0x30 {
        index += 1
      } else {
        while index + 8 <= text.count, let eight = Self.eightDigits(text, index), index - firstDigit <= 8 {
          significand = significand &* 100_000_000 &+ eight
          index += 8
        }
        while case let digit = byte(index) &- 0x30, digit < 10 {
          significand = significand &* 10 &+ UInt64(digit)
          index += 1
        }
        if index == firstDigit { return try special(isNegative: isNegative, at: index) }
      }
      var digits = index - firstDigit
      var exponent = 0
      var isInteger = true
      if byte(index) == UInt8(ascii: ".") {
        isInteger = false
        index += 1
        let fraction = index
        while index + 8 <= text.count, let eight = Self.eightDigits(text, index) {
          significand = significand &* 100_000_000 &+ eight
          index += 8
        }
        while case let digit = byte(index) &- 0x30, digit < 10 {
          significand = significand &* 10 &+ UInt64(digit)
          index += 1
        }
        guard index > fraction else { throw JSONFault(reason: .missingFraction, offset: index) }
        exponent = fraction - index
        digits += index - fraction
      }
      if byte(index) | 0x20 == UInt8(ascii: "e") {
        isInteger = false
        index += 1
        var isBelow = false
        if byte(index) == UInt8(ascii: "+") {
          index += 1
        } else if byte(index) == UInt8(ascii: "-") {
          isBelow = true
          index += 1
        }
        let first = index
        var written = 0
        while case let digit = byte(index) &- 0x30, digit < 10 {
          if written < 100_000 { written = written * 10 + Int(digit) }
          index += 1
        }
        guard index > first else { throw JSONFault(reason: .missingExponent, offset: index) }
        exponent += isBelow ? -written : written
      }
      position = index
      // 19 digits always fit 64 bits. Leading zeros count as digits here: they only send a few numbers the slow way.
      if digits <= 19 {
        if isInteger {
          if !isNegative {
            return significand <= UInt64(clamping: Int64.max) ? .integer(Int64(clamping: significand)) : .unsigned(significand)
          }
          if significand <= UInt64(clamping: Int64.max) { return .integer(-Int64(clamping: significand)) }
          if significand == 1 << 63 { return .integer(.min) }
        } else if let value = DecimalConversion.fast(significand, exponent: exponent) {
          return .double(isNegative ? -value : value)
        }
      } else if isInteger, !isNegative, let value = Self.unsigned(text, firstDigit, index) {
        return .unsigned(value)
      }
      let value = DecimalConversion.slow(UnsafeBufferPointer(rebasing: text[start..<index]))
      guard value.isFinite else { throw JSONFault(reason: .numberTooBig, offset: start) }
      return .double(value)
    }

    /// Eight ASCII digits at once, nil when one of them is none (after the bit trick of simdjson's `parse_eight_digits`).
    @inline(__always)
    private static func eightDigits(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> UInt64? {
      guard let base = text.baseAddress else { return nil }
      var word = UInt64(littleEndian: UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self))
      guard (word & 0xF0F0_F0F0_F0F0_F0F0) | (((word &+ 0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0) &>> 4) == 0x3333_3333_3333_3333
      else { return nil }
      // Pairs, fours, all eight: shifts bind tighter than products in Swift, hence the parentheses.
      word = ((word & 0x0F0F_0F0F_0F0F_0F0F) &* 2561) &>> 8
      word = ((word & 0x00FF_00FF_00FF_00FF) &* 6_553_601) &>> 16
      return ((word & 0x0000_FFFF_0000_FFFF) &* 42_949_672_960_001) &>> 32
    }

    /// 20 digits may still fit UInt64.
    private static func unsigned(_ text: UnsafeBufferPointer<UInt8>, _ first: Int, _ end: Int) -> UInt64? {
      var value: UInt64 = 0
      for index in first..<end {
        let (product, tooBig) = value.multipliedReportingOverflow(by: 10)
        let (sum, carried) = product.addingReportingOverflow(UInt64(text[index] &- 0x30))
        if tooBig || carried { return nil }
        value = sum
      }
      return value
    }

    /// NaN and infinities, read as RapidJSON's ParseNumber does with kParseNanAndInfFlag.
    private mutating func special(isNegative: Bool, at index: Int) throws(JSONFault) -> Number {
      position = index
      if consume(UInt8(ascii: "N")) {
        if consume(UInt8(ascii: "a")), consume(UInt8(ascii: "N")) { return .double(.nan) }
      } else if consume(UInt8(ascii: "I")) {
        if consume(UInt8(ascii: "n")), consume(UInt8(ascii: "f")) {
          if peek == UInt8(ascii: "i") { try word("inity") }
          return .double(isNegative ? -.infinity : .infinity)
        }
      }
      throw JSONFault(reason: .valueInvalid, offset: position)
    }
  }
}
