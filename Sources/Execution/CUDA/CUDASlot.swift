import CCUDA
import CheckedNumbers
import Threads
import TimeBase

/// One batch's memory: pinned on the host, its counterpart on the device, and the events that part its phases.
///
/// `@unchecked Sendable`: owned by the instance's thread until it is given to the waiting thread, and back with the completion.
final class CUDASlot: @unchecked Sendable {
  let batch = BatchSlot()
  var hostInputs: [CUDAMemory?]
  var hostOutputs: [CUDAMemory?]
  var deviceInputs: [CUDAMemory?]
  var deviceOutputs: [CUDAMemory?]
  /// A word that a kernel sets where an index was out of range, and where the host reads it.
  let flag: CUDAMemory
  let hostFlag: CUDAMemory
  var checksFlag = false
  let inputsReady: CUDAEvent
  let computed: CUDAEvent
  let outputsReady: CUDAEvent
  var programs: [Int: CUDABoundProgram] = [:]
  var current: CUDABoundProgram?
  private let context: CUDAContext
  private let generation: Int

  /// To be called inside `CUDAContext.use`.
  init(_ context: CUDAContext, _ generation: Int, inputs: Int, outputs: Int) throws(DeviceError) {
    self.context = context
    self.generation = generation
    hostInputs = Array(repeating: nil, count: inputs)
    deviceInputs = hostInputs
    hostOutputs = Array(repeating: nil, count: outputs)
    deviceOutputs = hostOutputs
    flag = try CUDAMemory(context, generation, byteCount: 4, for: "a flag")
    hostFlag = try CUDAMemory(context, generation, byteCount: 4, isPinned: true, for: "a flag")
    inputsReady = try CUDAEvent(context, generation)
    computed = try CUDAEvent(context, generation)
    outputsReady = try CUDAEvent(context, generation, blocks: true)
  }

  /// Room for tensors of these sizes; true where something moved.
  func reserve(inputs: [Int], outputs: [Int], for purpose: String) throws(DeviceError) -> Bool {
    var hasMoved = false
    func grow(_ memories: inout [CUDAMemory?], _ index: Int, _ bytes: Int, isPinned: Bool) throws(DeviceError) {
      if let known = memories[index], known.byteCount >= bytes { return }
      hasMoved = true
      // The old one first: both may not fit.
      current = nil
      programs.removeAll()
      memories[index] = nil
      memories[index] = try CUDAMemory(
        context, generation, byteCount: bytes, isPinned: isPinned, for: "\(purpose): a batch's tensors")
    }
    for (index, bytes) in inputs.enumerated() {
      try grow(&hostInputs, index, bytes, isPinned: true)
      try grow(&deviceInputs, index, bytes, isPinned: false)
    }
    for (index, bytes) in outputs.enumerated() {
      try grow(&hostOutputs, index, bytes, isPinned: true)
      try grow(&deviceOutputs, index, bytes, isPinned: false)
    }
    return hasMoved
  }

  /// What the caller fills and reads.
  func shape(_ program: CUDAProgram) {
    func tensors(_ views: [TensorView], _ memories: [CUDAMemory?]) -> [BatchSlot.Tensor] {
      zip(views, memories).map { view, memory in
        BatchSlot.Tensor(shape: view.shape, memory: UnsafeMutableRawBufferPointer(start: memory?.host, count: view.byteCount))
      }
    }
    batch.inputs = tensors(program.inputs, hostInputs)
    batch.outputs = tensors(program.outputs, hostOutputs)
  }

  /// Waits for the batch; when its phases ended. Times are counted back from its end, whose instant the host reads: an event's own clock is a
  /// float of milliseconds since another event, too coarse over hours.
  func finish() throws(DeviceError) -> BatchTimes {
    try outputsReady.wait()
    let end = MonotonicClock.now
    let (driver, table) = (context.driver, context.driver.functions)
    if checksFlag, let word = hostFlag.host, word.load(as: Int32.self) != 0 {
      throw DeviceError(.badInput, "an index is out of range for the table that it reads")
    }
    func before(_ event: CUDAEvent) throws(DeviceError) -> Instant {
      var milliseconds: Float = 0
      try driver.check(table.cuEventElapsedTime(&milliseconds, event.handle, outputsReady.handle), "the times of a batch")
      return Instant(nanoseconds: end.nanoseconds - Int64(saturating: max(0, Double(milliseconds)) * 1e6))
    }
    return BatchTimes(inputsReady: try before(inputsReady), computeEnd: try before(computed), outputsReady: end)
  }
}

/// The thread that waits for an instance's batches, in the order in which they were issued.
///
/// `@unchecked Sendable`: everything mutable is behind the monitor's lock.
final class CUDAWaiter: @unchecked Sendable {
  typealias Completion = @Sendable (Result<BatchTimes, DeviceError>) -> Void

  private let monitor = Monitor()
  private var queue: [(slot: CUDASlot, completion: Completion)] = []
  private var isClosed = false
  private let context: CUDAContext
  private let generation: Int

  init(_ context: CUDAContext, _ generation: Int) {
    self.context = context
    self.generation = generation
    DetachedThread.start(named: "cuda waiter") { [self] in serve() }
  }

  func wait(for slot: CUDASlot, _ completion: @escaping Completion) {
    monitor.withLock { queue.append((slot, completion)) }
    monitor.signal()
  }

  /// The thread ends once what it waits for has ended.
  func close() {
    monitor.withLock { isClosed = true }
    monitor.signal()
  }

  private func serve() {
    while true {
      monitor.lock()
      while queue.isEmpty && !isClosed { monitor.wait() }
      guard !queue.isEmpty else { return monitor.unlock() }
      let (slot, completion) = queue.removeFirst()
      monitor.unlock()
      do throws(DeviceError) {
        completion(.success(try context.use(generation) { () throws(DeviceError) in try slot.finish() }))
      } catch {
        completion(.failure(error))
      }
    }
  }
}
