import Glibc
import ModelGraph

/// How a weight's columns are cut: slices that the pool's threads take one by one, each packed for itself.
struct OneDNNSlices: Sendable, Hashable {
  let n: Int
  /// Columns of every slice but the last.
  let width: Int

  init(n: Int, threads: Int) {
    self.n = n
    // Whole blocks of oneDNN's 64 columns, and twice as many slices as threads, so that one that a neighbour slows down takes fewer; wide ones
    // have less to copy. One thread needs no slices.
    let wanted = (n + threads * 2 - 1) / (threads * 2)
    width = threads == 1 ? n : min(n, (wanted + 63) / 64 * 64)
  }

  var count: Int { (n + width - 1) / width }

  subscript(slice: Int) -> Range<Int> { slice * width..<min(n, (slice + 1) * width) }
}

/// A weight matrix as oneDNN's products read it, packed once.
///
/// `@unchecked Sendable`: written in `init` alone, read-only afterwards.
final class OneDNNWeight: @unchecked Sendable {
  let k: Int
  let slices: OneDNNSlices
  let isBF16: Bool
  let byteCount: Int
  /// oneDNN's objects for the packed slices.
  let memories: [OpaquePointer]
  private let blocks: [UnsafeMutableRawPointer]
  private let library: OneDNNLibrary

  /// Packs `weight`, [k][n], or [n][k] where `isTransposed`.
  init(_ weight: UnsafeBufferPointer<Float>, k: Int, n: Int, isTransposed: Bool, isBF16: Bool, threads: Int, products: OneDNNProducts)
    throws(DeviceError)
  {
    guard let base = weight.baseAddress, k > 0, n > 0, weight.count / k >= n else {
      throw DeviceError(.unsupported, "a weight of \(weight.count) elements cannot be a \(k) x \(n) matrix")
    }
    let library = products.library
    let table = library.table
    slices = OneDNNSlices(n: n, threads: threads)
    self.k = k
    self.isBF16 = isBF16
    self.library = library
    var (memories, blocks, total): ([OpaquePointer], [UnsafeMutableRawPointer], Int) = ([], [], 0)
    do throws(DeviceError) {
      let workspace = try library.workspace(0)
      defer { library.giveBack(workspace) }
      library.stayOnThisThread()
      for slice in 0..<slices.count {
        let columns = slices[slice]
        let layout = try products.layout(k: k, n: columns.count, isBF16: isBF16).weights
        let size = table.size(layout)
        var fresh: UnsafeMutableRawPointer?
        guard posix_memalign(&fresh, 64, size) == 0, let fresh else {
          throw DeviceError(.unsupported, "\(k) x \(n) weights do not fit into memory")
        }
        blocks.append(fresh)
        total += size
        let packed = try library.made("packed weights") { table.createMemory($0, layout, library.engine, fresh) }
        memories.append(packed)
        let plain = try library.matrix(
          k, columns.count, OneDNNTable.Code.float32, rowStride: isTransposed ? 1 : n, columnStride: isTransposed ? k : 1)
        defer { _ = table.destroyMemoryDescriptor(plain) }
        let start = UnsafeMutableRawPointer(mutating: base + columns.lowerBound * (isTransposed ? k : 1))
        try Self.reorder(library, plain, start, layout, packed, workspace.stream)
      }
    } catch {
      for memory in memories { _ = table.destroyMemory(memory) }
      for block in blocks { free(block) }
      throw error
    }
    (self.memories, self.blocks, byteCount) = (memories, blocks, total)
  }

  deinit {
    for memory in memories { _ = library.table.destroyMemory(memory) }
    for block in blocks { free(block) }
  }

  private static func reorder(
    _ library: OneDNNLibrary, _ plain: OpaquePointer, _ start: UnsafeMutableRawPointer, _ layout: OpaquePointer, _ packed: OpaquePointer,
    _ stream: OpaquePointer
  ) throws(DeviceError) {
    let table = library.table
    let what = "packing weights"
    let memory = try library.made(what) { table.createMemory($0, plain, library.engine, start) }
    defer { _ = table.destroyMemory(memory) }
    let description = try library.made(what) { table.describeReorder($0, plain, library.engine, layout, library.engine, nil) }
    defer { _ = table.destroyPrimitiveDescriptor(description) }
    let primitive = try library.made(what) { table.createPrimitive($0, description) }
    defer { _ = table.destroyPrimitive(primitive) }
    let size = OneDNNTable.Argument.size
    let arguments = UnsafeMutableRawPointer.allocate(byteCount: 2 * size, alignment: 16)
    defer { arguments.deallocate() }
    for (place, argument) in [(OneDNNTable.Code.source, memory), (OneDNNTable.Code.target, packed)].enumerated() {
      arguments.storeBytes(of: argument.0, toByteOffset: place * size + OneDNNTable.Argument.indexOffset, as: Int32.self)
      arguments.storeBytes(of: argument.1, toByteOffset: place * size + OneDNNTable.Argument.memoryOffset, as: OpaquePointer.self)
    }
    try library.check(table.execute(primitive, stream, 2, arguments), what)
    try library.check(table.wait(stream), what)
  }
}
