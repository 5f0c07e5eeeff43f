import CCUDA
import CheckedNumbers
import ModelGraph
import Threads
import TimeBase

/// One execution context on a GPU: a stream for copies in, one for kernels, one for copies out, activations, and two slots, so that the next
/// batch is gathered and copied while one computes.
///
/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands. Its waiting thread touches nothing but events of a slot
/// that was handed to it, through a monitor.
final class CUDAInstance: ModelInstance, @unchecked Sendable {
  /// Batches that are on their way at one time.
  static let depth = 2
  /// Copies of fewer bytes stay on the stream of the kernels: an event between two streams costs more than what overlaps.
  static let overlapBytes = 128 << 10

  private let model: CUDAModel
  private let context: CUDAContext
  private let generation: Int
  private let resident: CUDAModel.Resident
  private let element: CUDACompiler.Element
  private let kernels: CUDAKernels
  private let blas: CUDABlas
  private let copyIn: CUDAStream
  private let compute: CUDAStream
  private let copyOut: CUDAStream
  private var arena: CUDAMemory?
  private var slots: [CUDASlot] = []
  private var next = 0
  private let waiter: CUDAWaiter
  /// Row counts whose programs are kept bound in a slot.
  private static let kept = 64

  init(_ model: CUDAModel) throws(DeviceError) {
    self.model = model
    context = model.device.context
    let resident = try model.resident()
    self.resident = resident
    generation = resident.generation
    let (device, context) = (model.device, self.context)
    guard let element = model.layout.type.element else {
      throw DeviceError(.unsupported, "\(model.layout.type.rawValue) is not computed with")
    }
    self.element = element
    kernels = CUDAKernels(device, generation, element: element)
    let generation = generation
    (blas, copyIn, compute, copyOut, slots) = try context.use(generation) { () throws(DeviceError) in
      (
        try CUDABlas(
          device.blas, context, generation, allowsTF32: device.options.allowsTF32, cache: device.cache, identity: device.identity),
        try CUDAStream(context, generation), try CUDAStream(context, generation), try CUDAStream(context, generation),
        try (0..<Self.depth).map { _ throws(DeviceError) in
          try CUDASlot(context, generation, inputs: model.layout.graph.inputs.count, outputs: model.layout.graph.outputs.count)
        }
      )
    }
    waiter = CUDAWaiter(context, generation)
  }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot {
    let graph = model.layout.graph
    guard shapes.count == graph.inputs.count else {
      throw DeviceError(.badInput, "\(shapes.count) inputs were given; the model has \(graph.inputs.count)")
    }
    var rows: Int?
    for (id, shape) in zip(graph.inputs, shapes) {
      for (dimension, size) in zip(graph[id].shape, shape) where dimension == .rows && rows == nil { rows = size }
    }
    guard (rows ?? 1) >= 1 else { throw DeviceError(.badInput, "a batch of \(rows ?? 0) rows has nothing to compute on this device") }
    let program = try model.program(rows: rows ?? 1)
    for (index, (given, view)) in zip(shapes, program.inputs).enumerated() where given != view.shape {
      throw DeviceError(
        .badInput,
        "shape \(given) was given for input '\(model.signature.inputs[index].name)'; the model takes \(view.shape) at \(program.rows) rows")
    }
    let slot = slots[next]
    try context.use(generation) { () throws(DeviceError) in try bind(program, to: slot) }
    return slot.batch
  }

  /// Memory for the program in the slot, and its kernels. What grows moves: programs that were bound before are bound anew.
  private func bind(_ program: CUDAProgram, to slot: CUDASlot) throws(DeviceError) {
    let name = "model \"\(model.layout.graph.name)\""
    if program.arenaBytes > arena?.byteCount ?? -1 {
      // Other slots' kernels may still run in the old one.
      try compute.synchronize()
      for slot in slots { slot.programs.removeAll() }
      arena = nil
      arena = try CUDAMemory(
        context, generation, byteCount: program.arenaBytes, for: "\(name): activations of \(program.rows) rows")
    }
    if try slot.reserve(inputs: program.inputs.map(\.byteCount), outputs: program.outputs.map(\.byteCount), for: name) {
      slot.programs.removeAll()
    }
    slot.shape(program)
    if let known = slot.programs[program.rows] {
      slot.current = known
      return
    }
    if slot.programs.count >= Self.kept { slot.programs.removeAll() }
    guard let arena else { return }
    let bound = try CUDABoundProgram(
      program,
      CUDABoundProgram.Memory(
        arena: arena.address, inputs: slot.deviceInputs.map { $0?.address ?? 0 }, outputs: slot.deviceOutputs.map { $0?.address ?? 0 },
        resident: resident, flag: slot.flag.address), kernels, blas, model.device, stream: compute.handle, element: element)
    // What was timed ran over this slot's memory: it has to be over before anything is copied there.
    try compute.synchronize()
    if model.options.cudaGraphs ?? model.device.options.usesGraphs, bound.launchCount > 1 { try bound.capture(stream: compute.handle) }
    slot.programs[program.rows] = bound
    slot.current = bound
  }

  func run(_ batch: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    guard let place = slots.firstIndex(where: { $0.batch === batch }), let bound = slots[place].current else {
      return completion(.failure(DeviceError(.batchFailed, "the instance was not prepared")))
    }
    let slot = slots[place]
    // The turn ends here: a slot that was prepared and not run is handed out again.
    next = (place + 1) % slots.count
    do throws(DeviceError) {
      try context.use(generation) { () throws(DeviceError) in try issue(bound, slot) }
      waiter.wait(for: slot, completion)
    } catch {
      completion(.failure(error))
    }
  }

  private func issue(_ bound: CUDABoundProgram, _ slot: CUDASlot) throws(DeviceError) {
    let (driver, table) = (context.driver, context.driver.functions)
    let program = bound.program
    let overlapsIn = program.inputs.reduce(0) { $0 + $1.byteCount } >= Self.overlapBytes
    let overlapsOut = program.outputs.reduce(0) { $0 + $1.byteCount } >= Self.overlapBytes
    let (first, last) = (overlapsIn ? copyIn : compute, overlapsOut ? copyOut : compute)
    for (index, view) in program.inputs.enumerated() where view.byteCount > 0 {
      guard let host = slot.hostInputs[index]?.host, let memory = slot.deviceInputs[index] else { continue }
      try driver.check(table.cuMemcpyHtoDAsync_v2(memory.address, host, view.byteCount, first.handle), "copy of inputs to the GPU")
    }
    if program.usesFlag { try driver.check(table.cuMemsetD8Async(slot.flag.address, 0, 4, first.handle), "memset") }
    try slot.inputsReady.record(first.handle)
    if overlapsIn { try driver.check(table.cuStreamWaitEvent(compute.handle, slot.inputsReady.handle, 0), "cuStreamWaitEvent") }
    try bound.run(stream: compute.handle)
    try slot.computed.record(compute.handle)
    if overlapsOut { try driver.check(table.cuStreamWaitEvent(copyOut.handle, slot.computed.handle, 0), "cuStreamWaitEvent") }
    for (index, view) in program.outputs.enumerated() where view.byteCount > 0 {
      guard let host = slot.hostOutputs[index]?.host, let memory = slot.deviceOutputs[index] else { continue }
      try driver.check(table.cuMemcpyDtoHAsync_v2(host, memory.address, view.byteCount, last.handle), "copy of outputs from the GPU")
    }
    if program.usesFlag, let host = slot.hostFlag.host {
      try driver.check(table.cuMemcpyDtoHAsync_v2(host, slot.flag.address, 4, last.handle), "copy from the GPU")
    }
    slot.checksFlag = program.usesFlag
    try slot.outputsReady.record(last.handle)
  }

  func close() { waiter.close() }
}

/// A stream, destroyed with its owner.
final class CUDAStream {
  let handle: HRStream
  private let context: CUDAContext
  private let generation: Int

  /// To be called inside `CUDAContext.use`.
  init(_ context: CUDAContext, _ generation: Int) throws(DeviceError) {
    self.context = context
    self.generation = generation
    var made: HRStream?
    try context.driver.check(context.driver.functions.cuStreamCreate(&made, UInt32(clamping: HR_STREAM_NON_BLOCKING)), "cuStreamCreate")
    guard let made else { throw DeviceError(.batchFailed, "cuStreamCreate gave nothing") }
    handle = made
  }

  deinit { context.release(generation) { _ = context.driver.functions.cuStreamDestroy_v2(handle) } }

  func synchronize() throws(DeviceError) {
    try context.driver.check(context.driver.functions.cuStreamSynchronize(handle), "the GPU")
  }
}
