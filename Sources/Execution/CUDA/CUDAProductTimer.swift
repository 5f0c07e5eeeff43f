import CCUDA
import CheckedNumbers
public import ModelGraph
import TimeBase

/// Times single products on a CUDA device, as `calibrate --device` measures a GPU: the fastest algorithm that cuBLASLt proposes, so many times in one
/// CUDA graph, and the graph's replays by events. A product's time is therefore its kernel and the gap to the next one in a graph.
///
/// Not Sendable: for one thread.
public final class CUDAProductTimer {
  /// [rows, depth] x [columns, depth] transposed, as a linear layer multiplies; `batches` of them side by side.
  public struct Product: Sendable, Hashable {
    /// Products of one launch.
    public var batches: Int
    /// Of the activations.
    public var rows: Int
    /// Of the result.
    public var columns: Int
    /// What is summed over.
    public var depth: Int

    /// With every size.
    public init(batches: Int = 1, rows: Int, columns: Int, depth: Int) {
      (self.batches, self.rows, self.columns, self.depth) = (batches, rows, columns, depth)
    }
  }

  /// Microseconds per product, of the replays.
  public struct Time: Sendable, Hashable {
    /// Of the replays.
    public var median: Double
    /// The shortest one.
    public var shortest: Double
    /// The longest one.
    public var longest: Double
  }

  private let device: CUDADevice
  private let generation: Int
  private let blas: CUDABlas
  private let stream: CUDAStream
  /// Products of one graph, and replays that count.
  private static let (nodes, replays) = (20, 9)

  /// A timer on that device.
  public init(_ device: CUDADevice) throws(DeviceError) {
    self.device = device
    let context = device.context
    let generation = try context.generation()
    self.generation = generation
    (blas, stream) = try context.use(generation) { () throws(DeviceError) in
      (
        try CUDABlas(
          device.blas, context, generation, allowsTF32: device.options.allowsTF32, cache: device.cache, identity: device.identity),
        try CUDAStream(context, generation)
      )
    }
  }

  /// Measures one product in `type`: float16, bfloat16 or float32.
  ///
  /// - Throws: `DeviceError` where it does not fit, or cuBLASLt has no kernel for it.
  public func time(_ product: Product, _ type: DataType) throws(DeviceError) -> Time {
    let (rows, columns, depth, batches) = (product.rows, product.columns, product.depth, product.batches)
    guard [rows, columns, depth, batches].allSatisfy({ $0 > 0 && $0 <= 1 << 20 }) else {
      throw DeviceError(.unsupported, "a product of \(batches) x \(rows) x \(columns) x \(depth): sizes are from 1 to 1048576")
    }
    let shape = CUDAMatmul.Shape(
      rows: columns, columns: rows, depth: depth, batches: batches, isTransposedA: true, isTransposedB: false, distanceA: depth,
      distanceB: depth, distanceD: columns, strideA: columns * depth, strideB: rows * depth, strideD: rows * columns, biasStride: 0,
      hasBias: false, activation: .none, type: type)
    let context = device.context
    return try context.use(generation) { () throws(DeviceError) in
      func memory(_ elements: Int) throws(DeviceError) -> CUDAMemory {
        try CUDAMemory(context, generation, byteCount: elements * type.memorySize, for: "operands of a product to be timed")
      }
      let (a, b, d) = (try memory(batches * columns * depth), try memory(batches * rows * depth), try memory(batches * rows * columns))
      for (seed, operand) in [a, b].enumerated() { try fill(operand, type, seed: UInt64(clamping: seed + 1)) }
      let made = try blas.product(
        shape, CUDABlas.Addresses(a: a.address, b: b.address, d: d.address, bias: 0), stream: stream.handle)
      defer { blas.forget(made) }
      return try replay(made)
    }
  }

  private func replay(_ product: CUDABlas.Product) throws(DeviceError) -> Time {
    let (driver, table) = (device.driver, device.driver.functions)
    try driver.check(table.cuStreamBeginCapture_v2(stream.handle, Int32(clamping: HR_CAPTURE_THREAD_LOCAL)), "cuStreamBeginCapture")
    var failure: DeviceError?
    do throws(DeviceError) { for _ in 0..<Self.nodes { try blas.run(product, stream: stream.handle) } } catch { failure = error }
    var graph: HRGraph?
    let ended = table.cuStreamEndCapture(stream.handle, &graph)
    defer { if let graph { _ = table.cuGraphDestroy(graph) } }
    if let failure { throw failure }
    try driver.check(ended, "cuStreamEndCapture")
    var executable: HRGraphExec?
    try driver.check(table.cuGraphInstantiateWithFlags(&executable, graph, 0), "cuGraphInstantiate")
    guard let executable else { throw DeviceError(.batchFailed, "cuGraphInstantiate gave nothing") }
    defer { _ = table.cuGraphExecDestroy(executable) }
    let (start, end) = (try CUDAEvent(device.context, generation), try CUDAEvent(device.context, generation))
    var times: [Double] = []
    for replay in 0...Self.replays {
      try start.record(stream.handle)
      try driver.check(table.cuGraphLaunch(executable, stream.handle), "cuGraphLaunch")
      try end.record(stream.handle)
      try end.wait()
      var time: Float = 0
      try driver.check(table.cuEventElapsedTime(&time, start.handle, end.handle), "the time of a product")
      // The first one uploads the graph.
      if replay > 0 { times.append(Double(time) * 1000 / Double(Self.nodes)) }
    }
    times.sort()
    return Time(median: times[times.count / 2], shortest: times[0], longest: times[times.count - 1])
  }

  /// Numbers of one magnitude with random signs and mantissas: zeros and constants draw less power, and power-limited products then run too fast.
  private func fill(_ memory: CUDAMemory, _ type: DataType, seed: UInt64) throws(DeviceError) {
    let (kept, set): (UInt64, UInt64) =
      switch type {
      case .float16: (0x83FF_83FF_83FF_83FF, 0x3800_3800_3800_3800)
      case .bfloat16: (0x807F_807F_807F_807F, 0x3F00_3F00_3F00_3F00)
      default: (0x807F_FFFF_807F_FFFF, 0x3F00_0000_3F00_0000)
      }
    var random = SplitMix64(seed: seed)
    // Repeated beyond a size that no period of a tile shares.
    let words = max(1, min(memory.byteCount, 1 << 20) / 8 + 1)
    let block = (0..<words).map { _ in random.next() & kept | set }
    var offset = 0
    while offset < memory.byteCount {
      let bytes = min(words * 8, memory.byteCount - offset)
      let result = block.withUnsafeBytes {
        device.driver.functions.cuMemcpyHtoD_v2(memory.address + UInt64(clamping: offset), $0.baseAddress, bytes)
      }
      try device.driver.check(result, "operands of a product to be timed")
      offset += bytes
    }
  }
}
