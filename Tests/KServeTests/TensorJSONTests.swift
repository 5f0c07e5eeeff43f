import JSONText
import ModelConfiguration
import Testing
import TimeBase

@testable import KServe

@Suite struct TensorJSONTests {
  private func bytes(_ text: String, _ type: TensorDataType, count: Int) throws -> [UInt8] {
    var tape = JSONTape()
    let text = Array(text.utf8)
    return try text.withUnsafeBytes { raw in
      try tape.read(raw)
      return try TensorJSON.bytes(0, type: type, count: count, tape: tape, text: raw)
    }
  }

  @Test func nestedAndFlatGiveTheSameBytes() throws {
    #expect(try bytes("[[1,2],[3,4]]", .int16, count: 4) == bytes("[1,2,3,4]", .int16, count: 4))
    #expect(try bytes("[[1.5],[2]]", .float32, count: 2) == [0, 0, 0xC0, 0x3F, 0, 0, 0, 0x40])
    #expect(try bytes(#"["ab",""]"#, .string, count: 2) == [2, 0, 0, 0, 0x61, 0x62, 0, 0, 0, 0])
  }

  /// A shape may claim anything: nothing is reserved for it, and its product may have wrapped below zero.
  @Test(arguments: [Int.max, Int.min, -1, 1 << 62]) func aClaimedCountReservesNothing(count: Int) {
    #expect(throws: KServeError.self) { try bytes("[1,2]", .float32, count: count) }
  }

  @Test(arguments: [
    ("[1,2]", 3, "Shape does not match"), ("[1,2,3]", 2, "Shape does not match"), ("[[1,2],3]", 2, "Shape does not match"),
    ("[true]", 1, "non-number as double"), ("{}", 1, "non-array as array"), (#"["x"]"#, 1, "non-number as double"),
  ])
  func whatDoesNotFitSaysWhy(text: String, count: Int, reason: String) {
    let error = #expect(throws: KServeError.self) { try bytes(text, .float32, count: count) }
    #expect(error?.message.contains(reason) == true)
  }

  /// Every bit pattern of the sixteen-bit types goes through JSON unchanged.
  @Test(arguments: [TensorDataType.float16, .bfloat16]) func everySixteenBitFloatSurvives(type: TensorDataType) throws {
    var patterns: [UInt16] = []
    for bits in UInt16.min...UInt16.max {
      let value = type == .float16 ? HalfPrecision.float16(bits) : HalfPrecision.bfloat16(bits)
      if !value.isNaN { patterns.append(bits) }
    }
    let data = patterns.withUnsafeBytes { Array($0) }
    var text: [UInt8] = []
    #expect(data.withUnsafeBytes { TensorJSON.write($0, type: type, into: &text) })
    #expect(try bytes(String(decoding: text, as: UTF8.self), type, count: patterns.count) == data)
  }

  @Test func randomFloatsSurvive() throws {
    var random = SplitMix64(seed: 5)
    let patterns = (0..<20_000).map { _ in UInt32(truncatingIfNeeded: random.next()) }.filter { !Float(bitPattern: $0).isNaN }
    let data = patterns.withUnsafeBytes { Array($0) }
    var text: [UInt8] = []
    #expect(data.withUnsafeBytes { TensorJSON.write($0, type: .float32, into: &text) })
    #expect(try bytes(String(decoding: text, as: UTF8.self), .float32, count: patterns.count) == data)
  }
}
