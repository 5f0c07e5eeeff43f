import GPUModel
import Glibc
import ModelGraph
import ONNXFormat
import Planning
import Testing

/// One entry in an operators' table is enough: reader, writer, shapes, the reference evaluator, plans and plan files follow from it, for the
/// entries that there are and for the next one.
@Suite struct OperatorTableTests {
  private static var operations: [ModelGraph.Operation] {
    // A file has no operator for a value's second name.
    UnaryOperation.allCases.filter { $0 != .identity }.map { .unary($0) } + BinaryOperation.allCases.map { .binary($0) }
      + Reduction.allCases.filter { $0 != .mean }.map { .reduce($0, axes: [1], keepDimensions: true) }
      + AttributedFunction.allCases.map { .attributed($0, 0.5, $0.attributes.count > 1 ? 0.25 : 0) }
      + OperatorDefinition.all.compactMap { definition in
        DefinedOperator(definition, Self.attributes[definition.name] ?? [:]).map { .defined($0) }
      }
  }

  /// Attributes of the definitions that need some: those without usual values, and some that files pass as inputs.
  private static let attributes: [String: [String: OperatorAttribute.Content]] = [
    "CumSum": ["axis": .integer(1), "reverse": .integer(1)], "Tile": ["repeats": .integers([.fixed(1), .fixed(2)])],
    "Pad": ["pads": .integers([.fixed(0), .fixed(1), .fixed(0), .fixed(2)]), "value": .real(-.infinity)],
    "DepthToSpace": ["blocksize": .integer(2)], "SpaceToDepth": ["blocksize": .integer(2)], "OneHot": ["depth": .integer(3)],
    "TopK": ["k": .integers([.fixed(2)])], "GroupNormalization": ["num_groups": .integer(2)],
  ]

  /// Shapes of the inputs of those that do not take any.
  private static let shapes: [String: [Shape]] = {
    // Blocks are of planes.
    let plane: Shape = [.rows, .fixed(4), .fixed(2), .fixed(2)]
    let (rows, places, channels): (Shape, Shape, Shape) = ([.rows, .fixed(6)], [.rows, .fixed(1)], [.fixed(4)])
    return [
      "DepthToSpace": [plane], "SpaceToDepth": [plane], "GatherND": [rows, places], "ScatterND": [rows, places, rows],
      "OneHot": [rows, [.fixed(2)]], "RMSNormalization": [rows, [.fixed(6)]], "InstanceNormalization": [plane, channels, channels],
      "GroupNormalization": [plane, channels, channels], "BatchNormalization": [plane, channels, channels, channels, channels],
    ]
  }()

  private func temporaryPath(_ name: String) -> String {
    "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/headroom-\(getpid())-\(name)"
  }

  private static func graph(_ operation: ModelGraph.Operation) throws -> Graph {
    var graph = Graph(name: "one")
    var (count, indices): (Int, Int?) = (1, nil)
    if case .binary = operation { count = 2 }
    if case .defined(let defined) = operation {
      count = defined.definition.inputCount
      if case .indexed(let indexing) = defined.definition.form { indices = indexing.indices }
    }
    let shapes = Self.shapes[operation.name] ?? (0..<count).map { _ in [.rows, .fixed(6)] }
    let inputs = shapes.enumerated().map { graph.addInput("x\($0)", $0 == indices ? .int64 : .float32, $1) }
    graph.outputs = try graph.append(operation, "y", inputs.map { $0 })
    return graph
  }

  @Test(arguments: operations.indices) func everyEntryReachesEveryPlace(index: Int) throws {
    let operation = Self.operations[index]
    let graph = try Self.graph(operation)
    // Through a file and back, with its attributes.
    let read = try ONNXReader.read(ArrayStorage(try ONNXWriter.write(graph)), file: "m.onnx")
    #expect(read.nodes.map(\.operation) == [operation])
    // By definition, and with the shape that was inferred.
    var given: [String: DenseArray] = [:]
    for id in graph.inputs {
      let shape = try #require(Shapes.sizes(graph[id].shape, rows: 2))
      let x: DenseArray = try #require(DenseArray(shape: shape, values: (0..<shape.reduce(1, *)).map { Double($0) / 8 + 0.125 }))
      given[graph[id].name] = x
    }
    let result = try ReferenceEvaluator.evaluate(graph, inputs: given)
    #expect(result.count == graph.outputs.count && result.allSatisfy { $0.values.allSatisfy { !$0.isNaN } })
    // In a plan it is a kernel, and a plan's file gives it back.
    let gpu = try GPUCatalogue().find("h200").gpu
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    let plan = try PlanBuilder(model: model, type: .fp16).plan(graph)
    #expect(try plan.at(rows: 2).launches.count == 1)
    let path = temporaryPath("one-\(index).plan")
    defer { unlink(path) }
    try PlanFile.write(plan, to: path)
    let again = try PlanFile.read(path)
    #expect(again.graph.nodes.map(\.operation) == [operation])
  }

  /// No definition is left out above, and none hides an operator of another table.
  @Test func everyDefinitionHasASample() {
    #expect(Self.operations.count { if case .defined = $0 { true } else { false } } == OperatorDefinition.all.count)
    #expect(Set(OperatorDefinition.all.map(\.name)).count == OperatorDefinition.all.count)
    for definition in OperatorDefinition.all {
      #expect(UnaryOperation(onnxName: definition.name) == nil && Reduction(onnxName: definition.name) == nil)
      #expect(BinaryOperation(onnxName: definition.name) == nil && AttributedFunction(onnxName: definition.name) == nil)
    }
  }

  @Test func attributesThatAFileLeavesOutHaveTheirUsualValues() throws {
    for function in AttributedFunction.allCases {
      #expect(!function.attributes.isEmpty && function.attributes.count <= 2, "an operation holds two")
      #expect(AttributedFunction(onnxName: function.onnxName) == function)
      #expect(UnaryOperation(onnxName: function.onnxName) == nil && Reduction(onnxName: function.onnxName) == nil)
    }
  }
}
