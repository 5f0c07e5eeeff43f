/// An operator with all of it that no device decides, beside each other: ONNX's name and attributes, the rule for its result, what it gives by
/// definition, and what a plan counts. Reader, writer, shape inference, the reference evaluator, plans, plan files and rules for costs follow
/// from the value; devices have a loop under its name, or none where its elements only move.
///
/// The families (`alongAxis`, `elementwise`, `moved`, `indexed`, `normalization`) make definitions of what their members differ in.
public final class OperatorDefinition: Sendable {
  /// ONNX's name: "Pad". Kernels and plans have it in lower case.
  public let name: String
  /// How many tensors it reads, attributes that ONNX passes as inputs left out.
  public let inputCount: Int
  /// In the order in which kernels are given them.
  public let attributes: [OperatorAttribute]
  /// Operations for each element of the result, or of the first input.
  public let operations: Double
  /// Whether `operations` are those of an element of the first input: it is reduced.
  public let countsInput: Bool
  /// Whether it runs on floating-point numbers alone. Plans count it for any type.
  public let isFloatingPoint: Bool
  /// Before opset 13 it took all axes from `axis` on as one, as Softmax did.
  public let isFlattenedBeforeOpset13: Bool
  /// The first opset that has it as it is here.
  public let sinceOpset: Int64
  /// How it computes its result.
  public let form: OperatorForm
  /// How many it has.
  public let resultCount: Int
  /// Types and shapes of its results.
  let results: @Sendable (OperatorCall) throws(OperatorRefusal) -> [(DataType, Shape)]
  /// Attributes in the one way that the other places know, where ONNX has several.
  let canonical: (@Sendable (OperatorAttributes, Shape) -> OperatorAttributes?)?

  /// With several results.
  init(
    _ name: String, inputCount: Int = 1, attributes: [OperatorAttribute], operations: Double, countsInput: Bool = false,
    isFloatingPoint: Bool, isFlattenedBeforeOpset13: Bool = false, sinceOpset: Int64 = 1, form: OperatorForm,
    canonical: (@Sendable (OperatorAttributes, Shape) -> OperatorAttributes?)? = nil, resultCount: Int,
    results: @escaping @Sendable (OperatorCall) throws(OperatorRefusal) -> [(DataType, Shape)]
  ) {
    self.name = name
    self.inputCount = inputCount
    self.attributes = attributes
    self.operations = operations
    self.countsInput = countsInput
    self.isFloatingPoint = isFloatingPoint
    self.isFlattenedBeforeOpset13 = isFlattenedBeforeOpset13
    self.sinceOpset = sinceOpset
    self.form = form
    self.canonical = canonical
    self.resultCount = resultCount
    self.results = results
  }

  /// With one result.
  convenience init(
    _ name: String, inputCount: Int = 1, attributes: [OperatorAttribute], operations: Double, countsInput: Bool = false,
    isFloatingPoint: Bool, isFlattenedBeforeOpset13: Bool = false, form: OperatorForm,
    canonical: (@Sendable (OperatorAttributes, Shape) -> OperatorAttributes?)? = nil,
    result: @escaping @Sendable (OperatorCall) throws(OperatorRefusal) -> (DataType, Shape)
  ) {
    self.init(
      name, inputCount: inputCount, attributes: attributes, operations: operations, countsInput: countsInput,
      isFloatingPoint: isFloatingPoint, isFlattenedBeforeOpset13: isFlattenedBeforeOpset13, form: form, canonical: canonical, resultCount: 1
    ) { call throws(OperatorRefusal) in [try result(call)] }
  }

  /// Where ONNX has the tensors among its inputs: attributes that are inputs may stand between.
  public var inputPlaces: [Int] {
    let taken = Set(attributes.compactMap(\.input))
    return Array((0..<(inputCount + taken.count)).filter { !taken.contains($0) }.prefix(inputCount))
  }

  /// Every definition. One more stands in the list of its family.
  public static let all: [OperatorDefinition] =
    axisOperators + multipleResultOperators + elementOperators + layoutOperators + padOperators + indexOperators + normalizationOperators

  private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  /// The definition of an ONNX operator; nil where there is none.
  public static func named(_ name: String) -> OperatorDefinition? { byName[name] }
}

/// How an operator computes its results.
public enum OperatorForm: Sendable {
  /// From the elements along `axis`, apart from all others: what each result has along it, in their order.
  case alongAxis(@Sendable (_ lane: [Double], _ attributes: OperatorAttributes) -> [[Double]])
  /// Each element from one of every input, broadcast.
  case elementwise(@Sendable (_ elements: [Double], _ attributes: OperatorAttributes) -> Double)
  /// Elements of the one input to other places: devices copy, and need nothing of their own.
  case moved(Movement)
  /// Elements to other places that integers of an input say: devices copy, and need nothing of their own.
  case indexed(Indexing)
  /// Rows of neighbouring elements, each apart from all others, with parameters that rows share.
  case normalized(Normalization)
}

/// An operator's inputs and attributes, as the rule for its result sees them.
public struct OperatorCall {
  /// Nil where an optional input is left out.
  public var inputs: [Value?]
  /// Complete: an attribute that was left out has its usual value.
  public var attributes: OperatorAttributes

  /// A call.
  public init(inputs: [Value?], attributes: OperatorAttributes) {
    self.inputs = inputs
    self.attributes = attributes
  }

  func input(_ index: Int) throws(OperatorRefusal) -> Value {
    guard index < inputs.count, let value = inputs[index] else { throw OperatorRefusal("input \(index) is missing") }
    return value
  }

  /// The attribute `axis`, counted from the front.
  func axis(rank: Int) throws(OperatorRefusal) -> Int {
    let given = attributes.integer("axis")
    let positive = given < 0 ? given &+ rank : given
    guard positive >= 0, positive < rank else { throw OperatorRefusal("axis \(given) is out of range for \(rank) dimensions") }
    return positive
  }
}

/// Why an operator cannot take what it is given.
public struct OperatorRefusal: Error, Equatable {
  /// For a message that names node and shapes.
  public var reason: String

  init(_ reason: String) { self.reason = reason }
}

extension OperatorDefinition: Hashable {
  /// By name, which is unique.
  public static func == (left: OperatorDefinition, right: OperatorDefinition) -> Bool { left.name == right.name }
  /// By name.
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
