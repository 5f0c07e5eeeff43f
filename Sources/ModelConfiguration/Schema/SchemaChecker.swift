/// A tree as it was written against the schema: unknown names, repeats, types and ranges are errors; what has no effect here becomes
/// a warning. Recursion is bounded by the schema, which has no message within itself.
struct SchemaChecker {
  let file: String
  private(set) var warnings: [ModelConfigurationWarning] = []
  /// The first part that is refused. It is told after everything else was found to be well formed.
  private(set) var refusal: ModelConfigurationError?
  private var toldOnce: Set<String> = []

  init(file: String) { self.file = file }

  func failure(_ reason: String, at place: ConfigurationPlace) -> ModelConfigurationError {
    ModelConfigurationError(file: file, place: place, reason: reason)
  }

  mutating func check(_ fields: [TextField], as schema: MessageSchema) throws(ModelConfigurationError) -> CheckedMessage {
    var message = CheckedMessage()
    var places: [String: ConfigurationPlace] = [:]
    var choices: [String: TextField] = [:]
    var keys: [String: [String: ConfigurationPlace]] = [:]
    for written in fields {
      guard let field = schema.field(written.name) else {
        let advice = NameSuggestion.advice(for: written.name, in: schema.fields.map(\.name))
        throw failure("unknown field '\(excerpt(written.name))' in message \(schema.name)\(advice)", at: written.place)
      }
      if field.label == .singular {
        if let first = places[field.name] {
          let reason = "'\(field.name)' of \(schema.name) is given again; it was given \(first.inWords). Keep one of them"
          throw failure(reason, at: written.place)
        }
        if written.isList {
          throw failure("'\(field.name)' of \(schema.name) takes one value, not a list", at: written.place)
        }
      }
      if let oneof = field.oneof, let other = choices.updateValue(written, forKey: oneof), other.name != field.name {
        let reason = "'\(field.name)' excludes '\(other.name)', which was given \(other.place.inWords). Keep one of them"
        throw failure(reason, at: written.place)
      }
      places[field.name] = places[field.name] ?? written.place
      try check(written, as: field, in: schema, into: &message, keys: &keys[field.name, default: [:]])
    }
    return message
  }

  private mutating func check(
    _ written: TextField, as field: FieldSchema, in schema: MessageSchema, into message: inout CheckedMessage,
    keys: inout [String: ConfigurationPlace]
  ) throws(ModelConfigurationError) {
    var values: [CheckedValue] = []
    for value in written.values {
      if case .map(let key) = field.label {
        values.append(try entry(value, as: .mapEntry(of: field, key: key), keys: &keys))
      } else {
        values.append(try self.value(value, as: field.type, of: "'\(field.name)' of \(schema.name)"))
      }
    }
    if values.contains(where: { !$0.isDefault(of: field.type) }) { tell(field, in: schema, at: written.place) }
    message.fields[field.name, default: []] += values
  }

  private mutating func tell(_ field: FieldSchema, in schema: MessageSchema, at place: ConfigurationPlace) {
    switch field.disposition {
    case .supported: return
    case .ignored(let reason):
      let text = "'\(field.name)' of \(schema.name) is ignored: \(reason)"
      // One warning for a repeated field, where it stands first.
      if field.label != .singular, !toldOnce.insert(text).inserted { return }
      warnings.append(ModelConfigurationWarning(file: file, place: place, reason: text))
    case .refused(let reason):
      refusal = refusal ?? failure("'\(field.name)' of \(schema.name) is not supported: \(reason)", at: place)
    }
  }

  private mutating func entry(
    _ value: TextValue, as schema: MessageSchema, keys: inout [String: ConfigurationPlace]
  ) throws(ModelConfigurationError) -> CheckedValue {
    guard case .message(let fields) = value.content else {
      if case .member = value.place { throw failure("'\(schema.name)' takes an object of keys and values", at: value.place) }
      throw failure("'\(schema.name)' takes entries '{ key: ... value: ... }', not \(value.inWords)", at: value.place)
    }
    let entry = try check(fields, as: schema)
    let key = entry.fields["key"]?.first?.keyText ?? ""
    if let first = keys.updateValue(value.place, forKey: key) {
      throw failure(
        "'\(schema.name)' has the key '\(excerpt(key))' again; it was given \(first.inWords). Keep one of them", at: value.place)
    }
    return .message(entry)
  }
}
