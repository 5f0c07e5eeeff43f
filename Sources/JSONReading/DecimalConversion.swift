import CheckedNumbers
import Glibc

/// Decimal digits to Double, correctly rounded.
///
/// Method: Lemire, "Number Parsing at a Gigabyte per Second" (Software: Practice and Experience 51, 2021), sections 5 to 8: the decimal
/// significand times a 128-bit approximation of the power of five. What that cannot settle goes to `strtod`.
enum DecimalConversion {
  /// Powers of ten that Double holds exactly.
  private static let exactPowers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
  ]

  /// Exponents the table covers; tensor values outside are rare enough for `strtod`.
  static let smallestExponent = -65
  static let largestExponent = 65

  /// 128 leading bits of 5^q, high word first, for each q from `smallestExponent`; reciprocals are rounded up.
  private static let powersOfFive: [(high: UInt64, low: UInt64)] = (smallestExponent...largestExponent).map(powerOfFive)

  /// significand x 10^exponent. nil: not decided here.
  @inline(__always)
  static func fast(_ significand: UInt64, exponent: Int) -> Double? {
    if significand <= 1 << 53, exponent >= -22, exponent <= 22 {
      // Both operands are exact, so the one operation rounds correctly (Clinger 1990).
      return exactPowers.withUnsafeBufferPointer { powers in
        exponent < 0 ? Double(significand) / powers[-exponent] : Double(significand) * powers[exponent]
      }
    }
    return lemire(significand, exponent: exponent)
  }

  static func lemire(_ significand: UInt64, exponent q: Int) -> Double? {
    if significand == 0 { return 0 }
    guard q >= smallestExponent, q <= largestExponent else { return nil }
    let power = powersOfFive.withUnsafeBufferPointer { $0[q - smallestExponent] }
    let leading = significand.leadingZeroBitCount
    let w = significand &<< UInt64(clamping: leading)
    var product = w.multipliedFullWidth(by: power.high)
    // 55 bits decide the result unless the bits below them are all ones: then the table's low word matters.
    if product.high & 0x1FF == 0x1FF {
      let second = w.multipliedFullWidth(by: power.low)
      let (sum, carry) = product.low.addingReportingOverflow(second.high)
      product.low = sum
      if carry { product.high &+= 1 }
      if product.low == .max && (q < -27 || q > 55) { return nil }
    }
    let upperBit = Int(clamping: product.high &>> 63)
    let shift = UInt64(clamping: upperBit + 9)
    var mantissa = product.high &>> shift
    // floor(q log2(10)) by a fixed-point multiplication, exact in this range.
    var power2 = ((217_706 &* q) >> 16) &+ 63 &+ upperBit &- leading &+ 1023
    if power2 <= 0 || power2 >= 2046 { return nil }
    // Exactly half way: only possible where 5^|q| fits the significand.
    if product.low <= 1, q >= -4, q <= 23, mantissa & 3 == 1, mantissa &<< shift == product.high { mantissa &= ~1 }
    mantissa = (mantissa &+ (mantissa & 1)) &>> 1
    if mantissa >= 2 << 52 {
      mantissa = 1 << 52
      power2 &+= 1
    }
    return Double(bitPattern: UInt64(clamping: power2) &<< 52 | (mantissa & ~(1 << 52)))
  }

  /// The slow, certain way, for a number's own text. Infinite where the number is too big.
  static func slow(_ text: UnsafeBufferPointer<UInt8>) -> Double {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { copy in
      for (index, byte) in text.enumerated() { copy[index] = CChar(bitPattern: byte) }
      copy[text.count] = 0
      return copy.baseAddress.map { strtod($0, nil) } ?? 0
    }
  }

  /// 5^q to 128 bits as Lemire's table defines it: truncated for q >= 0; for q < 0 the reciprocal, truncated and one added.
  private static func powerOfFive(_ q: Int) -> (high: UInt64, low: UInt64) {
    var five = WideInteger(1)
    for _ in 0..<abs(q) { five.multiply(by: 5) }
    if q >= 0 { return five.leading128 }
    // z = bits of 5^-q; 2^b / 5^-q with b = z + 127 (q >= -27) or 2 z + 128.
    let z = five.bitWidth
    var quotient = WideInteger(powerOfTwo: q >= -27 ? z + 127 : 2 * z + 128).divided(by: five)
    quotient.addOne()
    return quotient.leading128
  }
}

/// A natural number of any size, least significant word first; only for building a table once.
private struct WideInteger {
  var words: [UInt32]

  init(_ value: UInt32) { words = [value] }

  init(powerOfTwo exponent: Int) {
    words = Array(repeating: 0, count: exponent / 32 + 1)
    words[exponent / 32] = 1 << UInt32(clamping: exponent % 32)
  }

  var bitWidth: Int {
    guard let top = words.lastIndex(where: { $0 != 0 }) else { return 0 }
    return top * 32 + 32 - words[top].leadingZeroBitCount
  }

  func bit(_ index: Int) -> Bool { index / 32 < words.count && words[index / 32] >> UInt32(clamping: index % 32) & 1 == 1 }

  mutating func multiply(by factor: UInt32) {
    var carry: UInt64 = 0
    for index in words.indices {
      let product = UInt64(words[index]) * UInt64(factor) + carry
      words[index] = UInt32(truncatingIfNeeded: product)
      carry = product >> 32
    }
    if carry > 0 { words.append(UInt32(clamping: carry)) }
  }

  mutating func addOne() {
    for index in words.indices {
      words[index] &+= 1
      if words[index] != 0 { return }
    }
    words.append(1)
  }

  /// Long division, one bit at a time.
  func divided(by divisor: WideInteger) -> WideInteger {
    var quotient = WideInteger(0)
    quotient.words = Array(repeating: 0, count: words.count)
    var remainder = WideInteger(0)
    for index in stride(from: bitWidth - 1, through: 0, by: -1) {
      remainder.multiply(by: 2)
      if bit(index) { remainder.words[0] |= 1 }
      if remainder.atLeast(divisor) {
        remainder.subtract(divisor)
        quotient.words[index / 32] |= 1 << UInt32(clamping: index % 32)
      }
    }
    return quotient
  }

  func atLeast(_ other: WideInteger) -> Bool {
    for index in stride(from: max(words.count, other.words.count) - 1, through: 0, by: -1) {
      let (left, right) = (index < words.count ? words[index] : 0, index < other.words.count ? other.words[index] : 0)
      if left != right { return left > right }
    }
    return true
  }

  mutating func subtract(_ other: WideInteger) {
    var borrow: Int64 = 0
    for index in words.indices {
      var difference = Int64(words[index]) - (index < other.words.count ? Int64(other.words[index]) : 0) - borrow
      borrow = difference < 0 ? 1 : 0
      if difference < 0 { difference += 1 << 32 }
      words[index] = UInt32(truncatingIfNeeded: difference)
    }
  }

  /// The 128 leading bits, truncated, or shifted up where there are fewer.
  var leading128: (high: UInt64, low: UInt64) {
    var (high, low): (UInt64, UInt64) = (0, 0)
    let width = bitWidth
    for index in 0..<128 {
      let source = width - 1 - index
      let set: UInt64 = source >= 0 && bit(source) ? 1 : 0
      if index < 64 { high = high << 1 | set } else { low = low << 1 | set }
    }
    return (high, low)
  }
}
