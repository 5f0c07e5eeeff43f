import FileAccess
import Glibc
import JSONText
import ModelGraph
import Testing
import TimeBase

@testable import ONNXFormat

/// The folder of small models that PyTorch exported once, with its own results.
let dataFolder: String = {
  var parts = #filePath.split(separator: "/")
  parts.removeLast(2)
  return "/" + parts.joined(separator: "/") + "/Data/onnx"
}()

func array(_ json: JSONValue?) throws -> DenseArray {
  let shape = try #require(json?["shape"]?.arrayValue).compactMap { $0.integerValue.map { Int($0) } }
  let values = try #require(json?["values"]?.arrayValue).compactMap(\.doubleValue)
  return try #require(DenseArray(shape: shape, values: values))
}

@Suite struct PyTorchExports {
  static let names = [
    "encoder-script-11", "encoder-script-13", "encoder-script-17", "encoder-dynamo-18", "seqlen-script-11", "seqlen-script-13",
    "seqlen-script-17", "seqlen-dynamo-18", "mixed-script-13", "mixed-script-17", "mixed-dynamo-18",
  ]

  /// Read, rewritten, and written back, each must give what PyTorch gave, to fp32 accuracy relative to the norm.
  @Test(arguments: names) func giveWhatPyTorchGave(name: String) throws {
    let expected = try JSONValue.parse(try Files.readText("\(dataFolder)/\(name).json"))
    let output = try array(expected["output"])
    let graph = try ONNXReader.read(path: "\(dataFolder)/\(name).onnx")
    let rewritten = try graph.rewritten(by: Rewrites.standard)
    let again = try ONNXReader.read(ArrayStorage(try ONNXWriter.write(rewritten)), file: "written.onnx")
    for candidate in [graph, rewritten, again] {
      let input = try #require(candidate.inputs.first)
      let result = try ReferenceEvaluator.evaluate(candidate, inputs: [candidate[input].name: try array(expected["input"])])
      #expect(output.norm > 0.1)
      #expect(try #require(result.first).relativeDistance(to: output) < 1e-5)
    }
  }

  @Test func exportsBelowOpset17AreRecomposed() throws {
    let graph = try ONNXReader.read(path: "\(dataFolder)/encoder-script-13.onnx").rewritten(by: Rewrites.standard)
    let operations = graph.nodes.map(\.operation)
    #expect(operations.count { if case .layerNormalization = $0 { true } else { false } } == 5)
    #expect(operations.count { if case .linear(_, activation: .gelu) = $0 { true } else { false } } == 2)
    #expect(!operations.contains { if case .reduceMean = $0 { true } else { false } })
  }

  @Test func theRowsOfAnExpandSinkInExports() throws {
    for name in ["seqlen-script-17", "seqlen-dynamo-18"] {
      let graph = try ONNXReader.read(path: "\(dataFolder)/\(name).onnx").rewritten(by: Rewrites.standard)
      let sunk = try graph.rewritten(by: [SinkBroadcast.self])
      let first = try #require(sunk.nodes.first { if case .linear = $0.operation { true } else { false } })
      #expect(Shapes.elementCount(sunk[first.outputs[0]].shape) == Dimension(constant: 0, perRow: 32), "\(name)")
    }
  }
}

@Suite struct RoundTrips {
  @Test(arguments: [
    BuiltInHead.linear(layers: 2, hidden: 8), .stacked(layers: 2, hidden: 8, heads: 3), .seqlen(layers: 3, hidden: 8, sequence: 4),
    .encoder(layers: 1, hidden: 8, heads: 2, sequence: 4),
  ]) func writingAndReadingKeepsTheFunction(head: BuiltInHead) throws {
    let graph = try head.graph()
    let bytes = try ONNXWriter.write(graph)
    #expect(try ONNXWriter.write(graph) == bytes, "the same graph must give the same bytes")
    let read = try ONNXReader.read(ArrayStorage(bytes), file: "t.onnx")
    var generator = SplitMix64(seed: 1)
    let id = try #require(graph.inputs.first)
    let sizes = try #require(Shapes.sizes(graph[id].shape, rows: 2))
    let isFloat = graph[id].type.isFloatingPoint
    let values = (0..<sizes.reduce(1, *)).map { _ in isFloat ? generator.nextUnitDouble() - 0.5 : Double(generator.next() % 50) }
    let inputs = [graph[id].name: try #require(DenseArray(shape: sizes, values: values))]
    let before = try #require(try ReferenceEvaluator.evaluate(graph, inputs: inputs).first)
    let after = try #require(try ReferenceEvaluator.evaluate(read, inputs: inputs).first)
    #expect(before.norm > 0.1)
    #expect(after.relativeDistance(to: before) < 1e-12)
  }
}
