import Execution
import Glibc
import Synchronization
import Threads
import TimeBase
import Trace

/// One stream and its slots.
///
/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands; what the engine's thread touches of it is a slot's
/// memory between `run` and the completion.
final class StandInInstance: ModelInstance, @unchecked Sendable {
  private let model: StandInModel
  private let stream: Int32
  private let slots: [StandInSlot]
  private var turn = 0
  private let isLost = Mutex(false)

  init(_ model: StandInModel, stream: Int32) {
    self.model = model
    self.stream = stream
    slots = (0..<model.pipelineDepth).map { _ in StandInSlot() }
  }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot {
    let slot = slots[turn]
    // Read or not, nobody can tell; a batch that still runs in it is a fault of whoever prepared.
    if slot.isRunning.load(ordering: .acquiring) { model.device.note("a slot was prepared while its batch ran") }
    let rows = shapes.first?.first ?? 1
    for (shape, input) in zip(shapes, model.signature.inputs) where Array(shape.dropFirst()) != input.dims || shape.first != rows {
      throw DeviceError(.badInput, "input '\(input.name)' has shape \(shape)")
    }
    slot.prepare(shapes, outputs: model.signature.outputs.map { [rows] + $0.dims })
    return slot.batch
  }

  func run(_ batch: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    let slot = slots[turn]
    guard slot.batch === batch else {
      model.device.note("a slot was run out of turn")
      return completion(.failure(DeviceError(.batchFailed, "another slot's turn")))
    }
    turn = (turn + 1) % slots.count
    if isLost.withLock({ $0 }) { return completion(.failure(DeviceError(.instanceLost, "the context is lost"))) }
    slot.isRunning.store(true, ordering: .releasing)
    let device = model.device
    let fault = device.options.faults[device.nextBatch()]
    let rows = batch.inputs.first?.shape.first ?? 1
    let correlations = device.engine.correlations(device.options.kernels + 3)
    var calls = CallClock(thread: Int64(getpid()), correlation: correlations)
    calls.call("cudaMemcpyAsync_v3020")
    for _ in 0..<device.options.kernels { calls.call("cudaLaunchKernel_v7000") }
    calls.call("cudaMemcpyAsync_v3020")
    calls.call("cudaEventRecord_v3020")
    let recorded = calls
    // The instance is held until the batch is done: its memory is in use.
    device.engine.submit(
      StandInEngine.Work(
        submitted: MonotonicClock.now, copy: device.options.copyTime,
        compute: device.options.kernelTime + TimeSpan(nanoseconds: device.options.kernelTimePerRow.nanoseconds * Int64(rows)),
        hangs: fault == .hangs,
        done: { [self] times in
          if let events { record(times, recorded, slot, events) }
          slot.compute()
          slot.isRunning.store(false, ordering: .releasing)
          if fault == .isLost { isLost.withLock { $0 = true } }
          if isLost.withLock({ $0 }) { return completion(.failure(DeviceError(.instanceLost, "the context is lost"))) }
          if fault == .fails { return completion(.failure(DeviceError(.batchFailed, "a kernel failed"))) }
          completion(.success(BatchTimes(inputsReady: times.computeStart, computeEnd: times.computeEnd, outputsReady: times.end)))
        }))
  }

  private func record(_ times: StandInEngine.Times, _ calls: CallClock, _ slot: StandInSlot, _ events: any LaunchRecorder) {
    for call in calls.calls { events.record(call) }
    let kernels = model.device.options.kernels
    let first = calls.first
    events.record(
      CopyRun(
        direction: .hostToDevice, hostMemory: .pinned, bytes: Int64(slot.inputBytes), stream: stream, correlation: first,
        start: times.start, end: times.computeStart))
    let length = (times.computeEnd - times.computeStart).nanoseconds / Int64(max(1, kernels))
    for kernel in 0..<kernels {
      let start = times.computeStart + TimeSpan(nanoseconds: length * Int64(kernel))
      events.record(
        KernelRun(
          step: Int32(clamping: kernel), stream: stream, correlation: first + 1 + Int64(kernel), start: start,
          end: kernel == kernels - 1 ? times.computeEnd : start + TimeSpan(nanoseconds: length)))
    }
    events.record(
      CopyRun(
        direction: .deviceToHost, hostMemory: .pinned, bytes: Int64(slot.outputBytes), stream: stream,
        correlation: first + 1 + Int64(kernels), start: times.computeEnd, end: times.end))
    events.record(SynchronizationRun(kind: .event, stream: stream, start: times.start, end: times.end))
  }

  func close() {
    for slot in slots where slot.isRunning.load(ordering: .acquiring) { model.device.note("an instance was closed while a batch ran") }
  }
}

/// Calls into a driver, as they were made.
private struct CallClock: Sendable {
  let thread: Int64
  let first: Int64
  private var next: Int64
  private(set) var calls: [DriverCall] = []

  init(thread: Int64, correlation: Int64) {
    self.thread = thread
    first = correlation
    next = correlation
  }

  mutating func call(_ name: String) {
    let start = MonotonicClock.now
    calls.append(DriverCall(name: name, correlation: next, thread: thread, start: start, end: MonotonicClock.now))
    next += 1
  }
}

/// Memory of one batch.
///
/// `@unchecked Sendable`: the instance's thread's until `run`, the engine's until the completion, then the instance's thread's again.
private final class StandInSlot: @unchecked Sendable {
  let batch = BatchSlot()
  let isRunning = Atomic<Bool>(false)
  private var memory: [UnsafeMutableRawBufferPointer] = []
  private(set) var inputBytes = 0
  private(set) var outputBytes = 0

  deinit { for piece in memory { piece.deallocate() } }

  func prepare(_ shapes: [[Int]], outputs: [[Int]]) {
    for piece in memory { piece.deallocate() }
    memory = (shapes + outputs).map { shape in
      let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: shape.reduce(4, *), alignment: 64)
      piece.initializeMemory(as: UInt8.self, repeating: 0xEE)
      return piece
    }
    batch.inputs = zip(shapes, memory).map { BatchSlot.Tensor(shape: $0, memory: $1) }
    batch.outputs = zip(outputs, memory.dropFirst(shapes.count)).map { BatchSlot.Tensor(shape: $0, memory: $1) }
    inputBytes = batch.inputs.reduce(0) { $0 + $1.memory.count }
    outputBytes = batch.outputs.reduce(0) { $0 + $1.memory.count }
  }

  func compute() {
    guard let input = batch.inputs.first, let rows = input.shape.first, rows > 0 else { return }
    let width = input.memory.count / rows
    for output in batch.outputs {
      let length = output.memory.count / rows
      for row in 0..<rows {
        for byte in 0..<length { output.memory[row * length + byte] = input.memory[row * width + byte % max(1, width)] }
      }
    }
  }
}
