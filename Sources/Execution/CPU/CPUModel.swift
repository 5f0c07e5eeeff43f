import Glibc
import ModelConfiguration
import ModelGraph
import Synchronization

/// A graph on the CPU: weights packed once, programs bound to the row counts that come.
///
/// `@unchecked Sendable`: everything but `programs` (behind its lock) is constant after `init`; constants' memory is only read.
final class CPUModel: LoadedModel, @unchecked Sendable {
  let graph: Graph
  let signature: ModelSignature
  let hasRowDimension: Bool
  let weightBytes: Int
  let precision: LoadOptions.Precision
  let pool: WorkerPool
  let level: CPUDeviceOptions.Level
  let weights: [PackedWeight]
  private let weightIndex: [CPUWeightKey: Int]
  private let constantIndex: [ValueID: Int]
  /// Constants that steps read as they are; weights that are only multiplied by are not among them.
  let constants: [UnsafeRawPointer]
  private let owned: [AlignedMemory]
  private let programs = Mutex<[Int: CPUProgram]>([:])
  /// Row counts whose programs are kept.
  private static let kept = 512

  init(_ original: Graph, _ options: LoadOptions, pool: WorkerPool, level: CPUDeviceOptions.Level) throws(DeviceError) {
    do throws(GraphError) {
      try original.validate()
      graph = try original.rewritten(by: Rewrites.standard)
    } catch {
      throw DeviceError(.unsupported, "\(error)")
    }
    for value in graph.values where ![.float32, .int64, .int32, .bool].contains(value.type) {
      throw DeviceError(.unsupported, "\"\(value.name)\" is \(value.type.rawValue); this device computes on float32, integers and booleans")
    }
    if options.precision == .bf16, level < .avx512bf16 {
      throw DeviceError(.unsupported, "this processor multiplies no bfloat16 (AVX512_BF16); use --precision fp32 or fp16")
    }
    self.pool = pool
    self.level = level
    precision = options.precision
    hasRowDimension = options.maximumBatchRows > 0
    let graph = graph
    func tensor(_ id: ValueID) -> ModelSignature.Tensor {
      let dims = graph[id].shape.map { $0.fixedSize ?? -1 }
      return ModelSignature.Tensor(
        name: graph[id].name, dataType: TensorDataType(graph[id].type), dims: options.maximumBatchRows > 0 ? Array(dims.dropFirst()) : dims)
    }
    signature = ModelSignature(inputs: graph.inputs.map(tensor), outputs: graph.outputs.map(tensor))
    (weights, weightIndex) = try Self.pack(graph, options.precision, pool)
    weightBytes = weights.reduce(0) { $0 + $1.byteCount }
    (owned, constantIndex) = try Self.copyConstants(graph)
    constants = owned.map { UnsafeRawPointer($0.address) }
  }

  /// Packs every weight that a linear step multiplies by, once for all steps that share it.
  private static func pack(_ graph: Graph, _ precision: LoadOptions.Precision, _ pool: WorkerPool) throws(DeviceError) -> (
    [PackedWeight], [CPUWeightKey: Int]
  ) {
    var packed: [PackedWeight] = []
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
      let slices = tensor.shape.dropLast(2).reduce(1, *)
      for slice in 0..<slices {
        let key = CPUWeightKey(value: id, slice: slice, isTransposed: isTransposed)
        if index[key] != nil { continue }
        var failure: DeviceError?
        let weight = tensor.storage.withBytes { bytes -> PackedWeight? in
          // Storage of a file need not be aligned.
          guard let base = bytes.baseAddress, bytes.count >= (slice + 1) * k * n * 4 else { return nil }
          func pack(_ floats: UnsafeBufferPointer<Float>) -> PackedWeight? {
            do throws(DeviceError) {
              return try PackedWeight(floats, k: k, n: n, isTransposed: isTransposed, precision: precision, pool: pool)
            } catch {
              failure = error
              return nil
            }
          }
          let start = base + slice * k * n * 4
          if UInt(bitPattern: start) % 4 == 0 {
            return pack(UnsafeBufferPointer(start: start.assumingMemoryBound(to: Float.self), count: k * n))
          }
          let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: k * n)
          defer { copy.deallocate() }
          UnsafeMutableRawBufferPointer(copy).copyMemory(from: UnsafeRawBufferPointer(start: start, count: k * n * 4))
          return pack(UnsafeBufferPointer(copy))
        }
        guard let weight else { throw failure ?? DeviceError(.unsupported, "layer \"\(node.name)\": its weight cannot be read") }
        index[key] = packed.count
        packed.append(weight)
      }
    }
    return (packed, index)
  }

  private static func copyConstants(_ graph: Graph) throws(DeviceError) -> ([AlignedMemory], [ValueID: Int]) {
    // A weight that only linear steps read lives on in its packed form alone.
    var needed: Set<ValueID> = Set(graph.outputs)
    for node in graph.nodes {
      for (place, id) in node.inputs.enumerated() {
        guard let id else { continue }
        switch node.operation {
        case .linear where place == 1: continue
        case .batchedLinear where place == 1: continue
        default: needed.insert(id)
        }
      }
    }
    var memories: [AlignedMemory] = []
    var index: [ValueID: Int] = [:]
    for (id, tensor) in graph.constants where needed.contains(id) {
      let memory = AlignedMemory()
      let target = try memory.reserve(tensor.storage.byteCount)
      tensor.storage.withBytes { bytes in if bytes.count <= target.count { target.copyMemory(from: bytes) } }
      index[id] = memories.count
      memories.append(memory)
    }
    return (memories, index)
  }

  /// The program for that many rows.
  func program(rows: Int) throws(DeviceError) -> CPUProgram {
    if let known = programs.withLock({ $0[rows] }) { return known }
    var builder = CPUProgramBuilder(
      graph: graph, weights: weightIndex, constants: constantIndex, rows: rows, level: level, precision: precision)
    let program = try builder.build()
    programs.withLock { programs in
      if programs.count >= Self.kept { programs.removeAll() }
      programs[rows] = program
    }
    return program
  }

  func stepNames(rows: Int) -> [String] { (try? program(rows: max(1, rows)).steps.map { "\($0.name) \($0.layer)" }) ?? [] }

  func makeInstance() throws(DeviceError) -> any ModelInstance { CPUInstance(self) }
}
