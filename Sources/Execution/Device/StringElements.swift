import CheckedNumbers

/// Strings as the protocol packs them: a little-endian 32-bit length before each element's bytes.
enum StringElements {
  /// Where the bytes after `count` elements from `offset` on begin; nil where the data ends before.
  static func end(of count: Int, in data: UnsafeRawBufferPointer, from offset: Int) -> Int? {
    var offset = offset
    for _ in 0..<count {
      guard data.count - offset >= 4 else { return nil }
      let length = Int(UInt32(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      guard data.count - offset - 4 >= length else { return nil }
      offset += 4 + length
    }
    return offset
  }

  /// That many elements without a meaning in all of `memory`: a first one of zeros, then empty ones. False where it is too small.
  static func fill(_ memory: UnsafeMutableRawBufferPointer, count: Int) -> Bool {
    let (lengths, overflow) = count.multipliedReportingOverflow(by: 4)
    guard count >= 0, !overflow, count > 0 || memory.isEmpty, let first = UInt32(exactly: memory.count - lengths) else { return false }
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    if count > 0 { memory.storeBytes(of: first.littleEndian, as: UInt32.self) }
    return true
  }
}
