import CheckedNumbers

/// Attention in one kernel: softmax(Q K^T) V for many heads, whose scores never leave an SM (FlashAttention, NeurIPS 2022, and its successors in
/// the vendors' libraries).
public struct AttentionKernel: Sendable, Hashable {
  /// Independent heads: rows of the batch times heads.
  public var heads: Int
  /// Queries of each.
  public var queries: Int
  /// Keys of each.
  public var keys: Int
  /// Values of a query, a key.
  public var depth: Int
  /// Values of a value.
  public var valueDepth: Int
  /// Arithmetic.
  public var type: ComputeType

  /// Every field stated.
  public init(heads: Int, queries: Int, keys: Int, depth: Int, valueDepth: Int, type: ComputeType) {
    self.heads = heads
    self.queries = queries
    self.keys = keys
    self.depth = depth
    self.valueDepth = valueDepth
    self.type = type
  }

  /// Of both products; the softmax between them counts nothing, as in published rates.
  public var floatingPointOperations: Double {
    2 * Double(heads) * Double(queries) * Double(keys) * (Double(depth) + Double(valueDepth))
  }

  /// Bytes of queries, keys, values and results, each once.
  public var bytes: Double {
    let (depth, valueDepth) = (Double(depth), Double(valueDepth))
    return Double(heads) * (Double(queries) + Double(keys)) * (depth + valueDepth) * Double(type.bytesPerElement)
  }
}

/// A fused attention's predicted time.
public struct AttentionPrediction: Sendable, Hashable {
  /// As a profiler records it.
  public var microseconds: Double
  /// Half-width of the band: assumed, since two kernels were measured and the rest is scaled by published rates.
  public var relativeErrorBand: Double
  /// Thread blocks, with their waves and fill.
  public var fit: GridFit
  /// What holds it up.
  public var bound: Bound
  /// The least time that FLOPs at the peak and bytes at the rated bandwidth allow.
  public var roofMicroseconds: Double
}

extension KernelModel {
  /// Queries of a block, and keys that it works off at a time.
  static let attentionTile = 128.0
  /// Fixed time of the kernel and of each block beside its main loop, us at 1.98 GHz: a 12-head kernel of 128 queries took 4.13 us, one of 384
  /// heads (32 values deep) 8.86 us, on an H100 (cuDNN's, 2026-11 records).
  static let attentionFixedMicroseconds = 1.3
  static let attentionBlockMicroseconds = 1.7
  /// Time of 128 queries against 128 keys in the main loop, us on an SM of Hopper at 1.98 GHz: fixed part and part for each value of depth. From
  /// published forward rates of FlashAttention-3 without a mask on an H100, 16,384 tokens: about 500 TFLOP/s at a depth of 64, 650 at 128.
  static let attentionStepMicroseconds = (fixed: 0.51, perDepth: 0.0092)
  /// Assumed: see `AttentionPrediction.relativeErrorBand`.
  static let attentionBand = 0.25

  /// Blocks of 128 queries; each goes through all keys. Other GPUs scale with their clock and, in the main loop, with their tensor rate per clock.
  public func predict(_ kernel: AttentionKernel) throws(KernelModelError) -> AttentionPrediction {
    for (name, size) in [
      ("heads", kernel.heads), ("queries", kernel.queries), ("keys", kernel.keys), ("depth", kernel.depth), ("depth", kernel.valueDepth),
    ] where size < 1 || size > 1 << 40 { throw .badSize("attention: \(name) = \(size)") }
    guard kernel.bytes < 0x1p50, kernel.floatingPointOperations.isFinite else { throw .badSize("attention") }
    guard let peak = gpu.peakFLOPs(kernel.type) else { throw .unsupportedType(kernel.type, gpu: gpu.name) }
    let sms = Double(max(1, gpu.smCount))
    let clock = 1.98 / max(0.2, gpu.modelGigahertz)
    // FLOPs of an SM per microsecond at the peak: 7.5e6 on an H100.
    let pace = 7.49e6 / (peak / sms / 1e6)
    let blocks = Double(kernel.heads) * (Double(kernel.queries) / Self.attentionTile).rounded(.up)
    let waves = blocks / sms
    let steps = (Double(kernel.keys) / Self.attentionTile).rounded(.up)
    let step = Self.attentionStepMicroseconds
    let depth = (Double(kernel.depth) + Double(kernel.valueDepth)) / 2
    // Few queries leave most of a tile empty, and most of its products undone: a decoding step is a read of keys and values.
    let rows = min(1, max(0.25, Double(kernel.queries) / Self.attentionTile))
    let main = waves.rounded(.up) * (Self.attentionBlockMicroseconds * clock + steps * rows * (step.fixed + step.perDepth * depth) * pace)
    let memory = kernel.bytes / (gpu.memoryGigabytesPerSecond * 1e3 * calibration.constants[.memoryShare])
    let body = max(main, memory)
    let fixed = Self.attentionFixedMicroseconds * clock
    let bound: Bound = fixed + Self.attentionBlockMicroseconds * clock > body / 2 ? .latency : main >= memory ? .math : .memory
    return AttentionPrediction(
      microseconds: fixed + body, relativeErrorBand: Self.attentionBand,
      fit: GridFit(blocks: Int(saturating: blocks), blocksPerSM: 1, smCount: gpu.smCount), bound: bound,
      roofMicroseconds: min(
        fixed + body, max(kernel.floatingPointOperations / peak * 1e6, kernel.bytes / (gpu.memoryGigabytesPerSecond * 1e3))))
  }
}
