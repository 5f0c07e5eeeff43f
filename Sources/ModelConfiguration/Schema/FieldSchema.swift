/// What a field may hold, and what becomes of it here.
struct FieldSchema: Sendable {
  var name: String
  var type: FieldType
  var label: Label
  var disposition: Disposition
  /// At most one field of a message's group of the same name may be given.
  var oneof: String?
  /// The value that says no more than leaving the field out, where that is not protobuf's default.
  var usual: Bool?

  enum Label: Sendable, Hashable {
    case singular
    case repeated
    /// Entries of a key and a value. A key that is given again replaces the entry, as in protobuf.
    case map(key: FieldType)
  }

  enum Disposition: Sendable, Hashable {
    case supported
    /// Changes what experiments simulate and nothing where models are served; the reason goes into a warning there.
    case simulated(String)
    /// Has no effect; the reason goes into a warning when the value is not the default.
    case ignored(String)
    /// The configuration cannot be served as it is meant; an error when the value is not the default.
    case refused(String)
  }

  init(
    _ name: String, _ type: FieldType, _ label: Label = .singular, _ disposition: Disposition = .supported, oneof: String? = nil,
    usual: Bool? = nil
  ) {
    self.name = name
    self.type = type
    self.label = label
    self.disposition = disposition
    self.oneof = oneof
    self.usual = usual
  }

  /// Whether this value says more than leaving the field out.
  func says(_ value: CheckedValue) -> Bool {
    if let usual, case .bool(let value) = value { return value != usual }
    return !value.isDefault(of: type)
  }
}

/// Protobuf's types, as far as configurations use them.
enum FieldType: Sendable, Hashable {
  case bool
  case int32
  case uint32
  case int64
  case uint64
  case float
  case double
  case string
  case enumeration(EnumSchema)
  /// A message of `MessageSchema.named`.
  case message(String)

  /// With its article, for an error.
  var inWords: String {
    switch self {
    case .bool: "true or false"
    case .int32: "an int32 (\(Int32.min) to \(Int32.max))"
    case .uint32: "a uint32 (0 to \(UInt32.max))"
    case .int64: "an int64 (\(Int64.min) to \(Int64.max))"
    case .uint64: "a uint64 (0 to \(UInt64.max))"
    case .float, .double: "a number"
    case .string: "a text in quotes"
    case .enumeration(let schema): "one of " + schema.names.joined(separator: ", ")
    case .message(let name): "a message \(name) in braces"
    }
  }

  /// Without the range, where what was given is not a number at all.
  var kindInWords: String {
    switch self {
    case .int32, .uint32, .int64, .uint64, .float, .double: "a number"
    default: inWords
    }
  }
}

/// An enum's values; the number of each is its index.
struct EnumSchema: Sendable, Hashable {
  var name: String
  var names: [String]
}
