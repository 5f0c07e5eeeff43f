import JSONReading
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

  /// The element stands below every level: 99 are taken, 100 not, whatever the elements are.
  @Test(arguments: [(99, true), (100, false), (150, false)]) func levelsAreCounted(levels: Int, isTaken: Bool) throws {
    for (element, type) in [("1", TensorDataType.int64), ("\"x\"", .string), ("[1.5]", .float32)] {
      let own = element.hasPrefix("[") ? levels - 1 : levels
      let text = String(repeating: "[", count: own) + element + String(repeating: "]", count: own)
      if isTaken {
        #expect(try !bytes(text, type, count: 1).isEmpty)
      } else {
        let error = #expect(throws: KServeError.self) { try bytes(text, type, count: 1) }
        #expect(error?.message == "JSON nesting depth exceeds maximum allowed limit (100)")
      }
    }
  }

  /// What a shape claims is counted without wrapping, and said in the reference server's words.
  @Test(arguments: [
    ("[16,1152921504606846978]", "causes total element count to exceed maximum size of 9223372036854775807"),
    ("[4,1152921504606846978]", "byte size overflow for input 'x': element count (4611686018427387912) * data type size (4)"),
    ("[4611686018427387904,2,2]", "shape [4611686018427387904,2,2] causes total element count"),
  ])
  func aShapeBeyondSixtyFourBitsIsRefused(shape: String, reason: String) throws {
    let text = Array(#"{"inputs":[{"name":"x","datatype":"FP32","shape":\#(shape),"data":[1.0]}]}"#.utf8)
    var tape = JSONTape()
    try text.withUnsafeBytes { raw in
      try tape.read(raw)
      let error = #expect(throws: KServeError.self) { _ = try InferenceRequestJSON(tape, text: raw, model: "m") }
      #expect(error?.message.contains(reason) == true)
    }
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
