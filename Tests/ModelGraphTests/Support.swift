import Testing
import TimeBase

@testable import ModelGraph

/// Seeded inputs for a graph at a number of rows.
func sampleInputs(_ graph: Graph, rows: Int, seed: UInt64 = 5) throws -> [String: DenseArray] {
  var generator = SplitMix64(seed: seed)
  var inputs: [String: DenseArray] = [:]
  for id in graph.inputs {
    let shape = try #require(Shapes.sizes(graph[id].shape, rows: rows))
    let integral = !graph[id].type.isFloatingPoint
    inputs[graph[id].name] = DenseArray.build(shape) { _ in
      integral ? Double(generator.next() % 100) : generator.nextUnitDouble() * 2 - 1
    }
  }
  return inputs
}

/// First output of a graph on its sample inputs.
func firstOutput(_ graph: Graph, rows: Int = 3, seed: UInt64 = 5) throws -> DenseArray {
  try #require(try ReferenceEvaluator.evaluate(graph, inputs: sampleInputs(graph, rows: rows, seed: seed)).first)
}

/// Asserts that a rewrite kept a graph's function, on outputs that do not vanish, and that the comparison would notice a dropped bias.
func expectSameFunction(_ before: Graph, _ after: Graph, rows: Int = 3) throws {
  try after.validate()
  let (old, new) = (try firstOutput(before, rows: rows), try firstOutput(after, rows: rows))
  #expect(old.norm > 0.1)
  #expect(new.relativeDistance(to: old) < 1e-9)
  // A constant of the last node set to zero must show.
  var broken = after
  let last = try #require(after.nodes.last { node in node.inputs.dropFirst().contains { $0.map { after.constants[$0] != nil } ?? false } })
  let dropped = try #require(last.inputs.dropFirst().compactMap { $0 }.last { after.constants[$0] != nil })
  let tensor = try #require(after.constants[dropped])
  broken.constants[dropped] = Tensor(
    type: tensor.type, shape: tensor.shape, storage: ArrayStorage([UInt8](repeating: 0, count: tensor.storage.byteCount)))
  #expect(try firstOutput(broken, rows: rows).relativeDistance(to: old) > 1e-6, "dropping \(after[dropped].name) went unnoticed")
}

extension Graph {
  /// A float32 constant of these values.
  mutating func constant(_ name: String, _ values: [Float], _ shape: [Int]) throws -> ValueID {
    addConstant(name, try #require(Tensor(float32: values, shape: shape)))
  }
}
