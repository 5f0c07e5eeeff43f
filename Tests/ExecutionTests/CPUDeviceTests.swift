import Execution
import Dispatch
import ModelGraph
import OperatorSamples
import Synchronization
import Testing
import TimeBase

/// Runs graphs on the CPU device and compares with the Double reference.
@Suite struct CPUDeviceTests {
  static let levels = CPUDeviceOptions.Level.allCases.filter { $0 <= .best }

  /// The device's float outputs and the reference's, for random inputs.
  static func compare(
    _ graph: Graph, rows: Int, level: CPUDeviceOptions.Level = .best, threads: Int = 2, precision: LoadOptions.Precision = .fp32,
    seed: UInt64 = 7
  ) throws -> (worst: Double, scale: Double) {
    let device = try CPUDevice(CPUDeviceOptions(threads: threads, engine: .own, level: level))
    let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: rows, precision: precision))
    return try compare(graph, model, try model.makeInstance(), rows: rows, seed: seed)
  }

  static func compare(_ graph: Graph, _ model: any LoadedModel, _ instance: any ModelInstance, rows: Int, seed: UInt64) throws -> (
    worst: Double, scale: Double
  ) {
    var generator = SplitMix64(seed: seed)
    var inputs: [String: DenseArray] = [:]
    var shapes: [[Int]] = []
    for id in graph.inputs {
      let shape = try #require(Shapes.sizes(graph[id].shape, rows: rows))
      shapes.append(shape)
      let count = shape.reduce(1, *)
      let values: [Double] =
        graph[id].type == .float32
        ? (0..<count).map { _ in Double(Float(generator.nextUnitDouble() * 2 - 1)) }
        : (0..<count).map { _ in graph[id].type == .bool ? Double(generator.next() % 2) : Double(generator.next() % 5) }
      inputs[graph[id].name] = DenseArray(shape: shape, values: values)
    }
    let slot = try instance.prepare(shapes)
    for (index, id) in graph.inputs.enumerated() {
      let values = try #require(inputs[graph[id].name]).values
      let memory = slot.inputs[index].memory
      for (place, value) in values.enumerated() {
        switch graph[id].type {
        case .float32: memory.storeBytes(of: Float(value), toByteOffset: place * 4, as: Float.self)
        case .int64: memory.storeBytes(of: Int64(value), toByteOffset: place * 8, as: Int64.self)
        case .int32: memory.storeBytes(of: Int32(value), toByteOffset: place * 4, as: Int32.self)
        default: memory.storeBytes(of: UInt8(value), toByteOffset: place, as: UInt8.self)
        }
      }
    }
    let failure = Mutex<DeviceError?>(nil)
    instance.run(slot, events: nil) { result in
      if case .failure(let error) = result { failure.withLock { $0 = error } }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    let expected = try ReferenceEvaluator.evaluate(graph, inputs: inputs)
    var (worst, scale) = (0.0, 1e-30)
    for (index, id) in graph.outputs.enumerated() {
      #expect(slot.outputs[index].shape == expected[index].shape)
      for (place, value) in expected[index].values.enumerated() {
        let memory = slot.outputs[index].memory
        let got: Double =
          switch graph[id].type {
          case .float32: Double(memory.load(fromByteOffset: place * 4, as: Float.self))
          case .int64: Double(memory.load(fromByteOffset: place * 8, as: Int64.self))
          case .int32: Double(memory.load(fromByteOffset: place * 4, as: Int32.self))
          default: Double(memory.load(fromByteOffset: place, as: UInt8.self))
          }
        worst = max(worst, abs(got - value))
        scale = max(scale, abs(value))
        if got.isNaN != value.isNaN { worst = .infinity }
      }
    }
    return (worst, scale)
  }

  /// x [rows, k] -> linear with a bias that matters -> activation.
  static func linear(_ k: Int, _ n: Int, _ operation: UnaryOperation, isTransposed: Bool = false, layers: Int = 1) throws -> Graph {
    var graph = Graph(name: "linear")
    var generator = SplitMix64(seed: UInt64(clamping: k * 1000 + n))
    func tensor(_ shape: [Int], _ size: Double) throws -> Tensor {
      try #require(Tensor(float32: (0..<shape.reduce(1, *)).map { _ in Float((generator.nextUnitDouble() * 2 - 1) * size) }, shape: shape))
    }
    var value = graph.addInput("x", .float32, [.rows, .fixed(k)])
    for layer in 0..<layers {
      let width = layer == 0 ? k : n
      let weight = graph.addConstant("w\(layer)", try tensor(isTransposed ? [n, width] : [width, n], 1 / Double(width).squareRoot()))
      let bias = graph.addConstant("b\(layer)", try tensor([n], 1))
      value = try graph.apply(.gemm(alpha: 1, beta: 1, transposeA: false, transposeB: isTransposed), "fc\(layer)", [value, weight, bias])
      value = try graph.apply(.unary(operation), "act\(layer)", [value])
    }
    graph.outputs = [value]
    return graph
  }

  @Test(arguments: levels)
  func everyNumberOfRowsAndEveryEdge(level: CPUDeviceOptions.Level) throws {
    for rows in [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 24, 25, 37, 40] {
      for (k, n) in [(1, 1), (7, 5), (33, 31), (64, 32), (65, 33), (40, 47), (129, 130)] {
        let (worst, scale) = try Self.compare(try Self.linear(k, n, .relu, isTransposed: rows % 2 == 0), rows: rows, level: level)
        #expect(worst <= 1e-5 * scale, "\(level) \(rows) x \(k) x \(n): \(worst) of \(scale)")
      }
    }
  }

  /// No rows, no work, and an empty answer; the next batch is computed as ever.
  @Test func aBatchWithoutRowsIsEmpty() async throws {
    let model = try CPUDevice(CPUDeviceOptions(threads: 1)).load(
      .graph(try Self.linear(3, 2, .relu)), LoadOptions(maximumBatchRows: 4))
    let instance = try model.makeInstance()
    for rows in [0, 2, 0, 0, 1] {
      let slot = try instance.prepare([[rows, 3]])
      #expect(slot.inputs.map(\.memory.count) == [rows * 12])
      let result = await withCheckedContinuation { continuation in
        instance.run(slot, events: nil) { continuation.resume(returning: $0) }
      }
      #expect(throws: Never.self) { try result.get() }
      #expect(slot.outputs.map(\.shape) == [[rows, 2]] && slot.outputs.map(\.memory.count) == [rows * 8])
    }
    #expect(throws: DeviceError.self) { try instance.prepare([[0, 4]]) }
  }

  @Test(arguments: levels)
  func manyRowsAreCutIntoBlocks(level: CPUDeviceOptions.Level) throws {
    for rows in [96, 97, 200, 383, 385, 500] {
      let (worst, scale) = try Self.compare(try Self.linear(20, 70, .identity), rows: rows, level: level)
      #expect(worst <= 1e-5 * scale, "\(rows): \(worst)")
    }
  }

  @Test(arguments: [UnaryOperation.relu, .gelu, .geluTanh, .tanh, .sigmoid, .erf, .squareRoot, .identity])
  func everyActivation(operation: UnaryOperation) throws {
    for level in Self.levels {
      let graph = try Self.linear(24, 50, operation == .squareRoot ? .sigmoid : operation)
      let (worst, scale) = try Self.compare(graph, rows: 9, level: level)
      #expect(worst <= 1e-5 * scale, "\(level) \(operation): \(worst) of \(scale)")
    }
  }

  /// Functions in tight loops, over inputs from -3 to 3 (above zero for those that are nothing below).
  @Test(arguments: UnaryOperation.allCases)
  func everyFunction(operation: UnaryOperation) throws {
    var graph = Graph(name: "function")
    let x = graph.addInput("x", .float32, [.rows, .fixed(37)])
    let three = graph.addConstant("three", try #require(Tensor(float32: [3], shape: [1])))
    var value = try graph.apply(.binary(.multiply), "wide", [x, three])
    if [.logarithm, .squareRoot, .reciprocal].contains(operation) {
      let small = graph.addConstant("small", try #require(Tensor(float32: [0.25], shape: [1])))
      value = try graph.apply(.binary(.add), "positive", [try graph.apply(.unary(.absolute), "absolute", [value]), small])
    }
    graph.outputs = [try graph.apply(.unary(operation), "y", [value])]
    let (worst, scale) = try Self.compare(graph, rows: 9)
    #expect(worst <= 1e-5 * scale, "\(operation): \(worst) of \(scale)")
    #expect(scale > 0.5)
  }

  @Test(arguments: AttributedFunction.allCases) func everyFunctionWithAttributes(function: AttributedFunction) throws {
    let usual = function.attributes.map(\.usual)
    for (first, second) in [(usual[0], usual.dropFirst().first ?? 0), (0.7, 0.3), (-0.5, 1.5)] {
      var graph = Graph(name: "attributed")
      let x = graph.addInput("x", .float32, [.rows, .fixed(37)])
      graph.outputs = [try graph.apply(.attributed(function, first, second), "y", [x])]
      let (worst, scale) = try Self.compare(graph, rows: 9)
      #expect(worst <= 1e-6 * max(1, scale), "\(function) \(first) \(second): \(worst) of \(scale)")
    }
  }

  @Test func boundsSlopesAndExtremes() throws {
    for operation in [
      ModelGraph.Operation.clip(minimum: -0.25, maximum: 0.5), .clip(minimum: -.infinity, maximum: 0), .clip(minimum: 0.75, maximum: 0.25),
    ] {
      var graph = Graph(name: "bounds")
      let x = graph.addInput("x", .float32, [.rows, .fixed(21)])
      graph.outputs = [try graph.apply(operation, "y", [x])]
      let (worst, scale) = try Self.compare(graph, rows: 5)
      #expect(worst <= 1e-6 && scale > 0.1, "\(operation): \(worst) of \(scale)")
    }
    for operation in [BinaryOperation.minimum, .maximum] {
      for type in [DataType.float32, .int64, .int32] {
        var graph = Graph(name: "extremes")
        let (x, z) = (graph.addInput("x", type, [.rows, .fixed(21)]), graph.addInput("z", type, [.fixed(21)]))
        graph.outputs = [try graph.apply(.binary(operation), "y", [x, z])]
        let (worst, _) = try Self.compare(graph, rows: 5)
        #expect(worst == 0, "\(operation) of \(type)")
      }
    }
  }

  /// Operators with a definition: what the device has a loop for, or copies, of inputs that lie as they are and of transposed ones.
  @Test(arguments: OperatorSample.all.indices) func everyDefinition(index: Int) throws {
    let sample = OperatorSample.all[index]
    for isTransposed in [false, true] {
      let (worst, scale) = try Self.compare(try sample.graph(isTransposed: isTransposed), rows: 3)
      #expect(worst <= 1e-5 * max(1, scale), "\(sample) \(worst) of \(scale)")
    }
  }

  @Test func everyDefinitionHasASample() {
    #expect(Set(OperatorSample.all.map(\.name)) == Set(OperatorDefinition.all.map(\.name)))
  }

  /// An index that leads nowhere fails its batch, on whichever side it is; one that repeats adds nothing here, and is refused beforehand.
  @Test(arguments: [(4, true), (5, false), (-5, true), (-6, false)]) func indicesOutOfRange(index: Int64, isValid: Bool) throws {
    for sample in [
      OperatorSample("GatherElements", ["axis": .integer(2)], others: [.repeated([index], [1, 1])]),
      OperatorSample("GatherND", [:], others: [.known([0, 0, index], [1, 3])]),
      OperatorSample("ScatterND", [:], others: [.known([0, 0, index], [1, 3]), .parameter([1])]),
    ] {
      let graph = try sample.graph()
      if isValid {
        #expect(try Self.compare(graph, rows: 1).worst == 0, "\(sample)")
      } else {
        let failure = #expect(throws: DeviceError.self) { try Self.compare(graph, rows: 1) }
        #expect(failure?.kind == .badInput, "\(sample)")
      }
    }
    let sums = OperatorSample(
      "ScatterND", ["reduction": .text("add")], others: [.known([0], [1, 1]), .parameter([1, 3, 5])])
    let failure = #expect(throws: DeviceError.self) { try Self.compare(try sums.graph(), rows: 1) }
    #expect(failure?.kind == .unsupported)
  }

  /// What moves only is any type's, and an empty batch is one.
  @Test func movesAreOfAnyTypeAndOfNothing() throws {
    for type in [DataType.int64, .int32, .bool] {
      for sample in OperatorSample.all where sample.movesAnyType {
        let (worst, _) = try Self.compare(try sample.graph(type: type), rows: 2)
        #expect(worst == 0, "\(sample) of \(type)")
      }
    }
    for sample in OperatorSample.all where sample.runsWithoutRows {
      let (worst, _) = try Self.compare(try sample.graph(), rows: 0)
      #expect(worst == 0)
    }
  }

  /// Every reduction over the first, the middle, the last, neighbouring and separate axes, kept and not.
  @Test(arguments: Reduction.allCases) func everyReduction(reduction: Reduction) throws {
    for axes in [[1], [2], [3], [-1], [1, 2], [2, 3], [1, 3], [0], [0, 1, 2, 3]] {
      for keep in [true, false] {
        var graph = Graph(name: "reduction")
        let x = graph.addInput("x", .float32, [.rows, .fixed(3), .fixed(5), .fixed(4)])
        // A logarithm of a sum needs one above zero.
        let positive = try graph.apply(.unary(.exponential), "e", [x])
        graph.outputs = [try graph.apply(.reduce(reduction, axes: axes, keepDimensions: keep), "y", [positive])]
        let (worst, scale) = try Self.compare(graph, rows: 2)
        #expect(worst <= 1e-5 * scale, "\(reduction) over \(axes): \(worst) of \(scale)")
      }
    }
  }

  /// What ONNX Runtime answers to what is not a number, and to sums of great numbers.
  @Test func reductionsOfWhatIsNoNumber() throws {
    func run(_ operation: ModelGraph.Operation, _ values: [Float]) throws -> Float {
      var graph = Graph(name: "t")
      let x = graph.addInput("x", .float32, [.fixed(values.count)])
      graph.outputs = [try graph.apply(operation, "y", [x])]
      let model = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own)).load(.graph(graph), LoadOptions(maximumBatchRows: 0))
      let instance = try model.makeInstance()
      let slot = try instance.prepare([[values.count]])
      for (place, value) in values.enumerated() { slot.inputs[0].memory.storeBytes(of: value, toByteOffset: place * 4, as: Float.self) }
      instance.run(slot, events: nil) { _ in }
      return slot.outputs[0].memory.load(as: Float.self)
    }
    for reduction in [Reduction.maximum, .minimum, .sum, .logarithmOfSumOfExponentials] {
      #expect(try run(.reduce(reduction, axes: [0], keepDimensions: false), [1, .nan, 3]).isNaN, "\(reduction)")
    }
    #expect(try run(.reduce(.logarithmOfSumOfExponentials, axes: [0], keepDimensions: false), [1000, 1000]) == 1000 + 0.6931472)
    #expect(try run(.clip(minimum: 0, maximum: 1), [.nan]).isNaN)
    #expect(try run(.unary(.softplus), [100]) == 100)
  }

  @Test func sixteenBitWeights() throws {
    for rows in [1, 3, 8, 13, 40] {
      let graph = try Self.linear(65, 70, .relu, layers: 2)
      let half = try Self.compare(graph, rows: rows, precision: .fp16)
      #expect(half.worst <= 2e-3 * half.scale, "fp16, \(rows) rows: \(half.worst) of \(half.scale)")
      guard CPUDeviceOptions.Level.best >= .avx512bf16 else { continue }
      let brain = try Self.compare(graph, rows: rows, precision: .bf16)
      #expect(brain.worst <= 2e-2 * brain.scale, "bf16, \(rows) rows: \(brain.worst) of \(brain.scale)")
      #expect(brain.worst > 1e-6 * brain.scale, "bf16 cannot be this exact: did fp32 run?")
    }
  }

  @Test(arguments: [
    BuiltInHead.linear(layers: 4, hidden: 48), .stacked(layers: 3, hidden: 40, heads: 3), .seqlen(layers: 4, hidden: 36, sequence: 7),
    .encoder(layers: 2, hidden: 32, heads: 2, sequence: 12),
  ])
  func builtInHeads(head: BuiltInHead) throws {
    let graph = try head.graph(seed: 3)
    for level in Self.levels {
      for rows in [1, 2, 5, 17] {
        let (worst, scale) = try Self.compare(graph, rows: rows, level: level)
        #expect(worst <= 1e-5 * max(scale, 1), "\(head.name) \(level) \(rows) rows: \(worst) of \(scale)")
      }
    }
  }

  @Test func oneModelServesManyInstancesAtOnce() throws {
    let graph = try BuiltInHead.linear(layers: 3, hidden: 64).graph(seed: 5)
    let device = try CPUDevice(CPUDeviceOptions(threads: 2, engine: .own))
    let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 64))
    let instances = try (0..<3).map { _ in try model.makeInstance() }
    let worst = Mutex(0.0)
    let failures = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 3) { index in
      for (round, rows) in [1, 40, 3, 17, 64, 2].enumerated() {
        do {
          let result = try Self.compare(graph, model, instances[index], rows: rows, seed: UInt64(clamping: index * 10 + round))
          worst.withLock { $0 = max($0, result.worst / result.scale) }
        } catch { failures.withLock { $0.append("\(error)") } }
      }
    }
    #expect(failures.withLock { $0 } == [])
    #expect(worst.withLock { $0 } <= 1e-5)
  }

  @Test func shapesThatDoNotFitAreRefused() throws {
    let graph = try Self.linear(8, 4, .relu)
    let model = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own)).load(.graph(graph), LoadOptions(maximumBatchRows: 4))
    let instance = try model.makeInstance()
    #expect(throws: DeviceError.self) { try instance.prepare([[2, 9]]) }
    #expect(throws: DeviceError.self) { try instance.prepare([[0, 9]]) }
    // Nothing to compute is answered with nothing.
    let empty = try instance.prepare([[0, 8]])
    #expect(empty.inputs[0].memory.isEmpty && empty.outputs[0].shape == [0, 4] && empty.outputs[0].memory.isEmpty)
    #expect(throws: DeviceError.self) { try instance.prepare([]) }
    #expect(throws: DeviceError.self) { try instance.prepare([[1 << 50, 8]]) }
    #expect(try instance.prepare([[2, 8]]).inputs[0].memory.count == 64)
  }
}
