/// What a tensor's elements are.
public enum DataType: String, Hashable, Sendable, CaseIterable {
  case float32, float16, bfloat16, float64, int64, int32, bool
  // Known to plans alone: files that are to be run with these are somebody else's.
  case int16, int8, uint64, uint32, uint16, uint8, string, complex64, complex128
  /// Any of ONNX's floating-point types of eight bits.
  case float8
  /// Any of ONNX's types of four bits or fewer; two or more share a byte.
  case bits4

  /// Bytes one element takes in memory.
  public var bytesPerElement: Int {
    switch self {
    case .complex128: 16
    // A pointer and a length, as runtimes keep them; the text itself is as long as it is.
    case .string: 16
    case .float64, .int64, .uint64, .complex64: 8
    case .float32, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .bool, .int8, .uint8, .float8, .bits4: 1
    }
  }

  /// Whether elements are floating-point numbers that are computed with.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    default: false
    }
  }

  /// Whether graphs that run here may hold it; the others are planned only.
  public var isExecutable: Bool {
    switch self {
    case .float32, .float16, .bfloat16, .float64, .int64, .int32, .bool: true
    default: false
    }
  }
}
