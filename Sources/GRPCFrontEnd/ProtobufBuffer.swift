import NIOCore

/// Protobuf fields straight into a buffer, for the messages of the hot path; sizes are computed first, so nothing is moved afterwards.
extension ByteBuffer {
  mutating func writeVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    writeInteger(UInt8(truncatingIfNeeded: rest))
  }

  /// Number and length of a field whose `count` bytes follow. Numbers below 16, which all of ours are, take one byte.
  mutating func writeField(_ number: UInt8, count: Int) {
    writeInteger(number << 3 | 2)
    writeVarint(UInt64(clamping: count))
  }

  /// A text field; empty ones are left out, as proto3 has it.
  mutating func writeField(_ number: UInt8, text: String) {
    let count = text.utf8.count
    if count == 0 { return }
    writeField(number, count: count)
    writeString(text)
  }
}

/// Sizes of protobuf fields with numbers below 16.
enum ProtobufSize {
  static func varint(_ value: UInt64) -> Int { value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7 }
  /// With its number and length.
  static func field(count: Int) -> Int { 1 + varint(UInt64(clamping: count)) + count }
  static func text(_ text: String) -> Int { text.utf8.isEmpty ? 0 : field(count: text.utf8.count) }
}
