/// A field as written: name, place, value.
struct TextFormatField {
  indirect enum Value {
    /// Digits with their sign, an identifier (enum, bool, inf, nan), or a sign with an identifier.
    case scalar(String, isIdentifier: Bool)
    case string([UInt8])
    case message([TextFormatField])
    case list([(value: Value, position: TextPosition)])
  }

  var name: String
  var position: TextPosition
  var value: Value
  var valuePosition: TextPosition
}

/// Puts tokens together to fields.
struct TextFormatParser {
  /// Messages in messages: Triton's own schema nests eight deep.
  static let deepest = 64

  private var scanner: TextFormatScanner
  private var token: TextFormatToken

  static func parse(_ text: String) throws(ModelConfigurationError) -> [TextFormatField] {
    var scanner = TextFormatScanner(text)
    let first = try scanner.next()
    var parser = TextFormatParser(scanner: scanner, token: first)
    return try parser.fields(until: nil, depth: 0)
  }

  private mutating func take() throws(ModelConfigurationError) -> TextFormatToken {
    let taken = token
    token = try scanner.next()
    return taken
  }

  private func isSymbol(_ symbol: Character) -> Bool { token.kind == .symbol(symbol.asciiValue ?? 0) }

  private mutating func fields(until close: Character?, depth: Int) throws(ModelConfigurationError) -> [TextFormatField] {
    guard depth <= Self.deepest else {
      throw ModelConfigurationError("messages are nested more than \(Self.deepest) deep", at: token.position)
    }
    var fields: [TextFormatField] = []
    while true {
      if let close {
        if isSymbol(close) {
          _ = try take()
          return fields
        }
        if token.kind == .end { throw ModelConfigurationError("the file ends where \"\(close)\" is missing", at: token.position) }
      } else if token.kind == .end {
        return fields
      }
      let name = try take()
      guard case .identifier(let text) = name.kind else {
        throw ModelConfigurationError("a field's name is expected, not \(name.text)", at: name.position)
      }
      let hasColon = isSymbol(":")
      if hasColon { _ = try take() }
      let place = token.position
      let isMessage = isSymbol("{") || isSymbol("<")
      guard hasColon || isMessage || isSymbol("[") else {
        throw ModelConfigurationError("\":\" or \"{\" is expected after \(text), not \(token.text)", at: token.position)
      }
      let value = try value(depth: depth)
      fields.append(TextFormatField(name: text, position: name.position, value: value, valuePosition: place))
      if isSymbol(",") || isSymbol(";") { _ = try take() }
    }
  }

  private mutating func value(depth: Int) throws(ModelConfigurationError) -> TextFormatField.Value {
    if isSymbol("{") || isSymbol("<") {
      let close: Character = isSymbol("{") ? "}" : ">"
      _ = try take()
      return .message(try fields(until: close, depth: depth + 1))
    }
    if isSymbol("[") {
      _ = try take()
      var list: [(value: TextFormatField.Value, position: TextPosition)] = []
      if isSymbol("]") {
        _ = try take()
        return .list(list)
      }
      while true {
        let place = token.position
        if isSymbol("[") { throw ModelConfigurationError("a list inside a list", at: place) }
        list.append((try value(depth: depth), place))
        let separator = try take()
        if separator.kind == .symbol(UInt8(ascii: "]")) { return .list(list) }
        guard separator.kind == .symbol(UInt8(ascii: ",")) else {
          throw ModelConfigurationError("\",\" or \"]\" is expected, not \(separator.text)", at: separator.position)
        }
      }
    }
    var sign = ""
    if isSymbol("-") {
      sign = "-"
      _ = try take()
    }
    let taken = try take()
    switch taken.kind {
    case .number(let digits): return .scalar(sign + digits, isIdentifier: false)
    case .identifier(let name): return .scalar(sign + name, isIdentifier: true)
    case .string(var bytes) where sign.isEmpty:
      // Strings beside one another are one.
      while case .string(let more) = token.kind {
        bytes += more
        _ = try take()
      }
      return .string(bytes)
    default: throw ModelConfigurationError("a value is expected, not \(taken.text)", at: taken.position)
    }
  }
}
