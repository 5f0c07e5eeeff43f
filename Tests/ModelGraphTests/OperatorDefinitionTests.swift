import Testing
import TimeBase

@testable import ModelGraph

/// Operators with a definition: what they give, by ONNX's examples or by hand; what is refused; and that moves are what the definition says.
@Suite struct OperatorDefinitionTests {
  private static func run(
    _ name: String, _ attributes: [String: OperatorAttribute.Content], _ inputs: [(values: [Double], shape: [Int])]
  ) throws -> DenseArray {
    var graph = Graph(name: "one")
    var ids: [ValueID] = []
    var given: [String: DenseArray] = [:]
    for (index, input) in inputs.enumerated() {
      ids.append(graph.addInput("x\(index)", .float32, input.shape.map { .fixed($0) }))
      let array: DenseArray = try #require(DenseArray(shape: input.shape, values: input.values))
      given["x\(index)"] = array
    }
    graph.outputs = [try graph.apply(.defined(try #require(DefinedOperator(name, attributes))), "y", ids)]
    return try #require(try ReferenceEvaluator.evaluate(graph, inputs: given).first)
  }

  private static func list(_ values: Int...) -> OperatorAttribute.Content { .integers(values.map { .fixed($0) }) }

  @Test func softmaxesAndNorms() throws {
    let logarithms = try Self.run("LogSoftmax", [:], [([1000, 1000, 0, 0], [2, 2])]).values
    #expect(logarithms.allSatisfy { abs($0 + 0.6931471805599453) < 1e-12 })
    #expect(try Self.run("Hardmax", ["axis": .integer(0)], [([3, 1, 3, 2], [2, 2])]).values == [1, 0, 0, 1])
    #expect(try Self.run("LpNormalization", [:], [([3, 4, 0, 0], [2, 2])]).values == [0.6, 0.8, 0, 0])
    #expect(try Self.run("LpNormalization", ["p": .integer(1)], [([-1, 3], [1, 2])]).values == [-0.25, 0.75])
  }

  @Test(
    arguments: [(0, 0, [1, 3, 6]), (1, 0, [0, 1, 3]), (0, 1, [6, 5, 3]), (1, 1, [5, 3, 0])] as [(Int, Int, [Double])])
  func sumsAlongAnAxis(isExclusive: Int, isReverse: Int, expected: [Double]) throws {
    let attributes: [String: OperatorAttribute.Content] = [
      "axis": .integer(-1), "exclusive": .integer(isExclusive), "reverse": .integer(isReverse),
    ]
    #expect(try Self.run("CumSum", attributes, [([1, 2, 3], [1, 3])]).values == expected)
  }

  @Test func placesOfExtremes() throws {
    let x = ([2.0, 5, 5, 1, 1, 9], [2, 3])
    #expect(try Self.run("ArgMax", ["axis": .integer(1)], [x]) == DenseArray(shape: [2, 1], values: [1, 2]))
    #expect(
      try Self.run("ArgMax", ["axis": .integer(1), "keepdims": .integer(0), "select_last_index": .integer(1)], [x]).values == [2, 2])
    #expect(try Self.run("ArgMin", ["axis": .integer(1), "keepdims": .integer(0)], [x]) == DenseArray(shape: [2], values: [0, 0]))
    #expect(try Self.run("ArgMin", [:], [x]).shape == [1, 3])
  }

  @Test func boundsThatAreTensors() throws {
    #expect(try Self.run("Clip", [:], [([-1, 3, 9], [3]), ([0], []), ([6], [])]).values == [0, 3, 6])
    #expect(try Self.run("Clip", [:], [([1, 3, 9], [3]), ([4], []), ([2], [])]).values == [2, 2, 2])
  }

  @Test func slopesPerChannel() throws {
    let result = try Self.run("PRelu", [:], [([-1, 2, -3, -4], [2, 2]), ([0.5, 10], [2])])
    #expect(result.values == [-0.5, 2, -1.5, -40])
    #expect(throws: GraphError.self) { try Self.run("PRelu", [:], [([-1, 2], [2]), ([1, 2, 3, 4], [2, 2])]) }
  }

  @Test func elementsMove() throws {
    #expect(try Self.run("Tile", ["repeats": Self.list(1, 2)], [([1, 2, 3, 4], [2, 2])]).values == [1, 2, 1, 2, 3, 4, 3, 4])
    // onnx docs/Operators.md, SpaceToDepth's and DepthToSpace's examples.
    let plane = (0..<16).map { Double($0) }
    #expect(
      try Self.run("SpaceToDepth", ["blocksize": .integer(2)], [(plane, [1, 1, 4, 4])]).values
        == [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15])
    let depth: [Double] = [0, 1, 2, 9, 10, 11, 18, 19, 20, 27, 28, 29]
    #expect(
      try Self.run("DepthToSpace", ["blocksize": .integer(2)], [(depth, [1, 4, 1, 3])]).values
        == [0, 9, 1, 10, 2, 11, 18, 27, 19, 28, 20, 29])
  }

  @Test(
    arguments: [
      ("constant", [0, 2, 0, 1], [7, 7, 1, 2, 3, 7]), ("edge", [0, 2, 0, 1], [1, 1, 1, 2, 3, 3]),
      ("reflect", [0, 2, 0, 1], [3, 2, 1, 2, 3, 2]), ("wrap", [0, 2, 0, 1], [2, 3, 1, 2, 3, 1]), ("constant", [0, -1, 0, 1], [2, 3, 7]),
    ] as [(String, [Int], [Double])])
  func padsOfEveryMode(mode: String, pads: [Int], expected: [Double]) throws {
    let attributes: [String: OperatorAttribute.Content] = [
      "mode": .text(mode), "pads": .integers(pads.map { .fixed($0) }), "value": .real(7),
    ]
    #expect(try Self.run("Pad", attributes, [([1, 2, 3], [1, 3])]).values == expected)
  }

  @Test(
    arguments: [
      ("Pad", ["pads": list(1)]), ("Pad", ["pads": list(-3, -1, 0, 0)]), ("Pad", ["pads": list(0, 3, 0, 0), "mode": .text("reflect")]),
      ("Pad", ["pads": list(.min, 0, .max, 0)]), ("Pad", ["pads": list(0, 0, 0, 0), "mode": .text("mirror")]),
      ("Tile", ["repeats": list(2)]),
      ("Tile", ["repeats": list(1, -1)]), ("Tile", ["repeats": list(.max, .max)]), ("DepthToSpace", ["blocksize": .integer(2)]),
      ("CumSum", ["axis": .integer(2)]), ("CumSum", ["axis": .integer(.min)]), ("Hardmax", ["axis": .integer(-3)]),
    ] as [(String, [String: OperatorAttribute.Content])])
  func whatDoesNotFitIsRefused(name: String, attributes: [String: OperatorAttribute.Content]) {
    #expect(throws: GraphError.self) { try Self.run(name, attributes, [([1, 2, 3, 4, 5, 6], [2, 3])]) }
  }

  @Test func attributesAreCompleteAndOfTheirKinds() {
    #expect(DefinedOperator("CumSum") == nil, "its axis must be given")
    #expect(DefinedOperator("CumSum", ["axis": .real(1)]) == nil)
    #expect(DefinedOperator("Hardmax", ["colour": .integer(1)]) == nil)
    #expect(DefinedOperator("NoSuchOperator") == nil)
    #expect(DefinedOperator("Hardmax")?.attributes.integer("axis") == -1)
    #expect(DefinedOperator("ArgMax", ["select_last_index": .integer(1)])?.numbers == [1, 1])
  }

  @Test func repeatsMayFollowTheRows() throws {
    let tile = try #require(DefinedOperator("Tile", ["repeats": .integers([.rows, .fixed(1)])]))
    let result = try tile.result([Value(name: "x", type: .float32, shape: [.fixed(1), .fixed(3)])])
    #expect(result.1 == [.rows, .fixed(3)])
    #expect(throws: OperatorRefusal.self) { try tile.result([Value(name: "x", type: .float32, shape: [.rows, .fixed(3)])]) }
  }

  /// The copies that devices make put every element where the definition says it comes from.
  @Test func movesAreWhatTheDefinitionSays() throws {
    var generator = SplitMix64(seed: 3)
    func number(_ below: Int) -> Int { Int(clamping: generator.next() % UInt64(clamping: below)) }
    for _ in 0..<300 {
      var sizes = (0..<(1 + number(3))).map { _ in 1 + number(4) }
      let mode = ["constant", "edge", "reflect", "wrap"][number(4)]
      let pads = (0..<(2 * sizes.count)).map { place -> Int in
        let size = sizes[place % sizes.count]
        return mode == "constant" ? number(5) - 2 : mode == "edge" ? number(4) : number(mode == "wrap" ? size + 1 : size)
      }
      try Self.expectMoves("Pad", ["pads": .integers(pads.map { .fixed($0) }), "mode": .text(mode), "value": .real(5)], sizes)
      try Self.expectMoves("Tile", ["repeats": .integers(sizes.map { _ in .fixed(number(4)) })], sizes)
      let block = 1 + number(3)
      sizes = [1 + number(2), (1 + number(3)) * block * block, (1 + number(3)) * block, (1 + number(3)) * block]
      try Self.expectMoves("DepthToSpace", ["blocksize": .integer(block), "mode": .text(["DCR", "CRD"][number(2)])], sizes)
      try Self.expectMoves("SpaceToDepth", ["blocksize": .integer(block)], sizes)
    }
  }

  private static func expectMoves(_ name: String, _ attributes: [String: OperatorAttribute.Content], _ sizes: [Int]) throws {
    let defined = try #require(DefinedOperator(name, attributes))
    guard case .moved(let movement) = defined.definition.form else {
      Issue.record("\(name) moves nothing")
      return
    }
    // Crops may leave less than nothing.
    guard let shape = try? defined.result([Value(name: "x", type: .float32, shape: sizes.map { .fixed($0) })]).1.map(\.constant) else {
      return
    }
    let x = (0..<sizes.reduce(1, *)).map { Double($0 + 100) }
    var result = [Double](repeating: movement.fill(defined.attributes) ?? .nan, count: shape.reduce(1, *))
    for move in result.isEmpty ? [] : movement.moves(sizes, defined.attributes) {
      let source = move.isFromResult ? result : x
      _ = DenseArray.build(move.sizes) { position in
        func place(_ region: ElementMove.Region) -> Int {
          region.offset + zip(position, region.strides).reduce(0) { $0 + $1.0 * $1.1 }
        }
        result[place(move.target)] = source[place(move.source)]
        return 0
      }
    }
    let expected = try run(name, attributes, [(x, sizes)])
    #expect(expected.values == result, "\(name) \(attributes) of \(sizes)")
  }

  /// A definition is a value: a made-up operator has its shape, its result and its place in a graph as soon as it is one.
  @Test func aMadeUpOperatorIsOneValue() throws {
    let definition = OperatorDefinition.alongAxis("MadeUp", operations: 2, attributes: [.real("factor", usual: 2)]) { lane, attributes in
      lane.reversed().map { $0 * Double(attributes.real("factor")) }
    }
    var graph = Graph(name: "made up")
    let x = graph.addInput("x", .float32, [.rows, .fixed(3)])
    graph.outputs = [try graph.apply(.defined(try #require(DefinedOperator(definition))), "y", [x])]
    try graph.validate()
    let result = try ReferenceEvaluator.evaluate(graph, inputs: ["x": try #require(DenseArray(shape: [1, 3], values: [1, 2, 3]))])
    #expect(result.first?.values == [6, 4, 2])
    #expect(graph.nodes[0].operation.name == "MadeUp")
  }
}
