import Glibc
import ModelGraph
import Synchronization

/// Compiled primitives of a model, by shape.
///
/// Sendable unchecked: `primitives` and `layouts` are behind a lock, the rest is constant.
final class OneDNNProducts: @unchecked Sendable {
  let library: OneDNNLibrary
  private let cache = Mutex<Cache>(Cache())
  /// About 140 KB each; `OneDNNProduct.chunks` lets a weight's shape have 35 of them, whatever row counts come.
  private static let kept = 512

  private struct Cache {
    var primitives: [OneDNNShape: OneDNNPrimitive] = [:]
    var layouts: [OneDNNShape: OneDNNPrimitive] = [:]
  }

  init(_ library: OneDNNLibrary) { self.library = library }

  /// The product that says how weights of that size are packed, for all row counts. Kept as long as the model: its primitives refer to it.
  func layout(k: Int, n: Int, isBF16: Bool) throws(DeviceError) -> OneDNNPrimitive {
    let shape = OneDNNShape(
      rows: OneDNNProduct.chunk, k: k, n: n, sourceDistance: k, hasBias: true, activation: .none, isBF16: isBF16)
    if let known = cache.withLock({ $0.layouts[shape] }) { return known }
    let made = try OneDNNPrimitive(library, shape, layout: nil)
    // Two threads may have made one each: the first one counts.
    return cache.withLock { cache in
      if let known = cache.layouts[shape] { return known }
      cache.layouts[shape] = made
      return made
    }
  }

  func primitive(_ shape: OneDNNShape) throws(DeviceError) -> OneDNNPrimitive {
    if let known = cache.withLock({ $0.primitives[shape] }) { return known }
    let layout = try layout(k: shape.k, n: shape.n, isBF16: shape.isBF16)
    let made = try OneDNNPrimitive(library, shape, layout: layout.weights)
    cache.withLock { cache in
      // What programs use stays with them.
      if cache.primitives.count >= Self.kept { cache.primitives.removeAll() }
      cache.primitives[shape] = made
    }
    return made
  }
}

/// A product for one number of rows: the weight's slices, times blocks of rows, cut into tasks.
final class OneDNNProduct: Sendable {
  let tasks: Int
  private let library: OneDNNLibrary
  private let n: Int
  private let slices: OneDNNSlices
  /// First row and primitives, for slices of the full width and for the last one.
  private let blocks: [(first: Int, wide: OneDNNPrimitive, last: OneDNNPrimitive)]
  private let rowParts: Int
  private let sourceDistance: Int
  private let elementSize: Int
  private let scratchBytes: Int
  private let stagingBytes: Int

  /// Rows of the largest block: more of them are not faster, and a slice of the result stays in the second-level cache.
  static let chunk = 128

  /// Blocks of rows: 128, then a multiple of 32, then what is left, so that few primitives serve all row counts.
  static func chunks(_ rows: Int) -> [Range<Int>] {
    var (ranges, first): ([Range<Int>], Int) = ([], 0)
    while first < rows {
      let left = rows - first
      let count = left >= chunk ? chunk : left >= 32 ? left / 32 * 32 : left
      ranges.append(first..<first + count)
      first += count
    }
    return ranges
  }

  init(
    _ products: OneDNNProducts, k: Int, slices: OneDNNSlices, rows: Int, sourceDistance: Int, hasBias: Bool, activation: Activation,
    isBF16: Bool, threads: Int
  ) throws(DeviceError) {
    library = products.library
    n = slices.n
    self.slices = slices
    self.sourceDistance = sourceDistance
    elementSize = isBF16 ? 2 : 4
    var blocks: [(first: Int, wide: OneDNNPrimitive, last: OneDNNPrimitive)] = []
    for range in Self.chunks(rows) {
      var shape = OneDNNShape(
        rows: range.count, k: k, n: slices.width, sourceDistance: sourceDistance, hasBias: hasBias, activation: activation, isBF16: isBF16
      )
      let wide = try products.primitive(shape)
      shape.n = slices[slices.count - 1].count
      blocks.append((range.lowerBound, wide, try products.primitive(shape)))
    }
    self.blocks = blocks
    scratchBytes = blocks.reduce(0) { max($0, $1.wide.scratchBytes, $1.last.scratchBytes) }
    // A slice's rows are not dense in the result, so they are written elsewhere and copied while they are in the cache.
    stagingBytes = slices.count == 1 ? 0 : min(rows, Self.chunk) * slices.width * 4
    rowParts = slices.count >= threads * 2 ? 1 : max(1, min(blocks.count, (threads * 2 + slices.count - 1) / slices.count))
    tasks = slices.count * rowParts
  }

  /// Runs one task on the calling thread; oneDNN's status.
  func run(
    _ task: Int, _ weight: OneDNNWeight, source: UnsafeMutableRawPointer, bias: UnsafeMutablePointer<Float>?,
    target: UnsafeMutablePointer<Float>
  ) -> Int32 {
    let workspace: OneDNNWorkspace
    do throws(DeviceError) {
      workspace = try library.workspace(scratchBytes + stagingBytes)
    } catch {
      return 1
    }
    defer { library.giveBack(workspace) }
    let (slice, part) = (task / rowParts, task % rowParts)
    let columns = slices[slice]
    let staging = stagingBytes > 0 ? (workspace.memory.address + scratchBytes).assumingMemoryBound(to: Float.self) : nil
    for index in blocks.count * part / rowParts..<blocks.count * (part + 1) / rowParts {
      let block = blocks[index]
      let primitive = slice == slices.count - 1 ? block.last : block.wide
      let place = target + block.first * n + columns.lowerBound
      let status = primitive.execute(
        workspace.stream, source: source + block.first * sourceDistance * elementSize, weights: weight.memories[slice],
        bias: bias.map { UnsafeMutableRawPointer($0 + columns.lowerBound) }, target: UnsafeMutableRawPointer(staging ?? place),
        scratch: workspace.memory.address)
      if status != 0 { return status }
      if let staging {
        for row in 0..<primitive.shape.rows { memcpy(place + row * n, staging + row * columns.count, columns.count * 4) }
      }
    }
    return 0
  }
}
