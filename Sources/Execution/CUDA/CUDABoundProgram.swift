import CCUDA
import CheckedNumbers

/// A program over an instance's memory: every address is known, every kernel loaded, every algorithm chosen.
///
/// Not Sendable: used by the instance that owns it.
final class CUDABoundProgram {
  private enum Work {
    case launch(CUDALaunch, HRFunction, BoundArguments)
    case product(CUDABlas.Product)
  }

  let program: CUDAProgram
  private let context: CUDAContext
  private let blas: CUDABlas
  private var works: [Work] = []
  private let generation: Int
  private var graph: HRGraphExec?

  /// Where a program's values are.
  struct Memory {
    var arena: UInt64
    var inputs: [UInt64]
    var outputs: [UInt64]
    var resident: CUDAModel.Resident
    var flag: UInt64

    func address(_ place: CUDAPlace) throws(DeviceError) -> UInt64 {
      switch place {
      case .null: return 0
      case .flag: return flag
      case .weight(let number, let offset): return resident.addresses[number] + UInt64(clamping: offset)
      case .packed(let number):
        guard let memory = resident.packed[number] else { throw DeviceError(.batchFailed, "weight \(number) was not packed") }
        return memory.address
      case .view(let view):
        let base =
          switch view.buffer {
          case .arena: arena
          case .input(let index): inputs[index]
          case .output(let index): outputs[index]
          case .constant(let index): resident.constants[index].address
          }
        return base + UInt64(clamping: view.offset)
      }
    }
  }

  /// To be called inside `CUDAContext.use`. Where a chain of equal layers may run as kernels of ours, both are timed and the faster one is taken.
  init(
    _ program: CUDAProgram, _ memory: Memory, _ kernels: CUDAKernels, _ blas: CUDABlas, _ device: CUDADevice, stream: HRStream?,
    element: CUDACompiler.Element
  ) throws(DeviceError) {
    self.program = program
    self.blas = blas
    context = device.context
    generation = memory.resident.generation
    var index = 0
    for chain in program.chains {
      while index < chain.steps.lowerBound {
        works.append(try Self.bind(program.steps[index].work, memory, kernels, blas, stream))
        index += 1
      }
      let usual = try program.steps[chain.steps].map { step throws(DeviceError) in
        try Self.bind(step.work, memory, kernels, blas, stream)
      }
      works += try fastest(usual, chain, memory, kernels, device, stream, element)
      index = chain.steps.upperBound
    }
    while index < program.steps.count {
      works.append(try Self.bind(program.steps[index].work, memory, kernels, blas, stream))
      index += 1
    }
  }

  deinit {
    guard let graph else { return }
    context.release(generation) { _ = context.driver.functions.cuGraphExecDestroy(graph) }
  }

  /// Kernels and products of one run.
  var launchCount: Int { works.count }

  private static func bind(
    _ work: CUDAStep.Work, _ memory: Memory, _ kernels: CUDAKernels, _ blas: CUDABlas, _ stream: HRStream?
  ) throws(DeviceError) -> Work {
    switch work {
    case .launch(let launch): return .launch(launch, try kernels.function(launch), try BoundArguments(launch.arguments, memory))
    case .matmul(let matmul):
      return .product(
        try blas.product(
          matmul.shape,
          CUDABlas.Addresses(
            a: try memory.address(matmul.a), b: try memory.address(matmul.b), d: try memory.address(matmul.d),
            bias: try memory.address(matmul.bias)), stream: stream))
    }
  }

  // MARK: - Running

  /// All of it onto the stream, as one graph where that was captured.
  func run(stream: HRStream?) throws(DeviceError) {
    if let graph { return try context.driver.check(context.driver.functions.cuGraphLaunch(graph, stream), "cuGraphLaunch") }
    try issue(works, stream)
  }

  private func issue(_ works: [Work], _ stream: HRStream?) throws(DeviceError) {
    for work in works {
      switch work {
      case .launch(let launch, let function, let arguments): try start(launch, function, arguments, stream)
      case .product(let product): try blas.run(product, stream: stream)
      }
    }
  }

  private func start(_ launch: CUDALaunch, _ function: HRFunction, _ arguments: BoundArguments, _ stream: HRStream?) throws(DeviceError) {
    let (driver, table) = (context.driver, context.driver.functions)
    guard launch.isProgrammatic else {
      return try driver.check(
        table.cuLaunchKernel(
          function, UInt32(clamping: launch.blocks), 1, 1, UInt32(clamping: launch.threads), 1, 1, UInt32(clamping: launch.sharedBytes),
          stream,
          arguments.pointers, nil), "kernel \(launch.function)")
    }
    var attribute = HRLaunchAttribute()
    attribute.identifier = UInt32(clamping: HR_LAUNCH_PROGRAMMATIC_STREAM_SERIALIZATION)
    attribute.value.isProgrammaticSerializationAllowed = 1
    let result = withUnsafeMutablePointer(to: &attribute) { attribute in
      var configuration = HRLaunchConfiguration(
        gridX: UInt32(clamping: launch.blocks), gridY: 1, gridZ: 1, blockX: UInt32(clamping: launch.threads), blockY: 1, blockZ: 1,
        sharedBytes: UInt32(clamping: launch.sharedBytes), stream: stream, attributes: attribute, attributeCount: 1)
      return table.cuLaunchKernelEx(&configuration, function, arguments.pointers, nil)
    }
    try driver.check(result, "kernel \(launch.function)")
  }

  // MARK: - Graphs

  /// From now on the program runs as one graph.
  func capture(stream: HRStream) throws(DeviceError) { graph = try capture(works, stream) }

  private func capture(_ works: [Work], _ stream: HRStream) throws(DeviceError) -> HRGraphExec {
    let (driver, table) = (context.driver, context.driver.functions)
    try driver.check(table.cuStreamBeginCapture_v2(stream, Int32(clamping: HR_CAPTURE_THREAD_LOCAL)), "cuStreamBeginCapture")
    var failure: DeviceError?
    do throws(DeviceError) { try issue(works, stream) } catch { failure = error }
    var made: HRGraph?
    let ended = table.cuStreamEndCapture(stream, &made)
    defer { if let made { _ = table.cuGraphDestroy(made) } }
    if let failure { throw failure }
    try driver.check(ended, "cuStreamEndCapture")
    var executable: HRGraphExec?
    try driver.check(table.cuGraphInstantiateWithFlags(&executable, made, 0), "cuGraphInstantiate")
    guard let executable else { throw DeviceError(.batchFailed, "cuGraphInstantiate gave nothing") }
    _ = table.cuGraphUpload(executable, stream)
    return executable
  }

  /// The chain as its steps, or as kernels of ours with 16, 32 or 64 columns per block: whichever graph is fastest, by the median of replays.
  private func fastest(
    _ usual: [Work], _ chain: CUDAChain, _ memory: Memory, _ kernels: CUDAKernels, _ device: CUDADevice, _ stream: HRStream?,
    _ element: CUDACompiler.Element
  ) throws(DeviceError) -> [Work] {
    guard let stream, chain.weights.allSatisfy({ memory.resident.packed[$0] != nil }) else { return usual }
    func own(_ tiles: Int) throws(DeviceError) -> [Work]? {
      guard let launches = chain.launches(tiles: tiles, element: element, sharedLimit: device.sharedLimit) else { return nil }
      return try launches.map { launch throws(DeviceError) in try Self.bind(.launch(launch), memory, kernels, blas, stream) }
    }
    let key =
      "\(device.identity) chain \(element) \(chain.rows) rows, \(chain.weights.count) x \(chain.width), \(chain.activation.rawValue), "
      + "\(device.compiler.version), cublasLt \(device.blas.functions.cublasLtGetVersion()), version \(Self.chainVersion)"
    if let kept = device.cache?.read("chain", key), kept.count == 1 {
      if kept[0] == 0 { return usual }
      if let works = try own(Int(kept[0])) { return works }
    }
    var best = (time: try time(usual, stream), works: usual, tiles: 0)
    for tiles in CUDAChain.tileChoices {
      guard let works = try own(tiles) else { continue }
      let time = try time(works, stream)
      if time < best.time { best = (time, works, tiles) }
    }
    device.cache?.write("chain", key, [UInt8(clamping: best.tiles)])
    return best.works
  }

  /// Raised whenever the chain's kernel changes: older timings are then not believed.
  private static let chainVersion = 1

  /// Milliseconds of a replay: the median of eleven, after one.
  private func time(_ works: [Work], _ stream: HRStream) throws(DeviceError) -> Float {
    let (driver, table) = (context.driver, context.driver.functions)
    let graph = try capture(works, stream)
    defer { _ = table.cuGraphExecDestroy(graph) }
    let (start, end) = (try CUDAEvent(context, generation), try CUDAEvent(context, generation))
    var times: [Float] = []
    for _ in 0..<12 {
      try start.record(stream)
      try driver.check(table.cuGraphLaunch(graph, stream), "cuGraphLaunch")
      try end.record(stream)
      try end.wait()
      var time: Float = 0
      try driver.check(table.cuEventElapsedTime(&time, start.handle, end.handle), "the time of a chain")
      times.append(time)
    }
    return times.dropFirst().sorted()[5]
  }
}

/// A launch's arguments at addresses that stay: what `cuLaunchKernel` takes.
final class BoundArguments {
  let pointers: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let storage: UnsafeMutableRawPointer

  init(_ arguments: [CUDALaunch.Argument], _ memory: CUDABoundProgram.Memory) throws(DeviceError) {
    var (bytes, offsets): ([UInt8], [Int]) = ([], [])
    for argument in arguments {
      // 16: more than any of them asks for.
      bytes += [UInt8](repeating: 0, count: (16 - bytes.count % 16) % 16)
      offsets.append(bytes.count)
      switch argument {
      case .place(let place): bytes += withUnsafeBytes(of: try memory.address(place)) { Array($0) }
      case .bytes(let given): bytes += given
      }
    }
    storage = .allocate(byteCount: max(1, bytes.count), alignment: 16)
    storage.copyMemory(from: bytes, byteCount: bytes.count)
    pointers = .allocate(capacity: max(1, offsets.count))
    for (index, offset) in offsets.enumerated() { pointers[index] = storage + offset }
  }

  deinit {
    storage.deallocate()
    pointers.deallocate()
  }
}
