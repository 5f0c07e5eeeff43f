/// The fields of a message of Triton's model configuration. Source: triton-inference-server/common `protobuf/model_config.proto`.
struct MessageSchema: Sendable {
  var name: String
  var fields: [FieldSchema]

  init(_ name: String, _ fields: [FieldSchema]) {
    self.name = name
    self.fields = fields
  }

  func field(_ name: String) -> FieldSchema? { fields.first { $0.name == name } }

  /// The entries of a map, as text format writes them.
  static func mapEntry(of field: FieldSchema, key: FieldType) -> MessageSchema {
    MessageSchema(field.name, [FieldSchema("key", key), FieldSchema("value", field.type)])
  }

  /// Every message, by its name. Names are unique, nested ones go without their outer message's name except where that would collide.
  static let named: [String: MessageSchema] = {
    let groups = [
      modelMessages, tensorMessages, instanceMessages, optimizationMessages, schedulingMessages, sequenceMessages, otherMessages,
    ]
    return Dictionary(groups.joined().map { ($0.name, $0) }) { first, _ in first }
  }()

  /// What the fields of this name take, for a reader who has no more than the name; nil where they differ.
  static func valueInWords(ofFieldsNamed name: String) -> String? {
    let words = Set(named.values.compactMap { $0.field(name)?.type.kindInWords })
    return words.count == 1 ? words.first : nil
  }

  /// The outermost message.
  static let modelConfig = named["ModelConfig"] ?? MessageSchema("ModelConfig", [])
}
