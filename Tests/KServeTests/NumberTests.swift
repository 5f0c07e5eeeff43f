import Foundation
import Testing
import TimeBase

@testable import JSONReading
@testable import KServe

/// Reads one JSON document and gives the numbers of its top-level array.
private func numbers(_ text: String) throws -> [Double] {
  var tape = JSONTape()
  let bytes = Array(text.utf8)
  return try bytes.withUnsafeBytes { raw in
    try tape.read(raw)
    let node = tape.nodes[0]
    switch node.kind {
    case .integers: return tape.numbers[node.first..<node.first + node.count].map { Double(Int64(bitPattern: $0)) }
    case .doubles: return tape.numbers[node.first..<node.first + node.count].map { Double(bitPattern: $0) }
    default:
      return (1..<tape.nodes.count).map { index in
        switch tape.nodes[index].kind {
        case .integer: Double(tape.nodes[index].first)
        case .unsigned: Double(UInt(bitPattern: tape.nodes[index].first))
        default: Double(bitPattern: UInt64(UInt(bitPattern: tape.nodes[index].first)))
        }
      }
    }
  }
}

@Suite struct NumberTests {
  /// strtod is the judge: it rounds correctly, whatever the digits.
  private func agrees(_ texts: [String], _ comment: Comment? = nil) throws {
    let read = try numbers("[" + texts.joined(separator: ",") + "]")
    #expect(read.count == texts.count)
    for (text, value) in zip(texts, read) where value.bitPattern != strtod(text, nil).bitPattern {
      Issue.record("\(text) was read as \(value)")
      return
    }
  }

  @Test func shortestDigitsOfRandomDoublesReadBack() throws {
    var random = SplitMix64(seed: 1)
    let values = (0..<50_000).compactMap { _ -> Double? in
      let value = Double(bitPattern: random.next())
      return value.isFinite ? value : nil
    }
    try agrees(values.map { "\($0)" })
  }

  @Test(arguments: [1.0, 1e-3, 1e3, 1e-12, 1e12, 1e-30, 1e30])
  func ordinaryValuesWithUpTo19DigitsReadBack(scale: Double) throws {
    var random = SplitMix64(seed: 2)
    var texts: [String] = []
    for digits in 1...19 {
      for _ in 0..<500 {
        let value = Double.random(in: -4...4, using: &random) * scale
        texts.append(String(format: "%.\(digits)f", value))
        texts.append(String(format: "%.\(digits)e", value))
      }
    }
    try agrees(texts)
  }

  @Test func digitsAreAnywhere() throws {
    var random = SplitMix64(seed: 3)
    var texts: [String] = []
    for _ in 0..<50_000 {
      var text = Bool.random(using: &random) ? "-" : ""
      let whole = Int.random(in: 1...20, using: &random)
      text += String(Int.random(in: 1...9, using: &random))
      for _ in 1..<whole { text += String(Int.random(in: 0...9, using: &random)) }
      text += "."
      for _ in 0..<Int.random(in: 1...20, using: &random) { text += String(Int.random(in: 0...9, using: &random)) }
      if Bool.random(using: &random) { text += "e\(Int.random(in: -80...80, using: &random))" }
      texts.append(text)
    }
    try agrees(texts)
  }

  @Test func halfWayCasesAndTheEdgesOfTheRange() throws {
    try agrees([
      "9007199254740993", "9007199254740993.0", "9007199254740992.5", "9007199254740995.0", "1.7976931348623157e308",
      "2.2250738585072014e-308", "4.9e-324", "2.4703282292062327e-324", "0.1", "1e23", "8.5e22", "1e22", "1e-22", "-0.0", "0.0", "-0e5",
      "1.00000000000000011102230246251565", "7.0420557077594588669468784357561207962098443483187940792729600000e+59",
    ])
  }

  @Test func wholeNumbersStayExact() throws {
    var tape = JSONTape()
    let text = Array("[9223372036854775807,-9223372036854775808]".utf8)
    try text.withUnsafeBytes { try tape.read($0) }
    #expect(tape.nodes[0].kind == .integers)
    #expect(tape.numbers.map { Int64(bitPattern: $0) } == [.max, .min])
    let large = Array("[1,18446744073709551615]".utf8)
    try large.withUnsafeBytes { try tape.read($0) }
    #expect(tape.nodes[2].kind == .unsigned)
    #expect(UInt64(UInt(bitPattern: tape.nodes[2].first)) == .max)
  }

  @Test func whatIsWrittenReadsBack() throws {
    var random = SplitMix64(seed: 4)
    for _ in 0..<50_000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      var bytes: [UInt8] = []
      JSONNumber.write(value, into: &bytes)
      #expect(strtod(String(decoding: bytes, as: UTF8.self), nil) == value)
    }
  }

  /// Layouts: Tencent/rapidjson `include/rapidjson/internal/dtoa.h`, Prettify.
  @Test(arguments: [
    (1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e21, "1e21"), (1e20, "100000000000000000000.0"), (1.5e22, "1.5e22"),
    (1e-5, "0.00001"), (1e-7, "1e-7"), (1.25e-6, "0.00000125"), (123456789.125, "123456789.125"), (.infinity, "Infinity"),
    (-.infinity, "-Infinity"),
    (.nan, "NaN"), (.leastNonzeroMagnitude, "5e-324"),
  ])
  func numbersAreLaidOutAsTheReferenceServerDoes(value: Double, text: String) {
    var bytes: [UInt8] = []
    JSONNumber.write(value, into: &bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == text)
  }
}
