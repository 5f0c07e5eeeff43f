import Testing
import TimeBase

@testable import ModelGraph

/// Operators with a definition: what they give, by ONNX's examples or by hand; what is refused; and that moves are what the definition says.
@Suite struct OperatorDefinitionTests {
  private static func run(
    _ name: String, _ attributes: [String: OperatorAttribute.Content], _ inputs: [(values: [Double], shape: [Int])], integers: Int? = nil
  ) throws -> DenseArray {
    var graph = Graph(name: "one")
    var ids: [ValueID] = []
    var given: [String: DenseArray] = [:]
    for (index, input) in inputs.enumerated() {
      ids.append(graph.addInput("x\(index)", index == integers ? .int64 : .float32, input.shape.map { .fixed($0) }))
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

  @Test func theLargestAndTheSmallest() throws {
    func run(_ attributes: [String: OperatorAttribute.Content], _ values: [Double], _ shape: [Int]) throws -> [[Double]] {
      var graph = Graph(name: "best")
      let x = graph.addInput("x", .float32, shape.map { .fixed($0) })
      graph.outputs = try graph.append(.defined(try #require(DefinedOperator("TopK", attributes))), "y", [x])
      try graph.validate()
      #expect(graph.outputs.map { graph[$0].type } == [.float32, .int64])
      return try ReferenceEvaluator.evaluate(graph, inputs: ["x": try #require(DenseArray(shape: shape, values: values))]).map(\.values)
    }
    // onnx docs/Operators.md, TopK's examples.
    let rising = (0..<12).map { Double($0) }
    #expect(try run(["k": Self.list(3)], rising, [3, 4]) == [[3, 2, 1, 7, 6, 5, 11, 10, 9], [3, 2, 1, 3, 2, 1, 3, 2, 1]])
    #expect(try run(["k": Self.list(2), "largest": .integer(0), "axis": .integer(0)], rising, [3, 4])[1] == [0, 0, 0, 0, 1, 1, 1, 1])
    #expect(try run(["k": Self.list(3)], [1, 5, .nan, 5], [1, 4])[1] == [1, 3, 0], "of equal ones the first, not-a-numbers last")
    for k in [Self.list(5), Self.list(-1), Self.list(1, 1), Self.list()] {
      #expect(throws: GraphError.self) { try run(["k": k], rising, [3, 4]) }
    }
  }

  @Test func normalizationsOfRows() throws {
    func run(_ name: String, _ attributes: [String: OperatorAttribute.Content], _ inputs: [(values: [Double], shape: [Int])]) throws
      -> [Double]
    {
      var attributes = attributes
      attributes["epsilon"] = .real(0)
      return try Self.run(name, attributes, inputs).values
    }
    // The root of the mean square is 5 and 1.
    #expect(try run("RMSNormalization", [:], [([1, 7, 1, -1], [2, 2]), ([1, 10], [2])]) == [0.2, 14, 1, -10])
    #expect(try run("RMSNormalization", ["axis": .integer(0)], [([3, 3, -3, 3], [2, 2]), ([1, 2], [2])]) == [1, 2, -1, 2])
    // Each plane has a deviation of its own of 1, 2, 3, 4.
    let planes = ([1.0, 3, 1, 5, 1, 7, 1, 9], [1, 4, 2])
    let (scale, bias) = (([1.0, 10, 100, 1000], [4]), ([0.5, 0, 0, 0], [4]))
    #expect(try run("InstanceNormalization", [:], [planes, scale, bias]) == [-0.5, 1.5, -10, 10, -100, 100, -1000, 1000])
    // Two groups of two channels, each 1, 3, 1, 3.
    let pairs = ([1.0, 3, 1, 3, 5, 5, 9, 9], [1, 4, 2])
    #expect(
      try run("GroupNormalization", ["num_groups": .integer(2)], [pairs, scale, bias]) == [-0.5, 1.5, -10, 10, -100, -100, 1000, 1000])
    #expect(
      try run("BatchNormalization", [:], [([1, 2, 3, 4], [2, 2]), ([2, 1], [2]), ([0, 1], [2]), ([1, 0], [2]), ([4, 1], [2])])
        == [0, 3, 2, 5])
    for (name, attributes, shapes) in [
      ("RMSNormalization", [:], [[2, 2], [3]]), ("RMSNormalization", ["axis": .integer(2)], [[2, 2], [2]]),
      ("InstanceNormalization", [:], [[2, 2], [2], [2]]), ("InstanceNormalization", [:], [[2, 2, 2], [2], [3]]),
      ("GroupNormalization", ["num_groups": .integer(3)], [[2, 4, 2], [4], [4]]),
      ("GroupNormalization", ["num_groups": .integer(0)], [[2, 4, 2], [4], [4]]),
      // Opset 18's scales of groups.
      ("GroupNormalization", ["num_groups": .integer(2)], [[2, 4, 2], [2], [2]]),
      ("BatchNormalization", ["training_mode": .integer(1)], [[2, 2], [2], [2], [2], [2]]),
      ("BatchNormalization", [:], [[2], [2], [2], [2], [2]]),
    ] as [(String, [String: OperatorAttribute.Content], [[Int]])] {
      #expect(throws: GraphError.self, "\(name) \(attributes) of \(shapes)") {
        try run(name, attributes, shapes.map { ([Double](repeating: 1, count: $0.reduce(1, *)), $0) })
      }
    }
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

  /// onnx docs/Operators.md: the examples of each.
  @Test func elementsByIndices() throws {
    func run(_ name: String, _ attributes: [String: OperatorAttribute.Content] = [:], _ inputs: [(values: [Double], shape: [Int])]) throws
      -> [Double]
    {
      try Self.run(name, attributes, inputs, integers: name == "OneHot" ? 0 : 1).values
    }
    let square = ([1.0, 2, 3, 4], [2, 2])
    #expect(try run("GatherElements", ["axis": .integer(1)], [square, ([0, 0, 1, 0], [2, 2])]) == [1, 1, 4, 3])
    let three = ([1.0, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3])
    #expect(try run("GatherElements", [:], [three, ([-1, -2, 0, -2, 0, 0], [2, 3])]) == [7, 5, 3, 4, 2, 3])
    #expect(try run("GatherND", [:], [([0, 1, 2, 3], [2, 2]), ([0, 0, 1, 1], [2, 2])]) == [0, 3])
    #expect(try run("GatherND", [:], [([0, 1, 2, 3], [2, 2]), ([1, 0], [2, 1])]) == [2, 3, 0, 1])
    #expect(
      try run("GatherND", ["batch_dims": .integer(1)], [([0, 1, 2, 3, 4, 5, 6, 7], [2, 2, 2]), ([1, 0], [2, 1])]) == [2, 3, 4, 5])
    let zeros = ([Double](repeating: 0, count: 9), [3, 3])
    #expect(
      try run("ScatterElements", [:], [zeros, ([1, 0, 2, 0, 2, 1], [2, 3]), ([1, 1.1, 1.2, 2, 2.1, 2.2], [2, 3])])
        == [2, 1.1, 0, 1, 0, 2.2, 0, 2.1, 1.2])
    let five = ([1.0, 2, 3, 4, 5], [1, 5])
    #expect(
      try run("ScatterElements", ["axis": .integer(1)], [five, ([1, -2], [1, 2]), ([1.5, 2.5], [1, 2])]) == [1, 1.5, 3, 2.5, 5])
    for (reduction, expected) in [
      ("add", [1.0, 5.2, 3, 4, 5]), ("mul", [1, 4.62, 3, 4, 5]), ("max", [1, 2.1, 3, 4, 5]), ("min", [1, 1.1, 3, 4, 5]),
    ] {
      let sums = try run(
        "ScatterElements", ["axis": .integer(1), "reduction": .text(reduction)], [five, ([1, 1], [1, 2]), ([1.1, 2.1], [1, 2])])
      #expect(zip(sums, expected).allSatisfy { abs($0 - $1) < 1e-12 }, "\(reduction): \(sums)")
    }
    #expect(
      try run("ScatterND", [:], [([1, 2, 3, 4, 5, 6, 7, 8], [8]), ([4, 3, 1, 7], [4, 1]), ([9, 10, 11, 12], [4])])
        == [1, 11, 3, 10, 9, 6, 7, 12])
    let values = ([2.0, 5], [2])
    #expect(try run("OneHot", ["depth": .integer(3)], [([0, -1, 3], [3]), values]) == [5, 2, 2, 2, 2, 5, 2, 2, 2])
    #expect(try run("OneHot", ["depth": .integer(2), "axis": .integer(0)], [([0, 1, 1], [3]), values]) == [5, 2, 2, 2, 5, 5])
  }

  @Test(
    arguments: [
      ("GatherElements", [:], [[2, 2], [2, 2, 1]]), ("GatherElements", [:], [[2, 2], [2, 3]]), ("GatherND", [:], [[2, 2], [1, 3]]),
      ("GatherND", ["batch_dims": .integer(1)], [[2, 2], [3, 1]]), ("GatherND", ["batch_dims": .integer(.min)], [[2, 2], [2, 1]]),
      ("GatherND", ["batch_dims": .integer(.max)], [[2, 2], [2, 1]]), ("GatherND", [:], [[2, 2], []]),
      ("ScatterElements", [:], [[2, 2], [1, 2], [2, 2]]), ("ScatterElements", ["reduction": .text("mean")], [[2, 2], [1, 2], [1, 2]]),
      ("ScatterND", [:], [[2, 2], [3, 1], [3]]), ("OneHot", ["depth": .integer(0)], [[3], [2]]),
      ("OneHot", ["depth": .integer(3)], [[3], [3]]), ("OneHot", ["depth": .integer(3), "axis": .integer(3)], [[3], [2]]),
    ] as [(String, [String: OperatorAttribute.Content], [[Int]])])
  func placesThatDoNotFitAreRefused(name: String, attributes: [String: OperatorAttribute.Content], shapes: [[Int]]) {
    #expect(throws: GraphError.self) {
      try Self.run(
        name, attributes, shapes.map { ([Double](repeating: 0, count: $0.reduce(1, *)), $0) }, integers: name == "OneHot" ? 0 : 1)
    }
  }

  /// What devices copy is what the definition says, for random shapes and places: gathers of each kind, scatters to places that differ.
  @Test func copiesByIndicesAreTheDefinition() throws {
    var generator = SplitMix64(seed: 5)
    func number(_ below: Int) -> Int { Int(clamping: generator.next() % UInt64(clamping: below)) }
    for _ in 0..<400 {
      let data = (0..<(1 + number(4))).map { _ in 1 + number(4) }
      let axis = number(data.count)
      var along = data.map { 1 + number($0) }
      along[axis] = 1 + number(5)
      let places = along.reduce(1, *)
      try Self.expectCopies(
        "GatherElements", ["axis": .integer(axis)], [data, along], (0..<places).map { _ in number(2 * data[axis]) - data[axis] })
      // One place a lane: none is written twice.
      along[axis] = 1
      let lanes = along.reduce(1, *)
      try Self.expectCopies(
        "ScatterElements", ["axis": .integer(axis - data.count)], [data, along, along],
        (0..<lanes).map { _ in number(2 * data[axis]) - data[axis] })
      let shared = number(data.count)
      let depth = 1 + number(data.count - shared)
      let middle = (0..<number(3)).map { _ in 1 + number(3) }
      let indices = Array(data[..<shared]) + middle + [depth]
      let tuples = indices.dropLast().reduce(1, *)
      try Self.expectCopies(
        "GatherND", ["batch_dims": .integer(shared)], [data, indices],
        (0..<tuples).flatMap { _ in (0..<depth).map { number(data[shared + $0]) } })
      let first = 1 + number(data.count)
      try Self.expectCopies(
        "ScatterND", [:], [data, [1, first], [1] + data[first...]], (0..<first).map { number(2 * data[$0]) - data[$0] })
      let classes = 1 + number(5)
      try Self.expectCopies(
        "OneHot", ["axis": .integer(number(data.count + 1)), "depth": .integer(classes)], [data, [2]],
        (0..<data.reduce(1, *)).map { _ in number(3 * classes) - classes })
    }
  }

  private static func expectCopies(
    _ name: String, _ attributes: [String: OperatorAttribute.Content], _ sizes: [[Int]], _ integers: [Int]
  ) throws {
    let defined = try #require(DefinedOperator(name, attributes))
    guard case .indexed(let indexing) = defined.definition.form else {
      Issue.record("\(name) has no indices")
      return
    }
    let given = sizes.enumerated().map { place, sizes in
      place == indexing.indices ? integers.map { Double($0) } : (0..<sizes.reduce(1, *)).map { Double($0 + 100 * (place + 1)) }
    }
    let expected = try run(name, attributes, Array(zip(given, sizes)).map { (values: $0.0, shape: $0.1) }, integers: indexing.indices)
    var result = [Double](repeating: .nan, count: expected.values.count)
    for move in indexing.moves(sizes, defined.attributes) {
      _ = DenseArray.build(move.sizes) { position in
        func place(_ region: ElementMove.Region) -> Int {
          region.offset + zip(position, region.strides).reduce(0) { $0 + $1.0 * $1.1 }
        }
        var (from, to) = (place(move.source), place(move.target))
        if let lookup = move.lookup {
          for (number, axis) in lookup.axes.enumerated() {
            let integer = integers[place(lookup.region) + number * lookup.step]
            let index = integer < 0 ? integer + axis.size : integer
            if lookup.isLenient && !(0..<axis.size).contains(index) { return 0 }
            if lookup.isOfTarget { to += index * axis.stride } else { from += index * axis.stride }
          }
        }
        result[to] = given[move.input][from]
        return 0
      }
    }
    #expect(expected.values == result, "\(name) \(attributes) of \(sizes) by \(integers)")
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
    let results = try tile.results([Value(name: "x", type: .float32, shape: [.fixed(1), .fixed(3)])])
    #expect(results.map(\.1) == [[.rows, .fixed(3)]])
    #expect(throws: OperatorRefusal.self) { try tile.results([Value(name: "x", type: .float32, shape: [.rows, .fixed(3)])]) }
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
    let given = Value(name: "x", type: .float32, shape: sizes.map { .fixed($0) })
    guard let shape = (try? defined.results([given]))?.first?.1.map(\.constant) else { return }
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
