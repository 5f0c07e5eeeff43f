/// Protobuf's text format to a tree of fields. Extensions and `Any` are refused: no configuration has them.
struct TextParser {
  /// Deeper than any configuration, and far from where recursion would hurt.
  static let deepestNesting = 100

  private var lexer: TextLexer
  private var token: TextToken

  static func parse(_ text: String, file: String) throws(ModelConfigurationError) -> [TextField] {
    try parse(bytes: Array(text.utf8), file: file)
  }

  static func parse(bytes: [UInt8], file: String) throws(ModelConfigurationError) -> [TextField] {
    var parser = try TextParser(bytes, file: file)
    return try parser.fields(until: .end, openedAt: nil, depth: 0)
  }

  private init(_ bytes: [UInt8], file: String) throws(ModelConfigurationError) {
    lexer = TextLexer(bytes, file: file)
    token = try lexer.next()
  }

  private mutating func advance() throws(ModelConfigurationError) { token = try lexer.next() }

  private func isSymbol(_ character: Unicode.Scalar) -> Bool { token.kind == .symbol(UInt8(ascii: character)) }

  private mutating func skip(_ character: Unicode.Scalar) throws(ModelConfigurationError) -> Bool {
    guard isSymbol(character) else { return false }
    try advance()
    return true
  }

  private mutating func fields(
    until end: TextToken.Kind, openedAt: ConfigurationPlace?, depth: Int
  ) throws(ModelConfigurationError) -> [TextField] {
    var fields: [TextField] = []
    while token.kind != end {
      if token.kind == .end, let openedAt {
        throw lexer.failure("the text ends inside the message that opens \(openedAt.inWords); close it", at: token.place)
      }
      fields.append(try field(depth: depth))
    }
    return fields
  }

  private mutating func field(depth: Int) throws(ModelConfigurationError) -> TextField {
    let place = token.place
    guard case .identifier(let name) = token.kind else {
      let advice = isSymbol("[") ? "extensions are not supported" : "expected a field's name"
      throw lexer.failure("\(advice), found \(token.inWords)", at: place)
    }
    try advance()
    let hasColon = try skip(":")
    var field = TextField(name: name, place: place, values: [], isList: isSymbol("["))
    if field.isList {
      field.values = try list(name: name, hasColon: hasColon, depth: depth)
    } else {
      field.values = [try value(name: name, hasColon: hasColon, depth: depth)]
    }
    if try !skip(",") { _ = try skip(";") }
    return field
  }

  private mutating func list(name: String, hasColon: Bool, depth: Int) throws(ModelConfigurationError) -> [TextValue] {
    try advance()
    var values: [TextValue] = []
    if try skip("]") { return values }
    while true {
      if isSymbol("[") { throw lexer.failure("a list cannot hold a list", at: token.place) }
      values.append(try value(name: name, hasColon: hasColon, depth: depth))
      if try skip("]") { return values }
      guard try skip(",") else {
        throw lexer.failure("expected ',' or ']' in the list of '\(excerpt(name))', found \(token.inWords)", at: token.place)
      }
    }
  }

  private mutating func value(name: String, hasColon: Bool, depth: Int) throws(ModelConfigurationError) -> TextValue {
    let place = token.place
    if isSymbol("{") || isSymbol("<") {
      let end = TextToken.Kind.symbol(UInt8(ascii: isSymbol("{") ? "}" : ">"))
      if let placeholder = lexer.placeholder(from: lexer.position - 1) { throw lexer.unfilled(placeholder, at: place) }
      guard depth < Self.deepestNesting else { throw lexer.failure("nested deeper than \(Self.deepestNesting) levels", at: place) }
      try advance()
      let fields = try self.fields(until: end, openedAt: place, depth: depth + 1)
      try advance()
      return TextValue(place: place, content: .message(fields))
    }
    guard hasColon else {
      throw lexer.failure("expected ':' or '{' after '\(excerpt(name))', found \(token.inWords)", at: place)
    }
    return TextValue(place: place, content: try scalar(name: name))
  }

  private mutating func scalar(name: String) throws(ModelConfigurationError) -> TextValue.Content {
    let place = token.place
    let isNegative = try skip("-")
    let content: TextValue.Content
    switch token.kind {
    case .string(var bytes) where !isNegative:
      try advance()
      // Texts that follow each other are one.
      while case .string(let more) = token.kind {
        bytes += more
        try advance()
      }
      return .string(bytes)
    case .identifier(let word): content = .identifier(word, isNegative: isNegative)
    case .number(let value): content = .number(isNegative ? -value : value)
    case .integer(var literal):
      literal.isNegative = isNegative
      if isNegative { literal.text = "-" + literal.text }
      content = .integer(literal)
    default: throw lexer.failure("expected a value for '\(excerpt(name))', found \(token.inWords)", at: token.place)
    }
    try advance()
    if case .identifier(let word, _) = content, isSymbol(":") || isSymbol("[") || isSymbol("{") || isSymbol("<") {
      // "max_batch_size:" without its value, and the next field's name taken for it.
      let takes = MessageSchema.valueInWords(ofFieldsNamed: name).map { "takes \($0), not" } ?? "takes a value, not"
      throw lexer.failure(
        "'\(excerpt(name))' \(takes) the word \(excerpt(word)), which begins the next field; its value is missing", at: place)
    }
    return content
  }
}
