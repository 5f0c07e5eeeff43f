public import ModelConfiguration
public import ModelGraph

extension TensorDataType {
  /// A graph's element type as requests name it; `invalid` for those that no request can bring.
  public init(_ type: DataType) {
    self =
      switch type {
      case .float32: .float32
      case .float16: .float16
      case .bfloat16: .bfloat16
      case .float64: .float64
      case .int64: .int64
      case .int32: .int32
      case .bool: .bool
      case .int16: .int16
      case .int8: .int8
      case .uint64: .uint64
      case .uint32: .uint32
      case .uint16: .uint16
      case .uint8: .uint8
      case .string: .string
      case .complex64, .complex128, .float8, .bits4: .invalid
      }
  }
}
