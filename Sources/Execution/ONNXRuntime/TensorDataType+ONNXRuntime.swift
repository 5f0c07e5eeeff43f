import ModelConfiguration

extension TensorDataType {
  /// ONNX Runtime's `ONNXTensorElementDataType`, which follows ONNX's `TensorProto.DataType`; nil for complex, 8-bit floating-point and
  /// 4-bit types.
  init?(onnxElement: Int32) {
    switch onnxElement {
    case 1: self = .float32
    case 2: self = .uint8
    case 3: self = .int8
    case 4: self = .uint16
    case 5: self = .int16
    case 6: self = .int32
    case 7: self = .int64
    case 8: self = .string
    case 9: self = .bool
    case 10: self = .float16
    case 11: self = .float64
    case 12: self = .uint32
    case 13: self = .uint64
    case 16: self = .bfloat16
    default: return nil
    }
  }

  /// The number ONNX Runtime knows the type by; 0 (undefined) where none was given.
  var onnxElement: Int32 {
    switch self {
    case .invalid: 0
    case .float32: 1
    case .uint8: 2
    case .int8: 3
    case .uint16: 4
    case .int16: 5
    case .int32: 6
    case .int64: 7
    case .string: 8
    case .bool: 9
    case .float16: 10
    case .float64: 11
    case .uint32: 12
    case .uint64: 13
    case .bfloat16: 16
    }
  }

  /// Bytes an element takes in a tensor's memory; nil for strings, which take what they need.
  var onnxElementBytes: Int? {
    switch self {
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    case .string, .invalid: nil
    }
  }
}
