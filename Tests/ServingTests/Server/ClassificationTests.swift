import KServe
import ModelConfiguration
import Testing

@testable import Serving

/// The classification extension's answers and refusals.
@Suite struct ClassificationTests {
  private func classify(_ values: [Float], rows: Int = 1, count: Int, labels: [String] = []) throws -> [String] {
    let found = try values.withUnsafeBytes {
      try Classification.encode($0, type: .float32, rows: rows, count: count, labels: labels)
    }
    var elements: [String] = []
    #expect(found.bytes.withUnsafeBytes { BytesTensor.forEach(in: $0) { elements.append(String(decoding: $0, as: UTF8.self)) } })
    #expect(elements.count == found.classes * rows)
    return elements
  }

  @Test func theLargestComeFirstWithTheirLabels() throws {
    #expect(try classify([1, 3, 2], count: 2, labels: ["a", "b"]) == ["3.000000:1:b", "2.000000:2"])
    #expect(try classify([1, 2, 4, 3], rows: 2, count: 5) == ["2.000000:1", "1.000000:0", "4.000000:0", "3.000000:1"])
  }

  @Test(arguments: [TensorDataType.string, .bool, .float16, .bfloat16]) func typesWithoutAnOrder(type: TensorDataType) throws {
    let error = #expect(throws: KServeError.self) {
      _ = try [UInt8](repeating: 0, count: 8).withUnsafeBytes { try Classification.encode($0, type: type, rows: 1, count: 1, labels: []) }
    }
    #expect(error?.message == "class result not available for output due to unsupported type '\(type.kserveName)'")
  }

  /// A million values of a row are looked at, not one more; rows count each for themselves.
  @Test(arguments: [(1_000_000, 1, true), (1_000_001, 1, false), (1_000_001, 2, true)])
  func rowsOfManyValues(values: Int, rows: Int, isTaken: Bool) throws {
    let data = [UInt8](repeating: 7, count: values)
    func run() throws { _ = try data.withUnsafeBytes { try Classification.encode($0, type: .uint8, rows: rows, count: 1, labels: []) } }
    if isTaken {
      try run()
    } else {
      let error = #expect(throws: KServeError.self) { try run() }
      #expect(error?.message == "classification output tensor too large")
    }
  }
}
