/// Bytes to tokens of protobuf's text format (protobuf.dev/reference/protobuf/textformat-spec).
struct TextLexer {
  let bytes: [UInt8]
  let file: String
  private(set) var position = 0
  private var line = 1
  private var lineStart = 0

  init(_ text: String, file: String) {
    bytes = Array(text.utf8)
    self.file = file
    // Editors on Windows write a byte order mark; it is not part of the text.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }
  func peek(_ distance: Int) -> UInt8? { position + distance < bytes.count ? bytes[position + distance] : nil }
  var place: ConfigurationPlace { .position(line: line, column: position - lineStart + 1) }

  func failure(_ reason: String, at place: ConfigurationPlace? = nil) -> ModelConfigurationError {
    ModelConfigurationError(file: file, place: place ?? self.place, reason: reason)
  }

  mutating func advance(by count: Int = 1) { position += count }

  mutating func next() throws(ModelConfigurationError) -> TextToken {
    skipBlanks()
    let place = self.place
    guard let byte = current else { return TextToken(kind: .end, place: place) }
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return TextToken(kind: .string(try string(quote: byte)), place: place)
    case _ where isDigit(byte): return TextToken(kind: try number(), place: place)
    case UInt8(ascii: ".") where peek(1).map(isDigit) == true: return TextToken(kind: try number(), place: place)
    case _ where isIdentifierStart(byte): return TextToken(kind: .identifier(identifier()), place: place)
    case _ where Self.symbols.contains(byte):
      advance()
      return TextToken(kind: .symbol(byte), place: place)
    default: throw failure("unexpected \(Self.inWords(byte)); a field is written as 'name: value' or 'name { ... }'")
    }
  }

  private static let symbols = Set("{}<>[]:,;-".utf8)

  private static func inWords(_ byte: UInt8) -> String {
    if byte > 0x20 && byte < 0x7F { return "character '\(Character(Unicode.Scalar(byte)))'" }
    return byte < 0x80 ? "control character (byte \(byte))" : "character outside ASCII"
  }

  private mutating func skipBlanks() {
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\n"):
        advance()
        line += 1
        lineStart = position
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), 0x0B, 0x0C: advance()
      case UInt8(ascii: "#"): while let byte = current, byte != UInt8(ascii: "\n") { advance() }
      default: return
      }
    }
  }

  func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
  private func isIdentifierStart(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A || byte == UInt8(ascii: "_") }
  func isIdentifierPart(_ byte: UInt8) -> Bool { isIdentifierStart(byte) || isDigit(byte) }

  private mutating func identifier() -> String {
    let start = position
    while let byte = current, isIdentifierPart(byte) { advance() }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }
}
