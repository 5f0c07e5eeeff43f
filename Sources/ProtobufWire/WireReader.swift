import CheckedNumbers

/// Bytes that are not protobuf: where and why.
public struct WireError: Error, Equatable, CustomStringConvertible {
  /// Byte offset in the whole message.
  public var offset: Int
  /// What was wrong.
  public var reason: String
  /// "byte 17: ...".
  public var description: String { "byte \(offset): \(reason)" }

  /// An error at a byte.
  public init(offset: Int, reason: String) {
    self.offset = offset
    self.reason = reason
  }
}

/// One field of a message, its payload still undecoded.
public struct WireField {
  /// The field's number in the .proto file.
  public var number: Int
  /// Wire type 0 (varint) and 1, 5 (fixed): the bits. Others: 0.
  public var bits: UInt64
  /// Wire type 2: a reader of the payload. Others: nil.
  public var payload: WireReader?
}

/// A cursor over protobuf's wire format (protobuf.dev/programming-guides/encoding). It borrows the bytes: nothing is copied or
/// allocated, and a length is checked against the bytes that are there before it is believed.
public struct WireReader {
  private let bytes: UnsafeRawBufferPointer
  /// Place of the first byte in the outermost message.
  public let start: Int
  private var position = 0

  /// A cursor at the first of `bytes`.
  public init(_ bytes: UnsafeRawBufferPointer, start: Int = 0) {
    self.bytes = bytes
    self.start = start
  }

  /// Number of bytes under the cursor's message.
  public var count: Int { bytes.count }
  /// Place of the next byte in the outermost message.
  public var offset: Int { start + position }
  /// The message's own bytes; valid as long as what the reader borrows.
  public var rawBytes: UnsafeRawBufferPointer { bytes }
  /// Whether everything was read.
  public var isAtEnd: Bool { position >= bytes.count }

  /// The next field, or nil at the end. Groups (wire types 3 and 4), which no current format uses, are refused.
  public mutating func next() throws(WireError) -> WireField? {
    if isAtEnd { return nil }
    let begin = offset
    let key = try varint()
    let number = Int(clamping: key >> 3)
    if number == 0 || number >= 1 << 29 { throw WireError(offset: begin, reason: "field number \(number) is out of range") }
    switch key & 7 {
    case 0: return WireField(number: number, bits: try varint(), payload: nil)
    case 1: return WireField(number: number, bits: try fixed(8), payload: nil)
    case 5: return WireField(number: number, bits: try fixed(4), payload: nil)
    case 2:
      let length = try varint()
      guard length <= UInt64(clamping: bytes.count - position) else {
        throw WireError(offset: begin, reason: "field \(number) claims \(length) bytes where \(bytes.count - position) are left")
      }
      let slice = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + Int(clamping: length))])
      let reader = WireReader(slice, start: offset)
      position += Int(clamping: length)
      return WireField(number: number, bits: 0, payload: reader)
    default: throw WireError(offset: begin, reason: "wire type \(key & 7) of field \(number) is unknown")
    }
  }

  /// Calls `body` with every remaining field and its place in the outermost message.
  public func forEachField(_ body: (WireField, Int) throws(WireError) -> Void) throws(WireError) {
    var cursor = self
    while true {
      let offset = cursor.offset
      guard let field = try cursor.next() else { return }
      try body(field, offset)
    }
  }

  /// A base-128 integer: at most ten bytes.
  public mutating func varint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<10 {
      guard position < bytes.count else { throw WireError(offset: offset, reason: "the message ends inside a number") }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << UInt64(clamping: 7 * index)
      if byte < 0x80 { return value }
    }
    throw WireError(offset: offset, reason: "a number has more than ten bytes")
  }

  /// A little-endian integer of 4 or 8 bytes.
  public mutating func fixed(_ size: Int) throws(WireError) -> UInt64 {
    guard bytes.count - position >= size else { throw WireError(offset: offset, reason: "the message ends inside a number") }
    var value: UInt64 = 0
    for index in 0..<size { value |= UInt64(bytes[position + index]) << UInt64(clamping: 8 * index) }
    position += size
    return value
  }

  /// The payload as text.
  public func text() throws(WireError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw WireError(offset: start, reason: "a string is not valid UTF-8") }
    return text
  }
}

extension WireField {
  /// The payload of a field that must have one.
  public func message(at offset: Int) throws(WireError) -> WireReader {
    guard let payload else { throw WireError(offset: offset, reason: "field \(number) is a number where bytes were expected") }
    return payload
  }

  /// Values of a repeated integer field, packed or not.
  public func integers(into values: inout [Int64]) throws(WireError) {
    guard var payload else {
      values.append(Int64(bitPattern: bits))
      return
    }
    while !payload.isAtEnd { values.append(Int64(bitPattern: try payload.varint())) }
  }
}
