import JSONText
import ModelGraph
import ONNXFormat
import TimeBase

/// Evaluates an ONNX model in Double on seeded inputs and prints inputs and outputs as JSON, for comparing with another implementation:
///
///     reference-evaluate MODEL.onnx ROWS SEED
@main
struct Main {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4, let rows = Int(arguments[2]), let seed = UInt64(arguments[3]) else {
      print("usage: reference-evaluate MODEL.onnx ROWS SEED")
      return
    }
    let graph = try ONNXReader.read(path: arguments[1])
    var generator = SplitMix64(seed: seed)
    var inputs: [String: DenseArray] = [:]
    for id in graph.inputs {
      guard let shape = Shapes.sizes(graph[id].shape, rows: rows), let count = Tensor.elementCount(of: shape) else { continue }
      let isFloat = graph[id].type.isFloatingPoint
      // Values that fp32 holds exactly, so that both sides see the same.
      let values = (0..<count).map { _ in isFloat ? Double(Float(generator.nextUnitDouble() * 2 - 1)) : Double(generator.next() % 50) }
      inputs[graph[id].name] = DenseArray(shape: shape, values: values)
    }
    let outputs = try ReferenceEvaluator.evaluate(graph, inputs: inputs)
    func json(_ array: DenseArray) -> JSONValue {
      ["shape": .array(array.shape.map { JSONValue($0) }), "values": .array(array.values.map { JSONValue($0) })]
    }
    let document: JSONValue = [
      "inputs": .object(inputs.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, json($0.value)) }),
      "outputs": .object(zip(graph.outputs, outputs).map { JSONValue.Member(graph[$0].name, json($1)) }),
    ]
    print(document.serialized(pretty: false))
  }
}
