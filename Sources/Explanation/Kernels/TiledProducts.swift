import CheckedNumbers
public import GPUModel

/// What tile and grid of a product's kernel say of its size, where neither operators nor ranges tell the shape: bounds and ranges, never a
/// shape. Each rule was held against 1,391 kernel records of H100 and H200 boards whose shapes are known (cuBLAS, CUTLASS, split-K and
/// batched products among them) and held for all of them.
public struct TiledProduct: Sendable, Hashable {
  /// The kernel, as printed.
  public var kernel: String
  /// Output tile of one block, elements, in the name's order.
  public var tile: (m: Int, n: Int) { (tileM, tileN) }
  private var tileM: Int
  private var tileN: Int
  /// Blocks in x, y and z.
  public var grid: [Int]
  /// Runs.
  public var count: Int
  /// Kernel time of all runs, nanoseconds.
  public var total: Int64
  /// Elements of the result, all batches together, at most; nil where blocks take several tiles each.
  public var largestResult: Double?
  /// The larger and the smaller side of one slice of the result; nil where the grid does not say. A slice is one matrix of a batch, or the
  /// whole of a product whose depth is split.
  public var sides: (larger: ClosedRange<Int>, smaller: ClosedRange<Int>)? {
    largerSide.flatMap { larger in smallerSide.map { (larger, $0) } }
  }
  private var largerSide: ClosedRange<Int>?
  private var smallerSide: ClosedRange<Int>?
  /// Depth of a slice at most: at the device's dense peak its duration leaves time for no more. Nil where the arithmetic or device is unknown.
  public var largestDepth: Double?
  /// SMs with a block over the kernel's duration; nil where the device is unknown.
  public var residentSMShare: Double?

  /// From a grid of as many blocks as this share of the SMs on, kernels written for persistence may take several tiles per block.
  static let persistentShare = 0.75

  /// Of one row of a kernel table; nil for what is no product, or names no tile, or has no grid.
  init?(_ row: KernelRow, on gpu: GPU?) {
    guard row.parsed.role.isProduct, let tile = row.parsed.tile, row.grid.count == 3, row.grid.allSatisfy({ $0 > 0 }), row.count > 0 else {
      return nil
    }
    (kernel, tileM, tileN, grid, count, total) = (row.name, tile.m, tile.n, row.grid, row.count, row.total)
    residentSMShare = row.residentSMShare
    let blocks = grid.reduce(1) { $0.multipliedSaturated(by: $1) }
    let smCount = gpu?.smCount
    // cuBLAS and CUTLASS from compute capability 9.0 on: blocks stay and fetch tiles, and grids are padded to whole clusters.
    let isRecent = (row.parsed.architecture ?? (row.fullName.hasPrefix("nvjet") ? 90 : 0)) >= 90 || row.parsed.isPersistent
    let mayPersist = isRecent && (smCount.map { Double(blocks) >= Self.persistentShare * Double($0) } ?? true)
    let area = Double(tile.m) * Double(tile.n)
    if !mayPersist { largestResult = Double(blocks) * area }
    if !isRecent { setSides() }
    if let gpu, let type = row.parsed.type, !mayPersist {
      let perSM = (Double(blocks) / Double(max(1, gpu.smCount))).rounded(.up)
      let rate = TensorTime.operationsPerMicrosecond(type, of: gpu) / Double(max(1, gpu.smCount))
      if rate > 0 { largestDepth = Double(row.longest) / 1e3 * rate / (2 * area * perSM) }
    }
  }

  /// Which side of the tile lies along x, and by how much a swizzled grid is folded (x holds the tiles of several rows of blocks), is not
  /// in the name: the ranges span every way that fits.
  private mutating func setSides() {
    var (larger, smaller) = ((Int.max, 0), (Int.max, 0))
    func note(_ one: ClosedRange<Int>, _ other: ClosedRange<Int>) {
      let (high, low) = one.upperBound >= other.upperBound ? (one, other) : (other, one)
      larger = (min(larger.0, max(high.lowerBound, low.lowerBound)), max(larger.1, high.upperBound))
      smaller = (min(smaller.0, min(low.lowerBound, high.lowerBound)), max(smaller.1, low.upperBound))
    }
    for (first, second) in [(tileM, tileN), (tileN, tileM)] {
      for (x, y) in [(grid[0], grid[1]), (grid[1], grid[0])] {
        for fold in [1, 2, 4, 8, 16] where x % fold == 0 {
          let along = x / fold
          let across = y.multipliedSaturated(by: fold)
          let fewest = max(1, across - fold + 1)
          note(
            (along - 1).multipliedSaturated(by: first) + 1...max(1, along.multipliedSaturated(by: first)),
            (fewest - 1).multipliedSaturated(by: second) + 1...max(1, across.multipliedSaturated(by: second)))
        }
      }
    }
    guard larger.1 >= larger.0, smaller.1 >= smaller.0 else { return }
    (largerSide, smallerSide) = (larger.0...larger.1, smaller.0...smaller.1)
  }

  /// "32 tiles of 128 x 64, at most 262,144 results", without figures.
  var blocks: Int { grid.reduce(1) { $0.multipliedSaturated(by: $1) } }
}

extension KernelUse {
  /// Products by time whose size tile and grid bound.
  public func tiledProducts(on gpu: GPU?) -> [TiledProduct] { rows.compactMap { TiledProduct($0, on: gpu) } }
}
