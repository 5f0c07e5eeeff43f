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

/// Operators with a definition, from where each opset has their attributes.
@Suite struct DefinitionReadingTests {
  private static func read(_ opset: Int64 = 17, _ build: (inout SampleFile) -> Void) throws -> Graph {
    var file = SampleFile(opset: opset)
    file.input("x", ["rows", 3, 4])
    build(&file)
    file.output("y")
    return try ONNXReader.read(ArrayStorage(file.bytes), file: "m.onnx")
  }

  @Test func attributesMayBeInputs() throws {
    let sums = try Self.read {
      $0.integers("axis", [-1], scalar: true)
      $0.node("CumSum", ["x", "axis"], ["y"], [("reverse", .integer(1))])
    }
    #expect(
      sums.nodes.map(\.operation) == [.defined(try #require(DefinedOperator("CumSum", ["axis": .integer(-1), "reverse": .integer(1)])))])
    #expect(sums.nodes[0].inputs.count == 1)
    let tiles = try Self.read {
      $0.integers("repeats", [1, 2, 1])
      $0.node("Tile", ["x", "repeats"], ["y"])
    }
    #expect(tiles[tiles.outputs[0]].shape == [.rows, .fixed(6), .fixed(4)])
  }

  /// Constant bounds are attributes; those that are computed stay inputs, one of them alone an extreme of two.
  @Test func boundsMayBeComputed() throws {
    func read(_ low: String, _ high: String) throws -> Graph {
      try Self.read {
        $0.input("b", [1])
        $0.weight("c", [], [6])
        $0.node("Clip", ["x", low, high], ["y"])
      }
    }
    #expect(try read("", "c").nodes.map(\.operation) == [.clip(minimum: -.infinity, maximum: 6)])
    #expect(try read("b", "c").nodes.map(\.operation) == [.defined(try #require(DefinedOperator("Clip")))])
    #expect(try read("", "b").nodes.map(\.operation) == [.binary(.minimum)])
    #expect(try read("b", "").nodes.map(\.operation) == [.binary(.maximum)])
  }

  /// Of several results each has its place, also where one before it is left out; early opsets have k as an attribute.
  @Test func severalResultsAreRead() throws {
    let places = try Self.read {
      $0.integers("k", [2])
      $0.node("TopK", ["x", "k"], ["", "y"], [("largest", .integer(0))])
    }
    let smallest = try #require(DefinedOperator("TopK", ["k": .integers([.fixed(2)]), "largest": .integer(0)]))
    #expect(places.nodes.map(\.operation) == [.defined(smallest)])
    #expect(places.outputs == [places.nodes[0].outputs[1]] && places[places.outputs[0]].type == .int64)
    let again = try ONNXReader.read(ArrayStorage(try ONNXWriter.write(places)), file: "again.onnx")
    #expect(again.nodes.map(\.operation) == places.nodes.map(\.operation))
    #expect(throws: ONNXError.self) {
      try Self.read {
        $0.integers("k", [2])
        $0.node("TopK", ["x", "k"], ["y", "places", "more"])
      }
    }
    var old = SampleFile(opset: 9)
    old.input("x", ["rows", 3, 4])
    old.node("TopK", ["x"], ["y", "places"], [("axis", .integer(1)), ("k", .integer(3))])
    old.output("y")
    #expect(try old.read().nodes.map(\.operation.name) == ["TopK"])
    guard case .defined(let defined) = try old.read().nodes[0].operation else {
      Issue.record("is counted by a rule")
      return
    }
    #expect(defined.attributes.sizes("k") == [.fixed(3)])
  }

  @Test func padsOfSomeAxesArePadsOfAll() throws {
    let graph = try Self.read(18) {
      $0.integers("pads", [1, 2])
      $0.weight("value", [], [-1])
      $0.integers("axes", [-1])
      $0.node("Pad", ["x", "pads", "value", "axes"], ["y"], [("mode", .text("constant"))])
    }
    #expect(graph[graph.outputs[0]].shape == [.rows, .fixed(3), .fixed(7)])
    let again = try ONNXReader.read(ArrayStorage(try ONNXWriter.write(graph)), file: "again.onnx")
    #expect(again.nodes.map(\.operation) == graph.nodes.map(\.operation))
  }

  @Test func theAxisBeforeOpset13IsTheLastOrRefused() throws {
    let last = try Self.read(12) { $0.node("LogSoftmax", ["x"], ["y"], [("axis", .integer(2))]) }
    #expect(last.nodes.map(\.operation) == [.defined(try #require(DefinedOperator("LogSoftmax")))])
    #expect(throws: ONNXError.self) { try Self.read(12) { $0.node("LogSoftmax", ["x"], ["y"]) } }
  }

  @Test func whatComesWithARequestIsRefusedByItsPlace() throws {
    var file = SampleFile()
    file.input("x", ["rows", 3])
    file.input("pads", [4], type: 7)
    file.node("Pad", ["x", "pads"], ["y"])
    file.output("y")
    let error = #expect(throws: ONNXError.self) { try ONNXReader.read(ArrayStorage(file.bytes), file: "m.onnx") }
    #expect(error?.reason.contains("input 1 (\"pads\") must be constant") == true)
  }

  @Test func integersGoToAnEngineAndArePlanned() throws {
    var file = SampleFile()
    file.input("x", ["rows", 3], type: 7)
    file.integers("axis", [1], scalar: true)
    file.node("CumSum", ["x", "axis"], ["y"])
    file.output("y", type: 7)
    #expect(throws: ONNXError.self) { try ONNXReader.read(ArrayStorage(file.bytes), file: "m.onnx") }
    let plan = try ONNXReader.read(ArrayStorage(file.bytes), file: "m.onnx", options: ONNXReader.Options(purpose: .plan))
    guard case .costed(let costed)? = plan.nodes.first?.operation else {
      Issue.record("\(plan.nodes)")
      return
    }
    #expect(costed.unplanned == nil && costed.results.map(\.shape) == [[.rows, .fixed(3)]])
  }
}
