import Testing

@testable import ModelGraph

@Suite struct ShapeTests {
  @Test func rowsStaySymbolicThroughReshapes() {
    let input: Shape = [.rows, .fixed(128), .fixed(1024)]
    #expect(Shapes.resolve(reshape: input, to: [nil, .fixed(1024)]) == [Dimension(constant: 0, perRow: 128), .fixed(1024)])
    #expect(Shapes.resolve(reshape: [Dimension(constant: 0, perRow: 128), .fixed(1024)], to: [nil, .fixed(128), .fixed(1024)]) == input)
    #expect(Shapes.resolve(reshape: input, to: [nil, .fixed(1000)]) == nil)
    #expect(Shapes.resolve(reshape: input, to: [nil, nil]) == nil)
  }

  @Test func overflowIsAnAnswerNotATrap() {
    #expect(Dimension(constant: 0, perRow: .max).size(rows: 2) == nil)
    #expect(Dimension.fixed(.max).multiplied(by: .fixed(2)) == nil)
    #expect(Dimension.fixed(.max).adding(.fixed(1)) == nil)
    #expect(Dimension.rows.multiplied(by: .rows) == nil)
    #expect(Shapes.elementCount([.fixed(1 << 40), .fixed(1 << 40)]) == nil)
  }

  @Test func errorsNameNodeOperationAndShapes() {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(3)])
    let y = graph.addInput("y", .float32, [.fixed(4), .fixed(2)])
    let error = #expect(throws: GraphError.self) { try graph.apply(.matMul, "/fc1/MatMul", [x, y]) }
    #expect(
      error?.description == "node \"/fc1/MatMul\" (matMul): inner dimensions differ; inputs are float32 [rows, 3], float32 [4, 2]")
  }

  @Test(arguments: [
    ModelGraph.Operation.softmax(axis: 2), .transpose(permutation: [0, 0]), .squeeze(axes: [1]), .reshape([.fixed(7)]),
    .slice(axes: [0], starts: [0], ends: [1], steps: [1]), .slice(axes: [1], starts: [0], ends: [1], steps: [0]),
    .split(axis: 1, sizes: [1, 1]),
    .concat(axis: -3), .flatten(axis: 9), .expand([.fixed(3), .fixed(3)]), .split(axis: 1, sizes: [.max, .max]),
    .reduceMean(axes: [], keepDimensions: true),
  ])
  func impossibleAttributesAreRefused(operation: ModelGraph.Operation) {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(3)])
    #expect(throws: GraphError.self) { try graph.append(operation, "op", [x]) }
    #expect(throws: GraphError.self) { try graph.append(operation, "op", []) }
  }

  @Test func validationFindsBrokenGraphs() throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows])
    let y = try graph.apply(.unary(.relu), "relu", [x])
    graph.outputs = [y]
    try graph.validate()
    var late = graph
    late.nodes.insert(Node(name: "early", operation: .unary(.relu), inputs: [y], outputs: [y]), at: 0)
    #expect(throws: GraphError.self) { try late.validate() }
    var dangling = graph
    dangling.outputs = [ValueID(99)]
    #expect(throws: GraphError.self) { try dangling.validate() }
    var lying = graph
    lying[y].shape = [.fixed(1)]
    #expect(throws: GraphError.self) { try lying.validate() }
  }
}
