import ModelGraph
import Testing

/// Operators with a definition, with attributes and shapes: for every device.
struct DefinedSamples: CustomStringConvertible {
  var name: String
  var attributes: [String: OperatorAttribute.Content]
  /// Sizes behind the rows, and those of further inputs as they are.
  var sizes = [3, 5]
  var others: [[Int]] = []

  var description: String { "\(name) \(attributes)" }

  /// x (or what is left of x by transposing it there and back, so that it does not lie row by row) through the operator.
  func graph(isTransposed: Bool = false, type: DataType = .float32) throws -> Graph {
    var graph = Graph(name: name)
    let shape: Shape = [.rows] + sizes.map { .fixed($0) }
    let backwards = [0] + Array((1..<shape.count).reversed())
    var x = graph.addInput("x", type, isTransposed ? backwards.map { shape[$0] } : shape)
    if isTransposed { x = try graph.apply(.transpose(permutation: backwards), "turned", [x]) }
    var inputs = [x]
    for (index, sizes) in others.enumerated() {
      inputs.append(graph.addInput("z\(index)", type, [.rows] + sizes.map { .fixed($0) }))
    }
    graph.outputs = [try graph.apply(.defined(try #require(DefinedOperator(name, attributes))), "y", inputs)]
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
        DefinedSamples(name: "ArgMin", attributes: ["axis": .integer(axis), "keepdims": .integer(0), "select_last_index": .integer(1)]),
      ]
    } + [
      DefinedSamples(name: "Clip", attributes: [:], others: [[1, 5], [3, 1]]),
      DefinedSamples(name: "PRelu", attributes: [:], others: [[3, 5]]), DefinedSamples(name: "PRelu", attributes: [:], others: [[1, 5]]),
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
    ]
}
