import CCUDA
import CheckedNumbers
import ModelGraph

/// cuBLASLt in one context: descriptors, and which of its algorithms is fastest for a shape, found by timing and remembered on disk.
///
/// Not Sendable: used by one instance, on the thread that owns it.
final class CUDABlas {
  /// Memory that algorithms may use, bytes: what NVIDIA advises for Hopper.
  static let workspaceBytes = 32 << 20

  /// A product, ready to be launched.
  struct Product {
    var descriptor: HRMatmulDescriptor
    var a: HRMatrixLayout
    var b: HRMatrixLayout
    var d: HRMatrixLayout
    var algorithm: HRMatmulAlgorithm
    var workspace: Int
    var addresses: Addresses
  }

  /// Where its operands are.
  struct Addresses {
    var a: UInt64
    var b: UInt64
    var d: UInt64
    var bias: UInt64
  }

  private let library: CUDALibrary<HRBlasTable>
  private let handle: HRBlasHandle
  private let workspace: CUDAMemory
  private let context: CUDAContext
  private let allowsTF32: Bool
  private let cache: CUDACache?
  /// The GPU and the library: part of every key.
  private let identity: String
  private var known: [String: HRMatmulAlgorithm] = [:]
  private var products: [Product] = []

  /// To be called inside `CUDAContext.use`.
  init(
    _ library: CUDALibrary<HRBlasTable>, _ context: CUDAContext, _ generation: Int, allowsTF32: Bool, cache: CUDACache?, identity: String
  ) throws(DeviceError) {
    self.library = library
    self.context = context
    self.allowsTF32 = allowsTF32
    self.cache = cache
    self.identity = "\(identity) cublasLt \(library.functions.cublasLtGetVersion())"
    workspace = try CUDAMemory(context, generation, byteCount: Self.workspaceBytes, for: "the workspace of GEMMs")
    var made: HRBlasHandle?
    let status = library.functions.cublasLtCreate(&made)
    guard status == 0, let made else { throw DeviceError(.unsupported, "cublasLtCreate: status \(status)") }
    handle = made
  }

  deinit {
    for product in products { destroy(product) }
    context.release(workspace.generation) { _ = library.functions.cublasLtDestroy(handle) }
  }

  private func destroy(_ product: Product) {
    _ = library.functions.cublasLtMatmulDescDestroy(product.descriptor)
    for layout in [product.a, product.b, product.d] { _ = library.functions.cublasLtMatrixLayoutDestroy(layout) }
  }

  private func check(_ status: Int32, _ what: @autoclosure () -> String) throws(DeviceError) {
    if status == 0 { return }
    // 13: the execution failed, 14: internal: the context's error tells which.
    if status == 13 || status == 14 {
      try context.driver.check(context.driver.functions.cuCtxSynchronize(), what())
    }
    throw DeviceError(.batchFailed, "\(what()): cuBLASLt status \(status)")
  }

  /// A product with its descriptors; they live as long as this.
  func product(_ shape: CUDAMatmul.Shape, _ addresses: Addresses, stream: HRStream?) throws(DeviceError) -> Product {
    let functions = library.functions
    let type = Int32(clamping: shape.type == .float32 ? HR_TYPE_FLOAT32 : shape.type == .float16 ? HR_TYPE_FLOAT16 : HR_TYPE_BFLOAT16)
    let compute = Int32(clamping: shape.type == .float32 && allowsTF32 ? HR_COMPUTE_TF32 : HR_COMPUTE_FLOAT32)
    var descriptor: HRMatmulDescriptor?
    try check(functions.cublasLtMatmulDescCreate(&descriptor, compute, Int32(clamping: HR_TYPE_FLOAT32)), "cublasLtMatmulDescCreate")
    guard let descriptor else { throw DeviceError(.batchFailed, "cublasLtMatmulDescCreate gave nothing") }
    var layouts: [HRMatrixLayout] = []
    var isComplete = false
    defer {
      if !isComplete {
        _ = functions.cublasLtMatmulDescDestroy(descriptor)
        for layout in layouts { _ = functions.cublasLtMatrixLayoutDestroy(layout) }
      }
    }
    func set(_ attribute: Int, _ value: some BitwiseCopyable) throws(DeviceError) {
      let status = withUnsafeBytes(of: value) {
        functions.cublasLtMatmulDescSetAttribute(descriptor, Int32(clamping: attribute), $0.baseAddress, $0.count)
      }
      try check(status, "a GEMM's attribute \(attribute)")
    }
    try set(HR_MATMUL_TRANSPOSE_A, Int32(clamping: shape.isTransposedA ? 1 : 0))
    try set(HR_MATMUL_TRANSPOSE_B, Int32(clamping: shape.isTransposedB ? 1 : 0))
    let epilogue =
      switch (shape.activation, shape.hasBias) {
      case (.relu, true): HR_EPILOGUE_RELU_BIAS
      case (.relu, false): HR_EPILOGUE_RELU
      case (.geluTanh, true): HR_EPILOGUE_GELU_BIAS
      case (.geluTanh, false): HR_EPILOGUE_GELU
      case (_, true): HR_EPILOGUE_BIAS
      case (_, false): HR_EPILOGUE_NONE
      }
    try set(HR_MATMUL_EPILOGUE, UInt32(clamping: epilogue))
    if shape.hasBias {
      try set(HR_MATMUL_BIAS_POINTER, addresses.bias)
      if shape.batches > 1 { try set(HR_MATMUL_BIAS_BATCH_STRIDE, Int64(shape.biasStride)) }
    }
    func layout(_ rows: Int, _ columns: Int, _ distance: Int, _ stride: Int) throws(DeviceError) -> HRMatrixLayout {
      var made: HRMatrixLayout?
      let text = "a \(rows) x \(columns) matrix with rows \(distance) apart"
      try check(
        functions.cublasLtMatrixLayoutCreate(&made, type, UInt64(clamping: rows), UInt64(clamping: columns), Int64(distance)), text)
      guard let made else { throw DeviceError(.batchFailed, text) }
      layouts.append(made)
      if shape.batches > 1 {
        var (count, step) = (Int32(clamping: shape.batches), Int64(stride))
        try check(functions.cublasLtMatrixLayoutSetAttribute(made, Int32(clamping: HR_LAYOUT_BATCH_COUNT), &count, 4), text)
        try check(functions.cublasLtMatrixLayoutSetAttribute(made, Int32(clamping: HR_LAYOUT_BATCH_STRIDE), &step, 8), text)
      }
      return made
    }
    let a = try layout(
      shape.isTransposedA ? shape.depth : shape.rows, shape.isTransposedA ? shape.rows : shape.depth, shape.distanceA, shape.strideA)
    let b = try layout(
      shape.isTransposedB ? shape.columns : shape.depth, shape.isTransposedB ? shape.depth : shape.columns, shape.distanceB, shape.strideB)
    let d = try layout(shape.rows, shape.columns, shape.distanceD, shape.strideD)
    var product = Product(
      descriptor: descriptor, a: a, b: b, d: d, algorithm: HRMatmulAlgorithm(), workspace: Self.workspaceBytes, addresses: addresses)
    product.algorithm = try algorithm(product, shape, stream: stream)
    isComplete = true
    products.append(product)
    return product
  }

  /// Gives a product's descriptors back: it is not run again.
  func forget(_ product: Product) {
    products.removeAll { $0.descriptor == product.descriptor }
    destroy(product)
  }

  /// Launches it, or adds it to the graph that the stream captures.
  func run(_ product: Product, stream: HRStream?) throws(DeviceError) {
    try check(launch(product, product.algorithm, stream), "a GEMM")
  }

  private func launch(_ product: Product, _ algorithm: HRMatmulAlgorithm, _ stream: HRStream?) -> Int32 {
    var (one, zero, algorithm) = (Float(1), Float(0), algorithm)
    func pointer(_ address: UInt64) -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: UInt(address)) }
    return library.functions.cublasLtMatmul(
      handle, product.descriptor, &one, pointer(product.addresses.a), product.a, pointer(product.addresses.b), product.b, &zero,
      pointer(product.addresses.d), product.d, pointer(product.addresses.d), product.d, &algorithm, pointer(workspace.address),
      product.workspace, stream)
  }

  // MARK: - Algorithms

  /// The fastest of what the heuristic proposes, by the median of five launches each.
  private func algorithm(_ product: Product, _ shape: CUDAMatmul.Shape, stream: HRStream?) throws(DeviceError) -> HRMatmulAlgorithm {
    let alignments = [product.addresses.a, product.addresses.b, product.addresses.d].map(Self.alignment)
    let key = "\(identity) tf32 \(allowsTF32) \(shape) aligned \(alignments)"
    if let found = known[key] { return found }
    if let kept = cache?.read("gemm", key), kept.count == 64 {
      let found = kept.withUnsafeBytes { $0.loadUnaligned(as: HRMatmulAlgorithm.self) }
      // A library that was replaced without a new version number refuses it.
      if launch(product, found, stream) == 0 {
        known[key] = found
        return found
      }
    }
    let proposals = try self.proposals(product, shape, alignments)
    var best: (time: Float, algorithm: HRMatmulAlgorithm)?
    for proposal in proposals {
      guard let time = try time(product, proposal.algorithm, stream) else { continue }
      if best.map({ time < $0.time }) ?? true { best = (time, proposal.algorithm) }
    }
    guard let best else {
      throw DeviceError(.unsupported, "cuBLASLt runs no \(shape.type.rawValue) GEMM of \(shape.columns) x \(shape.rows) x \(shape.depth)")
    }
    known[key] = best.algorithm
    cache?.write("gemm", key, withUnsafeBytes(of: best.algorithm) { Array($0) })
    return best.algorithm
  }

  private func proposals(_ product: Product, _ shape: CUDAMatmul.Shape, _ alignments: [UInt32]) throws(DeviceError) -> [HRMatmulHeuristic] {
    let functions = library.functions
    var preference: HRMatmulPreference?
    try check(functions.cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate")
    guard let preference else { return [] }
    defer { _ = functions.cublasLtMatmulPreferenceDestroy(preference) }
    var workspace = UInt64(clamping: Self.workspaceBytes)
    try check(
      functions.cublasLtMatmulPreferenceSetAttribute(preference, Int32(clamping: HR_PREFERENCE_MAX_WORKSPACE_BYTES), &workspace, 8),
      "the workspace's size")
    let operands = [HR_PREFERENCE_ALIGNMENT_A, HR_PREFERENCE_ALIGNMENT_B, HR_PREFERENCE_ALIGNMENT_C, HR_PREFERENCE_ALIGNMENT_D]
    for (attribute, alignment) in zip(operands, alignments + [alignments[2]]) {
      var alignment = alignment
      try check(
        functions.cublasLtMatmulPreferenceSetAttribute(preference, Int32(clamping: attribute), &alignment, 4), "an operand's alignment")
    }
    var results = [HRMatmulHeuristic](repeating: HRMatmulHeuristic(), count: 8)
    var found: Int32 = 0
    let status = functions.cublasLtMatmulAlgoGetHeuristic(
      handle, product.descriptor, product.a, product.b, product.d, product.d, preference, Int32(clamping: results.count), &results, &found)
    // 15: not supported, said below with the shape.
    if status != 15 { try check(status, "cublasLtMatmulAlgoGetHeuristic") }
    return Array(results.prefix(max(0, Int(found)))).filter { $0.status == 0 && $0.workspaceBytes <= Self.workspaceBytes }
  }

  /// Milliseconds; nil where it does not run.
  private func time(_ product: Product, _ algorithm: HRMatmulAlgorithm, _ stream: HRStream?) throws(DeviceError) -> Float? {
    let driver = context.driver
    guard launch(product, algorithm, stream) == 0 else { return nil }
    var times: [Float] = []
    let (start, end) = (try CUDAEvent(context, workspace.generation), try CUDAEvent(context, workspace.generation))
    for _ in 0..<5 {
      try start.record(stream)
      guard launch(product, algorithm, stream) == 0 else { return nil }
      try end.record(stream)
      try end.wait()
      var time: Float = 0
      try driver.check(driver.functions.cuEventElapsedTime(&time, start.handle, end.handle), "the time of a GEMM")
      times.append(time)
    }
    return times.sorted()[2]
  }

  /// The largest power of two up to 256 that divides an address.
  private static func alignment(_ address: UInt64) -> UInt32 {
    UInt32(clamping: 1 << min(8, address.trailingZeroBitCount))
  }
}

/// An event with a time, destroyed with its owner.
///
/// `@unchecked Sendable`: the handle is constant, and the driver's functions may be called from any thread.
final class CUDAEvent: @unchecked Sendable {
  let handle: HREvent
  private let context: CUDAContext
  private let generation: Int

  /// To be called inside `CUDAContext.use`. `blocks`: who waits sleeps instead of spinning.
  init(_ context: CUDAContext, _ generation: Int, blocks: Bool = false) throws(DeviceError) {
    self.context = context
    self.generation = generation
    var made: HREvent?
    try context.driver.check(
      context.driver.functions.cuEventCreate(&made, UInt32(clamping: blocks ? HR_EVENT_BLOCKING_SYNC : HR_EVENT_DEFAULT)), "cuEventCreate")
    guard let made else { throw DeviceError(.batchFailed, "cuEventCreate gave nothing") }
    handle = made
  }

  deinit { context.release(generation) { _ = context.driver.functions.cuEventDestroy_v2(handle) } }

  func record(_ stream: HRStream?) throws(DeviceError) {
    try context.driver.check(context.driver.functions.cuEventRecord(handle, stream), "cuEventRecord")
  }

  func wait() throws(DeviceError) {
    try context.driver.check(context.driver.functions.cuEventSynchronize(handle), "a batch on the GPU")
  }
}
