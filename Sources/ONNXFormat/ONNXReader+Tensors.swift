import CheckedNumbers
import FileAccess
import Glibc
import ModelGraph

extension ONNXReader {
  /// A TensorProto as a tensor. What it claims is compared with the bytes that are there before anything is made of it.
  func tensor(_ message: TensorMessage, _ place: String) throws(ONNXError) -> Tensor {
    guard let type = options.purpose == .plan ? ONNXTypes.anyType(message.type) : ONNXTypes.type(message.type) else {
      throw fail(place, "element type \(ONNXTypes.name(message.type)) is not supported; \(Self.supportedTypes)")
    }
    var shape: [Int] = []
    for size in message.sizes {
      guard size >= 0, let value = Int(exactly: size) else { throw fail(place, "has the size \(size)") }
      shape.append(value)
    }
    guard let count = Tensor.elementCount(of: shape) else { throw fail(place, "the product of its sizes \(shape) is too large") }
    let (needed, overflow) = count.multipliedReportingOverflow(by: type.bytesPerElement)
    if overflow { throw fail(place, "the product of its sizes \(shape) is too large") }
    let storage: any TensorStorage
    if !type.isExecutable {
      storage = try unread(message, type, count, bytes: needed, place)
    } else if message.isExternal {
      storage = try externalData(message, needed: needed, place)
    } else if let raw = message.raw {
      if raw.count != needed {
        throw fail(place, "shape \(shape) of \(type.rawValue) needs \(needed) bytes, but raw_data holds \(raw.count)")
      }
      guard let slice = SliceStorage(bytes, offset: raw.offset, count: raw.count) else {
        throw fail(place, "raw_data lies outside the file")
      }
      storage = slice
    } else {
      storage = ArrayStorage(try typedData(message, type, count, place))
    }
    guard let tensor = Tensor(type: type, shape: shape, storage: storage) else {
      throw fail(place, "shape \(shape) of \(type.rawValue) does not match its \(storage.byteCount) bytes")
    }
    return tensor
  }

  /// Elements that nothing computes with: that they are there is checked, their values stay in the file.
  private func unread(_ message: TensorMessage, _ type: DataType, _ count: Int, bytes: Int, _ place: String) throws(ONNXError)
    -> any TensorStorage
  {
    if message.isExternal {
      if type != .bits4 && type != .string { return try externalData(message, needed: bytes, place) }
      _ = try externalData(message, needed: 0, place, isExact: false)
      return AbsentStorage(byteCount: bytes)
    }
    if let raw = message.raw, raw.count == bytes, let slice = SliceStorage(self.bytes, offset: raw.offset, count: raw.count) {
      return slice
    }
    let found: Int
    switch (type, message.raw) {
    case (.bits4, .some(let raw)): found = (count + 3) / 4 <= raw.count ? count : raw.count * 2
    case (_, .some(let raw)): found = raw.count / type.bytesPerElement
    case (.string, nil): found = message.strings
    // Two floats a number; four-bit elements in bytes of their own or by two.
    case (.complex64, nil): found = message.floats.count / 2
    case (.complex128, nil): found = message.doubles.count / 2
    case (.bits4, nil): found = message.integers.count >= (count + 3) / 4 ? count : message.integers.count
    default: found = message.integers.count
    }
    if found < count { throw fail(place, "its shape needs \(count) elements, but the file holds \(found)") }
    return AbsentStorage(byteCount: bytes)
  }

  /// float_data, int32_data (which also carries fp16, bf16 and bool), int64_data and double_data.
  private func typedData(_ message: TensorMessage, _ type: DataType, _ count: Int, _ place: String) throws(ONNXError) -> [UInt8] {
    var data: [UInt8] = []
    func put<Value: FixedWidthInteger>(_ value: Value) { withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) } }
    let found: Int
    switch type {
    case .float32:
      found = message.floats.count
      for value in message.floats { put(value) }
    case .float64:
      found = message.doubles.count
      for value in message.doubles { put(value) }
    case .int64:
      found = message.integers.count
      for value in message.integers { put(value) }
    case .int32:
      found = message.integers.count
      for value in message.integers { put(Int32(truncatingIfNeeded: value)) }
    case .float16, .bfloat16:
      found = message.integers.count
      for value in message.integers { put(UInt16(truncatingIfNeeded: value)) }
    case .bool:
      found = message.integers.count
      for value in message.integers { data.append(value == 0 ? 0 : 1) }
    default: throw fail(place, "element type \(ONNXTypes.name(message.type)) is not supported; \(Self.supportedTypes)")
    }
    if found != count { throw fail(place, "its shape needs \(count) elements, but the file holds \(found)") }
    return data
  }

  /// External data (onnx docs/ExternalData.md): a file inside the model's folder, an offset, a length.
  private func externalData(_ message: TensorMessage, needed: Int, _ place: String, isExact: Bool = true) throws(ONNXError)
    -> any TensorStorage
  {
    guard let location = message.externalEntries["location"], !location.isEmpty else {
      throw fail(place, "external data without a location")
    }
    let path = try ONNXExternalData.resolve(location, ofModel: file, place: place)
    func number(_ key: String) throws(ONNXError) -> Int? {
      guard let text = message.externalEntries[key] else { return nil }
      guard let value = Int(text), value >= 0 else { throw fail(place, "external data's \(key) is \"\(text)\"") }
      return value
    }
    let (offset, length) = (try number("offset") ?? 0, try number("length"))
    if let length, isExact, length != needed { throw fail(place, "its shape needs \(needed) bytes, but its external data has \(length)") }
    let mapped: MappedFile
    do throws(FileError) { mapped = try MappedFile(path: path) } catch { throw fail(place, "external data: \(error)") }
    guard let slice = SliceStorage(MappedStorage(mapped), offset: offset, count: needed) else {
      throw fail(place, "external data at \"\(location)\" has \(mapped.count) bytes; \(needed) from offset \(offset) were claimed")
    }
    return slice
  }
}
