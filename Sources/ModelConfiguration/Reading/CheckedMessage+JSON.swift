import JSONText

extension CheckedMessage {
  /// Every field of the schema in its order, as protobuf's JSON printer writes them when fields without presence are always printed:
  /// scalars also where they are their default, lists and maps also where they are empty, messages and choices where they are given.
  func json(as schema: MessageSchema) -> JSONValue {
    var members: [JSONValue.Member] = []
    for field in schema.fields {
      let values = fields[field.name]
      switch field.label {
      case .repeated: members.append(.init(field.name, .array((values ?? []).map { $0.json(as: field.type) })))
      case .map: members.append(.init(field.name, Self.map(values ?? [], of: field.type)))
      case .singular:
        if let value = values?.first {
          members.append(.init(field.name, value.json(as: field.type)))
        } else if field.oneof == nil, let usual = field.type.defaultJSON {
          members.append(.init(field.name, usual))
        }
      }
    }
    return .object(members)
  }

  /// Entries in the order of their keys: maps have none of their own.
  private static func map(_ entries: [CheckedValue], of type: FieldType) -> JSONValue {
    let sorted = entries.compactMap(\.message).map { (key: $0.fields["key"]?.first ?? .string(""), entry: $0) }.sorted { left, right in
      if case .unsigned(let left) = left.key, case .unsigned(let right) = right.key { return left < right }
      return left.key.keyText < right.key.keyText
    }
    return .object(
      sorted.map { key, entry in
        let value = entry.fields["value"]?.first?.json(as: type)
        return .init(key.keyText, value ?? type.defaultJSON ?? CheckedMessage().json(as: type.schema))
      })
  }
}

extension CheckedValue {
  fileprivate func json(as type: FieldType) -> JSONValue {
    switch self {
    case .bool(let value): .bool(value)
    case .integer(let value): JSONValue(value)
    // Beyond what a JSON reader keeps exactly, in quotes, as protobuf writes all 64-bit integers.
    case .unsigned(let value): Int64(exactly: value).map { .integer($0) } ?? .string("\(value)")
    case .number(let value):
      if value.isNaN { "NaN" } else if value.isInfinite { value < 0 ? "-Infinity" : "Infinity" } else { .number(value) }
    case .string(let value): .string(value)
    case .message(let message): message.json(as: type.schema)
    }
  }
}

extension FieldType {
  /// The message's; one without fields for a scalar.
  var schema: MessageSchema {
    if case .message(let name) = self, let schema = MessageSchema.named[name] { return schema }
    return MessageSchema("", [])
  }

  /// What is printed for an absent scalar; nil for a message.
  fileprivate var defaultJSON: JSONValue? {
    switch self {
    case .bool: false
    case .int32, .uint32, .int64, .uint64: 0
    case .float, .double: .number(0)
    case .string: ""
    case .enumeration(let schema): .string(schema.names.first ?? "")
    case .message: nil
    }
  }
}
