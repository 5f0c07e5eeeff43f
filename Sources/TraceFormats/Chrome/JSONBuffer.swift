import FileAccess

/// JSON text on its way into a file: one buffer, handed over whenever it is full.
struct JSONBuffer {
  private static let limit = 1 << 20
  private var bytes: [UInt8] = []
  private let file: FileWriter

  init(_ file: FileWriter) {
    self.file = file
    bytes.reserveCapacity(Self.limit + 1 << 16)
  }

  @inline(__always) mutating func raw(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  @inline(__always) mutating func raw(_ text: [UInt8]) { bytes.append(contentsOf: text) }

  /// A whole number; nil is null.
  mutating func number(_ value: Int64?) {
    guard let value else { return raw("null") }
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    digits(value.magnitude)
  }

  /// Nanoseconds as microseconds, none lost.
  mutating func microseconds(_ nanoseconds: Int64) {
    if nanoseconds < 0 { bytes.append(UInt8(ascii: "-")) }
    let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    digits(whole)
    if rest == 0 { return }
    bytes.append(UInt8(ascii: "."))
    bytes.append(UInt8(ascii: "0") + UInt8(clamping: rest / 100))
    bytes.append(UInt8(ascii: "0") + UInt8(clamping: rest / 10 % 10))
    bytes.append(UInt8(ascii: "0") + UInt8(clamping: rest % 10))
  }

  private mutating func digits(_ value: UInt64) {
    var rest = value
    let start = bytes.count
    repeat {
      let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
      bytes.append(UInt8(ascii: "0") + UInt8(clamping: digit))
      rest = quotient
    } while rest != 0
    bytes[start...].reverse()
  }

  /// Hands over what there is if it is much.
  @inline(__always) mutating func flushIfFull() throws(FileError) {
    if bytes.count >= Self.limit { try flush() }
  }

  mutating func flush() throws(FileError) {
    try file.append(bytes)
    bytes.removeAll(keepingCapacity: true)
  }

  /// A text in quotes, escaped as RFC 8259 asks.
  static func quoted(_ text: String) -> [UInt8] {
    var result: [UInt8] = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += [UInt8(ascii: "\\"), byte]
      case 0x0A: result += Array("\\n".utf8)
      case 0x09: result += Array("\\t".utf8)
      case 0..<0x20:
        result += Array((byte < 16 ? "\\u000" : "\\u00").utf8) + Array(String(byte, radix: 16).utf8)
      default: result.append(byte)
      }
    }
    result.append(UInt8(ascii: "\""))
    return result
  }
}
