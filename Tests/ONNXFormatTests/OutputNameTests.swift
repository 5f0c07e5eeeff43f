import ModelGraph
import ProtobufWire
import Testing

@testable import ONNXFormat

/// Clients address outputs by name, and ONNX's names are those of graph.output (ONNX IR specification, "Graphs"), whatever wrote the value.
@Suite struct OutputNameTests {
  /// x [2] + w [2] -> h, then the nodes of a case, each of one input and one output.
  static func file(_ nodes: [(String, String, String)], outputs: [String]) -> [UInt8] {
    HostileFiles.model { graph in
      HostileFiles.node(&graph, "Add", ["x", "w"], ["h"])
      for (type, input, output) in nodes { HostileFiles.node(&graph, type, [input], [output]) }
      graph.message(5) { tensor in
        tensor.integer(1, 2)
        tensor.integer(2, 1)
        tensor.text(8, "w")
        tensor.bytes(9, [Float(10), 20].flatMap { value in withUnsafeBytes(of: value) { Array($0) } })
      }
      HostileFiles.value(&graph, 11, "x", [2])
      for output in outputs { HostileFiles.value(&graph, 12, output, [2]) }
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var nodes: [(String, String, String)]
    /// Name and first element for x = [1, 2].
    var outputs: [(String, Double)]
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "through Identity", nodes: [("Identity", "h", "answer")], outputs: [("answer", 11)]),
    Case(name: "through Dropout", nodes: [("Dropout", "h", "answer")], outputs: [("answer", 11)]),
    Case(name: "both of one tensor", nodes: [("Identity", "h", "answer")], outputs: [("answer", 11), ("h", 11)]),
    Case(name: "both, the other way", nodes: [("Identity", "h", "answer")], outputs: [("h", 11), ("answer", 11)]),
    Case(
      name: "two names", nodes: [("Identity", "h", "a"), ("Dropout", "a", "b"), ("Identity", "b", "c")], outputs: [("c", 11), ("a", 11)]),
    Case(name: "an input", nodes: [], outputs: [("x", 1), ("h", 11)]),
    Case(name: "an input under another name", nodes: [("Identity", "x", "same")], outputs: [("h", 11), ("same", 1)]),
    Case(name: "an input twice", nodes: [("Identity", "x", "same"), ("Identity", "x", "again")], outputs: [("same", 1), ("again", 1)]),
    Case(name: "a constant", nodes: [], outputs: [("w", 10), ("h", 11)]),
    Case(name: "a constant under another name", nodes: [("Identity", "w", "table")], outputs: [("table", 10), ("h", 11)]),
    Case(name: "read on", nodes: [("Identity", "h", "a"), ("Relu", "a", "r")], outputs: [("r", 11), ("a", 11)]),
  ]

  @Test(arguments: cases) func areTheFiles(sample: Case) throws {
    let graph = try ONNXReader.read(ArrayStorage(Self.file(sample.nodes, outputs: sample.outputs.map(\.0))), file: "m.onnx")
    let rewritten = try graph.rewritten(by: Rewrites.standard + Rewrites.onRequest)
    let written = try ONNXReader.read(ArrayStorage(try ONNXWriter.write(rewritten)), file: "again.onnx")
    let x = try #require(DenseArray(shape: [2], values: [1, 2]))
    for graph in [graph, rewritten, written] {
      #expect(graph.outputs.map { graph[$0].name } == sample.outputs.map(\.0))
      #expect(Set(graph.outputs).count == sample.outputs.count, "every output is a value of its own")
      #expect(try ReferenceEvaluator.evaluate(graph, inputs: ["x": x]).map { $0.values.first } == sample.outputs.map(\.1))
    }
  }

  @Test func oneNameTwiceIsRefused() {
    let reason = HostileFiles.reason(Self.file([], outputs: ["h", "h"]))
    #expect(reason.contains("output \"h\": stands twice"), "\(reason)")
  }
}
