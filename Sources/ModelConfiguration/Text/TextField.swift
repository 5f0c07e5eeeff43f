/// A field of a message as it was written, before anyone knows what it should be.
struct TextField: Hashable, Sendable {
  var name: String
  var place: ConfigurationPlace
  /// One value, or those of a list.
  var values: [TextValue]
  /// Written as `[a, b]`.
  var isList: Bool
}

/// A value as it was written.
struct TextValue: Hashable, Sendable {
  var place: ConfigurationPlace
  var content: Content

  enum Content: Hashable, Sendable {
    /// An enum's value, a truth value, or a number's name (inf, nan).
    case identifier(String, isNegative: Bool)
    case integer(IntegerLiteral)
    case number(Double)
    /// Bytes: escapes may spell what is not UTF-8.
    case string([UInt8])
    case message([TextField])
  }

  /// The kind of value, for an error.
  var inWords: String {
    switch content {
    case .identifier(let name, let isNegative): "the word \((isNegative ? "-" : "") + excerpt(name))"
    case .integer(let literal): excerpt(literal.text)
    case .number(let value): "\(value)"
    case .string(let bytes): "the text \"\(excerpt(String(decoding: bytes.prefix(65), as: UTF8.self)))\""
    case .message: "a message"
    }
  }
}

extension TextValue {
  /// For an error about a text that a template left.
  var unfilledNote: String {
    guard case .string(let bytes) = content, bytes.starts(with: "${".utf8) || bytes.starts(with: "{{".utf8) else { return "" }
    return ", a placeholder that was not filled in"
  }
}

/// An integer as it was written; whether it fits is for its field to say.
struct IntegerLiteral: Hashable, Sendable {
  var isNegative: Bool
  /// Nil beyond 64 bits.
  var magnitude: UInt64?
  var isDecimal: Bool
  /// With its sign.
  var text: String

  var signed: Int64? {
    guard let magnitude else { return nil }
    if !isNegative { return Int64(exactly: magnitude) }
    return magnitude == UInt64(clamping: Int64.max) + 1 ? Int64.min : Int64(exactly: magnitude).map { -$0 }
  }

  var unsigned: UInt64? { isNegative && magnitude != 0 ? nil : magnitude }
}

/// A name or value of the input in an error: long ones are cut.
func excerpt(_ text: String) -> String {
  let scalars = text.unicodeScalars
  guard let end = scalars.index(scalars.startIndex, offsetBy: 64, limitedBy: scalars.endIndex), end < scalars.endIndex else { return text }
  return String(scalars[..<end]) + "..."
}
