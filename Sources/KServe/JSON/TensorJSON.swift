import CheckedNumbers
public import JSONReading
public import ModelConfiguration

/// Tensors between JSON's `data` arrays and packed little-endian bytes.
public enum TensorJSON {
  /// The bytes of a `data` array, nested or flat. `count`: elements by the shape. Strings come length-prefixed.
  ///
  /// Texts: triton-inference-server/server `src/http_server.cc` (ReadDataFromJson) and common `triton_json.h`. FP16 and BF16 are taken too,
  /// which the reference server refuses.
  public static func bytes(
    _ array: Int, type: TensorDataType, count: Int, tape: borrowing JSONTape, text: UnsafeRawBufferPointer
  ) throws(KServeError) -> [UInt8] {
    guard tape.nodes[array].kind.isArray else { throw fault("attempt to access JSON non-array as array") }
    var bytes: [UInt8] = []
    // Never more than the text can hold: an element takes a byte of it at least.
    bytes.reserveCapacity(min(max(0, count), text.count) * (type.bytesPerElement ?? 8))
    var written = 0
    try append(array, type, count, tape, text, &bytes, &written, depth: 0)
    if written != count { throw fault("Shape does not match true shape of 'data' field") }
    return bytes
  }

  /// The bytes of a value that stands alone: one element.
  public static func bytes(
    ofElement index: Int, type: TensorDataType, tape: borrowing JSONTape, text: UnsafeRawBufferPointer
  ) throws(KServeError) -> [UInt8] {
    var bytes: [UInt8] = []
    try appendElement(index, type, tape, text, &bytes)
    return bytes
  }

  /// Levels of `data` at most: server `src/http_server.cc`, HTTP_MAX_JSON_NESTING_DEPTH. An element at this level is one too deep.
  static let deepestNesting = 100

  static func fault(_ text: String) -> KServeError { KServeError(.invalidArgument, "Unable to parse 'data': \(text)") }

  private static func append(
    _ array: Int, _ type: TensorDataType, _ count: Int, _ tape: borrowing JSONTape, _ text: UnsafeRawBufferPointer, _ bytes: inout [UInt8],
    _ written: inout Int, depth: Int
  ) throws(KServeError) {
    let node = tape.nodes[array]
    guard depth + 1 < deepestNesting || node.count == 0 else {
      throw KServeError(.invalidArgument, "JSON nesting depth exceeds maximum allowed limit (\(deepestNesting))")
    }
    if node.kind == .integers || node.kind == .doubles {
      guard node.count <= count - written else { throw fault("Shape does not match true shape of 'data' field") }
      written += node.count
      return try appendRun(node, type, tape, &bytes)
    }
    var index = array + 1
    for _ in 0..<node.count {
      let element = tape.nodes[index]
      if element.kind.isArray {
        try append(index, type, count, tape, text, &bytes, &written, depth: depth + 1)
      } else {
        guard written < count else { throw fault("Shape does not match true shape of 'data' field") }
        written += 1
        try appendElement(index, type, tape, text, &bytes)
      }
      index = element.next
    }
  }

  private static func appendRun(_ node: JSONTape.Node, _ type: TensorDataType, _ tape: borrowing JSONTape, _ bytes: inout [UInt8])
    throws(KServeError)
  {
    let isInteger = node.kind == .integers
    let range = node.first..<node.first + node.count
    @inline(__always) func real(_ bits: UInt64) -> Double { isInteger ? Double(Int64(bitPattern: bits)) : Double(bitPattern: bits) }
    func reals<Bits: FixedWidthInteger>(_ convert: (Double) -> Bits) {
      tape.numbers.withUnsafeBufferPointer { numbers in
        put(node.count, into: &bytes) { (target: UnsafeMutablePointer<Bits>) in
          for index in 0..<range.count { target[index] = convert(real(numbers[range.lowerBound + index])).littleEndian }
        }
      }
    }
    func whole<Bits: FixedWidthInteger>(_ type: Bits.Type) {
      tape.numbers.withUnsafeBufferPointer { numbers in
        put(node.count, into: &bytes) { (target: UnsafeMutablePointer<Bits>) in
          for index in 0..<range.count { target[index] = Bits(truncatingIfNeeded: numbers[range.lowerBound + index]).littleEndian }
        }
      }
    }
    switch type {
    case .float32: reals { Float($0).bitPattern }
    case .float64: reals { $0.bitPattern }
    case .float16: reals { HalfPrecision.bits(float16: $0) }
    case .bfloat16: reals { HalfPrecision.bits(bfloat16: $0) }
    case .int8, .int16, .int32, .int64:
      guard isInteger || node.count == 0 else { throw fault("attempt to access JSON non-signed-integer as signed-integer") }
      switch type {
      case .int8: whole(Int8.self)
      case .int16: whole(Int16.self)
      case .int32: whole(Int32.self)
      default: whole(Int64.self)
      }
    case .uint8, .uint16, .uint32, .uint64:
      guard isInteger, tape.numbers[range].allSatisfy({ Int64(bitPattern: $0) >= 0 }) else {
        throw fault("attempt to access JSON non-unsigned-integer as unsigned-integer")
      }
      switch type {
      case .uint8: whole(UInt8.self)
      case .uint16: whole(UInt16.self)
      case .uint32: whole(UInt32.self)
      default: whole(UInt64.self)
      }
    case .bool:
      // The protocol allows 0 and 1 for booleans as well.
      guard isInteger, tape.numbers[range].allSatisfy({ $0 <= 1 }) else { throw fault("attempt to access JSON non-boolean as boolean") }
      whole(UInt8.self)
    case .string: throw fault("attempt to access JSON non-string as string")
    case .invalid: throw fault("attempt to access JSON value of an invalid type")
    }
  }

  /// Room for `count` values at the end, filled by `fill`. Rows of a nested array may leave the end unaligned for the type, so the values go
  /// through a buffer of their own there.
  @inline(__always)
  private static func put<Bits: FixedWidthInteger>(_ count: Int, into bytes: inout [UInt8], _ fill: (UnsafeMutablePointer<Bits>) -> Void) {
    guard count > 0 else { return }
    withUnsafeTemporaryAllocation(of: Bits.self, capacity: count) { values in
      guard let base = values.baseAddress else { return }
      fill(base)
      bytes += UnsafeRawBufferPointer(values)
    }
  }

  private static func appendElement(
    _ index: Int, _ type: TensorDataType, _ tape: borrowing JSONTape, _ text: UnsafeRawBufferPointer, _ bytes: inout [UInt8]
  ) throws(KServeError) {
    let node = tape.nodes[index]
    func put(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
    switch type {
    case .float16, .bfloat16, .float32, .float64:
      let value: Double
      switch node.kind {
      case .integer: value = Double(node.first)
      case .unsigned: value = Double(UInt(bitPattern: node.first))
      case .double: value = Double(bitPattern: UInt64(UInt(bitPattern: node.first)))
      default: throw fault("attempt to access JSON non-number as double")
      }
      switch type {
      case .float16: put(HalfPrecision.bits(float16: value))
      case .bfloat16: put(HalfPrecision.bits(bfloat16: value))
      case .float32: put(Float(value).bitPattern)
      default: put(value.bitPattern)
      }
    case .int8, .int16, .int32, .int64:
      guard node.kind == .integer else { throw fault("attempt to access JSON non-signed-integer as signed-integer") }
      switch type {
      case .int8: put(Int8(truncatingIfNeeded: node.first))
      case .int16: put(Int16(truncatingIfNeeded: node.first))
      case .int32: put(Int32(truncatingIfNeeded: node.first))
      default: put(Int64(node.first))
      }
    case .uint8, .uint16, .uint32, .uint64:
      guard node.kind == .unsigned || node.kind == .integer && node.first >= 0 else {
        throw fault("attempt to access JSON non-unsigned-integer as unsigned-integer")
      }
      switch type {
      case .uint8: put(UInt8(truncatingIfNeeded: node.first))
      case .uint16: put(UInt16(truncatingIfNeeded: node.first))
      case .uint32: put(UInt32(truncatingIfNeeded: node.first))
      default: put(UInt64(UInt(bitPattern: node.first)))
      }
    case .bool:
      guard node.kind == .bool || node.kind == .integer && (node.first == 0 || node.first == 1) else {
        throw fault("attempt to access JSON non-boolean as boolean")
      }
      bytes.append(node.first == 0 ? 0 : 1)
    case .string:
      guard node.kind == .string else { throw fault("attempt to access JSON non-string as string") }
      let value = tape.string(index, in: text)
      put(UInt32(clamping: value.utf8.count))
      bytes += value.utf8
    case .invalid: throw fault("attempt to access JSON value of an invalid type")
    }
  }

  /// Writes packed bytes as a flat JSON array, strings from their length-prefixed form. False where the bytes do not hold what they claim.
  public static func write(_ data: UnsafeRawBufferPointer, type: TensorDataType, into out: inout [UInt8]) -> Bool {
    out.append(UInt8(ascii: "["))
    defer { out.append(UInt8(ascii: "]")) }
    func each<Bits: FixedWidthInteger>(_: Bits.Type, _ put: (Bits, inout [UInt8]) -> Void) -> Bool {
      let size = MemoryLayout<Bits>.size
      for offset in stride(from: 0, to: data.count - size + 1, by: size) {
        if offset > 0 { out.append(UInt8(ascii: ",")) }
        put(Bits(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: Bits.self)), &out)
      }
      return data.count % size == 0
    }
    switch type {
    case .float32: return each(UInt32.self) { JSONNumber.write(Double(Float(bitPattern: $0)), into: &$1) }
    case .float64: return each(UInt64.self) { JSONNumber.write(Double(bitPattern: $0), into: &$1) }
    case .float16: return each(UInt16.self) { JSONNumber.write(HalfPrecision.float16($0), into: &$1) }
    case .bfloat16: return each(UInt16.self) { JSONNumber.write(HalfPrecision.bfloat16($0), into: &$1) }
    case .int8: return each(Int8.self) { JSONNumber.write($0, into: &$1) }
    case .int16: return each(Int16.self) { JSONNumber.write($0, into: &$1) }
    case .int32: return each(Int32.self) { JSONNumber.write($0, into: &$1) }
    case .int64: return each(Int64.self) { JSONNumber.write($0, into: &$1) }
    case .uint8: return each(UInt8.self) { JSONNumber.write($0, into: &$1) }
    case .uint16: return each(UInt16.self) { JSONNumber.write($0, into: &$1) }
    case .uint32: return each(UInt32.self) { JSONNumber.write($0, into: &$1) }
    case .uint64: return each(UInt64.self) { JSONNumber.write($0, into: &$1) }
    case .bool: return each(UInt8.self) { $1 += ($0 == 0 ? "false" : "true").utf8 }
    case .string:
      var isFirst = true
      return BytesTensor.forEach(in: data) { element in
        if !isFirst { out.append(UInt8(ascii: ",")) }
        isFirst = false
        JSONString.write(String(decoding: element, as: UTF8.self), into: &out)
      }
    case .invalid: return false
    }
  }
}

/// BYTES tensors: elements of a 4-byte little-endian length and that many bytes (triton-inference-server/server
/// `docs/protocol/extension_binary_data.md`).
public enum BytesTensor {
  /// Visits the elements; false where a length goes beyond the end.
  public static func forEach(in data: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) -> Bool {
    var offset = 0
    while offset < data.count {
      guard data.count - offset >= 4 else { return false }
      let count = Int(UInt32(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      guard data.count - offset - 4 >= count else { return false }
      visit(UnsafeRawBufferPointer(rebasing: data[(offset + 4)..<(offset + 4 + count)]))
      offset += 4 + count
    }
    return true
  }

  /// Elements; nil where a length goes beyond the end.
  public static func count(in data: UnsafeRawBufferPointer) -> Int? {
    var count = 0
    return forEach(in: data) { _ in count += 1 } ? count : nil
  }
}
