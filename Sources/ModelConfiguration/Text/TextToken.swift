/// A token of protobuf's text format.
struct TextToken {
  enum Kind: Equatable {
    case identifier(String)
    case integer(IntegerLiteral)
    case number(Double)
    case string([UInt8])
    case symbol(UInt8)
    case end
  }

  var kind: Kind
  var place: ConfigurationPlace

  var inWords: String {
    switch kind {
    case .identifier(let name): "'\(excerpt(name))'"
    case .integer(let literal): "'\(excerpt(literal.text))'"
    case .number(let value): "'\(value)'"
    case .string: "a text in quotes"
    case .symbol(let byte): "'\(Character(Unicode.Scalar(byte)))'"
    case .end: "the end of the text"
    }
  }
}
