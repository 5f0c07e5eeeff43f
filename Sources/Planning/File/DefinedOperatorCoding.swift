import JSONText
import ModelGraph

/// Operators with a definition, as JSON for plan files: ONNX's name, and the attributes in the definition's order.
enum DefinedOperatorCoding {
  static func json(_ defined: DefinedOperator) -> JSONValue {
    let members = defined.definition.attributes.compactMap { attribute in
      defined.attributes.values[attribute.name].map { JSONValue.Member(attribute.name, json($0)) }
    }
    return ["name": JSONValue(defined.definition.name), "attributes": .object(members)]
  }

  private static func json(_ content: OperatorAttribute.Content) -> JSONValue {
    switch content {
    case .integer(let value): JSONValue(value)
    case .integers(let values): OperationCoding.json(values)
    // JSON has no infinity, and paddings before a maximum are minus infinity.
    case .real(let value): value.isFinite ? JSONValue(Double(value)) : JSONValue("\(value)")
    case .text(let text): JSONValue(text)
    }
  }

  /// Nil where a member is missing, of the wrong kind, or of an operator that is not known.
  static func defined(_ json: JSONValue) -> DefinedOperator? {
    guard let definition = json["name"]?.stringValue.flatMap(OperatorDefinition.named), let given = json["attributes"] else { return nil }
    var attributes: [String: OperatorAttribute.Content] = [:]
    for attribute in definition.attributes {
      guard let content = given[attribute.name].flatMap({ content($0, attribute.kind) }) else { return nil }
      attributes[attribute.name] = content
    }
    return DefinedOperator(definition, attributes)
  }

  private static func content(_ json: JSONValue, _ kind: OperatorAttribute.Kind) -> OperatorAttribute.Content? {
    switch kind {
    case .integer: json.integerValue.flatMap { Int(exactly: $0) }.map { .integer($0) }
    case .integers: OperationCoding.shape(json).map { .integers($0) }
    case .real: (json.doubleValue.map { Float($0) } ?? json.stringValue.flatMap { Float($0) }).map { .real($0) }
    case .text: json.stringValue.map { .text($0) }
    }
  }
}
