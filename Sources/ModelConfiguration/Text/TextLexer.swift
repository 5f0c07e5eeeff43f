/// Bytes to tokens of protobuf's text format (protobuf.dev/reference/protobuf/textformat-spec).
struct TextLexer {
  let bytes: [UInt8]
  let file: String
  private(set) var position = 0
  private var line = 1
  private var lineStart = 0

  /// Bytes, not a text: in a comment any byte may stand.
  init(_ bytes: [UInt8], file: String) {
    self.bytes = bytes
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
    default:
      if let placeholder = placeholder(from: position) { throw unfilled(placeholder, at: place) }
      throw failure("unexpected \(Self.inWords(byte)); a field is written as 'name: value' or 'name { ... }'")
    }
  }

  func unfilled(_ placeholder: String, at place: ConfigurationPlace) -> ModelConfigurationError {
    failure("'\(excerpt(placeholder))' is a placeholder that was not filled in; write its value in its place", at: place)
  }

  /// What template engines put where a value belongs, from this byte on: ${name}, $name, {{ name }}, @name@, %name%.
  func placeholder(from start: Int) -> String? {
    func text(_ end: Int) -> String { String(decoding: bytes[start..<min(end, bytes.count)], as: UTF8.self) }
    let line = bytes[start...].prefix(200).prefix { $0 != UInt8(ascii: "\n") }
    guard let first = line.first, line.count > 1 else { return nil }
    let second = line[line.startIndex + 1]
    switch first {
    case UInt8(ascii: "$") where second == UInt8(ascii: "{") || second == UInt8(ascii: "("):
      return line.firstIndex(of: second == UInt8(ascii: "{") ? UInt8(ascii: "}") : UInt8(ascii: ")")).map { text($0 + 1) }
    case UInt8(ascii: "{") where second == UInt8(ascii: "{"):
      return line.firstIndex(of: UInt8(ascii: "}")).map { text($0 + 2) }
    case UInt8(ascii: "$"), UInt8(ascii: "@"), UInt8(ascii: "%"):
      guard isIdentifierStart(second) else { return nil }
      let name = line.dropFirst().prefix { isIdentifierPart($0) }
      if first == UInt8(ascii: "$") { return text(name.endIndex) }
      return name.endIndex < line.endIndex && line[name.endIndex] == first ? text(name.endIndex + 1) : nil
    default: return nil
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
