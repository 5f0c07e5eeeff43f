import CheckedNumbers
import Vocabulary

extension SchemaChecker {
  /// `owner` names the field in an error.
  mutating func value(_ value: TextValue, as type: FieldType, of owner: String) throws(ModelConfigurationError) -> CheckedValue {
    func mismatch() -> ModelConfigurationError {
      let isNumber = if case .integer = value.content { true } else if case .number = value.content { true } else { false }
      let takes = isNumber ? type.inWords : type.kindInWords
      return failure("\(owner) takes \(takes), not \(value.inWords)\(value.unfilledNote)", at: value.place)
    }
    switch (type, value.content) {
    case (.message(let name), .message(let fields)):
      guard let schema = MessageSchema.named[name] else { throw mismatch() }
      return .message(try check(fields, as: schema))
    case (.bool, .identifier(let word, isNegative: false)):
      if ["true", "True", "t"].contains(word) { return .bool(true) }
      if ["false", "False", "f"].contains(word) { return .bool(false) }
      throw mismatch()
    case (.bool, .integer(let literal)):
      guard let value = literal.unsigned, value <= 1, !literal.isNegative else { throw mismatch() }
      return .bool(value == 1)
    case (.string, .string(let bytes)):
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw failure("the text of \(owner) is not valid UTF-8", at: value.place)
      }
      return .string(text)
    case (.enumeration(let schema), .identifier(let word, isNegative: false)):
      guard schema.names.contains(word) else {
        throw failure("\(owner) has no value '\(excerpt(word))'" + NameSuggestion.advice(for: word, in: schema.names), at: value.place)
      }
      return .string(word)
    case (.enumeration(let schema), .integer(let literal)):
      guard let index = literal.signed.flatMap(Int.init(exactly:)), schema.names.indices.contains(index) else { throw mismatch() }
      return .string(schema.names[index])
    case (_, .integer(let literal)): return try integer(literal, as: type, otherwise: mismatch())
    case (.float, .number(let number)), (.double, .number(let number)): return .number(number)
    case (.float, .identifier(let word, let isNegative)), (.double, .identifier(let word, let isNegative)):
      return .number(try named(word, isNegative: isNegative, otherwise: mismatch()))
    default: throw mismatch()
    }
  }

  private func integer(
    _ literal: IntegerLiteral, as type: FieldType, otherwise mismatch: @autoclosure () -> ModelConfigurationError
  ) throws(ModelConfigurationError) -> CheckedValue {
    switch type {
    case .int32: if let value = literal.signed.flatMap(Int32.init(exactly:)) { return .integer(Int(value)) }
    case .uint32: if let value = literal.unsigned.flatMap(UInt32.init(exactly:)) { return .integer(Int(value)) }
    case .int64: if let value = literal.signed { return .integer(Int(value)) }
    case .uint64: if let value = literal.unsigned { return .unsigned(value) }
    // A floating-point field takes whole numbers too, but only decimal ones, as in protobuf's own reader.
    case .float, .double: if literal.isDecimal, let value = Double(literal.text) { return .number(value) }
    default: break
    }
    throw mismatch()
  }

  private func named(
    _ word: String, isNegative: Bool, otherwise mismatch: @autoclosure () -> ModelConfigurationError
  ) throws(ModelConfigurationError) -> Double {
    switch word.lowercased() {
    case "inf", "infinity": return isNegative ? -.infinity : .infinity
    case "nan": return .nan
    default: throw mismatch()
    }
  }
}
