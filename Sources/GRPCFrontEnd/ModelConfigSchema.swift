import CheckedNumbers

/// Messages and enums of the model configuration, by name, with the wire's numbers.
struct ModelConfigSchema: Sendable {
  /// One field of a message.
  struct Field: Sendable {
    enum Shape: Sendable {
      case single
      case repeated
      case map(key: String)
    }

    var number: Int
    var shape: Shape
    /// Protobuf's scalar name, or an enum's or message's.
    var type: String
  }

  private(set) var messages: [String: [String: Field]] = [:]
  private(set) var enums: [String: [String: Int64]] = [:]

  static let standard = ModelConfigSchema(table)

  /// Reads lines "message NAME", "enum NAME" and below them "NUMBER NAME TYPE" or "NUMBER NAME". Other lines are skipped.
  init(_ table: String) {
    var message: String?
    var enumeration: String?
    for line in table.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 2 else { continue }
      if words[0] == "message" {
        (message, enumeration) = (words[1], nil)
        messages[words[1]] = [:]
      } else if words[0] == "enum" {
        (message, enumeration) = (nil, words[1])
      } else if let number = Int(words[0]) {
        if let message, words.count > 2 { messages[message, default: [:]][words[1]] = Self.field(number, Array(words.dropFirst(2))) }
        if let enumeration { enums[enumeration, default: [:]][words[1]] = Int64(number) }
      }
    }
  }

  private static func field(_ number: Int, _ type: [String]) -> Field {
    if type.count == 2, type[0] == "repeated" { return Field(number: number, shape: .repeated, type: type[1]) }
    let name = type[0]
    if name.hasPrefix("map<"), name.hasSuffix(">") {
      let parts = name.dropFirst(4).dropLast().split(separator: ",").map(String.init)
      if parts.count == 2 { return Field(number: number, shape: .map(key: parts[0]), type: parts[1]) }
    }
    return Field(number: number, shape: .single, type: name)
  }
}
