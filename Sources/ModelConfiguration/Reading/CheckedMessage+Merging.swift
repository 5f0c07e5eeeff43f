extension CheckedMessage {
  /// These fields, and of `source` every field that they do not mention: what a configuration says now over what was read. Nothing that
  /// was read is lost because no value type has a place for it.
  func merged(over source: CheckedMessage, as schema: MessageSchema) -> CheckedMessage {
    var result = source
    for (name, values) in fields {
      guard let field = schema.field(name) else { continue }
      let earlier = source.fields[name] ?? []
      // Which field of a choice is given is all it says.
      if field.oneof != nil, field.type.schema.fields.isEmpty, !earlier.isEmpty { continue }
      guard case .message = field.type else {
        result.fields[name] = values
        continue
      }
      var partners: [String: CheckedMessage] = [:]
      for (index, value) in earlier.enumerated() {
        if let message = value.message { partners[Self.identity(of: message, at: index, in: field)] = message }
      }
      result.fields[name] = values.enumerated().map { index, value in
        guard let message = value.message else { return value }
        let partner = partners[Self.identity(of: message, at: index, in: field)] ?? CheckedMessage()
        return .message(message.merged(over: partner, field: field))
      }
    }
    return result
  }

  /// A map's entry keeps its key; its value is what is merged.
  private func merged(over source: CheckedMessage, field: FieldSchema) -> CheckedMessage {
    guard case .map = field.label else { return merged(over: source, as: field.type.schema) }
    guard let value = message("value") else { return self }
    var result = self
    result.fields["value"] = [.message(value.merged(over: source.message("value") ?? CheckedMessage(), as: field.type.schema))]
    return result
  }

  /// Inputs and outputs go by their names, for completion may add to them; entries by their keys; anything else by its index.
  private static func identity(of message: CheckedMessage, at index: Int, in field: FieldSchema) -> String {
    if case .map = field.label { return message.fields["key"]?.first?.keyText ?? "" }
    if case .message(let name) = field.type, ["ModelInput", "ModelOutput"].contains(name) { return message.string("name") }
    return "\(index)"
  }
}
