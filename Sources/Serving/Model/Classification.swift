import CheckedNumbers
import Glibc
import KServe
import ModelConfiguration

/// The classification extension: the n best values of each row as "value:index[:label]" (triton-inference-server/server
/// `docs/protocol/extension_classification.md`; values print as std::to_string prints them).
enum Classification {
  /// Values of a row at most: every one is looked at, and their order kept. server `src/classification.cc`, kMaxClassificationElements.
  static let maximumClasses = 1_000_000

  /// A BYTES tensor of `rows` x min(n, classes) elements. A type without an order, and too many classes, are refused.
  static func encode(
    _ data: UnsafeRawBufferPointer, type: TensorDataType, rows: Int, count: Int, labels: [String]
  ) throws(KServeError) -> (bytes: [UInt8], classes: Int) {
    guard let size = type.bytesPerElement, type != .bool, type != .float16, type != .bfloat16 else {
      throw KServeError(
        .invalidArgument, "class result not available for output due to unsupported type '\(type.kserveName)'")
    }
    let rows = max(1, rows)
    let classes = data.count / size / rows
    if classes > maximumClasses { throw KServeError(.invalidArgument, "classification output tensor too large") }
    let shown = min(count, classes)
    var bytes: [UInt8] = []
    for row in 0..<rows {
      func offset(_ index: Int) -> Int { (row * classes + index) * size }
      let order: [Int]
      let text: (Int) -> String
      switch type {
      case .float32, .float64:
        let values = (0..<classes).map { index in
          size == 4
            ? Double(Float(bitPattern: UInt32(littleEndian: data.loadUnaligned(fromByteOffset: offset(index), as: UInt32.self))))
            : Double(bitPattern: UInt64(littleEndian: data.loadUnaligned(fromByteOffset: offset(index), as: UInt64.self)))
        }
        order = values.indices.sorted { values[$0] > values[$1] || values[$0] == values[$1] && $0 < $1 }
        text = { fixed(values[$0]) }
      case .uint64:
        let values = (0..<classes).map { UInt64(littleEndian: data.loadUnaligned(fromByteOffset: offset($0), as: UInt64.self)) }
        order = values.indices.sorted { values[$0] > values[$1] || values[$0] == values[$1] && $0 < $1 }
        text = { String(values[$0]) }
      default:
        let isSigned = [.int8, .int16, .int32, .int64].contains(type)
        let values = (0..<classes).map { whole(data, offset($0), size, isSigned) }
        order = values.indices.sorted { values[$0] > values[$1] || values[$0] == values[$1] && $0 < $1 }
        text = { String(values[$0]) }
      }
      for index in order.prefix(shown) {
        var element = "\(text(index)):\(index)"
        // A class without a name has no third part (core src/infer_response.cc, ClassificationLabel).
        if labels.indices.contains(index), !labels[index].isEmpty { element += ":" + labels[index] }
        withUnsafeBytes(of: UInt32(clamping: element.utf8.count).littleEndian) { bytes += $0 }
        bytes += element.utf8
      }
    }
    return (bytes, shown)
  }

  private static func whole(_ data: UnsafeRawBufferPointer, _ offset: Int, _ size: Int, _ isSigned: Bool) -> Int64 {
    var bits: UInt64 = 0
    for index in 0..<size { bits |= UInt64(data[offset + index]) << UInt64(clamping: 8 * index) }
    let shift = UInt64(clamping: 64 - 8 * size)
    return isSigned ? Int64(bitPattern: bits << shift) >> Int64(clamping: shift) : Int64(bitPattern: bits)
  }

  /// As C's "%f": six places.
  private static func fixed(_ value: Double) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer in
      guard let base = buffer.baseAddress else { return "" }
      _ = withVaList([value]) { vsnprintf(base, 400, "%f", $0) }
      return String(cString: base)
    }
  }
}
