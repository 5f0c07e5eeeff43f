/// A JSON document as a tree. Objects keep their members' order, so that what is written reads in the order it was built.
///
/// For documents a person or a tool writes: GPU descriptions, constants, host profiles, `--json` output. Bulk data (traces, tensors)
/// has readers of its own.
public indirect enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// One name and value of an object.
  public struct Member: Sendable, Equatable {
    /// Unique in its object.
    public var name: String
    /// What the name stands for.
    public var value: JSONValue
    /// `name: value`.
    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
  /// The value a literal stands for.
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(elements.map { Member($0.0, $0.1) }) }
  /// The value a literal stands for.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// The value a literal stands for.
  public init(stringLiteral value: String) { self = .string(value) }
  /// The value a literal stands for.
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// The value a literal stands for.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// The value a literal stands for.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// The value a literal stands for.
  public init(nilLiteral: ()) { self = .null }

  /// An integer, whatever its width.
  public init(_ value: some BinaryInteger) { self = Int64(exactly: value).map { .integer($0) } ?? .number(Double(value)) }
  /// A number; NaN and infinities become null, the contract's word for unknown.
  public init(_ value: Double?) { self = value.map { $0.isFinite ? .number($0) : .null } ?? .null }
  /// A text, or null.
  public init(_ value: String?) { self = value.map { .string($0) } ?? .null }
}

extension JSONValue {
  /// The member called `name`, when this is an object that has one.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }
  /// The text, when this is one.
  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  /// The number, integer or not, when this is one.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
  /// The integer, when this is one (1.0 counts, 1.5 does not).
  public var integerValue: Int64? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int64(exactly: value)
    default: nil
    }
  }
  /// The truth value, when this is one.
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The elements, when this is an array.
  public var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The members, when this is an object.
  public var objectValue: [Member]? { if case .object(let value) = self { value } else { nil } }
}
