import CheckedNumbers

/// Numbers of JSON, written as the reference server's RapidJSON writes them.
public enum JSONNumber {
  /// Shortest digits that read back to the same Double, laid out as RapidJSON's Prettify does (Tencent/rapidjson
  /// `include/rapidjson/internal/dtoa.h`): plain up to 21 digits before the point and 6 zeros behind it, else with an exponent and no plus
  /// sign. NaN and Infinity as words (kWriteNanAndInfFlag): the reference server's answers hold them too.
  public static func write(_ value: Double, into bytes: inout [UInt8]) {
    if value.isNaN {
      bytes += "NaN".utf8
      return
    }
    if value.sign == .minus { bytes.append(UInt8(ascii: "-")) }
    let magnitude = value.magnitude
    if magnitude.isInfinite {
      bytes += "Infinity".utf8
      return
    }
    // Small whole numbers are most of what labels, counts and test data hold.
    if magnitude < 1e15, magnitude == magnitude.rounded(.towardZero) {
      write(Int64(saturating: magnitude), into: &bytes)
      bytes += ".0".utf8
      return
    }
    var text = magnitude.description
    text.withUTF8 { layOut($0, into: &bytes) }
  }

  /// A whole number. Inlinable: other modules' calls for Int and UInt64 are then specialized.
  @inlinable public static func write(_ value: some FixedWidthInteger, into bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var rest = UInt64(clamping: value.magnitude)
      var count = 0
      repeat {
        let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
        digits[count] = UInt8(truncatingIfNeeded: digit) &+ 0x30
        rest = quotient
        count &+= 1
      } while rest > 0
      if value < 0 { bytes.append(UInt8(ascii: "-")) }
      while count > 0 {
        count &-= 1
        bytes.append(digits[count])
      }
    }
  }

  /// Takes Swift's shortest digits ("1.0000000150474662e+30") apart and lays them out anew.
  private static func layOut(_ text: UnsafeBufferPointer<UInt8>, into bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digits in
      var count = 0
      // Place of the decimal point behind the first digit written.
      var point = 0
      var isBehindPoint = false
      var exponent = 0
      var index = 0
      while index < text.count {
        let byte = text[index]
        index += 1
        if byte == UInt8(ascii: ".") {
          isBehindPoint = true
        } else if byte == UInt8(ascii: "e") {
          let isBelow = text[index] == UInt8(ascii: "-")
          if isBelow || text[index] == UInt8(ascii: "+") { index += 1 }
          while index < text.count {
            exponent = exponent * 10 + Int(text[index] &- 0x30)
            index += 1
          }
          if isBelow { exponent = -exponent }
        } else if count == 0 && byte == 0x30 {
          if isBehindPoint { point -= 1 }
        } else if count < 32 {
          digits[count] = byte
          count += 1
          if !isBehindPoint { point += 1 }
        }
      }
      while count > 1, digits[count - 1] == 0x30 { count -= 1 }
      point += exponent
      let written = UnsafeBufferPointer(rebasing: digits[0..<count])
      if point >= count, point <= 21 {
        bytes += written
        for _ in count..<point { bytes.append(0x30) }
        bytes += ".0".utf8
      } else if point > 0, point <= 21 {
        bytes += written[0..<point]
        bytes.append(UInt8(ascii: "."))
        bytes += written[point...]
      } else if point > -6, point <= 0 {
        bytes += "0.".utf8
        for _ in point..<0 { bytes.append(0x30) }
        bytes += written
      } else {
        bytes.append(digits[0])
        if count > 1 {
          bytes.append(UInt8(ascii: "."))
          bytes += written[1...]
        }
        bytes.append(UInt8(ascii: "e"))
        write(point - 1, into: &bytes)
      }
    }
  }
}
