/// One matrix product: `batch` independent C[m, n] = A[m, k] x B[k, n].
public struct GEMM: Sendable, Hashable {
  /// Independent products in one launch.
  public var batch: Int
  /// Rows of A and C.
  public var m: Int
  /// Columns of B and C.
  public var n: Int
  /// The reduced dimension.
  public var k: Int
  /// Arithmetic; accumulation is always fp32.
  public var type: ComputeType
  /// Bytes that pass through the caches between two readings of the same B: all weights of a model whose layers run in turn. Nil: B
  /// stands among five equals, as in the measurements the constants are fitted to.
  public var footprintBytes: Double?
  /// Bytes of A in memory where the kernel gathers A from fewer: a convolution's input, which is read once for all offsets of the filter.
  /// Nil: batch m k elements.
  public var sourceBytes: Double?
  /// Whether it runs between other kernels, as in a model, and not again and again by itself, as measurements of single products do: then its
  /// instructions and descriptors have left the caches nearest to the SMs.
  public var isAmongOthers = false

  /// A product; sizes must be positive (`KernelModel.predict` checks).
  public init(batch: Int = 1, m: Int, n: Int, k: Int, type: ComputeType, footprintBytes: Double? = nil, sourceBytes: Double? = nil) {
    self.batch = batch
    self.m = m
    self.n = n
    self.k = k
    self.type = type
    self.footprintBytes = footprintBytes
    self.sourceBytes = sourceBytes
  }

  /// 2 * batch * m * n * k: a multiplication and an addition for each product term.
  public var floatingPointOperations: Double { 2 * Double(batch) * Double(m) * Double(n) * Double(k) }

  /// Bytes of A, B and C, each once.
  public var bytes: Double {
    let (m, n, k) = (Double(m), Double(n), Double(k))
    return operandABytes + Double(batch) * (n * k + m * n) * Double(type.bytesPerElement)
  }

  /// Bytes of A, once.
  var operandABytes: Double { sourceBytes ?? Double(batch) * Double(m) * Double(k) * Double(type.bytesPerElement) }
}

/// One way of cutting a product into blocks, with what such a block takes of an SM.
public struct GEMMTile: Sendable, Hashable {
  /// Rows of C a block computes.
  public var m: Int
  /// Columns of C a block computes.
  public var n: Int
  /// Depth of one main-loop step.
  public var k: Int
  /// Threads a block.
  public var threads: Int
  /// Registers a thread: accumulators plus addressing and fragments.
  public var registersPerThread: Int
  /// Shared memory of all pipeline stages.
  public var sharedBytes: Int
  /// Blocks resident on one SM.
  public var blocksPerSM: Int

  /// "128x64x32".
  public var name: String { "\(m)x\(n)x\(k)" }

  /// The tile's needs follow from its size: fp32 accumulators in registers (tensor memory for tcgen05), operands of every stage in
  /// shared memory. Nil where not even one block fits the GPU.
  init?(m: Int, n: Int, elementBytes: Int, family: KernelFamily, on gpu: GPU) {
    let area = m * n
    let stages = family == .ffma ? 2 : family == .mma ? 3 : 4
    // 64 bytes of k a step for mma.sync kernels and 128 for the rest; small mma tiles take 128 as well, as the libraries' names show
    // (64x64x64 against 128x128x32 in fp16).
    let stepBytes = family == .ffma ? 32 : family == .mma && area > 64 * 64 ? 64 : 128
    self.m = m
    self.n = n
    k = stepBytes / elementBytes
    threads = area >= 128 * 128 ? 256 : 128
    let accumulators = family == .tcgen05 ? 16 : max(4, area / threads)
    registersPerThread = min(255, accumulators + 56)
    sharedBytes = stages * (m + n) * stepBytes
    let occupancy = Occupancy(threads: threads, registersPerThread: registersPerThread, sharedBytes: sharedBytes, on: gpu)
    // The reach of more than four resident blocks is not seen in the measurements.
    blocksPerSM = min(4, occupancy.blocksPerSM)
    if blocksPerSM == 0 { return nil }
  }

  /// Sizes that libraries of the family ship.
  static func sizes(of family: KernelFamily) -> [(Int, Int)] {
    switch family {
    case .ffma:
      return [
        (32, 32), (64, 32), (32, 64), (64, 64), (128, 32), (32, 128), (128, 64), (64, 128), (128, 128), (256, 64), (64, 256),
      ]
    case .mma:
      return [
        (16, 32), (16, 64), (16, 128), (32, 32), (32, 64), (32, 128), (64, 32), (64, 64), (64, 96), (64, 128), (64, 256), (96, 64),
        (96, 128), (128, 32), (128, 64), (128, 96), (128, 128), (128, 256), (256, 64), (256, 128),
      ]
    case .wgmma:
      // One side is the instruction's 64-row granule or a multiple, the other any multiple of 8 up to 256; operands may be swapped. Names in
      // profiles show steps of 8: those kept here lie at most a third apart.
      return granules([64, 128, 192, 256], [8, 16, 32, 48, 64, 96, 128, 160, 192, 256]).filter { $0.0 * $0.1 <= 256 * 192 }
        .filter { !($0.0 == 192 && $0.1 < 64) && !($0.1 == 192 && $0.0 < 64) }
    case .tcgen05:
      var sizes: [(Int, Int)] = []
      for m in [8, 16, 32, 64, 128, 192, 256] {
        for n in [16, 32, 64, 96, 128, 192, 256] where m >= 64 || n >= 64 { sizes.append((m, n)) }
      }
      return sizes
    }
  }

  /// Every pair of one granule and one width, either way round, each once.
  private static func granules(_ granules: [Int], _ widths: [Int]) -> [(Int, Int)] {
    var sizes: [(Int, Int)] = []
    for granule in granules {
      for width in widths {
        for size in [(granule, width), (width, granule)] where !sizes.contains(where: { $0 == size }) { sizes.append(size) }
      }
    }
    return sizes
  }

  /// Parts the k dimension may be cut into.
  static let splits = [1, 2, 3, 4, 6, 8, 12, 16, 32]
}
