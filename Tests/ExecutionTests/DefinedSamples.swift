import ModelGraph
import Testing

/// Operators with a definition, with attributes and shapes: for every device.
struct DefinedSamples: CustomStringConvertible {
  /// Inputs behind x.
  enum Operand {
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

  var name: String
  var attributes: [String: OperatorAttribute.Content]
  /// Sizes behind the rows.
  var sizes = [3, 5]
  var others: [Operand] = []
  /// Integers are the first input, in x's place.
  var isOfIndices = false
  /// Whether a place of the first row is among those that it takes.
  var needsARow = false

  /// Whether a batch of no rows is one. Inputs without rows have no empty batch, and what is wrapped around needs elements.
  var runsWithoutRows: Bool {
    let hasParameters = others.contains { if case .parameter = $0 { true } else { false } }
    return !needsARow && !hasParameters && !(name == "Pad" && attributes["mode"] == .text("wrap"))
  }

  var description: String { "\(name) \(attributes)" }

  /// x (or what is left of x by transposing it there and back, so that it does not lie row by row) through the operator.
  func graph(isTransposed: Bool = false, type: DataType = .float32) throws -> Graph {
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
        inputs.append(graph.addConstant("z\(index)", try #require(Tensor(float32: values, shape: sizes))))
      case .indices(let sizes): inputs.append(graph.addInput("z\(index)", .int64, [.rows] + sizes.map { .fixed($0) }))
      case .known(let values, let shape):
        inputs.append(graph.addConstant("z\(index)", try #require(Tensor(int64: values, shape: shape))))
      case .repeated(let values, let sizes):
        let row = graph.addConstant("z\(index)", try #require(Tensor(int64: values, shape: [1] + sizes)))
        inputs.append(try graph.apply(.expand([.rows] + sizes.map { .fixed($0) }), "rows of z\(index)", [row]))
      }
    }
    graph.outputs = try graph.append(.defined(try #require(DefinedOperator(name, attributes))), "y", inputs)
    return graph
  }

  private static func list(_ values: Int...) -> OperatorAttribute.Content { .integers(values.map { .fixed($0) }) }

  static let all: [DefinedSamples] =
    [1, -1].flatMap { (axis: Int) -> [DefinedSamples] in
      [
        DefinedSamples(name: "LogSoftmax", attributes: ["axis": .integer(axis)], sizes: [3, 40]),
        DefinedSamples(name: "Hardmax", attributes: ["axis": .integer(axis)]),
        DefinedSamples(name: "LpNormalization", attributes: ["axis": .integer(axis)]),
        DefinedSamples(name: "LpNormalization", attributes: ["axis": .integer(axis), "p": .integer(1)]),
        DefinedSamples(name: "CumSum", attributes: ["axis": .integer(axis)]),
        DefinedSamples(name: "CumSum", attributes: ["axis": .integer(axis), "exclusive": .integer(1)]),
        DefinedSamples(name: "CumSum", attributes: ["axis": .integer(axis), "exclusive": .integer(1), "reverse": .integer(1)]),
        DefinedSamples(name: "ArgMax", attributes: ["axis": .integer(axis)], sizes: [3, 70]),
        DefinedSamples(name: "TopK", attributes: ["axis": .integer(axis), "k": list(3)], sizes: [3, 70]),
        DefinedSamples(name: "TopK", attributes: ["axis": .integer(axis), "k": list(20), "largest": .integer(0)], sizes: [40, 20]),
        DefinedSamples(name: "ArgMin", attributes: ["axis": .integer(axis), "keepdims": .integer(0), "select_last_index": .integer(1)]),
      ]
    } + [
      DefinedSamples(name: "Clip", attributes: [:], others: [.elements([1, 5]), .elements([3, 1])]),
      DefinedSamples(name: "PRelu", attributes: [:], others: [.elements([3, 5])]),
      DefinedSamples(name: "PRelu", attributes: [:], others: [.elements([1, 5])]),
      DefinedSamples(name: "Tile", attributes: ["repeats": list(1, 2, 3)]),
      DefinedSamples(name: "Tile", attributes: ["repeats": list(2, 1, 1)]),
      DefinedSamples(name: "Pad", attributes: ["pads": list(0, 1, 2, 0, 0, 3), "value": .real(1)]),
      DefinedSamples(name: "Pad", attributes: ["pads": list(0, -1, 2, 0, 1, -2)]),
      DefinedSamples(name: "Pad", attributes: ["pads": list(0, 1, 2, 0, 0, 3), "mode": .text("edge")]),
      DefinedSamples(name: "Pad", attributes: ["pads": list(0, 2, 2, 0, 1, 3), "mode": .text("reflect")]),
      DefinedSamples(name: "Pad", attributes: ["pads": list(0, 2, 2, 0, 1, 3), "mode": .text("wrap")]),
      DefinedSamples(name: "DepthToSpace", attributes: ["blocksize": .integer(2)], sizes: [8, 2, 3]),
      DefinedSamples(name: "DepthToSpace", attributes: ["blocksize": .integer(2), "mode": .text("CRD")], sizes: [8, 2, 3]),
      DefinedSamples(name: "SpaceToDepth", attributes: ["blocksize": .integer(3)], sizes: [2, 3, 6]),
      DefinedSamples(name: "RMSNormalization", attributes: [:], sizes: [6, 5], others: [.positive([5])]),
      DefinedSamples(name: "RMSNormalization", attributes: ["axis": .integer(1), "epsilon": .real(0.5)], others: [.positive([3, 1])]),
      DefinedSamples(name: "InstanceNormalization", attributes: [:], sizes: [6, 4, 5], others: [.positive([6]), .positive([6])]),
      DefinedSamples(
        name: "GroupNormalization", attributes: ["num_groups": .integer(2)], sizes: [6, 4, 5], others: [.positive([6]), .positive([6])]),
      DefinedSamples(
        name: "GroupNormalization", attributes: ["num_groups": .integer(3), "epsilon": .real(0.1)], sizes: [6, 200],
        others: [.positive([6]), .positive([6])]),
      DefinedSamples(name: "BatchNormalization", attributes: [:], sizes: [5], others: (0..<4).map { _ in .positive([5]) }),
      // Enough for several threads.
      DefinedSamples(
        name: "BatchNormalization", attributes: ["epsilon": .real(0.1)], sizes: [6, 40, 50], others: (0..<4).map { _ in .positive([6]) }),
      // Random integers are 0 to 4.
      DefinedSamples(name: "GatherElements", attributes: ["axis": .integer(2)], others: [.indices([3, 7])]),
      DefinedSamples(name: "GatherElements", attributes: ["axis": .integer(-2)], sizes: [6, 5], others: [.indices([2, 4])]),
      DefinedSamples(name: "GatherND", attributes: ["batch_dims": .integer(1)], sizes: [6, 5], others: [.indices([4, 1])]),
      DefinedSamples(name: "GatherND", attributes: ["batch_dims": .integer(1)], sizes: [6, 5], others: [.indices([4, 2])]),
      DefinedSamples(name: "GatherND", attributes: [:], others: [.known([0, -3, 0, 2], [2, 2])], needsARow: true),
      DefinedSamples(
        name: "ScatterElements", attributes: ["axis": .integer(2)], sizes: [6, 5], others: [.indices([6, 1]), .elements([6, 1])]),
      DefinedSamples(
        name: "ScatterElements", attributes: ["axis": .integer(1)], sizes: [6, 5],
        others: [.repeated([0, -1, 1, 2, 3, 3], [2, 3]), .elements([2, 3])]),
      DefinedSamples(
        name: "ScatterND", attributes: [:], others: [.known([0, -3, 0, 2], [2, 2]), .parameter([2, 5])], needsARow: true),
      DefinedSamples(
        name: "OneHot", attributes: ["depth": .integer(3)], others: [.indices([4]), .parameter([2])], isOfIndices: true),
      DefinedSamples(
        name: "OneHot", attributes: ["depth": .integer(6), "axis": .integer(1)], others: [.indices([4]), .parameter([2])],
        isOfIndices: true),
    ]
}
