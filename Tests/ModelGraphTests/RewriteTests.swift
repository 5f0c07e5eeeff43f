import Testing
import TimeBase

@testable import ModelGraph

@Suite struct RewriteTests {
  static let heads: [BuiltInHead] = [
    .linear(layers: 3, hidden: 8), .stacked(layers: 3, hidden: 8, heads: 3), .seqlen(layers: 4, hidden: 8, sequence: 6),
    .encoder(layers: 2, hidden: 8, heads: 2, sequence: 4),
  ]

  @Test(arguments: heads) func standardRewritesKeepTheFunction(head: BuiltInHead) throws {
    let graph = try head.graph()
    let rewritten = try graph.rewritten(by: Rewrites.standard)
    #expect(rewritten.nodes.count < graph.nodes.count)
    try expectSameFunction(graph, rewritten)
  }

  /// Clients address outputs by name: a pass that loses one is stopped, whichever it is.
  @Test func aPassThatLosesAnOutputIsStopped() throws {
    enum Dropping: RewritePass {
      static let name = "dropping"
      static func apply(_ graph: Graph) throws(GraphError) -> Graph {
        var graph = graph
        graph.outputs.removeLast()
        return graph
      }
    }
    enum Merging: RewritePass {
      static let name = "merging"
      static func apply(_ graph: Graph) throws(GraphError) -> Graph {
        var graph = graph
        graph.outputs = graph.outputs.map { _ in graph.outputs[0] }
        return graph
      }
    }
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(8)])
    for name in ["a", "b"] { try graph.addOutput(try graph.apply(.unary(.relu), name, [x]), named: name) }
    for pass in [Dropping.self, Merging.self] as [any RewritePass.Type] {
      let error = try #require(throws: GraphError.self) { try graph.rewritten(by: [pass]) }
      #expect(error.reason.contains("the rewrite \(pass.name) changed the outputs"), "\(error)")
    }
    #expect(throws: Never.self) { try graph.rewritten(by: Rewrites.standard + Rewrites.onRequest) }
  }

  /// Rows of copies that are sliced become one value under two names, and an expanded output is restored: both keep their names.
  @Test func sunkOutputsKeepTheirNames() throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(1), .fixed(8)])
    let copies = try graph.apply(.expand([.rows, .fixed(4), .fixed(8)]), "expand", [x])
    let h = try graph.apply(.unary(.tanh), "tanh", [copies])
    let first = try graph.apply(.slice(axes: [1], starts: [0], ends: [1], steps: [1]), "first", [h])
    let second = try graph.apply(.slice(axes: [1], starts: [1], ends: [2], steps: [1]), "second", [h])
    for (id, name) in [(h, "all"), (first, "first"), (second, "second"), (copies, "copies")] { try graph.addOutput(id, named: name) }
    let sunk = try graph.rewritten(by: [SinkBroadcast.self])
    #expect(sunk.outputs.map { sunk[$0].name } == ["all", "first", "second", "copies"])
    #expect(Set(sunk.outputs).count == 4)
    let inputs = try sampleInputs(graph, rows: 3)
    let (before, after) = (try ReferenceEvaluator.evaluate(graph, inputs: inputs), try ReferenceEvaluator.evaluate(sunk, inputs: inputs))
    #expect(before == after)
  }

  /// LayerNorm and both GELUs as exporters below opset 17 write them.
  @Test(arguments: [true, false]) func decomposedOperatorsAreRecognized(exact: Bool) throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(8)])
    let two = try graph.constant("two", [2], [])
    let epsilon = try graph.constant("eps", [1e-5], [])
    let scale = try graph.constant("scale", [1, 2, 3, 4, 5, 6, 7, 8], [8])
    let bias = try graph.constant("bias", [8, 7, 6, 5, 4, 3, 2, 1], [8])
    let mean = try graph.apply(.reduceMean(axes: [-1], keepDimensions: true), "mean", [x])
    let centered = try graph.apply(.binary(.subtract), "sub", [x, mean])
    let square = try graph.apply(.binary(.power), "pow", [centered, two])
    let variance = try graph.apply(.reduceMean(axes: [-1], keepDimensions: true), "var", [square])
    let sum = try graph.apply(.binary(.add), "add", [variance, epsilon])
    let root = try graph.apply(.unary(.squareRoot), "sqrt", [sum])
    let divided = try graph.apply(.binary(.divide), "div", [centered, root])
    let scaled = try graph.apply(.binary(.multiply), "mul", [divided, scale])
    let h = try graph.apply(.binary(.add), "norm", [scaled, bias])
    let one = try graph.constant("one", [1], [])
    let half = try graph.constant("half", [0.5], [])
    let gate: ValueID
    if exact {
      let root2 = try graph.constant("root2", [1.4142135], [])
      let erf = try graph.apply(.unary(.erf), "erf", [try graph.apply(.binary(.divide), "g.div", [h, root2])])
      gate = try graph.apply(.binary(.add), "g.add", [erf, one])
    } else {
      let three = try graph.constant("three", [3], [])
      let cubic = try graph.constant("cubic", [0.044715], [])
      let factor = try graph.constant("factor", [0.7978846], [])
      let cube = try graph.apply(.binary(.power), "g.pow", [h, three])
      let inner = try graph.apply(.binary(.add), "g.inner", [h, try graph.apply(.binary(.multiply), "g.cube", [cubic, cube])])
      let tanh = try graph.apply(.unary(.tanh), "tanh", [try graph.apply(.binary(.multiply), "g.factor", [factor, inner])])
      gate = try graph.apply(.binary(.add), "g.add", [one, tanh])
    }
    let gated = try graph.apply(.binary(.multiply), "g.mul", [exact ? h : try graph.apply(.binary(.multiply), "g.half", [half, h]), gate])
    graph.outputs = [exact ? try graph.apply(.binary(.multiply), "g.out", [gated, half]) : gated]
    let rewritten = try graph.rewritten(by: [RecomposeNormalization.self, RecomposeGelu.self])
    #expect(rewritten.nodes.map(\.operation) == [.layerNormalization(axis: -1, epsilon: 1e-5), .unary(exact ? .gelu : .geluTanh)])
    // The exported sqrt(2) and sqrt(2/pi) have seven digits: equal to 1e-6 rather than to the last bit.
    #expect(try firstOutput(rewritten).relativeDistance(to: firstOutput(graph)) < 1e-6)
    #expect(try firstOutput(graph).norm > 0.1)
  }

  @Test func aValueReadTwiceIsNotFusedAway() throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(2)])
    let weight = try graph.constant("w", [1, 2, 3, 4], [2, 2])
    let product = try graph.apply(.matMul, "mm", [x, weight])
    let relu = try graph.apply(.unary(.relu), "relu", [product])
    graph.outputs = [try graph.apply(.binary(.add), "sum", [relu, product])]
    try expectSameFunctionWithoutBias(graph, try graph.rewritten(by: Rewrites.standard))
  }

  func expectSameFunctionWithoutBias(_ before: Graph, _ after: Graph) throws {
    try after.validate()
    #expect(try firstOutput(after).relativeDistance(to: firstOutput(before)) < 1e-12)
    #expect(try firstOutput(before).norm > 0.1)
  }

  @Test func parallelHeadsBecomeOneBatchedProduct() throws {
    var head = HeadBuilder(name: "parallel", seed: 3)
    let x = head.graph.addInput("x", .float32, [.rows, .fixed(6)])
    var results: [ValueID] = []
    for index in 0..<3 {
      var h = try head.linear(x, "head\(index).fc1", from: 6, to: 6)
      h = try head.graph.apply(.unary(.relu), "head\(index).relu", [h])
      results.append(try head.linear(h, "head\(index).fc2", from: 6, to: 2))
    }
    head.graph.outputs = [try head.graph.apply(.concat(axis: 1), "concat", results)]
    let fused = try head.graph.rewritten(by: Rewrites.standard)
    let stacked = try fused.rewritten(by: [StackHeads.self])
    let products = stacked.nodes.filter { if case .batchedLinear = $0.operation { true } else { false } }
    #expect(products.count == 2)
    #expect(!stacked.nodes.contains { if case .linear = $0.operation { true } else { false } })
    try expectSameFunction(head.graph, stacked)
  }

  /// Every single constant of a fused graph matters: setting any one to zero changes the output.
  @Test(arguments: heads) func everyDroppedConstantIsNoticed(head: BuiltInHead) throws {
    let fused = try head.graph().rewritten(by: Rewrites.standard)
    let whole = try firstOutput(fused)
    for (id, tensor) in fused.constants {
      var broken = fused
      let zeros = ArrayStorage([UInt8](repeating: 0, count: tensor.storage.byteCount))
      broken.constants[id] = Tensor(type: tensor.type, shape: tensor.shape, storage: zeros)
      // A key's bias shifts all scores of a query alike, which softmax takes out again: it has no effect by construction.
      if fused[id].name.hasSuffix(".key.bias") { continue }
      #expect(try firstOutput(broken).relativeDistance(to: whole) > 1e-6, "\(fused[id].name)")
    }
  }

  @Test func productsAndBiasesBecomeLinear() throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.rows, .fixed(3)])
    let weight = try graph.constant("w", [1, 2, 3, 4, 5, 6], [3, 2])
    let bias = try graph.constant("b", [7, -8], [2])
    let second = try graph.constant("w2", [1, -1, 2, 1], [2, 2])
    var h = try graph.apply(.binary(.add), "add", [bias, try graph.apply(.matMul, "mm", [x, weight])])
    h = try graph.apply(.unary(.tanh), "tanh", [h])
    h = try graph.apply(.gemm(alpha: 1, beta: 1, transposeA: false, transposeB: true), "gemm", [h, second, bias])
    graph.outputs = [try graph.apply(.gemm(alpha: 2, beta: 1, transposeA: false, transposeB: false), "scaled", [h, second])]
    let fused = try graph.rewritten(by: Rewrites.standard)
    #expect(
      fused.nodes.map(\.operation) == [
        .linear(transposeWeight: false, activation: .tanh), .linear(transposeWeight: true, activation: .none),
        .gemm(alpha: 2, beta: 1, transposeA: false, transposeB: false),
      ])
    try expectSameFunction(graph, fused)
  }

  @Test func headsOfDifferentShapesStayApart() throws {
    var head = HeadBuilder(name: "parallel", seed: 3)
    let x = head.graph.addInput("x", .float32, [.rows, .fixed(6)])
    let first = try head.linear(x, "a", from: 6, to: 2)
    let second = try head.linear(x, "b", from: 6, to: 3)
    head.graph.outputs = [try head.graph.apply(.concat(axis: 1), "concat", [first, second])]
    let fused = try head.graph.rewritten(by: Rewrites.standard)
    #expect(try fused.rewritten(by: [StackHeads.self]).nodes.count == fused.nodes.count)
  }

  @Test func seqlenNeedsOneOfItsRows() throws {
    let graph = try BuiltInHead.seqlen(layers: 4, hidden: 8, sequence: 6).graph()
    let sunk = try graph.rewritten(by: Rewrites.standard + [SinkBroadcast.self])
    try expectSameFunction(graph, sunk)
    let sizes = sunk.nodes.filter { if case .linear = $0.operation { true } else { false } }.map { sunk[$0.outputs[0]].shape }
    #expect(sizes.dropLast().allSatisfy { $0 == [.rows, .fixed(1), .fixed(8)] })
    #expect(!sunk.nodes.contains { if case .expand = $0.operation { true } else { false } })
  }

  /// Random chains of operations on expanded rows, some of which tell the copies apart: the rewrite must keep every function.
  @Test(arguments: 0..<60) func sinkingKeepsRandomGraphs(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    var builder = HeadBuilder(name: "random", seed: seed)
    let x = builder.graph.addInput("x", .float32, [.rows, .fixed(1), .fixed(4)])
    var h = try builder.graph.apply(.expand([.rows, .fixed(3), .fixed(4)]), "expand", [x])
    let distinct = try builder.parameter("positions", [3, 4], bound: 1)
    for step in 0..<6 {
      let name = "op\(step)"
      switch generator.next() % 9 {
      case 0: h = try builder.linear(h, name, from: 4, to: 4)
      case 1: h = try builder.graph.apply(.unary(.tanh), name, [h])
      case 2: h = try builder.layerNormalization(h, name, size: 4)
      case 3: h = try builder.graph.apply(.binary(.add), name, [h, h])
      case 4: h = try builder.graph.apply(.binary(.add), name, [h, distinct])
      case 5: h = try builder.graph.apply(.softmax(axis: generator.next() % 2 == 0 ? 1 : 2), name, [h])
      case 6:
        let mean = try builder.graph.apply(.reduceMean(axes: [generator.next() % 2 == 0 ? 1 : 2], keepDimensions: true), name, [h])
        h = try builder.graph.apply(.binary(.subtract), name + ".sub", [h, mean])
        h = try builder.graph.apply(.binary(.add), name + ".shift", [h, try builder.parameter(name + ".p", [4], bound: 1)])
      case 7:
        let turned = try builder.graph.apply(.transpose(permutation: [0, 2, 1]), name, [h])
        h = try builder.graph.apply(.transpose(permutation: [0, 2, 1]), name + ".back", [turned])
      default:
        let other = try builder.graph.apply(.transpose(permutation: [0, 2, 1]), name + ".t", [h])
        h = try builder.graph.apply(.matMul, name, [try builder.graph.apply(.matMul, name + ".s", [h, other]), h])
      }
    }
    if generator.next() % 2 == 0 { h = try builder.graph.apply(.slice(axes: [1], starts: [1], ends: [3], steps: [1]), "slice", [h]) }
    builder.graph.outputs = [try builder.graph.apply(.binary(.add), "last", [h, try builder.parameter("last.p", [4], bound: 1)])]
    let sunk = try builder.graph.rewritten(by: [SinkBroadcast.self])
    try sunk.validate()
    let before = try firstOutput(builder.graph)
    #expect(before.norm > 0.1)
    #expect(try firstOutput(sunk).relativeDistance(to: before) < 1e-9)
    // Whatever the first operation is, it stands on copies: it must have been computed once, or have told the copies apart.
    let first = try #require(sunk.nodes.first)
    #expect(first.name != "expand" || first.operation != .expand([.rows, .fixed(3), .fixed(4)]), "nothing was sunk")
  }
}
