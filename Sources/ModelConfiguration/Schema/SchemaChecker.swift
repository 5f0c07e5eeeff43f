import Vocabulary

/// A tree as it was written against the schema: unknown names, repeats, types and ranges are errors; what has no effect here becomes
/// a warning. Recursion is bounded by the schema, which has no message within itself.
struct SchemaChecker {
  let file: String
  private(set) var warnings: [ModelConfigurationWarning] = []
  /// Of what only experiments act on.
  private(set) var servingWarnings: [ModelConfigurationWarning] = []
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
    var keys: [String: [String: Int]] = [:]
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
    keys: inout [String: Int]
  ) throws(ModelConfigurationError) {
    var says = false
    // Present even where it is an empty list.
    message.fields[field.name, default: []] += []
    for value in written.values {
      let place = place(of: value, in: written)
      guard case .map(let key) = field.label else {
        let checked = try self.value(value, as: field.type, of: "'\(field.name)' of \(schema.name)")
        says = says || field.says(checked)
        message.append(checked, at: place, to: field.name)
        continue
      }
      let entry = try entry(value, as: .mapEntry(of: field, key: key))
      says = true
      let count = message.fields[field.name]?.count ?? 0
      if let earlier = keys.updateValue(count, forKey: entry.fields["key"]?.first?.keyText ?? "") {
        // Triton's own QA has such files (qa/L0_model_config, tensor_to_input_overmapped); protobuf's maps keep what came last.
        keys[entry.fields["key"]?.first?.keyText ?? ""] = earlier
        message.replace(earlier, with: .message(entry), at: place, of: field.name)
      } else {
        message.append(.message(entry), at: place, to: field.name)
      }
    }
    if says { tell(field, in: schema, at: written.place) }
  }

  /// An element of a list stands for itself; a value on its own, where its field's name stands.
  private func place(of value: TextValue, in written: TextField) -> ConfigurationPlace {
    if case .member = value.place { return value.place }
    return written.isList ? value.place : written.place
  }

  private mutating func tell(_ field: FieldSchema, in schema: MessageSchema, at place: ConfigurationPlace) {
    switch field.disposition {
    case .supported: return
    case .ignored(let reason), .simulated(let reason):
      let text = "'\(field.name)' of \(schema.name) is ignored: \(reason)"
      // One warning for a repeated field, where it stands first.
      if field.label != .singular, !toldOnce.insert(text).inserted { return }
      let warning = ModelConfigurationWarning(file: file, place: place, reason: text)
      if case .ignored = field.disposition { warnings.append(warning) } else { servingWarnings.append(warning) }
    case .refused(let reason):
      refusal = refusal ?? failure("'\(field.name)' of \(schema.name) is not supported: \(reason)", at: place)
    }
  }

  private mutating func entry(
    _ value: TextValue, as schema: MessageSchema
  ) throws(ModelConfigurationError) -> CheckedMessage {
    guard case .message(let fields) = value.content else {
      if case .member = value.place { throw failure("'\(schema.name)' takes an object of keys and values", at: value.place) }
      throw failure("'\(schema.name)' takes entries '{ key: ... value: ... }', not \(value.inWords)", at: value.place)
    }
    return try check(fields, as: schema)
  }
}
