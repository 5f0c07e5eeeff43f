/// A message whose fields are known and whose values fit them. What is absent reads as protobuf's default.
struct CheckedMessage: Sendable {
  var fields: [String: [CheckedValue]] = [:]
  /// Where each value stands, as far as it was read from somewhere.
  var places: [String: [ConfigurationPlace]] = [:]

  mutating func append(_ value: CheckedValue, at place: ConfigurationPlace, to name: String) {
    fields[name, default: []].append(value)
    places[name, default: []].append(place)
  }

  /// A map's entry whose key is given again.
  mutating func replace(_ index: Int, with value: CheckedValue, at place: ConfigurationPlace, of name: String) {
    guard fields[name]?.indices.contains(index) == true, places[name]?.indices.contains(index) == true else { return }
    fields[name]?[index] = value
    places[name]?[index] = place
  }

  func has(_ name: String) -> Bool { fields[name] != nil }

  func bool(_ name: String) -> Bool { if case .bool(let value) = fields[name]?.first { value } else { false } }
  func string(_ name: String) -> String { fields[name]?.first?.string ?? "" }
  func strings(_ name: String) -> [String] { (fields[name] ?? []).compactMap(\.string) }
  func integer(_ name: String) -> Int { fields[name]?.first?.integer ?? 0 }
  func integers(_ name: String) -> [Int] { (fields[name] ?? []).compactMap(\.integer) }
  func unsigned(_ name: String) -> UInt64 { if case .unsigned(let value) = fields[name]?.first { value } else { 0 } }
  func messages(_ name: String) -> [CheckedMessage] { (fields[name] ?? []).compactMap(\.message) }
  func message(_ name: String) -> CheckedMessage? { fields[name]?.first?.message }

  /// An enum's value, of a type whose raw values are the schema's names.
  func enumeration<Value: RawRepresentable<String>>(_ name: String, default: Value) -> Value {
    fields[name]?.first?.string.flatMap(Value.init(rawValue:)) ?? `default`
  }
}

/// A value of the type its field has.
enum CheckedValue: Sendable {
  case bool(Bool)
  /// int32, uint32, int64.
  case integer(Int)
  /// uint64.
  case unsigned(UInt64)
  case number(Double)
  /// Also the name of an enum's value.
  case string(String)
  case message(CheckedMessage)

  var integer: Int? { if case .integer(let value) = self { value } else { nil } }
  var string: String? { if case .string(let value) = self { value } else { nil } }
  var message: CheckedMessage? { if case .message(let value) = self { value } else { nil } }

  /// What identifies a map's key.
  var keyText: String {
    switch self {
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): value
    case .message: ""
    }
  }

  /// Whether leaving the field out would say the same. A message that is there says something, even if empty.
  func isDefault(of type: FieldType) -> Bool {
    switch self {
    case .bool(let value): !value
    case .integer(let value): value == 0
    case .unsigned(let value): value == 0
    case .number(let value): value == 0
    case .string(let value): if case .enumeration(let schema) = type { value == schema.names.first } else { value.isEmpty }
    case .message: false
    }
  }
}
