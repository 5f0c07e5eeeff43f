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
  }

  private func temporaryPath(_ name: String) -> String {
    "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/headroom-\(getpid())-\(name)"
  }

  private static func graph(_ operation: ModelGraph.Operation) throws -> Graph {
    var graph = Graph(name: "one")
    let x = graph.addInput("x", .float32, [.rows, .fixed(6)])
    var inputs = [x]
    if case .binary = operation { inputs.append(graph.addInput("z", .float32, [.rows, .fixed(6)])) }
    graph.outputs = [try graph.apply(operation, "y", inputs.map { $0 })]
    return graph
  }

  @Test(arguments: operations.indices) func everyEntryReachesEveryPlace(index: Int) throws {
    let operation = Self.operations[index]
    let graph = try Self.graph(operation)
    // Through a file and back, with its attributes.
    let read = try ONNXReader.read(ArrayStorage(try ONNXWriter.write(graph)), file: "m.onnx")
    #expect(read.nodes.map(\.operation) == [operation])
    // By definition, and with the shape that was inferred.
    let x = try #require(DenseArray(shape: [2, 6], values: (0..<12).map { Double($0) / 8 + 0.125 }))
    let result = try ReferenceEvaluator.evaluate(graph, inputs: ["x": x, "z": x])
    #expect(result.count == 1 && result[0].values.allSatisfy(\.isFinite))
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

  @Test func attributesThatAFileLeavesOutHaveTheirUsualValues() throws {
    for function in AttributedFunction.allCases {
      #expect(!function.attributes.isEmpty && function.attributes.count <= 2, "an operation holds two")
      #expect(AttributedFunction(onnxName: function.onnxName) == function)
      #expect(UnaryOperation(onnxName: function.onnxName) == nil && Reduction(onnxName: function.onnxName) == nil)
    }
  }
}
