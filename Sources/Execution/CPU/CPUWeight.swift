import ModelGraph

/// A weight matrix in the forms that the engines read. Both are there only where one engine is faster for some row counts and the other for
/// others.
struct CPUWeight: Sendable {
  let k: Int
  let n: Int
  var own: PackedWeight?
  var oneDNN: OneDNNWeight?

  var byteCount: Int { (own?.byteCount ?? 0) + (oneDNN?.byteCount ?? 0) }
}

/// A weight matrix as the graph has it.
struct CPUWeightSource {
  let layer: String
  let tensor: Tensor
  let slice: Int
  let k: Int
  let n: Int
  let isTransposed: Bool

  /// Every weight that a linear step multiplies by, once for all steps that share it.
  static func all(_ graph: Graph) throws(DeviceError) -> ([CPUWeightSource], [CPUWeightKey: Int]) {
    var sources: [CPUWeightSource] = []
    var index: [CPUWeightKey: Int] = [:]
    for node in graph.nodes {
      let isTransposed: Bool
      switch node.operation {
      case .linear(let transposed, _): isTransposed = transposed
      case .batchedLinear: isTransposed = false
      default: continue
      }
      guard node.inputs.count > 1, let id = node.inputs[1], let tensor = graph.constants[id] else { continue }
      let matrix = Array(tensor.shape.suffix(2))
      guard matrix.count == 2, tensor.type == .float32 else {
        throw DeviceError(.unsupported, "layer \"\(node.name)\": a weight of shape \(tensor.shape) and type \(tensor.type.rawValue)")
      }
      let (k, n) = isTransposed ? (matrix[1], matrix[0]) : (matrix[0], matrix[1])
      for slice in 0..<tensor.shape.dropLast(2).reduce(1, *) {
        let key = CPUWeightKey(value: id, slice: slice, isTransposed: isTransposed)
        if index[key] != nil { continue }
        index[key] = sources.count
        sources.append(CPUWeightSource(layer: node.name, tensor: tensor, slice: slice, k: k, n: n, isTransposed: isTransposed))
      }
    }
    return (sources, index)
  }

  /// What `body` makes of its elements.
  func withFloats<Result>(_ body: (UnsafeBufferPointer<Float>) throws(DeviceError) -> Result) throws(DeviceError) -> Result {
    var outcome: Swift.Result<Result, DeviceError>?
    tensor.storage.withBytes { bytes in
      guard let base = bytes.baseAddress, bytes.count >= (slice + 1) * k * n * 4 else { return }
      func call(_ floats: UnsafeBufferPointer<Float>) {
        do throws(DeviceError) { outcome = .success(try body(floats)) } catch { outcome = .failure(error) }
      }
      let start = base + slice * k * n * 4
      // Storage of a file need not be aligned.
      if UInt(bitPattern: start) % 4 == 0 {
        return call(UnsafeBufferPointer(start: start.assumingMemoryBound(to: Float.self), count: k * n))
      }
      let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: k * n)
      defer { copy.deallocate() }
      UnsafeMutableRawBufferPointer(copy).copyMemory(from: UnsafeRawBufferPointer(start: start, count: k * n * 4))
      call(UnsafeBufferPointer(copy))
    }
    guard let outcome else { throw DeviceError(.unsupported, "layer \"\(layer)\": its weight cannot be read") }
    return try outcome.get()
  }

  /// Packed for the engines asked for.
  func packed(own: Bool, oneDNN products: OneDNNProducts?, precision: LoadOptions.Precision, pool: WorkerPool) throws(DeviceError)
    -> CPUWeight
  {
    try withFloats { floats throws(DeviceError) in
      CPUWeight(
        k: k, n: n, own: own ? try PackedWeight(floats, k: k, n: n, isTransposed: isTransposed, precision: precision, pool: pool) : nil,
        oneDNN: try products.map { products throws(DeviceError) in
          try OneDNNWeight(
            floats, k: k, n: n, isTransposed: isTransposed, isBF16: precision == .bf16, threads: pool.threads, products: products)
        })
    }
  }
}
