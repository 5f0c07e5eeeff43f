import ModelConfiguration

extension TensorDataType {
  /// Bytes of an element in memory; nil for strings.
  var byteSize: Int? {
    switch self {
    case .invalid, .string: nil
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    }
  }
}
