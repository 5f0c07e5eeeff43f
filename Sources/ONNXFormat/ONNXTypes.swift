import ModelGraph

/// ONNX's element types (onnx.proto, TensorProto.DataType) that are read and written.
enum ONNXTypes {
  /// Those of graphs that run.
  static let numbers: [(Int64, DataType)] = [
    (1, .float32), (6, .int32), (7, .int64), (9, .bool), (10, .float16), (11, .float64), (16, .bfloat16),
  ]

  /// Those that plans know besides.
  static let plannedOnly: [(Int64, DataType)] = [
    (2, .uint8), (3, .int8), (4, .uint16), (5, .int16), (8, .string), (12, .uint32), (13, .uint64), (14, .complex64), (15, .complex128),
    (17, .float8), (18, .float8), (19, .float8), (20, .float8), (21, .bits4), (22, .bits4), (23, .bits4), (24, .float8), (25, .bits4),
    (26, .bits4),
  ]

  /// Names by number, as onnx.proto has them.
  static let names: [String] = [
    "undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64", "uint32",
    "uint64",
    "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1",
    "float8e8m0", "uint2", "int2",
  ]

  static func type(_ number: Int64) -> DataType? { numbers.first { $0.0 == number }?.1 }
  /// With those that only plans know.
  static func anyType(_ number: Int64) -> DataType? { type(number) ?? plannedOnly.first { $0.0 == number }?.1 }
  static func number(_ type: DataType) -> Int64 { numbers.first { $0.1 == type }?.0 ?? 0 }

  /// "string", or the number where it is none of ONNX's.
  static func name(_ number: Int64) -> String {
    Int(exactly: number).flatMap { names.indices.contains($0) ? names[$0] : nil } ?? "number \(number)"
  }
}
