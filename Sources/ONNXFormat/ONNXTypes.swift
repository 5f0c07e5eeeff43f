import ModelGraph

/// ONNX's element types (onnx.proto, TensorProto.DataType) that are read and written.
enum ONNXTypes {
  static let numbers: [(Int64, DataType)] = [
    (1, .float32), (6, .int32), (7, .int64), (9, .bool), (10, .float16), (11, .float64), (16, .bfloat16),
  ]

  static func type(_ number: Int64) -> DataType? { numbers.first { $0.0 == number }?.1 }
  static func number(_ type: DataType) -> Int64 { numbers.first { $0.1 == type }?.0 ?? 0 }
}
