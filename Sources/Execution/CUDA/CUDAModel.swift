import CCUDA
import CheckedNumbers
import ModelConfiguration
import ModelGraph
import Synchronization
import Threads

/// A graph on a CUDA device: its weights, and programs bound to the row counts that come.
///
/// `@unchecked Sendable`: everything but `resident` (behind its monitor) and `programs` (behind its lock) is constant after `init`.
final class CUDAModel: LoadedModel, @unchecked Sendable {
  /// What is known of a graph before anything is on the device.
  struct Layout: Sendable {
    /// As it runs: rewritten, in the compute type.
    let graph: Graph
    let type: DataType
    let smCount: Int
    let sources: [CPUWeightSource]
    let weights: [CUDAWeight.Shape]
    let weightIndex: [CPUWeightKey: Int]
    let constants: [ValueID]
    let constantIndex: [ValueID: Int]
    let scalars: [Int: Double]

    init(_ original: Graph, _ options: LoadOptions, smCount: Int) throws(DeviceError) {
      let runnable = try CPUModel.runnable(original)
      type = options.precision.computeType
      self.smCount = smCount
      (sources, weightIndex) = try CPUWeightSource.all(runnable)
      weights = CUDAWeight.shapes(sources, weightIndex)
      graph = CUDALowering.lowered(runnable, to: type)
      constants = CPUModel.neededConstants(graph).sorted { $0.index < $1.index }
      constantIndex = Dictionary(uniqueKeysWithValues: constants.enumerated().map { ($1, $0) })
      var scalars: [Int: Double] = [:]
      for (place, id) in constants.enumerated() {
        if let tensor = graph.constants[id], tensor.elementCount == 1, tensor.type == .float32 {
          scalars[place] = tensor.storage.withBytes { Double($0.loadUnaligned(as: Float.self)) }
        }
      }
      self.scalars = scalars
      // Three small ones tell apart what is fixed from what grows with the rows; the largest is what batches come to.
      let rows = options.maximumBatchRows > 0 ? Set([1, 2, 3, options.maximumBatchRows]).sorted() : [1]
      for rows in rows where options.maximumBatchRows == 0 || rows <= options.maximumBatchRows {
        do throws(DeviceError) { _ = try program(rows: rows) } catch {
          // So many rows do not fit: a batch of them is refused, the model is not.
          if error.kind != .unsupported, rows > 1 { continue }
          throw error
        }
      }
    }

    func program(rows: Int) throws(DeviceError) -> CUDAProgram {
      var builder = CPUProgramBuilder(
        graph: graph, weights: weightIndex, constants: constantIndex, rows: rows, level: .portable, precision: .fp32, engines: nil)
      var kernels = CUDAProgramBuilder(
        program: try builder.build(), weights: weights, scalars: scalars, type: type, smCount: smCount)
      return try kernels.build()
    }
  }

  /// What is on the device, for one context.
  final class Resident: Sendable {
    let generation: Int
    let weights: [CUDAMemory]
    /// Where each weight begins.
    let addresses: [UInt64]
    let constants: [CUDAMemory]
    /// Weights of chains, packed for their kernel.
    let packed: [Int: CUDAMemory]

    init(generation: Int, weights: [CUDAMemory], addresses: [UInt64], constants: [CUDAMemory], packed: [Int: CUDAMemory]) {
      self.generation = generation
      self.weights = weights
      self.addresses = addresses
      self.constants = constants
      self.packed = packed
    }

    var byteCount: Int { (weights + constants + packed.values).reduce(0) { $0 + $1.byteCount } }
  }

  let device: CUDADevice
  let layout: Layout
  let options: LoadOptions
  let signature: ModelSignature
  let hasRowDimension: Bool
  let weightBytes: Int
  private let monitor = Monitor()
  private var current: Resident?
  private let programs = Mutex<[Int: CUDAProgram]>([:])
  private static let kept = 512

  init(_ graph: Graph, _ options: LoadOptions, on device: CUDADevice) throws(DeviceError) {
    self.device = device
    self.options = options
    layout = try Layout(graph, options, smCount: max(1, device.description.computeUnits))
    hasRowDimension = options.maximumBatchRows > 0
    let lowered = layout.graph
    func tensor(_ id: ValueID) -> ModelSignature.Tensor {
      let dims = lowered[id].shape.map { $0.fixedSize ?? -1 }
      return ModelSignature.Tensor(
        name: lowered[id].name, dataType: TensorDataType(lowered[id].type),
        dims: options.maximumBatchRows > 0 ? Array(dims.dropFirst()) : dims)
    }
    signature = ModelSignature(inputs: lowered.inputs.map(tensor), outputs: lowered.outputs.map(tensor))
    let resident = try Self.upload(layout, device, options)
    current = resident
    weightBytes = resident.byteCount
  }

  /// What is on the device in the context as it is now; copied anew where the context is another one.
  func resident() throws(DeviceError) -> Resident {
    monitor.lock()
    defer { monitor.unlock() }
    if let current, device.context.owns(current.generation) { return current }
    // What is left of the old one is not given back: it went with its context.
    current = nil
    let made = try Self.upload(layout, device, options)
    current = made
    return made
  }

  private static func upload(_ layout: Layout, _ device: CUDADevice, _ options: LoadOptions) throws(DeviceError) -> Resident {
    let context = device.context
    let generation = try context.generation()
    return try context.use(generation) { () throws(DeviceError) in
      let name = layout.graph.name
      func copy(_ bytes: [UInt8], _ purpose: String) throws(DeviceError) -> CUDAMemory {
        let memory = try CUDAMemory(context, generation, byteCount: bytes.count, for: "model \"\(name)\": \(purpose)")
        if bytes.isEmpty { return memory }
        try context.driver.check(
          context.driver.functions.cuMemcpyHtoD_v2(memory.address, bytes, bytes.count), "\(purpose) of model \"\(name)\"")
        return memory
      }
      // Slices of one tensor behind each other, in the order of their numbers.
      var addresses = [UInt64](repeating: 0, count: layout.sources.count)
      var memories: [CUDAMemory] = []
      let total = layout.weights.reduce(0) { $0 + $1.k * $1.n * layout.type.memorySize }
      var groups: [(value: ValueID, isTransposed: Bool, numbers: [Int])] = []
      for (number, shape) in layout.weights.enumerated() {
        if let last = groups.indices.last, groups[last].value == shape.value, groups[last].isTransposed == shape.isTransposed {
          groups[last].numbers.append(number)
        } else {
          groups.append((shape.value, shape.isTransposed, [number]))
        }
      }
      let chained = device.options.usesChainKernels ? Set(chainedWeights(layout, options)) : []
      var packed: [Int: CUDAMemory] = [:]
      for group in groups {
        var bytes: [UInt8] = []
        var starts: [Int] = []
        for number in group.numbers {
          starts.append(bytes.count)
          let own = try CUDAWeight.bytes(layout.sources[number], as: layout.type)
          if chained.contains(number) { packed[number] = try copy(CUDAWeight.packed(own, layout.weights[number]), "packed weights") }
          bytes += own
        }
        let memory = try copy(bytes, "weights (\(total) bytes in all)")
        for (number, start) in zip(group.numbers, starts) { addresses[number] = memory.address + UInt64(clamping: start) }
        memories.append(memory)
      }
      let constants = try layout.constants.map { id throws(DeviceError) -> CUDAMemory in
        guard let tensor = layout.graph.constants[id] else { return try copy([], "a constant") }
        return try copy(CUDALowering.bytes(of: tensor, as: layout.graph[id].type), "constant \"\(layout.graph[id].name)\"")
      }
      return Resident(generation: generation, weights: memories, addresses: addresses, constants: constants, packed: packed)
    }
  }

  /// Weights that some small batch multiplies by in a chain.
  private static func chainedWeights(_ layout: Layout, _ options: LoadOptions) -> [Int] {
    let maximum = options.maximumBatchRows
    let rows = Set([1] + options.preferredRows + [maximum]).filter { $0 >= 1 && (maximum == 0 || $0 <= maximum) }
    return rows.flatMap { (try? layout.program(rows: $0).chains.flatMap(\.weights)) ?? [] }
  }

  /// The program for that many rows.
  func program(rows: Int) throws(DeviceError) -> CUDAProgram {
    if let known = programs.withLock({ $0[rows] }) { return known }
    let program = try layout.program(rows: rows)
    programs.withLock { programs in
      if programs.count >= Self.kept { programs.removeAll() }
      programs[rows] = program
    }
    return program
  }

  var pipelineDepth: Int { CUDAInstance.depth }

  func steps(rows: Int) -> [DeviceStep] {
    // Rows that have no program have run no batch.
    guard let program = try? program(rows: max(1, rows)) else { return [] }
    return program.steps.map { DeviceStep($0.name) }
  }

  func makeInstance() throws(DeviceError) -> any ModelInstance { try CUDAInstance(self) }
}
