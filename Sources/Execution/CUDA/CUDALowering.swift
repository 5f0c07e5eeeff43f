import CheckedNumbers
import ModelGraph

extension LoadOptions.Precision {
  /// What values between the inputs and the outputs are kept as on a GPU.
  var computeType: DataType { self == .fp32 ? .float32 : self == .bf16 ? .bfloat16 : .float16 }
}

/// A graph as it runs in a compute type on a GPU: float32 values become that type, a cast behind each float32 input and before each float32
/// output. Identifiers stay what they were; constants are converted when they are copied to the device.
enum CUDALowering {
  static func lowered(_ graph: Graph, to type: DataType) -> Graph {
    if type == .float32 { return graph }
    var graph = graph
    let inputs = Set(graph.inputs)
    for index in graph.values.indices where graph.values[index].type == .float32 && !inputs.contains(ValueID(index)) {
      graph.values[index].type = type
    }
    for index in graph.nodes.indices {
      if case .cast(.float32) = graph.nodes[index].operation { graph.nodes[index].operation = .cast(type) }
    }
    var casts: [Node] = []
    for id in graph.inputs where graph[id].type == .float32 {
      graph.values.append(Value(name: graph[id].name, type: type, shape: graph[id].shape))
      let inner = ValueID(graph.values.count - 1)
      for index in graph.nodes.indices { graph.nodes[index].inputs = graph.nodes[index].inputs.map { $0 == id ? inner : $0 } }
      casts.append(Node(name: "\(graph[id].name) in \(type.rawValue)", operation: .cast(type), inputs: [id], outputs: [inner]))
    }
    graph.nodes = casts + graph.nodes
    for (place, id) in graph.outputs.enumerated() where graph[id].type == type && !inputs.contains(id) {
      graph.values.append(Value(name: graph[id].name, type: .float32, shape: graph[id].shape))
      let outer = ValueID(graph.values.count - 1)
      graph.nodes.append(Node(name: "\(graph[id].name) in float32", operation: .cast(.float32), inputs: [id], outputs: [outer]))
      graph.outputs[place] = outer
    }
    return graph
  }

  /// A constant's bytes in a type: as they are, or float32 rounded to 16 bits.
  static func bytes(of tensor: Tensor, as type: DataType) -> [UInt8] {
    tensor.storage.withBytes { source in
      guard tensor.type == .float32, type != .float32 else { return Array(source) }
      let count = source.count / 4
      return [UInt8](unsafeUninitializedCapacity: count * 2) { target, written in
        let raw = UnsafeMutableRawBufferPointer(target)
        for index in 0..<count {
          let value = source.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
          raw.storeBytes(of: type == .float16 ? half(value) : bf16(value), toByteOffset: index * 2, as: UInt16.self)
        }
        written = count * 2
      }
    }
  }

  static func half(_ value: Float) -> UInt16 { Float16(value).bitPattern }

  /// To nearest, ties to even.
  static func bf16(_ value: Float) -> UInt16 { Tensor.brainFloat(value) }
}
