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
  let weights: [CPUWeight]
  private let engines: CPUEngines?
  private let weightIndex: [CPUWeightKey: Int]
  private let constantIndex: [ValueID: Int]
  /// Constants that steps read as they are; weights that are only multiplied by are not among them.
  let constants: [UnsafeRawPointer]
  private let owned: [AlignedMemory]
  private let programs = Mutex<[Int: CPUProgram]>([:])
  /// Row counts whose programs are kept.
  private static let kept = 512

  init(
    _ original: Graph, _ options: LoadOptions, pool: WorkerPool, level: CPUDeviceOptions.Level, engine: CPUDeviceOptions.Engine,
    oneDNN: OneDNNLibrary?
  ) throws(DeviceError) {
    graph = try Self.runnable(original)
    if options.precision == .bf16, level < .avx512bf16 {
      throw DeviceError(.unsupported, "this processor multiplies no bfloat16 (AVX512_BF16); use --precision fp32 or fp16")
    }
    if options.precision == .fp16, engine == .onednn {
      throw DeviceError(.unsupported, "oneDNN runs fp32 and bf16 here; fp16 weights need --engine own or automatic")
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
    let (sources, index) = try CPUWeightSource.all(graph)
    try Self.check(graph, options, level: level, weights: index)
    let (constantMemory, constantPlaces) = try Self.copyConstants(graph)
    (weightIndex, owned, constantIndex) = (index, constantMemory, constantPlaces)
    constants = constantMemory.map { UnsafeRawPointer($0.address) }
    func program(_ rows: Int, _ engines: CPUEngines?) throws(DeviceError) -> CPUProgram {
      var builder = CPUProgramBuilder(
        graph: graph, weights: index, constants: constantPlaces, rows: rows, level: level, precision: options.precision, engines: engines)
      return try builder.build()
    }
    guard let oneDNN, options.precision != .fp16 else {
      engines = nil
      weights = try sources.map { source throws(DeviceError) in
        try source.packed(own: true, oneDNN: nil, precision: options.precision, pool: pool)
      }
      weightBytes = weights.reduce(0) { $0 + $1.byteCount }
      return
    }
    let products = OneDNNProducts(oneDNN)
    var chosen = CPUEngines(products: products, isBF16: options.precision == .bf16, threads: pool.threads, findings: nil)
    // What each weight has to be packed for.
    var needs = [(own: Bool, oneDNN: Bool)](repeating: (false, true), count: sources.count)
    if engine == .automatic {
      let timing = CPUEngineTiming(products: products, sources: sources, precision: options.precision, pool: pool, level: level)
      // What cannot be bound says so when such a batch comes.
      let programs = CPUEngineTiming.batchRows(options).compactMap { try? program($0, nil) }
      let findings = try timing.findings(programs)
      chosen.findings = findings
      needs = [(own: Bool, oneDNN: Bool)](repeating: (false, false), count: sources.count)
      for step in programs.flatMap(\.steps) {
        guard case .linear(let weight, let bias, let activation, _, _, _) = step.work else { continue }
        let shape = CPUEngines.Shape(k: sources[weight].k, n: sources[weight].n, hasBias: bias != nil, activation: activation)
        for finding in findings[shape] ?? [] {
          needs[weight].oneDNN = needs[weight].oneDNN || finding.isOneDNN
          needs[weight].own = needs[weight].own || !finding.isOneDNN
        }
      }
    }
    engines = chosen
    weights = try zip(sources, needs).map { source, need throws(DeviceError) in
      try source.packed(
        own: need.own || !need.oneDNN, oneDNN: need.oneDNN ? products : nil, precision: options.precision, pool: pool)
    }
    weightBytes = weights.reduce(0) { $0 + $1.byteCount }
  }

  private static func copyConstants(_ graph: Graph) throws(DeviceError) -> ([AlignedMemory], [ValueID: Int]) {
    let needed = neededConstants(graph)
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
      graph: graph, weights: weightIndex, constants: constantIndex, rows: rows, level: level, precision: precision,
      engines: engines)
    let program = try builder.build()
    programs.withLock { programs in
      if programs.count >= Self.kept { programs.removeAll() }
      programs[rows] = program
    }
    return program
  }

  func steps(rows: Int) -> [DeviceStep] {
    // Rows that have no program have run no batch.
    guard let program = try? program(rows: max(1, rows)) else { return [] }
    return program.steps.map { DeviceStep($0.name) }
  }

  func makeInstance() throws(DeviceError) -> any ModelInstance { CPUInstance(self) }
}
