/// A configuration with checked names and types: what both the text and the JSON form become before it is read into `ModelConfiguration`.
indirect enum ConfigurationTree: Hashable {
  case integer(Int64)
  case unsigned(UInt64)
  case number(Double)
  case bool(Bool)
  case string(String)
  case message([String: ConfigurationTree])
  case list([ConfigurationTree])
  /// Keys as text, in the order they came.
  case map([Entry])

  struct Entry: Hashable {
    var key: String
    var value: ConfigurationTree
  }

  subscript(name: String) -> ConfigurationTree? {
    if case .message(let fields) = self { return fields[name] }
    return nil
  }

  var items: [ConfigurationTree] { if case .list(let items) = self { items } else { [] } }
  var entries: [Entry] { if case .map(let entries) = self { entries } else { [] } }
  var text: String? { if case .string(let text) = self { text } else { nil } }
  var flag: Bool? { if case .bool(let flag) = self { flag } else { nil } }
  var int: Int? {
    switch self {
    case .integer(let value): Int(exactly: value)
    case .unsigned(let value): Int(exactly: value)
    default: nil
    }
  }
  var uint64: UInt64? {
    switch self {
    case .integer(let value): UInt64(exactly: value)
    case .unsigned(let value): value
    default: nil
    }
  }
}

/// Checks fields against the schema.
struct ConfigurationChecker {
  var warnings: [ModelConfigurationWarning] = []

  mutating func message(_ name: String, _ fields: [TextFormatField], path: String, at position: TextPosition)
    throws(ModelConfigurationError) -> ConfigurationTree
  {
    let known = ConfigurationSchema.messages[name] ?? []
    var tree: [String: ConfigurationTree] = [:]
    var places: [String: TextPosition] = [:]
    for field in fields {
      guard let schema = known.first(where: { $0.name == field.name }) else {
        let guess = Self.nearest(field.name, known.map(\.name)).map { "; did you mean \($0)?" } ?? ""
        throw ModelConfigurationError(
          "unknown field \"\(field.name)\" in \(path.isEmpty ? "the configuration" : path)\(guess)", at: field.position)
      }
      let fieldPath = path.isEmpty ? field.name : "\(path).\(field.name)"
      if !schema.isRepeated, !schema.type.isMap, let first = places[field.name] {
        throw ModelConfigurationError("\(fieldPath) is given twice; first on line \(first.line)", at: field.position)
      }
      places[field.name] = places[field.name] ?? field.position
      let values: [(TextFormatField.Value, TextPosition)]
      if case .list(let list) = field.value {
        guard schema.isRepeated || schema.type.isMap else {
          throw ModelConfigurationError("\(fieldPath) takes one value, not a list", at: field.valuePosition)
        }
        values = list.map { ($0.value, $0.position) }
      } else {
        values = [(field.value, field.valuePosition)]
      }
      for (value, place) in values {
        let checked = try self.value(schema.type, value, path: fieldPath, at: place)
        if schema.type.isMap {
          guard case .map(let added) = checked else { continue }
          var entries = tree[field.name]?.entries ?? []
          for entry in added {
            // As protobuf has it: the last one wins.
            entries.removeAll { $0.key == entry.key }
            entries.append(entry)
          }
          tree[field.name] = .map(entries)
        } else if schema.isRepeated {
          tree[field.name] = .list((tree[field.name]?.items ?? []) + [checked])
        } else {
          tree[field.name] = checked
        }
      }
      if case .list(let list) = field.value, list.isEmpty, schema.isRepeated, tree[field.name] == nil { tree[field.name] = .list([]) }
      switch schema.disposition {
      case .supported: break
      case .ignored(let reason): warnings.append(ModelConfigurationWarning(position: field.position, field: fieldPath, reason: reason))
      case .refused(let reason): throw ModelConfigurationError("\(fieldPath) is not supported: \(reason)", at: field.position)
      case .refusedIfTrue(let reason):
        if tree[field.name]?.flag == true { throw ModelConfigurationError("\(fieldPath) is not supported: \(reason)", at: field.position) }
      }
    }
    for group in ConfigurationSchema.alternatives[name] ?? [] {
      let given = group.filter { places[$0] != nil }
      if given.count > 1 {
        let second = given.compactMap { places[$0] }.max { ($0.line, $0.column) < ($1.line, $1.column) }
        throw ModelConfigurationError("only one of \(given.joined(separator: " and ")) may be given", at: second ?? position)
      }
    }
    return .message(tree)
  }

  private mutating func value(
    _ type: ConfigurationSchema.FieldType, _ value: TextFormatField.Value, path: String, at place: TextPosition
  ) throws(ModelConfigurationError) -> ConfigurationTree {
    func wrong(_ expected: String) -> ModelConfigurationError { ModelConfigurationError("\(path): \(expected) is expected", at: place) }
    switch type {
    case .message(let name):
      guard case .message(let fields) = value else { throw wrong("a message in braces") }
      return try message(name, fields, path: path, at: place)
    case .map(let keyType, let valueType):
      guard case .message(let fields) = value else { throw wrong("{ key: ... value: ... }") }
      var (key, content): (String?, ConfigurationTree?) = (nil, nil)
      for field in fields {
        switch field.name {
        case "key" where key == nil:
          key = try self.value(keyType, field.value, path: path + ".key", at: field.valuePosition).keyText
        case "value" where content == nil:
          content = try self.value(valueType, field.value, path: path + ".value", at: field.valuePosition)
        case "key", "value": throw ModelConfigurationError("\(path).\(field.name) is given twice", at: field.position)
        default:
          throw ModelConfigurationError(
            "unknown field \"\(field.name)\" in an entry of \(path); entries have key and value", at: field.position)
        }
      }
      let standard: ConfigurationTree = if case .message = valueType { .message([:]) } else { .string("") }
      return .map([ConfigurationTree.Entry(key: key ?? (keyType.isString ? "" : "0"), value: content ?? standard)])
    case .string:
      guard case .string(let bytes) = value else { throw wrong("a string in quotes") }
      guard let text = String(validating: bytes, as: UTF8.self) else { throw wrong("a string of valid UTF-8") }
      return .string(text)
    case .bool:
      guard case .scalar(let text, _) = value else { throw wrong("true or false") }
      switch text {
      case "true", "True", "t", "1": return .bool(true)
      case "false", "False", "f", "0": return .bool(false)
      default: throw wrong("true or false")
      }
    case .enumeration(let name):
      let known = ConfigurationSchema.enumerations[name] ?? []
      guard case .scalar(let text, let isIdentifier) = value else { throw wrong("one of \(known.joined(separator: ", "))") }
      if isIdentifier, known.contains(text) { return .string(text) }
      if !isIdentifier, let number = Int(text), known.indices.contains(number) { return .string(known[number]) }
      throw ModelConfigurationError("\(path): \(text) is none of \(known.joined(separator: ", "))", at: place)
    case .float:
      guard case .scalar(let text, _) = value, let number = Self.float(text) else { throw wrong("a number") }
      return .number(number)
    case .int32, .int64, .uint32, .uint64:
      guard case .scalar(let text, let isIdentifier) = value, !isIdentifier else { throw wrong("a whole number") }
      guard let (magnitude, isNegative) = Self.integer(text) else { throw wrong("a whole number") }
      return try Self.ranged(type, magnitude, isNegative, path: path, text: text, at: place)
    }
  }

  static func ranged(
    _ type: ConfigurationSchema.FieldType, _ magnitude: UInt64?, _ isNegative: Bool, path: String, text: String, at place: TextPosition?
  ) throws(ModelConfigurationError) -> ConfigurationTree {
    let outside: (String) -> ModelConfigurationError = { ModelConfigurationError("\(path): \(text) is outside \($0)", at: place) }
    switch type {
    case .uint32:
      guard let magnitude, !isNegative || magnitude == 0, magnitude <= UInt64(UInt32.max) else { throw outside("0 to 4294967295") }
      return .unsigned(magnitude)
    case .uint64:
      guard let magnitude, !isNegative || magnitude == 0 else { throw outside("0 to 18446744073709551615") }
      return .unsigned(magnitude)
    case .int32:
      let limit = UInt64(Int32.max) + (isNegative ? 1 : 0)
      guard let magnitude, magnitude <= limit else { throw outside("-2147483648 to 2147483647") }
      return .integer(isNegative ? -Int64(magnitude) : Int64(magnitude))
    default:
      let limit = UInt64(Int64.max) + (isNegative ? 1 : 0)
      guard let magnitude, magnitude <= limit else { throw outside("the range of int64") }
      return .integer(isNegative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(magnitude))
    }
  }

  /// Decimal, hexadecimal or octal; nil where it is none, a nil magnitude where it does not fit 64 bits.
  static func integer(_ text: String) -> (magnitude: UInt64?, isNegative: Bool)? {
    let isNegative = text.hasPrefix("-")
    let digits = isNegative ? text.dropFirst() : text[...]
    let (radix, rest): (Int, Substring) =
      if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
        (16, digits.dropFirst(2))
      } else if digits.count > 1, digits.hasPrefix("0") {
        (8, digits.dropFirst())
      } else {
        (10, digits)
      }
    guard !rest.isEmpty, rest.utf8.allSatisfy({ (Character(UnicodeScalar($0)).hexDigitValue ?? 99) < radix }) else { return nil }
    return (UInt64(rest, radix: radix), isNegative)
  }

  private static func float(_ text: String) -> Double? {
    let isNegative = text.hasPrefix("-")
    var digits = isNegative ? String(text.dropFirst()) : text
    switch digits.lowercased() {
    case "inf", "infinity": return isNegative ? -.infinity : .infinity
    case "nan": return .nan
    default:
      if digits.hasSuffix("f") || digits.hasSuffix("F") { digits.removeLast() }
      return Double(digits).map { isNegative ? -$0 : $0 }
    }
  }

  /// The known name with the fewest edits, where those are at most a third of its letters.
  static func nearest(_ name: String, _ known: [String]) -> String? {
    // A name of thousands of letters is no slip of the keyboard.
    guard name.utf8.count <= 64 else { return nil }
    let distances = known.map { ($0, distance(Array(name.utf8), Array($0.utf8))) }
    guard let best = distances.min(by: { $0.1 < $1.1 }), best.1 * 3 <= max(3, best.0.utf8.count) else { return nil }
    return best.0
  }

  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in right.enumerated() {
        let above = row[j + 1]
        row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a == b ? 0 : 1))
        diagonal = above
      }
    }
    return row[right.count]
  }
}

extension ConfigurationSchema.FieldType {
  var isMap: Bool { if case .map = self { true } else { false } }
  var isString: Bool { if case .string = self { true } else { false } }
}

extension ConfigurationTree {
  /// A map's key as text.
  var keyText: String {
    switch self {
    case .string(let text): text
    case .integer(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    default: ""
    }
  }
}
