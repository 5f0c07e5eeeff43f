import FileAccess
import ModelGraph

/// ONNX's element types (onnx.proto, TensorProto.DataType) that are read and written.
enum ONNXTypes {
  static let numbers: [(Int64, DataType)] = [
    (1, .float32), (6, .int32), (7, .int64), (9, .bool), (10, .float16), (11, .float64), (16, .bfloat16),
  ]

  static func type(_ number: Int64) -> DataType? { numbers.first { $0.0 == number }?.1 }
  static func number(_ type: DataType) -> Int64 { numbers.first { $0.1 == type }?.0 ?? 0 }
}

/// A mapped file as tensor bytes.
final class MappedStorage: TensorStorage {
  let file: MappedFile
  init(_ file: MappedFile) { self.file = file }
  var byteCount: Int { file.count }
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result { try file.withBytes(body) }
}

/// A part of other bytes. `init` refuses a range that is not inside them.
final class SliceStorage: TensorStorage {
  let base: any TensorStorage
  let offset: Int
  let byteCount: Int

  init?(_ base: any TensorStorage, offset: Int, count: Int) {
    guard offset >= 0, count >= 0, offset <= base.byteCount, count <= base.byteCount - offset else { return nil }
    self.base = base
    self.offset = offset
    byteCount = count
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try base.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + byteCount)])) }
  }
}
