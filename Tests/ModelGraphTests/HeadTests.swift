import Testing

@testable import ModelGraph

@Suite struct HeadTests {
  @Test func parameterCountsAreThoseOfTheLayers() throws {
    let layer = 1024 * 1024 + 1024
    let last = 1024 * 2 + 2
    #expect(try BuiltInHead.linear().graph().parameterCount == 20 * layer + last)
    #expect(try BuiltInHead.stacked().graph().parameterCount == 5 * (20 * layer + last))
    #expect(try BuiltInHead.seqlen().graph().parameterCount == 19 * (layer + 2 * 1024) + last)
  }

  @Test func commandsNameSizesThatAreNotTheUsualOnes() {
    #expect(BuiltInHead.seqlen().command == "seqlen" && BuiltInHead.linear(layers: 4).command == "linear --layers 4")
    #expect(
      BuiltInHead.encoder(layers: 6, hidden: 64, heads: 4, sequence: 32).command == "encoder --layers 6 --hidden 64 --heads 4 --sequence 32"
    )
  }

  /// The case study's forward, written out with loops, against the graph.
  @Test func seqlenComputesTheDocumentsForward() throws {
    let (hidden, layers) = (8, 5)
    let graph = try BuiltInHead.seqlen(layers: layers, hidden: hidden, sequence: 4).graph()
    let x = try #require(try sampleInputs(graph, rows: 3)["x"])
    func constant(_ name: String) throws -> [Double] {
      try #require(graph.constants.first { graph[$0.key].name == name }?.value.doubles)
    }
    func linear(_ x: [Double], _ name: String) throws -> [Double] {
      let (weight, bias) = (try constant(name + ".weight"), try constant(name + ".bias"))
      return bias.indices.map { out in bias[out] + x.indices.reduce(0) { $0 + x[$1] * weight[out * x.count + $1] } }
    }
    func norm(_ x: [Double], _ name: String) throws -> [Double] {
      let (scale, bias) = (try constant(name + ".weight"), try constant(name + ".bias"))
      let mean = x.reduce(0, +) / Double(x.count)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
      let epsilon = Double(Float(1e-5))
      return x.indices.map { (x[$0] - mean) / (variance + epsilon).squareRoot() * scale[$0] + bias[$0] }
    }
    var expected: [Double] = []
    for row in 0..<3 {
      var h = Array(x.values[(row * hidden)..<((row + 1) * hidden)])
      h = try norm(linear(h, "proj_in"), "ln_in").map { max(0, $0) }
      for layer in 0..<(layers - 2) { h = try norm(linear(h, "mid_layers.\(layer)"), "mid_norms.\(layer)").map { max(0, $0) } }
      expected += try linear(h, "proj_out")
    }
    let wanted = try #require(DenseArray(shape: [3, 2], values: expected))
    let result = try firstOutput(graph)
    #expect(result.norm > 0.1)
    #expect(result.relativeDistance(to: wanted) < 1e-12)
  }

  /// Each head of the stack, computed alone with loops from its own slice of the parameters.
  @Test func stackedIsItsHeadsSideBySide() throws {
    let (layers, hidden, heads) = (2, 6, 3)
    let graph = try BuiltInHead.stacked(layers: layers, hidden: hidden, heads: heads).graph()
    let x = try #require(try sampleInputs(graph, rows: 2)["x"])
    func constant(_ name: String) throws -> [Double] { try #require(graph.constants.first { graph[$0.key].name == name }?.value.doubles) }
    var expected: [Double] = []
    for head in 0..<heads {
      for row in 0..<2 {
        var h = Array(x.values[(row * hidden)..<((row + 1) * hidden)])
        for layer in 0...layers {
          let (name, outputs) = layer == layers ? ("proj_out", 2) : ("layers.\(layer)", hidden)
          let (weight, bias) = (try constant(name + ".weight"), try constant(name + ".bias"))
          h = (0..<outputs).map { out in
            let sum = (0..<hidden).reduce(bias[head * outputs + out]) { $0 + h[$1] * weight[(head * hidden + $1) * outputs + out] }
            return layer == layers ? sum : max(0, sum)
          }
        }
        expected += h
      }
    }
    let wanted = try #require(DenseArray(shape: [heads, 2, 2], values: expected))
    #expect(wanted.norm > 0.1)
    #expect(try firstOutput(graph, rows: 2).relativeDistance(to: wanted) < 1e-12)
  }

  @Test func deepHeadsNeitherVanishNorExplode() throws {
    for head in [BuiltInHead.linear(layers: 20, hidden: 64), .seqlen(layers: 20, hidden: 64, sequence: 2)] {
      let norm = try firstOutput(head.graph()).norm
      #expect(norm > 0.1 && norm < 100, "\(head): norm \(norm)")
    }
  }

  @Test func droppingALayerOrABiasChangesTheOutput() throws {
    let whole = try firstOutput(BuiltInHead.linear(layers: 6, hidden: 32).graph())
    let shorter = try firstOutput(BuiltInHead.linear(layers: 5, hidden: 32).graph())
    #expect(shorter.relativeDistance(to: whole) > 0.01)
  }

  @Test func theSameSeedGivesTheSameBits() throws {
    func bytes(_ seed: UInt64) throws -> [[UInt8]] {
      try BuiltInHead.linear(layers: 2, hidden: 8).graph(seed: seed).constants.sorted { $0.key < $1.key }.map {
        $0.value.storage.withBytes(Array.init)
      }
    }
    #expect(try bytes(1) == bytes(1))
    #expect(try bytes(1) != bytes(2))
  }

  @Test func encoderRunsAndIsNormalized() throws {
    let graph = try BuiltInHead.encoder(layers: 2, hidden: 16, heads: 2, sequence: 5).graph()
    try graph.validate()
    let result = try firstOutput(graph)
    #expect(result.shape == [3, 5, 16])
    #expect(result.norm > 0.1)
  }

  @Test func impossibleSizesAreRefused() {
    #expect(throws: GraphError.self) { try BuiltInHead.linear(layers: 0).graph() }
    #expect(throws: GraphError.self) { try BuiltInHead.encoder(hidden: 10, heads: 3).graph() }
    #expect(throws: GraphError.self) { try BuiltInHead.linear(hidden: 1 << 30).graph() }
    #expect(throws: GraphError.self) { try BuiltInHead.seqlen(layers: 1).graph() }
  }
}
