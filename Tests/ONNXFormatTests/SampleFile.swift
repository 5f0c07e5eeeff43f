import ModelGraph
import ProtobufWire

@testable import ONNXFormat

/// A small ONNX file, node by node.
struct SampleFile {
  enum Attribute {
    case integer(Int64), integers([Int64]), float(Float), floats([Float]), text(String)
    case graph([UInt8])
  }

  /// A size: known, named, or open.
  enum Size: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    case known(Int64)
    case named(String)
    case open
    init(integerLiteral value: Int64) { self = .known(value) }
    init(stringLiteral value: String) { self = .named(value) }
  }

  var opset: Int64 = 17
  private var nodes: [[UInt8]] = []
  private var initializers: [[UInt8]] = []
  private var inputs: [[UInt8]] = []
  private var outputs: [[UInt8]] = []
  private var declared: [[UInt8]] = []

  init(opset: Int64 = 17) { self.opset = opset }

  mutating func node(
    _ type: String, _ inputs: [String], _ outputs: [String], _ attributes: [(String, Attribute)] = [], domain: String = ""
  ) {
    var node = WireWriter()
    for input in inputs { node.text(1, input) }
    for output in outputs { node.text(2, output) }
    node.text(3, outputs.first ?? type)
    node.text(4, type)
    for (name, attribute) in attributes {
      node.message(5) { entry in
        entry.text(1, name)
        switch attribute {
        case .float(let value): entry.float(2, value)
        case .integer(let value): entry.integer(3, value)
        case .text(let value): entry.text(4, value)
        case .graph(let bytes): entry.bytes(6, bytes)
        case .floats(let values): for value in values { entry.float(7, value) }
        case .integers(let values): for value in values { entry.integer(8, value) }
        }
      }
    }
    if !domain.isEmpty { node.text(7, domain) }
    nodes.append(node.bytes)
  }

  /// A float32 weight of zeros, or of given values.
  mutating func weight(_ name: String, _ sizes: [Int], _ values: [Float]? = nil) {
    let elements = values ?? [Float](repeating: 0, count: sizes.reduce(1, *))
    initializers.append(ONNXWriter.tensor(name, .float32, sizes, ArrayStorage(elements.withUnsafeBytes { Array($0) })))
  }

  mutating func integers(_ name: String, _ values: [Int64], scalar: Bool = false) {
    initializers.append(
      ONNXWriter.tensor(name, .int64, scalar ? [] : [values.count], ArrayStorage(values.withUnsafeBytes { Array($0) })))
  }

  mutating func input(_ name: String, _ sizes: [Size], type: Int64 = 1) { inputs.append(Self.value(name, sizes, type)) }
  mutating func output(_ name: String, _ sizes: [Size]? = nil, type: Int64 = 1) { outputs.append(Self.value(name, sizes, type)) }
  mutating func declare(_ name: String, _ sizes: [Size], type: Int64 = 1) { declared.append(Self.value(name, sizes, type)) }

  private static func value(_ name: String, _ sizes: [Size]?, _ type: Int64) -> [UInt8] {
    var value = WireWriter()
    value.text(1, name)
    value.message(2) { kind in
      kind.message(1) { tensor in
        tensor.integer(1, type)
        guard let sizes else { return }
        tensor.message(2) { shape in
          for size in sizes {
            shape.message(1) { entry in
              switch size {
              case .known(let value): entry.integer(1, value)
              case .named(let name): entry.text(2, name)
              case .open: break
              }
            }
          }
        }
      }
    }
    return value.bytes
  }

  /// The graph alone: a branch of an If.
  var graph: [UInt8] {
    var graph = WireWriter()
    for node in nodes { graph.bytes(1, node) }
    for tensor in initializers { graph.bytes(5, tensor) }
    for input in inputs { graph.bytes(11, input) }
    for output in outputs { graph.bytes(12, output) }
    for value in declared { graph.bytes(13, value) }
    return graph.bytes
  }

  var bytes: [UInt8] {
    var model = WireWriter()
    model.integer(1, 8)
    model.bytes(7, graph)
    model.message(8) { $0.integer(2, opset) }
    return model.bytes
  }

  func read(for purpose: ONNXReader.Options.Purpose = .plan, _ sizes: [String: Int] = [:]) throws -> Graph {
    try ONNXReader.read(ArrayStorage(bytes), file: "m.onnx", options: ONNXReader.Options(dynamicSizes: sizes, purpose: purpose))
  }
}
