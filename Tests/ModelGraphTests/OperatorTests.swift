import Testing

@testable import ModelGraph

/// Every operator against values worked out by hand, and its shape rule along with it: the evaluator refuses a result of another shape.
@Suite struct OperatorTests {
  /// Applies an operation to constants and one input of fixed shape.
  func run(_ operation: ModelGraph.Operation, _ x: [Double], _ shape: [Int], _ others: [([Float], [Int])] = [], type: DataType = .float32)
    throws
    -> DenseArray
  {
    var graph = Graph(name: "t")
    let parameter = graph.addInput("x", type, shape.map { .fixed($0) })
    var inputs: [ValueID?] = [parameter]
    for (index, other) in others.enumerated() { inputs.append(try graph.constant("c\(index)", other.0, other.1)) }
    graph.outputs = [try graph.apply(operation, "op", inputs)]
    try graph.validate()
    let input = try #require(DenseArray(shape: shape, values: x))
    return try #require(try ReferenceEvaluator.evaluate(graph, inputs: ["x": input]).first)
  }

  @Test func matMulBroadcastsLeadingDimensions() throws {
    // Two matrices [1 2] and [3 4] against one column [10, 100].
    #expect(try run(.matMul, [1, 2, 3, 4], [2, 1, 2], [([10, 100], [2, 1])]).values == [210, 430])
  }

  @Test func gemmScalesTransposesAndAdds() throws {
    // A^T = [[1, 3], [2, 4]]; A^T * [1, 1] = [4, 6]; 2 * that + 3 * 10.
    let result = try run(
      .gemm(alpha: 2, beta: 3, transposeA: true, transposeB: true), [1, 2, 3, 4], [2, 2], [([1, 1], [1, 2]), ([10], [1])])
    #expect(result.values == [38, 42])
  }

  @Test(
    arguments: [
      (BinaryOperation.add, [4.0, 6.0]), (.subtract, [-2.0, -2.0]), (.multiply, [3.0, 8.0]), (.divide, [1.0 / 3, 0.5]),
      (.power, [1.0, 16.0]), (.minimum, [1.0, 2.0]), (.maximum, [3.0, 4.0]),
    ] as [(BinaryOperation, [Double])])
  func arithmetic(operation: BinaryOperation, expected: [Double]) throws {
    #expect(try run(.binary(operation), [1, 2], [2], [([3, 4], [2])]).values == expected)
  }

  @Test(
    arguments: [
      (UnaryOperation.squareRoot, 4.0, 2.0), (.relu, -1, 0), (.relu, 2, 2), (.identity, 7, 7), (.erf, 0.5, 0.5204998778130465),
      (.tanh, 0.5, 0.46211715726000973), (.sigmoid, 0, 0.5), (.gelu, 1, 0.8413447460685429), (.geluTanh, 1, 0.8411919906082768),
      (.absolute, -2, 2), (.negate, 3, -3), (.exponential, 1, 2.718281828459045), (.logarithm, 10, 2.302585092994046),
      (.reciprocal, 4, 0.25),
      (.floor, -1.5, -2), (.ceiling, -1.5, -1), (.round, 2.5, 2), (.round, -1.5, -2), (.sign, -3, -1), (.sign, 0, 0),
      (.sine, 1, 0.8414709848078965), (.cosine, 1, 0.5403023058681398), (.softplus, 1, 1.3132616875182228), (.softplus, 1000, 1000),
      (.softsign, -3, -0.75), (.hardSwish, 1, 2.0 / 3), (.hardSwish, -4, 0), (.hardSwish, 4, 4),
    ] as [(UnaryOperation, Double, Double)])
  func functions(operation: UnaryOperation, x: Double, expected: Double) throws {
    let result = try run(.unary(operation), [x], [1]).values[0]
    #expect((result - expected).magnitude < 1e-12)
  }

  @Test(
    arguments: [
      (Reduction.sum, 6.0), (.mean, 2), (.maximum, 3), (.minimum, 1), (.product, 6), (.l1, 6), (.l2, 3.7416573867739413),
      (.sumOfSquares, 14),
      (.logarithmOfSum, 1.791759469228055), (.logarithmOfSumOfExponentials, 3.40760596444438),
    ] as [(Reduction, Double)])
  func reductions(reduction: Reduction, expected: Double) throws {
    let result = try run(.reduce(reduction, axes: [1], keepDimensions: true), [1, 2, 3], [1, 3])
    #expect(result.shape == [1, 1] && (result.values[0] - expected).magnitude < 1e-12)
  }

  @Test func boundsAndSlopes() throws {
    #expect(try run(.clip(minimum: 0, maximum: 6), [-1, 3, 9], [3]).values == [0, 3, 6])
    // ONNX: the larger of x and the minimum first, so that crossed bounds give the maximum.
    #expect(try run(.clip(minimum: 4, maximum: 2), [1, 3, 9], [3]).values == [2, 2, 2])
  }

  @Test(
    arguments: [
      (.leakyRelu, 0.5, 0, [-1, 0, 2]), (.elu, 1, 0, [-0.8646647167633873, 0, 2]), (.celu, 2, 0, [-1.2642411176571153, 0, 2]),
      (.selu, 2, 3, [-5.187988300580324, 0, 6]), (.hardSigmoid, 0.25, 0.5, [0, 0.5, 1]), (.thresholdedRelu, 1, 0, [0, 0, 2]),
    ] as [(AttributedFunction, Float, Float, [Double])])
  func functionsWithAttributes(function: AttributedFunction, first: Float, second: Float, expected: [Double]) throws {
    let result = try run(.attributed(function, first, second), [-2, 0, 2], [3]).values
    for (value, wanted) in zip(result, expected) { #expect((value - wanted).magnitude < 1e-12) }
  }

  @Test func attributesThatAreNoNumbersAreRefused() {
    #expect(throws: GraphError.self) { try run(.attributed(.elu, .nan, 0), [1], [1]) }
    #expect(throws: GraphError.self) { try run(.attributed(.celu, 0, 0), [1], [1]) }
  }

  @Test func softmaxSumsToOneAlongItsAxisAndDoesNotOverflow() throws {
    let result = try run(.softmax(axis: 0), [1000, 1, 1000, 1], [2, 2])
    #expect(result.values == [0.5, 0.5, 0.5, 0.5])
  }

  @Test func layerNormalizationUsesTheBiasedVariance() throws {
    let result = try run(.layerNormalization(axis: -1, epsilon: 0), [1, 3], [1, 2], [([2, 2], [2]), ([1, 1], [2])])
    #expect(result.values == [-1, 3])
  }

  @Test func shapesAreMoved() throws {
    #expect(try run(.transpose(permutation: [1, 0]), [1, 2, 3, 4, 5, 6], [2, 3]).values == [1, 4, 2, 5, 3, 6])
    #expect(try run(.expand([.fixed(2), .fixed(2)]), [1, 2], [1, 2]).values == [1, 2, 1, 2])
    #expect(try run(.reshape([.fixed(4)]), [1, 2, 3, 4], [2, 2]).shape == [4])
    #expect(try run(.flatten(axis: 1), [1, 2, 3, 4], [2, 1, 2]).shape == [2, 2])
    #expect(try run(.squeeze(axes: [-1]), [1, 2], [2, 1]).shape == [2])
    #expect(try run(.unsqueeze(axes: [0, 2]), [1, 2], [2]).shape == [1, 2, 1])
    #expect(try run(.reduceMean(axes: [0], keepDimensions: false), [1, 2, 3, 6], [2, 2]).values == [2, 4])
    #expect(try run(.concat(axis: 1), [1, 2], [2, 1], [([9, 8], [2, 1])]).values == [1, 9, 2, 8])
  }

  @Test func slicesFollowNumpy() throws {
    let x = (0..<6).map(Double.init)
    #expect(try run(.slice(axes: [0], starts: [-2], ends: [.max], steps: [1]), x, [6]).values == [4, 5])
    #expect(try run(.slice(axes: [0], starts: [5], ends: [.min], steps: [-2]), x, [6]).values == [5, 3, 1])
    #expect(try run(.slice(axes: [0], starts: [4], ends: [2], steps: [1]), x, [6]).values == [])
  }

  @Test func gatherSplitSelectAndCast() throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.fixed(2), .fixed(3)])
    let index = graph.addConstant("i", try #require(Tensor(int64: [-1, 0], shape: [2])))
    let gathered = try graph.apply(.gather(axis: 1), "gather", [x, index])
    let parts = try graph.append(.split(axis: 1, sizes: [1, 1]), "split", [gathered])
    let condition = try graph.apply(.cast(.bool), "cast", [x])
    let zero = try graph.constant("zero", [7], [1])
    let selected = try graph.apply(.select, "select", [condition, x, zero])
    graph.outputs = parts + [selected]
    try graph.validate()
    let input = try #require(DenseArray(shape: [2, 3], values: [0, 1, 2, 3, 0, 5]))
    let results = try ReferenceEvaluator.evaluate(graph, inputs: ["x": input])
    #expect(results.map(\.values) == [[2, 5], [0, 3], [7, 1, 2, 3, 7, 5]])
  }

  @Test func anIndexOutOfRangeIsAnError() throws {
    var graph = Graph(name: "t")
    let x = graph.addInput("x", .float32, [.fixed(2)])
    let index = graph.addConstant("i", try #require(Tensor(int64: [2], shape: [1])))
    graph.outputs = [try graph.apply(.gather(axis: 0), "g", [x, index])]
    let input = try #require(DenseArray(shape: [2], values: [0, 1]))
    #expect(throws: GraphError.self) { try ReferenceEvaluator.evaluate(graph, inputs: ["x": input]) }
  }

  @Test func elementTypesDecode() throws {
    let half = try #require(Tensor(type: .float16, shape: [4], storage: ArrayStorage([0x00, 0x3C, 0x01, 0x00, 0x00, 0xFC, 0xFF, 0x7B])))
    #expect(half.doubles == [1, 0x1p-24, -.infinity, 65504])
    let brain = try #require(Tensor(type: .bfloat16, shape: [1], storage: ArrayStorage([0x80, 0xBF])))
    #expect(brain.doubles == [-1])
    #expect(Tensor(type: .float32, shape: [2], storage: ArrayStorage([0])) == nil)
    #expect(Tensor(type: .float32, shape: [-1], storage: ArrayStorage([])) == nil)
    #expect(Tensor.elementCount(of: [1 << 40, 1 << 40]) == nil)
  }
}
