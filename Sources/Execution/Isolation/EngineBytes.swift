import CheckedNumbers

/// Writes a message's payload: little-endian integers, texts and lists with their lengths before them.
struct EngineWriter {
  var bytes: [UInt8]

  init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }

  mutating func text(_ text: String) {
    integer(UInt32(truncatingIfNeeded: text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  mutating func optional<Value>(_ value: Value?, _ write: (inout EngineWriter, Value) -> Void) {
    flag(value != nil)
    if let value { write(&self, value) }
  }

  mutating func list<Element>(_ elements: [Element], _ write: (inout EngineWriter, Element) -> Void) {
    integer(UInt32(truncatingIfNeeded: elements.count))
    for element in elements { write(&self, element) }
  }
}

/// Reads a payload. Every length is compared with the bytes that are there before anything is made of it.
struct EngineReader {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  var left: Int { bytes.endIndex - position }

  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(EngineMessageError) -> Value {
    let size = MemoryLayout<Value>.size
    guard left >= size else { throw .malformed("it ends inside a number") }
    var value: Value = 0
    withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[position..<position + size]) }
    position += size
    return Value(littleEndian: value)
  }

  mutating func flag() throws(EngineMessageError) -> Bool {
    switch try integer(UInt8.self) {
    case 0: return false
    case 1: return true
    case let other: throw .malformed("a flag is \(other)")
    }
  }

  mutating func text() throws(EngineMessageError) -> String {
    let count = Int(try integer(UInt32.self))
    guard count <= left else { throw .malformed("a text claims \(count) bytes where \(left) are left") }
    let text = String(decoding: bytes[position..<position + count], as: UTF8.self)
    position += count
    return text
  }

  mutating func optional<Value>(_ read: (inout EngineReader) throws(EngineMessageError) -> Value) throws(EngineMessageError) -> Value? {
    try flag() ? try read(&self) : nil
  }

  /// `minimumElementBytes`: the fewest bytes that an element takes.
  mutating func list<Element>(minimumElementBytes: Int, _ read: (inout EngineReader) throws(EngineMessageError) -> Element)
    throws(EngineMessageError) -> [Element]
  {
    let count = Int(try integer(UInt32.self))
    guard count <= left / max(1, minimumElementBytes) else {
      throw .malformed("a list claims \(count) elements where \(left) bytes are left")
    }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try read(&self)) }
    return elements
  }

  func finish() throws(EngineMessageError) {
    if left != 0 { throw .malformed("\(left) bytes follow its end") }
  }
}

/// Bytes that are no message.
enum EngineMessageError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The other end speaks another version.
  case version(theirs: UInt16, ours: UInt16)
  case malformed(String)

  var description: String {
    switch self {
    case .version(let theirs, let ours):
      "the other process speaks version \(theirs) of the engine protocol, this one version \(ours): both must be the same build of headroom"
    case .malformed(let reason): "a message of the engine protocol is malformed: \(reason)"
    }
  }
}
