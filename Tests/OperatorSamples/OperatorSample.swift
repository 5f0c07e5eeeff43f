public import ModelGraph

/// An operator with a definition, with attributes and shapes: what the tests of every device run.
public struct OperatorSample: Sendable, CustomStringConvertible {
  /// Inputs behind x.
  public enum Operand: Sendable {
    /// Elements of x's type, of these sizes behind the rows.
    case elements([Int])
    /// As many, whatever the rows.
    case parameter([Int])
    /// As many, known and above zero.
    case positive([Int])
    /// Integers of these sizes behind the rows.
    case indices([Int])
    /// Integers that are known.
    case known([Int64], [Int])
    /// Integers that are known, the same for each row.
    case repeated([Int64], [Int])
  }

  /// ONNX's name.
  public var name: String
  /// Those that are not the usual ones.
  public var attributes: [String: OperatorAttribute.Content]
  /// Sizes behind the rows.
  var sizes = [3, 5]
  var others: [Operand] = []
  /// Integers are the first input, in x's place.
  var isOfIndices = false
  /// Whether places of certain rows are among those that it takes.
  var needsRows = false

  /// One more, for a test of its own.
  public init(_ name: String, _ attributes: [String: OperatorAttribute.Content], others: [Operand]) {
    (self.name, self.attributes, self.others) = (name, attributes, others)
  }

  private init(
    name: String, attributes: [String: OperatorAttribute.Content], sizes: [Int] = [3, 5], others: [Operand] = [], isOfIndices: Bool = false,
    needsRows: Bool = false
  ) {
    (self.name, self.attributes, self.sizes, self.others) = (name, attributes, sizes, others)
    (self.isOfIndices, self.needsRows) = (isOfIndices, needsRows)
  }

  /// The sample does not fit its operator.
  struct Misfit: Error { var sample: String }

  /// Whether a batch of no rows is one. Inputs without rows have no empty batch, and what is wrapped around needs elements.
  public var runsWithoutRows: Bool {
    let hasParameters = others.contains { if case .parameter = $0 { true } else { false } }
    return !needsRows && !hasParameters && !(name == "Pad" && attributes["mode"] == .text("wrap"))
  }

  /// Whether elements only move, and what is filled in is an element of every type.
  public var movesAnyType: Bool {
    switch OperatorDefinition.named(name)?.form {
    case .moved?, .indexed?: attributes["value"] != .real(0.5)
    default: false
    }
  }

  /// The operator and its attributes.
  public var description: String { "\(name) \(attributes)" }

  /// x (or what is left of x by transposing it there and back, so that it does not lie row by row) through the operator.
  public func graph(isTransposed: Bool = false, type: DataType = .float32) throws -> Graph {
    var graph = Graph(name: name)
    let shape: Shape = [.rows] + sizes.map { .fixed($0) }
    let backwards = [0] + Array((1..<shape.count).reversed())
    var x = graph.addInput("x", type, isTransposed ? backwards.map { shape[$0] } : shape)
    if isTransposed { x = try graph.apply(.transpose(permutation: backwards), "turned", [x]) }
    var inputs = isOfIndices ? [] : [x]
    for (index, other) in others.enumerated() {
      switch other {
      case .elements(let sizes): inputs.append(graph.addInput("z\(index)", type, [.rows] + sizes.map { .fixed($0) }))
      case .parameter(let sizes): inputs.append(graph.addInput("z\(index)", type, sizes.map { .fixed($0) }))
      case .positive(let sizes):
        let values = (0..<sizes.reduce(1, *)).map { 0.5 + Float($0 * (index + 3) % 7) / 4 }
        inputs.append(graph.addConstant("z\(index)", try made(Tensor(float32: values, shape: sizes))))
      case .indices(let sizes): inputs.append(graph.addInput("z\(index)", .int64, [.rows] + sizes.map { .fixed($0) }))
      case .known(let values, let shape):
        inputs.append(graph.addConstant("z\(index)", try made(Tensor(int64: values, shape: shape))))
      case .repeated(let values, let sizes):
        let row = graph.addConstant("z\(index)", try made(Tensor(int64: values, shape: [1] + sizes)))
        inputs.append(try graph.apply(.expand([.rows] + sizes.map { .fixed($0) }), "rows of z\(index)", [row]))
      }
    }
    graph.outputs = try graph.append(.defined(try made(DefinedOperator(name, attributes))), "y", inputs)
    return graph
  }

  private func made<Value>(_ value: Value?) throws(Misfit) -> Value {
    guard let value else { throw Misfit(sample: description) }
    return value
  }

  private static func list(_ values: Int...) -> OperatorAttribute.Content { .integers(values.map { .fixed($0) }) }

  /// At least one of every operator.
  public static let all: [OperatorSample] =
    small + ofThreeAxes.map { OperatorSample(name: $0.name, attributes: $0.attributes, sizes: [8, 6, 36], others: $0.others) } + [
      OperatorSample(
        name: "ScatterND", attributes: [:], sizes: [8, 6, 36], others: [.known([1, 3, 0, -1], [2, 2]), .parameter([2, 6, 36])],
        needsRows: true)
    ]

  private static let small: [OperatorSample] =
    [1, -1].flatMap { (axis: Int) -> [OperatorSample] in
      [
        OperatorSample(name: "LogSoftmax", attributes: ["axis": .integer(axis)], sizes: [3, 40]),
        OperatorSample(name: "Hardmax", attributes: ["axis": .integer(axis)]),
        OperatorSample(name: "LpNormalization", attributes: ["axis": .integer(axis)]),
        OperatorSample(name: "LpNormalization", attributes: ["axis": .integer(axis), "p": .integer(1)]),
        OperatorSample(name: "CumSum", attributes: ["axis": .integer(axis)]),
        OperatorSample(name: "CumSum", attributes: ["axis": .integer(axis), "exclusive": .integer(1)]),
        OperatorSample(name: "CumSum", attributes: ["axis": .integer(axis), "exclusive": .integer(1), "reverse": .integer(1)]),
        OperatorSample(name: "ArgMax", attributes: ["axis": .integer(axis)], sizes: [3, 70]),
        OperatorSample(name: "TopK", attributes: ["axis": .integer(axis), "k": list(3)], sizes: [3, 70]),
        OperatorSample(name: "TopK", attributes: ["axis": .integer(axis), "k": list(20), "largest": .integer(0)], sizes: [40, 20]),
        OperatorSample(name: "ArgMin", attributes: ["axis": .integer(axis), "keepdims": .integer(0), "select_last_index": .integer(1)]),
      ]
    } + [
      OperatorSample(name: "Clip", attributes: [:], others: [.elements([1, 5]), .elements([3, 1])]),
      OperatorSample(name: "PRelu", attributes: [:], others: [.elements([3, 5])]),
      OperatorSample(name: "PRelu", attributes: [:], others: [.elements([1, 5])]),
      OperatorSample(name: "Tile", attributes: ["repeats": list(1, 2, 3)]),
      OperatorSample(name: "Tile", attributes: ["repeats": list(2, 1, 1)]),
      OperatorSample(name: "Pad", attributes: ["pads": list(0, 1, 2, 0, 0, 3), "value": .real(1)]),
      OperatorSample(name: "Pad", attributes: ["pads": list(0, -1, 2, 0, 1, -2)]),
      OperatorSample(name: "Pad", attributes: ["pads": list(0, 1, 2, 0, 0, 3), "mode": .text("edge")]),
      OperatorSample(name: "Pad", attributes: ["pads": list(0, 2, 2, 0, 1, 3), "mode": .text("reflect")]),
      OperatorSample(name: "Pad", attributes: ["pads": list(0, 2, 2, 0, 1, 3), "mode": .text("wrap")]),
      OperatorSample(name: "DepthToSpace", attributes: ["blocksize": .integer(2)], sizes: [8, 2, 3]),
      OperatorSample(name: "DepthToSpace", attributes: ["blocksize": .integer(2), "mode": .text("CRD")], sizes: [8, 2, 3]),
      OperatorSample(name: "SpaceToDepth", attributes: ["blocksize": .integer(3)], sizes: [2, 3, 6]),
      OperatorSample(name: "RMSNormalization", attributes: [:], sizes: [6, 5], others: [.positive([5])]),
      OperatorSample(name: "RMSNormalization", attributes: ["axis": .integer(1), "epsilon": .real(0.5)], others: [.positive([3, 1])]),
      OperatorSample(name: "InstanceNormalization", attributes: [:], sizes: [6, 4, 5], others: [.positive([6]), .positive([6])]),
      OperatorSample(
        name: "GroupNormalization", attributes: ["num_groups": .integer(2)], sizes: [6, 4, 5], others: [.positive([6]), .positive([6])]),
      OperatorSample(
        name: "GroupNormalization", attributes: ["num_groups": .integer(3), "epsilon": .real(0.1)], sizes: [6, 200],
        others: [.positive([6]), .positive([6])]),
      OperatorSample(name: "BatchNormalization", attributes: [:], sizes: [5], others: (0..<4).map { _ in .positive([5]) }),
      // Enough for several threads.
      OperatorSample(
        name: "BatchNormalization", attributes: ["epsilon": .real(0.1)], sizes: [6, 40, 50], others: (0..<4).map { _ in .positive([6]) }),
      // Random integers are 0 to 4.
      OperatorSample(name: "GatherElements", attributes: ["axis": .integer(2)], others: [.indices([3, 7])]),
      OperatorSample(name: "GatherElements", attributes: ["axis": .integer(-2)], sizes: [6, 5], others: [.indices([2, 4])]),
      OperatorSample(name: "GatherND", attributes: ["batch_dims": .integer(1)], sizes: [6, 5], others: [.indices([4, 1])]),
      OperatorSample(name: "GatherND", attributes: ["batch_dims": .integer(1)], sizes: [6, 5], others: [.indices([4, 2])]),
      OperatorSample(name: "GatherND", attributes: [:], others: [.known([0, -3, 0, 2], [2, 2])], needsRows: true),
      OperatorSample(
        name: "ScatterElements", attributes: ["axis": .integer(2)], sizes: [6, 5], others: [.indices([6, 1]), .elements([6, 1])]),
      OperatorSample(
        name: "ScatterElements", attributes: ["axis": .integer(1)], sizes: [6, 5],
        others: [.repeated([0, -1, 1, 2, 3, 3], [2, 3]), .elements([2, 3])]),
      OperatorSample(
        name: "ScatterND", attributes: [:], others: [.known([0, -3, 0, 2], [2, 2]), .parameter([2, 5])], needsRows: true),
      OperatorSample(
        name: "OneHot", attributes: ["depth": .integer(3)], others: [.indices([4]), .parameter([2])], isOfIndices: true),
      OperatorSample(
        name: "OneHot", attributes: ["depth": .integer(6), "axis": .integer(1)], others: [.indices([4]), .parameter([2])],
        isOfIndices: true),
    ]

  /// More axes and longer ones, behind which kernels have other rows than their blocks have threads.
  private static let ofThreeAxes: [(name: String, attributes: [String: OperatorAttribute.Content], others: [Operand])] = [
    ("LogSoftmax", ["axis": .integer(1)], []), ("LogSoftmax", [:], []), ("Hardmax", ["axis": .integer(1)], []), ("Hardmax", [:], []),
    ("LpNormalization", [:], []), ("LpNormalization", ["p": .integer(1), "axis": .integer(1)], []), ("CumSum", ["axis": .integer(-1)], []),
    ("CumSum", ["axis": .integer(1), "exclusive": .integer(1), "reverse": .integer(1)], []), ("ArgMax", ["axis": .integer(-1)], []),
    ("ArgMax", ["axis": .integer(1), "select_last_index": .integer(1)], []),
    ("ArgMin", ["axis": .integer(-1), "keepdims": .integer(0)], []), ("TopK", ["k": list(5)], []),
    ("TopK", ["k": list(8), "axis": .integer(1), "largest": .integer(0)], []),
    ("Clip", [:], [.elements([1, 6, 36]), .elements([1, 6, 36])]), ("PRelu", [:], [.elements([1, 6, 36])]),
    ("Tile", ["repeats": list(1, 2, 3, 1)], []), ("Pad", ["pads": list(0, 1, 0, 2, 0, 0, 3, 1), "value": .real(0.5)], []),
    ("Pad", ["pads": list(0, 1, 0, 2, 0, 0, 1, 1), "mode": .text("reflect")], []), ("DepthToSpace", ["blocksize": .integer(2)], []),
    ("SpaceToDepth", ["blocksize": .integer(2)], []), ("GatherElements", ["axis": .integer(-1)], [.indices([8, 6, 40])]),
    ("GatherND", ["batch_dims": .integer(1)], [.indices([5, 2])]),
    ("ScatterElements", ["axis": .integer(2)], [.indices([8, 1, 36]), .elements([8, 1, 36])]),
    ("RMSNormalization", ["axis": .integer(2)], [.positive([6, 36])]), ("RMSNormalization", [:], [.positive([36])]),
    ("InstanceNormalization", ["epsilon": .real(0.5)], [.positive([8]), .positive([8])]),
    ("GroupNormalization", ["num_groups": .integer(4)], [.positive([8]), .positive([8])]),
    ("BatchNormalization", [:], (0..<4).map { _ in .positive([8]) }),
  ]
}
