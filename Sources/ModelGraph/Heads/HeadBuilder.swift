import TimeBase

/// A graph under construction with seeded parameters: what the built-in heads share.
struct HeadBuilder {
  var graph: Graph
  private var parameters: UInt64 = 0
  private let seed: SplitMix64

  init(name: String, seed: UInt64) {
    graph = Graph(name: name)
    self.seed = SplitMix64(seed: seed)
  }

  /// A parameter uniform in offset +- bound. Each draws from a stream of its own, so that a layer more or less does not shift the others.
  mutating func parameter(_ name: String, _ shape: [Int], bound: Float, offset: Float = 0) throws(GraphError) -> ValueID {
    guard let count = Tensor.elementCount(of: shape), count > 0, count <= 1 << 32 else {
      throw GraphError(node: name, reason: "a parameter of shape \(shape) is empty or has more than 2^32 elements")
    }
    parameters += 1
    var stream = seed.split(parameters)
    let storage = SeededStorage(elementCount: count, bound: bound, offset: offset, seed: stream.next())
    guard let tensor = Tensor(type: .float32, shape: shape, storage: storage) else {
      throw GraphError(node: name, reason: "shape \(shape) does not match its storage")
    }
    return graph.addConstant(name, tensor)
  }

  /// x W^T + b with the weight stored [out, in], as PyTorch's Linear does.
  mutating func linear(_ x: ValueID, _ name: String, from inputs: Int, to outputs: Int) throws(GraphError) -> ValueID {
    let bound = SeededStorage.heBound(fanIn: inputs)
    let weight = try parameter(name + ".weight", [outputs, inputs], bound: bound)
    // A tenth of the weights' bound: large enough that a dropped bias shows, small enough not to drown the signal.
    let bias = try parameter(name + ".bias", [outputs], bound: bound / 10)
    return try graph.apply(.linear(transposeWeight: true, activation: .none), name, [x, weight, bias])
  }

  /// LayerNorm over the last dimension with eps 1e-5, PyTorch's default. Scale near one and bias near zero, but neither exact: an
  /// implementation that forgets them must fail.
  mutating func layerNormalization(_ x: ValueID, _ name: String, size: Int, epsilon: Float = 1e-5) throws(GraphError) -> ValueID {
    let scale = try parameter(name + ".weight", [size], bound: 0.1, offset: 1)
    let bias = try parameter(name + ".bias", [size], bound: 0.1)
    return try graph.apply(.layerNormalization(axis: -1, epsilon: epsilon), name, [x, scale, bias])
  }
}
