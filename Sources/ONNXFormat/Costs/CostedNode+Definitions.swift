import CheckedNumbers
import ModelGraph

/// Why a node's attributes are not those of an operator.
enum OperatorProblem: Error {
  /// The input that would have to be known.
  case unknownInput(Int)
  case other(String)
}

extension CostedNode {
  /// The operator with its attributes, from where the node's opset has them: attributes, or inputs whose values are known.
  ///
  /// - Parameter forShapes: a real number that is not known is the usual one: no shape follows from it (Pad's fill).
  func defined(by definition: OperatorDefinition, forShapes: Bool = false) throws(OperatorProblem) -> DefinedOperator {
    var given: [String: OperatorAttribute.Content] = [:]
    for attribute in definition.attributes {
      if attribute.name == "axis", let axis {
        given["axis"] = .integer(axis)
        continue
      }
      if let message = attributes[attribute.name] ?? attribute.formerName.flatMap({ attributes[$0] }) {
        guard let content = content(message, attribute.kind) else { throw .other("its \(attribute.name) is out of range") }
        given[attribute.name] = content
      } else if let place = attribute.input, has(place) {
        guard let content = content(of: place, attribute.kind) else {
          if forShapes, case .real = attribute.usual { continue }
          throw .unknownInput(place)
        }
        given[attribute.name] = content
      } else if attribute.usual == nil {
        throw .other("has no \(attribute.name)")
      }
    }
    guard let operation = DefinedOperator(definition, given) else { throw .other("its attributes are of other kinds") }
    guard let shape = shape(0) else { return operation }
    guard let canonical = operation.canonical(for: shape) else { throw .other("its attributes do not fit its input") }
    return canonical
  }

  private func content(_ message: AttributeMessage, _ kind: OperatorAttribute.Kind) -> OperatorAttribute.Content? {
    switch kind {
    case .integer: message.integer.flatMap { Int(exactly: $0) }.map { .integer($0) }
    case .integers:
      // One number may have been no list before it became an input: TopK's k.
      (message.integers.isEmpty ? message.integer.map { [$0] } ?? [] : message.integers).fixedSizes.map { .integers($0) }
    case .real: message.float.map { .real($0) }
    case .text: message.text.map { .text($0) }
    }
  }

  private func content(of input: Int, _ kind: OperatorAttribute.Kind) -> OperatorAttribute.Content? {
    guard let operand = operand(input) else { return nil }
    switch kind {
    case .integer: return operand.integers?.count == 1 ? operand.integers?.first.map { .integer($0) } : nil
    case .integers: return operand.sizes.map { .integers($0) }
    case .real: return operand.reals?.count == 1 ? operand.reals?.first.map { .real(Float($0)) } : nil
    case .text: return nil
    }
  }
}

extension CostRule {
  /// What graphs can hold has its shapes and its work beside its definition.
  static let definitions = Dictionary(OperatorDefinition.all.map { ($0.name, rule($0)) }, uniquingKeysWith: { first, _ in first })

  private static func rule(_ definition: OperatorDefinition) -> CostRule {
    @Sendable func results(_ node: CostedNode) -> [(type: DataType?, shape: Shape)]? {
      var values: [Value?] = []
      for index in definition.inputPlaces {
        guard let shape = node.shape(index) else { return nil }
        values.append(Value(name: "", type: node.elementType(index) ?? node.elementType(0) ?? .float32, shape: shape))
      }
      // Where the axis is flattened, every shape is the input's all the same.
      var plain = node
      if definition.isFlattenedBeforeOpset13 { plain.axis = -1 }
      if let operation = try? plain.defined(by: definition, forShapes: true), let results = try? operation.results(values) {
        return results.map { ($0.0 == values[0]?.type ? nil : $0.0, $0.1) }
      }
      // Before opset 7 the other inputs were fitted to the first.
      if case .elementwise = definition.form, node.opset < 7 { return node.shape(0).map { [(nil, $0)] } }
      return nil
    }
    let work = definition.countsInput ? perInput(definition.operations) : perResult(definition.operations)
    return CostRule(types: { node in results(node)?.map(\.type) ?? [] }, shapes: { node in results(node)?.map(\.shape) ?? [] }, work: work)
  }
}

extension [Int64] {
  /// As sizes; nil where one is out of range.
  fileprivate var fixedSizes: Shape? {
    let sizes = compactMap { Int(exactly: $0) }
    return sizes.count == count ? sizes.map { .fixed($0) } : nil
  }
}
