/// An attribute of an operator: ONNX's name, its kind, what it is where it is left out, and where newer opsets pass it.
public struct OperatorAttribute: Sendable {
  /// What an attribute holds.
  public enum Content: Sendable, Hashable {
    case integer(Int)
    /// Integers, of which some may follow from the rows.
    case integers(Shape)
    case real(Float)
    case text(String)
  }

  /// Which of these.
  public enum Kind: Sendable, Hashable { case integer, integers, real, text }

  /// ONNX's name.
  public let name: String
  /// What it holds.
  public let kind: Kind
  /// Nil where it must be given.
  public let usual: Content?
  /// The input that it is, where it is (or became, with some opset) one.
  public let input: Int?
  /// What opset 1 called it.
  public let formerName: String?

  static func integer(_ name: String, usual: Int?, input: Int? = nil) -> OperatorAttribute {
    OperatorAttribute(name: name, kind: .integer, usual: usual.map { .integer($0) }, input: input, formerName: nil)
  }
  static func integers(_ name: String, usual: Shape? = nil, input: Int? = nil, formerName: String? = nil) -> OperatorAttribute {
    OperatorAttribute(name: name, kind: .integers, usual: usual.map { .integers($0) }, input: input, formerName: formerName)
  }
  static func real(_ name: String, usual: Float, input: Int? = nil) -> OperatorAttribute {
    OperatorAttribute(name: name, kind: .real, usual: .real(usual), input: input, formerName: nil)
  }
  static func text(_ name: String, usual: String) -> OperatorAttribute {
    OperatorAttribute(name: name, kind: .text, usual: .text(usual), input: nil, formerName: nil)
  }
}

extension OperatorAttribute.Content {
  /// What it is.
  public var kind: OperatorAttribute.Kind {
    switch self {
    case .integer: .integer
    case .integers: .integers
    case .real: .real
    case .text: .text
    }
  }
}

/// An operator's attributes by name. Those of an operator are complete and of the right kinds (`DefinedOperator`).
public struct OperatorAttributes: Sendable, Hashable {
  /// By ONNX's name.
  public var values: [String: OperatorAttribute.Content]

  /// These.
  public init(_ values: [String: OperatorAttribute.Content] = [:]) { self.values = values }

  /// 0 where there is none of this kind.
  public func integer(_ name: String) -> Int { if case .integer(let value)? = values[name] { value } else { 0 } }
  /// Sizes, affine in the rows; none where there is none of this kind.
  public func sizes(_ name: String) -> Shape { if case .integers(let value)? = values[name] { value } else { [] } }
  /// Numbers that do not depend on the rows; none where one does.
  public func integers(_ name: String) -> [Int] {
    let sizes = sizes(name)
    let fixed = sizes.compactMap(\.fixedSize)
    return fixed.count == sizes.count ? fixed : []
  }
  /// 0 where there is none of this kind.
  public func real(_ name: String) -> Float { if case .real(let value)? = values[name] { value } else { 0 } }
  /// Empty where there is none of this kind.
  public func text(_ name: String) -> String { if case .text(let value)? = values[name] { value } else { "" } }

  /// With every size at so many rows; nil where one is out of range.
  public func at(rows: Int) -> OperatorAttributes? {
    var fixed = self
    for case (let name, .integers(let sizes)) in values where sizes.contains(where: { $0.perRow != 0 }) {
      guard let known = Shapes.sizes(sizes, rows: rows) else { return nil }
      fixed.values[name] = .integers(known.map { .fixed($0) })
    }
    return fixed
  }
}

/// An operator of a graph: its definition with its attributes.
public struct DefinedOperator: Sendable, Hashable {
  /// What it is.
  public let definition: OperatorDefinition
  /// Complete, and of the kinds that the definition says.
  public let attributes: OperatorAttributes

  /// With the usual value of each attribute that is not given. Nil where one is missing that must be given, is of another kind, or is none of
  /// the definition's.
  public init?(_ definition: OperatorDefinition, _ given: [String: OperatorAttribute.Content] = [:]) {
    var complete = OperatorAttributes(given)
    for attribute in definition.attributes {
      guard let content = given[attribute.name] ?? attribute.usual, content.kind == attribute.kind else { return nil }
      complete.values[attribute.name] = content
    }
    guard complete.values.count == definition.attributes.count else { return nil }
    self.definition = definition
    attributes = complete
  }

  /// The same by ONNX's name.
  public init?(_ name: String, _ given: [String: OperatorAttribute.Content] = [:]) {
    guard let definition = OperatorDefinition.named(name) else { return nil }
    self.init(definition, given)
  }

  /// With the attributes in the one way that rules, devices and writers know; nil where they are not meant for inputs of this shape.
  public func canonical(for shape: Shape) -> DefinedOperator? {
    guard let change = definition.canonical else { return self }
    return change(attributes, shape).flatMap { DefinedOperator(definition, $0.values) }
  }

  /// Types and shapes of the results for inputs of these types and shapes; nil in `inputs`: left out.
  public func results(_ inputs: [Value?]) throws(OperatorRefusal) -> [(DataType, Shape)] {
    let results = try definition.results(OperatorCall(inputs: inputs, attributes: attributes))
    for (_, shape) in results where shape.contains(where: { $0.constant < 0 || $0.perRow < 0 }) {
      throw OperatorRefusal("the result, \(Shapes.text(shape)), would have a negative dimension")
    }
    return results
  }

  /// What kernels are given: the numbers among the attributes, the axis left out, in the definition's order.
  public var numbers: [Float] {
    definition.attributes.filter { $0.name != "axis" }.compactMap { attribute in
      switch attributes.values[attribute.name] {
      case .integer(let value): Float(value)
      case .real(let value): value
      default: nil
      }
    }
  }
}
