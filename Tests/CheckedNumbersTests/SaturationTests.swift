import CheckedNumbers
import Testing

@Suite struct SaturationTests {
  @Test func integersSaturateAtBothEnds() {
    #expect(Int64(saturating: 1e300) == .max && Int64(saturating: -1e300) == .min && Int64(saturating: .nan) == 0)
    #expect(Int64(saturating: 0x1p63) == .max && Int64(saturating: -0x1p63) == .min)
    #expect(Int32(saturating: 2.9) == 2 && Int32(saturating: -2.9) == -2 && UInt8(saturating: -0.5) == 0 && UInt8(saturating: 256) == 255)
    #expect(Int8(100).addingSaturated(100) == .max && Int8(-100).addingSaturated(-100) == .min)
    #expect(Int8(-100).subtractingSaturated(100) == .min && Int8(100).subtractingSaturated(-100) == .max)
    #expect(Int8(-100).multipliedSaturated(by: 2) == .min && Int8(-100).multipliedSaturated(by: -2) == .max)
    #expect(UInt8(200).multipliedSaturated(by: 2) == .max && UInt8(3).subtractingSaturated(4) == 0)
    #expect([Int64.max, 2].checkedProduct == nil && [3, 4, 0].checkedProduct == 0 && [Int]().checkedProduct == 1)
  }

  /// What the compiler warns of does not trap either: a warning that somebody silenced ends nobody's server.
  @available(*, deprecated, message: "uses the conversions that are warned of")
  @Test func shadowedConversionsSaturate() {
    let (large, negative, whole) = (Double.greatestFiniteMagnitude, Int64(-1), Int64.max)
    #expect(Int(large) == .max && UInt64(-large) == 0 && Int32(Float.infinity) == .max && UInt8(Double.nan) == 0)
    #expect(UInt64(negative) == 0 && Int32(whole) == .max && Int(UInt64.max) == .max)
    #expect([1.9, -1.9].map { Int($0) } == [1, -1])
    #expect(Int(UInt8(200)) == 200 && Int64(Int32.min) == -2_147_483_648)
  }
}
