import CheckedNumbers
import JSONText
import Vocabulary

/// A configuration's JSON form (protobuf's JSON mapping) to the tree that text gives, so that one checker serves both. What is not
/// in the schema is passed on as it is: the checker tells it. Recursion is bounded by the schema.
struct JSONTree {
  static func fields(of json: JSONValue, file: String) throws(ModelConfigurationError) -> [TextField] {
    guard let members = json.objectValue else {
      throw ModelConfigurationError(file: file, place: .member(""), reason: "a configuration in JSON is an object '{ ... }'")
    }
    return fields(of: members, as: .modelConfig, path: "")
  }

  private static func fields(of members: [JSONValue.Member], as schema: MessageSchema, path: String) -> [TextField] {
    members.compactMap { member in
      // Null is the same as absent.
      if member.value == .null { return nil }
      let field = schema.field(member.name) ?? schema.field(snakeCase(member.name))
      let path = path.isEmpty ? excerpt(member.name) : "\(path).\(excerpt(member.name))"
      let place = ConfigurationPlace.member(path)
      guard let field else { return TextField(name: member.name, place: place, values: [], isList: false) }
      return TextField(
        name: field.name, place: place, values: values(of: member.value, as: field, path: path), isList: member.value.arrayValue != nil)
    }
  }

  private static func values(of json: JSONValue, as field: FieldSchema, path: String) -> [TextValue] {
    switch (field.label, json) {
    case (.map(let key), .object(let members)):
      return members.map { member in
        let place = ConfigurationPlace.member("\(path).\(excerpt(member.name))")
        let keyField = TextField(name: "key", place: place, values: [value(of: .string(member.name), as: key, path: path)], isList: false)
        let inner = value(of: member.value, as: field.type, path: place.description)
        return TextValue(
          place: place, content: .message([keyField, TextField(name: "value", place: place, values: [inner], isList: false)]))
      }
    case (.map, _): return [TextValue(place: .member(path), content: .identifier("not an object", isNegative: false))]
    case (_, .array(let elements)):
      return elements.enumerated().map { value(of: $1, as: field.type, path: "\(path)[\($0)]") }
    default: return [value(of: json, as: field.type, path: path)]
    }
  }

  private static func value(of json: JSONValue, as type: FieldType, path: String) -> TextValue {
    TextValue(place: .member(path), content: content(of: json, as: type, path: path))
  }

  private static func content(of json: JSONValue, as type: FieldType, path: String) -> TextValue.Content {
    switch json {
    case .null: return .identifier("null", isNegative: false)
    case .bool(let value): return .identifier(value ? "true" : "false", isNegative: false)
    case .integer(let value): return .integer(IntegerLiteral(value))
    case .number(let value): return Int64(exactly: value).map { .integer(IntegerLiteral($0)) } ?? .number(value)
    case .string(let text): return content(of: text, as: type)
    // A list where one value belongs; as a word it fits no type.
    case .array: return .identifier("[...]", isNegative: false)
    case .object(let members):
      guard case .message(let name) = type, let schema = MessageSchema.named[name] else { return .message([]) }
      return .message(fields(of: members, as: schema, path: path))
    }
  }

  /// 64-bit integers come in quotes, because other readers of JSON lose their last digits; map keys always do.
  private static func content(of text: String, as type: FieldType) -> TextValue.Content {
    switch type {
    case .int32, .uint32, .int64, .uint64:
      let isNegative = text.hasPrefix("-")
      let digits = isNegative ? text.dropFirst() : text[...]
      guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return .string(Array(text.utf8)) }
      return .integer(IntegerLiteral(isNegative: isNegative, magnitude: UInt64(digits), isDecimal: true, text: text))
    case .float, .double:
      let isNegative = text.hasPrefix("-")
      let word = isNegative ? String(text.dropFirst()) : text
      return ["NaN", "Infinity"].contains(word) ? .identifier(word, isNegative: isNegative) : .string(Array(text.utf8))
    case .enumeration: return .identifier(text, isNegative: false)
    case .bool, .string, .message: return .string(Array(text.utf8))
    }
  }

  /// `maxBatchSize`, protobuf's own spelling in JSON, to the schema's `max_batch_size`.
  private static func snakeCase(_ name: String) -> String {
    guard name.utf8.count <= NameSuggestion.longestName else { return name }
    return name.reduce(into: "") { result, character in
      if character.isUppercase { result += "_" }
      result += character.lowercased()
    }
  }
}

extension IntegerLiteral {
  fileprivate init(_ value: Int64) {
    self.init(isNegative: value < 0, magnitude: value.magnitude, isDecimal: true, text: "\(value)")
  }
}
