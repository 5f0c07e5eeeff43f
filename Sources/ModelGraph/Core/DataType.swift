/// What a tensor's elements are.
public enum DataType: String, Hashable, Sendable, CaseIterable {
  case float32, float16, bfloat16, float64, int64, int32, bool

  /// Bytes one element takes in memory.
  public var bytesPerElement: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16: 2
    case .bool: 1
    }
  }

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    case .int64, .int32, .bool: false
    }
  }
}
