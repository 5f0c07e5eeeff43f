import CheckedNumbers

/// Sixteen-bit floats, which C's compilers convert by calls that not every platform's runtime has.
enum HalfPrecision {
  /// IEEE binary16 to Double, exact.
  static func float16(_ bits: UInt16) -> Double {
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Double(bits & 0x3FF)
    let magnitude: Double
    switch exponent {
    case 0: magnitude = fraction * 0x1p-24
    case 31: magnitude = fraction == 0 ? .infinity : .nan
    default: magnitude = Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction * 0x1p-10)
    }
    return bits >> 15 == 1 ? -magnitude : magnitude
  }

  /// Rounded to nearest, ties to even.
  static func bits(float16 value: Double) -> UInt16 {
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    if value.isNaN { return sign | 0x7E00 }
    let magnitude = value.magnitude
    if magnitude >= 65520 { return sign | 0x7C00 }
    if magnitude < 0x1p-14 { return sign | UInt16(saturating: (magnitude * 0x1p24).rounded(.toNearestOrEven)) }
    let exponent = Int(magnitude.exponent)
    // A carry out of the fraction goes into the exponent, which is what it should do.
    let fraction = UInt16(saturating: ((magnitude.significand - 1) * 0x1p10).rounded(.toNearestOrEven))
    return sign | (UInt16(clamping: exponent + 15) << 10 &+ fraction)
  }

  /// bfloat16 to Double, exact.
  static func bfloat16(_ bits: UInt16) -> Double { Double(Float(bitPattern: UInt32(bits) << 16)) }

  /// Rounded to nearest, ties to even, by way of Float: a value within half a Float ulp of a tie may round the other way.
  static func bits(bfloat16 value: Double) -> UInt16 {
    let bits = Float(value).bitPattern
    if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }
}
