import ModelGraph
import Testing

@testable import Execution

/// What a conversion gives where the value does not fit: what an x86 processor gives, and ONNX Runtime on it.
@Suite struct CastTests {
  private static func cast<Target: BitwiseCopyable>(_ values: [Float], to type: DataType, _ zero: Target) -> [Target] {
    var result = [Target](repeating: zero, count: values.count)
    values.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        ElementLoops.cast(from, .float32, to, type, values.count)
      }
    }
    return result
  }

  @Test func whatDoesNotFitIsTheSmallestInteger() {
    let values: [Float] = [1.9, -1.9, 0, 1e30, -1e30, 3e9, -3e9, .infinity, -.infinity, .nan]
    #expect(Self.cast(values, to: .int32, Int32(0)) == [1, -1, 0, .min, .min, .min, .min, .min, .min, .min])
    #expect(
      Self.cast(values, to: .int64, Int64(0)) == [1, -1, 0, .min, .min, 3_000_000_000, -3_000_000_000, .min, .min, .min])
  }
}
