import ModelGraph
import Threads
import TimeBase

/// One execution context: activations, scratch, one slot. It computes on the calling thread and the device's helpers.
///
/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands; helpers see it only inside `WorkerPool.run`.
final class CPUInstance: ModelInstance, @unchecked Sendable {
  let model: CPUModel
  private let slot = BatchSlot()
  private let inputMemory: [AlignedMemory]
  private let outputMemory: [AlignedMemory]
  private let arena = AlignedMemory()
  private let scratch = AlignedMemory()
  private let bf16Scratch = AlignedMemory()
  private var program: CPUProgram?
  private var executor: CPUExecutor?
  /// Prepared for no rows.
  private var isEmpty = false

  init(_ model: CPUModel) {
    self.model = model
    inputMemory = model.graph.inputs.map { _ in AlignedMemory() }
    outputMemory = model.graph.outputs.map { _ in AlignedMemory() }
  }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot {
    let graph = model.graph
    guard shapes.count == graph.inputs.count else {
      throw DeviceError(.badInput, "\(shapes.count) inputs were given; the model has \(graph.inputs.count)")
    }
    var rows: Int?
    for (id, shape) in zip(graph.inputs, shapes) {
      for (dimension, size) in zip(graph[id].shape, shape) where dimension == .rows && rows == nil { rows = size }
    }
    isEmpty = false
    guard (rows ?? 1) >= 1 else {
      try prepareEmpty(shapes)
      return slot
    }
    if program?.rows != rows ?? 1 {
      let bound = try model.program(rows: rows ?? 1)
      try check(shapes, bound)
      // What follows may end in the middle, for want of memory.
      (self.program, executor) = (nil, nil)
      slot.inputs.removeAll(keepingCapacity: true)
      slot.outputs.removeAll(keepingCapacity: true)
      for (view, memory) in zip(bound.inputs, inputMemory) {
        slot.inputs.append(BatchSlot.Tensor(shape: view.shape, memory: try memory.reserve(view.byteCount)))
      }
      for (view, memory) in zip(bound.outputs, outputMemory) {
        slot.outputs.append(BatchSlot.Tensor(shape: view.shape, memory: try memory.reserve(view.byteCount)))
      }
      _ = try arena.reserve(bound.arenaBytes)
      _ = try scratch.reserve(bound.scratchBytes * model.pool.threads)
      _ = try bf16Scratch.reserve(bound.bf16Elements * 2)
      program = bound
      executor = CPUExecutor(
        model: model, program: bound, arena: arena.address, inputs: inputMemory.map(\.address), outputs: outputMemory.map(\.address),
        scratch: scratch.address, bf16Scratch: bf16Scratch.address)
    } else if let program {
      try check(shapes, program)
    }
    return slot
  }

  /// No rows: what has a row axis is empty, and there is nothing to compute. A value that is made of no rows at all (a sum over them, say) is
  /// not known here.
  private func prepareEmpty(_ shapes: [[Int]]) throws(DeviceError) {
    let graph = model.graph
    (program, executor) = (nil, nil)
    slot.inputs.removeAll(keepingCapacity: true)
    slot.outputs.removeAll(keepingCapacity: true)
    for (index, (id, shape)) in zip(graph.inputs, shapes).enumerated() {
      let made = Shapes.sizes(graph[id].shape, rows: 0)
      guard made == shape, shape.contains(0) else {
        throw DeviceError(
          .badInput,
          "shape \(shape) was given for input '\(model.signature.inputs[index].name)'; without rows the model takes \(made ?? [])")
      }
      slot.inputs.append(BatchSlot.Tensor(shape: shape, memory: try inputMemory[index].reserve(0)))
    }
    for (index, id) in graph.outputs.enumerated() {
      guard let shape = Shapes.sizes(graph[id].shape, rows: 0), shape.contains(0) else {
        throw DeviceError(
          .badInput, "a batch of 0 rows has nothing to compute output '\(model.signature.outputs[index].name)' from")
      }
      slot.outputs.append(BatchSlot.Tensor(shape: shape, memory: try outputMemory[index].reserve(0)))
    }
    isEmpty = true
  }

  private func check(_ shapes: [[Int]], _ program: CPUProgram) throws(DeviceError) {
    for (index, (given, view)) in zip(shapes, program.inputs).enumerated() where given != view.shape {
      throw DeviceError(
        .badInput,
        "shape \(given) was given for input '\(model.signature.inputs[index].name)'; the model takes \(view.shape) at \(program.rows) rows")
    }
  }

  func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    if isEmpty {
      let now = MonotonicClock.now
      return completion(.success(BatchTimes(inputsReady: now, computeEnd: now, outputsReady: now)))
    }
    guard let executor else { return completion(.failure(DeviceError(.batchFailed, "the instance was not prepared"))) }
    let start = MonotonicClock.now
    do throws(DeviceError) {
      try executor.run(events)
      let end = MonotonicClock.now
      completion(.success(BatchTimes(inputsReady: start, computeEnd: end, outputsReady: end)))
    } catch {
      completion(.failure(error))
    }
  }

  func close() {}
}
