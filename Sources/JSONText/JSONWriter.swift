extension JSONValue {
  /// The document as text. `pretty` puts one member on a line, except in arrays of plain values, which stay on one.
  public func serialized(pretty: Bool = true) -> String {
    var text = ""
    write(into: &text, indent: pretty ? 0 : nil)
    return text
  }

  private func write(into text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    // Swift prints the shortest decimal that reads back as the same double; "inf" and "nan" are not JSON.
    case .number(let value): text += value.isFinite ? "\(value)" : "null"
    case .string(let value): Self.quote(value, into: &text)
    case .array(let elements):
      let flat = elements.allSatisfy(\.isPlain)
      Self.list(elements, "[", "]", indent: flat ? nil : indent, spaced: indent != nil, into: &text) { element, text, inner in
        element.write(into: &text, indent: inner)
      }
    case .object(let members):
      Self.list(members, "{", "}", indent: indent, spaced: indent != nil, into: &text) { member, text, inner in
        Self.quote(member.name, into: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(into: &text, indent: inner)
      }
    }
  }

  private var isPlain: Bool {
    switch self {
    case .array, .object: false
    default: true
    }
  }

  private static func list<Element>(
    _ elements: [Element], _ open: String, _ close: String, indent: Int?, spaced: Bool, into text: inout String,
    element: (Element, inout String, Int?) -> Void
  ) {
    text += open
    for (index, item) in elements.enumerated() {
      if index > 0 { text += indent == nil && spaced ? ", " : "," }
      if let indent { text += "\n" + String(repeating: " ", count: indent + 2) }
      element(item, &text, indent.map { $0 + 2 })
    }
    if let indent, !elements.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
    text += close
  }

  /// Appends `value` in quotes, escaped.
  public static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      default:
        if scalar.value < 0x20 || scalar.value == 0x7F {
          let digits = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}
