import CheckedNumbers
import ModelGraph
import Synchronization

/// What a product is compiled for.
struct OneDNNShape: Sendable, Hashable {
  var rows: Int
  var k: Int
  var n: Int
  /// Elements from one row of the source to the next.
  var sourceDistance: Int
  var hasBias: Bool
  var activation: Activation
  var isBF16: Bool
}

/// target [rows][n] = activation(source [rows][k] * weights + bias), compiled for its sizes, on one thread. The target's rows lie densely:
/// with gaps between them oneDNN falls back to kernels that pack the weights anew at every call.
///
/// Sendable unchecked: what `init` sets is constant, and executing a primitive is thread-safe with a scratchpad a call; memory objects are
/// handed out one caller each, behind `lanes`' lock.
final class OneDNNPrimitive: @unchecked Sendable {
  let shape: OneDNNShape
  /// How the weights have to lie; belongs to the description below.
  let weights: OpaquePointer
  let scratchBytes: Int
  private let library: OneDNNLibrary
  private let description: OpaquePointer
  private let primitive: OpaquePointer
  private let lanes = Mutex<[OneDNNLane]>([])
  private let source: OpaquePointer
  private let bias: OpaquePointer?
  private let target: OpaquePointer

  /// `layout`: how the weights lie already; nil: as the primitive likes best.
  init(_ library: OneDNNLibrary, _ shape: OneDNNShape, layout: OpaquePointer?) throws(DeviceError) {
    let table = library.table
    library.stayOnThisThread()
    let type = shape.isBF16 ? OneDNNTable.Code.bfloat16 : OneDNNTable.Code.float32
    let what = "a product of \(shape.rows) x \(shape.k) x \(shape.n)"
    // Descriptions are small and live as long as the process where making the next one fails.
    source = try library.matrix(shape.rows, shape.k, type, rowStride: shape.sourceDistance)
    target = try library.matrix(shape.rows, shape.n, OneDNNTable.Code.float32, rowStride: shape.n)
    bias = shape.hasBias ? try library.matrix(1, shape.n, OneDNNTable.Code.float32, rowStride: shape.n) : nil
    let sizes = [Int64(shape.k), Int64(shape.n)]
    let any = try library.made(what) { table.createTagged($0, 2, sizes, type, OneDNNTable.Code.anyFormat) }
    let attributes = try library.made(what) { table.createAttributes($0) }
    defer {
      _ = table.destroyMemoryDescriptor(any)
      _ = table.destroyAttributes(attributes)
    }
    try library.check(table.setScratchpadMode(attributes, OneDNNTable.Code.userScratchpad), what)
    if let code = shape.activation.oneDNNCode {
      let operations = try library.made(what) { table.createPostOperations($0) }
      defer { _ = table.destroyPostOperations(operations) }
      try library.check(table.appendElementwise(operations, code, 0, 0), what)
      try library.check(table.setPostOperations(attributes, operations), what)
    }
    let (source, bias, target) = (source, bias, target)
    func describe(_ weights: OpaquePointer) throws(DeviceError) -> OpaquePointer {
      try library.made(what) { table.describeMatmul($0, library.engine, source, weights, bias, target, attributes) }
    }
    func weightsLayout(_ description: OpaquePointer) throws(DeviceError) -> OpaquePointer {
      guard let found = table.queryMemory(description, OneDNNTable.Code.weightsQuery, 0) else {
        throw DeviceError(.unsupported, "\(what): oneDNN does not say how weights lie")
      }
      return found
    }
    var described = try describe(any)
    var found = try weightsLayout(described)
    if let layout, table.isEqual(found, layout) == 0 {
      _ = table.destroyPrimitiveDescriptor(described)
      described = try describe(layout)
      found = try weightsLayout(described)
    }
    description = described
    weights = found
    scratchBytes = table.queryMemory(described, OneDNNTable.Code.scratchpadQuery, 0).map { (table.size($0) + 63) & ~63 } ?? 0
    do throws(DeviceError) {
      primitive = try library.made(what) { table.createPrimitive($0, described) }
    } catch {
      _ = table.destroyPrimitiveDescriptor(described)
      throw error
    }
    self.library = library
    self.shape = shape
  }

  deinit {
    lanes.withLock { $0.removeAll() }
    _ = library.table.destroyPrimitive(primitive)
    _ = library.table.destroyPrimitiveDescriptor(description)
    for descriptor in [source, bias, target] {
      if let descriptor { _ = library.table.destroyMemoryDescriptor(descriptor) }
    }
  }

  /// Runs it on the calling thread. `scratch`: `scratchBytes` bytes. The status of the first call that fails, else 0.
  func execute(
    _ stream: OpaquePointer, source: UnsafeMutableRawPointer, weights: OpaquePointer, bias: UnsafeMutableRawPointer?,
    target: UnsafeMutableRawPointer, scratch: UnsafeMutableRawPointer
  ) -> Int32 {
    let lane: OneDNNLane
    do throws(DeviceError) {
      if let known = lanes.withLock({ $0.popLast() }) { lane = known } else { lane = try makeLane() }
    } catch {
      return 1
    }
    defer { lanes.withLock { $0.append(lane) } }
    library.stayOnThisThread()
    return lane.run(primitive, stream, source, weights, bias, target, scratch)
  }

  private func makeLane() throws(DeviceError) -> OneDNNLane {
    let scratch = scratchBytes > 0 ? library.table.queryMemory(description, OneDNNTable.Code.scratchpadQuery, 0) : nil
    return try OneDNNLane(library, source: source, bias: bias, target: target, scratch: scratch)
  }
}

/// oneDNN's objects for the memory of one call at a time: only their addresses change.
///
/// Sendable unchecked: it belongs to whoever took it from its primitive's list, and is handed over behind that list's lock.
private final class OneDNNLane: @unchecked Sendable {
  private let library: OneDNNLibrary
  private var objects: [(memory: OpaquePointer, index: Int32)] = []
  private let arguments: UnsafeMutableRawPointer

  init(_ library: OneDNNLibrary, source: OpaquePointer, bias: OpaquePointer?, target: OpaquePointer, scratch: OpaquePointer?)
    throws(DeviceError)
  {
    self.library = library
    // The weights come first, then at most four objects of our own.
    arguments = .allocate(byteCount: 5 * OneDNNTable.Argument.size, alignment: 16)
    arguments.initializeMemory(as: UInt8.self, repeating: 0, count: 5 * OneDNNTable.Argument.size)
    typealias Code = OneDNNTable.Code
    for (descriptor, index) in [(source, Code.source), (target, Code.target), (bias, Code.bias), (scratch, Code.scratchpad)] {
      guard let descriptor else { continue }
      objects.append((try library.made("an argument") { library.table.createMemory($0, descriptor, library.engine, nil) }, index))
    }
    for (place, object) in objects.enumerated() {
      set(place + 1, object.index, object.memory)
    }
  }

  private func set(_ place: Int, _ index: Int32, _ memory: OpaquePointer) {
    let argument = arguments + place * OneDNNTable.Argument.size
    argument.storeBytes(of: index, toByteOffset: OneDNNTable.Argument.indexOffset, as: Int32.self)
    argument.storeBytes(of: memory, toByteOffset: OneDNNTable.Argument.memoryOffset, as: OpaquePointer.self)
  }

  deinit {
    for object in objects { _ = library.table.destroyMemory(object.memory) }
    arguments.deallocate()
  }

  func run(
    _ primitive: OpaquePointer, _ stream: OpaquePointer, _ source: UnsafeMutableRawPointer, _ weights: OpaquePointer,
    _ bias: UnsafeMutableRawPointer?, _ target: UnsafeMutableRawPointer, _ scratch: UnsafeMutableRawPointer
  ) -> Int32 {
    set(0, OneDNNTable.Code.weights, weights)
    for object in objects {
      let address: UnsafeMutableRawPointer? =
        switch object.index {
        case OneDNNTable.Code.source: source
        case OneDNNTable.Code.target: target
        case OneDNNTable.Code.bias: bias
        default: scratch
        }
      let status = library.table.setData(object.memory, address)
      if status != 0 { return status }
    }
    let status = library.table.execute(primitive, stream, Int32(clamping: objects.count + 1), arguments)
    return status == 0 ? library.table.wait(stream) : status
  }
}

extension Activation {
  /// oneDNN's number of the same function; nil: none.
  var oneDNNCode: Int32? {
    switch self {
    case .none: nil
    case .relu: 0x20
    case .tanh: 0x21
    case .sigmoid: 0x29
    case .geluTanh: 0x2b
    case .gelu: 0x31
    }
  }
}
