/// Builds a protobuf message. Fields are written in the order of the calls; the same calls give the same bytes.
public struct WireWriter {
  /// The message so far.
  public private(set) var bytes: [UInt8] = []

  /// An empty message.
  public init() {}

  /// A base-128 integer without a field number.
  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(clamping: rest))
  }

  /// An integer field.
  public mutating func integer(_ number: Int, _ value: Int64) {
    varint(UInt64(clamping: number) << 3)
    varint(UInt64(bitPattern: value))
  }

  /// A float field.
  public mutating func float(_ number: Int, _ value: Float) {
    varint(UInt64(clamping: number) << 3 | 5)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// A field of bytes.
  public mutating func bytes(_ number: Int, _ content: some Collection<UInt8>) {
    varint(UInt64(clamping: number) << 3 | 2)
    varint(UInt64(clamping: content.count))
    bytes.append(contentsOf: content)
  }

  /// A text field.
  public mutating func text(_ number: Int, _ text: String) { bytes(number, Array(text.utf8)) }

  /// A nested message.
  public mutating func message(_ number: Int, _ build: (inout WireWriter) -> Void) {
    var inner = WireWriter()
    build(&inner)
    bytes(number, inner.bytes)
  }
}
