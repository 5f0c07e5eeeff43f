import Execution
import KServe
import ModelConfiguration
import NIOCore
import TimeBase
import Threads

/// The thread of one model instance: takes batches, gathers inputs into the slot, runs, takes the answers apart.
///
/// `@unchecked Sendable`: used by the one thread at a time that the queue gave the instance's batch to: its own, or an event loop while its own
/// waits in `ModelQueue.next`; the queue's lock orders the two.
final class InstanceWorker: @unchecked Sendable {
  private let model: ServedModel
  private let index: Int
  private let tenure: Int
  private var instance: (any ModelInstance)?
  private let kernels = KernelCollector()
  private let waiter = Monitor()
  private var outcome: Result<BatchTimes, DeviceError>?

  init(_ model: ServedModel, index: Int, tenure: Int, instance: (any ModelInstance)?) {
    self.model = model
    self.index = index
    self.tenure = tenure
    self.instance = instance
  }

  /// Runs until the model is closed or the instance given up.
  func serve() {
    var finished: ModelQueue.Finished?
    while let work = model.queue.next(index, tenure: tenure, finished: finished, beginsAtOnce: !model.limitsTurns) {
      if model.limitsTurns {
        model.beginTurn(index)
        model.queue.executionBegins(index, tenure: tenure)
      }
      let results = execute(work)
      // The turn of a thread that was given up ended then, and may be its successor's now.
      if model.limitsTurns, model.queue.isServing(index, tenure: tenure) { model.endTurn(index) }
      finished = ModelQueue.Finished(batch: work.batch, results: results)
    }
    instance?.close()
    model.workerEnded()
  }

  /// Runs a batch on the calling thread, which owns the instance meanwhile (`ModelQueue.runImmediately`).
  func run(_ work: ModelQueue.Work) -> ModelQueue.Finished { ModelQueue.Finished(batch: work.batch, results: execute(work)) }

  private func execute(_ work: ModelQueue.Work) -> [Result<InferenceResponse, KServeError>] {
    do throws(DeviceError) {
      if instance == nil { instance = try model.loaded.makeInstance() }
      guard let instance else { throw DeviceError(.instanceLost, "instance \(index) could not be made") }
      return try run(work, on: instance)
    } catch {
      let status: KServeStatus = error.kind == .badInput ? .invalidArgument : error.kind == .unsupported ? .unsupported : .internalError
      // What is lost is made anew with the next batch.
      if error.kind == .instanceLost { instance = nil }
      return work.requests.map { request in
        model.counters.fail(.backend, nanoseconds: (MonotonicClock.now - request.accepted).nanoseconds)
        return .failure(KServeError(status, "\(request.checked.logTag)\(error.description)"))
      }
    }
  }

  private func run(_ work: ModelQueue.Work, on instance: any ModelInstance) throws(DeviceError) -> [Result<InferenceResponse, KServeError>]
  {
    let gatherStart = MonotonicClock.now
    guard let first = work.requests.first else { return [] }
    var gathered = 0
    let takesRows = model.takesRows
    let rows = work.requests.reduce(0) { $0 + max(1, $1.checked.rows) }
    var shapes = first.checked.shapes
    if takesRows { for input in shapes.indices where !shapes[input].isEmpty { shapes[input][0] = rows } }
    let slot = try instance.prepare(shapes)
    // A request whose shared memory is gone fails alone: its rows stay what they were and nobody reads them.
    var problems: [Int: KServeError] = [:]
    for input in slot.inputs.indices {
      let isString = model.configuration.inputs[input].dataType == .string
      if isString {
        let bytes = work.requests.reduce(0) {
          $0 + ($1.checked.inputs[input] < 0 ? 0 : $1.request.inputs[$1.checked.inputs[input]].data.byteCount)
        }
        try instance.reserve(slot, input: input, byteCount: bytes)
      }
      let memory = slot.inputs[input].memory
      var offset = 0
      for (place, request) in work.requests.enumerated() {
        let given = request.checked.inputs[input]
        guard given >= 0 else { continue }
        let data = request.request.inputs[given].data
        let count = data.byteCount
        guard offset + count <= memory.count else {
          throw DeviceError(.batchFailed, "input \(input) holds \(memory.count) bytes; \(offset + count) were sent")
        }
        do throws(KServeError) {
          try data.copy(
            to: UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + count]), regions: model.regions, counter: &gathered)
        } catch {
          problems[place] = error
        }
        offset += count
      }
    }
    kernels.begin()
    instance.run(slot, events: model.live.isRecording ? kernels : nil) { [self] result in
      waiter.lock()
      outcome = result
      waiter.unlock()
      waiter.signal()
    }
    waiter.lock()
    while outcome == nil { waiter.wait() }
    let result = outcome
    outcome = nil
    waiter.unlock()
    guard let result else { return [] }
    let times = try result.get()
    let execution = InferenceResponse.Execution(
      computeStart: gatherStart, inputsReady: max(gatherStart, times.inputsReady), computeEnd: max(gatherStart, times.computeEnd),
      outputsReady: max(gatherStart, times.outputsReady))
    let responses = try scatter(work, slot, rows: rows, problems, execution)
    let outputsEnd = MonotonicClock.now
    // Nearly always all of them: then nothing is copied.
    var good = work.requests
    if responses.contains(where: \.isFailure) {
      good = []
      for (request, response) in zip(work.requests, responses) {
        if response.isFailure {
          model.counters.fail(.backend, nanoseconds: (outputsEnd - request.accepted).nanoseconds)
        } else {
          good.append(request)
        }
      }
    }
    model.counters.succeed(
      ModelCounters.BatchDone(
        rows: rows, reason: work.reason, gatherStart: gatherStart, inputsReady: max(gatherStart, times.inputsReady),
        computeEnd: max(gatherStart, times.computeEnd), outputsEnd: outputsEnd, bytesGathered: gathered), requests: good)
    model.live.record(
      LiveRecorder.Batch(
        id: work.batch.sequence, model: model.number, instance: Int32(clamping: index), rows: Int32(clamping: rows),
        requests: Int32(clamping: work.requests.count), reason: work.reason, formed: work.formed, gatherStart: gatherStart,
        computeStart: times.inputsReady, computeEnd: times.computeEnd, outputEnd: outputsEnd),
      steps: kernels.events)
    return responses
  }

  /// Each request's rows of each output it asked for: one copy from the slot into the answer.
  private func scatter(
    _ work: ModelQueue.Work, _ slot: BatchSlot, rows: Int, _ problems: [Int: KServeError], _ execution: InferenceResponse.Execution
  )
    throws(DeviceError) -> [Result<InferenceResponse, KServeError>]
  {
    let takesRows = model.takesRows
    guard slot.outputs.count == model.configuration.outputs.count else {
      throw DeviceError(.batchFailed, "the model gave \(slot.outputs.count) outputs; \(model.configuration.outputs.count) are configured")
    }
    for (index, output) in slot.outputs.enumerated() where takesRows && output.shape.first != rows {
      throw DeviceError(
        .batchFailed,
        "output '\(model.configuration.outputs[index].name)' has shape \(output.shape) for a batch of \(rows) rows: its first dimension must be the rows"
      )
    }
    // Strings differ in length: where each row's elements end must be looked for.
    var stringOffsets: [Int: [Int]] = [:]
    for (index, output) in model.configuration.outputs.enumerated() where output.dataType == .string && takesRows {
      stringOffsets[index] = Self.rowOffsets(
        UnsafeRawBufferPointer(slot.outputs[index].memory), rows: rows, shape: slot.outputs[index].shape)
    }
    var responses: [Result<InferenceResponse, KServeError>] = []
    responses.reserveCapacity(work.requests.count)
    var firstRow = 0
    for (place, request) in work.requests.enumerated() {
      let count = max(1, request.checked.rows)
      defer { firstRow += count }
      if let problem = problems[place] {
        responses.append(.failure(problem))
        continue
      }
      var outputs: [InferenceResponse.Output] = []
      outputs.reserveCapacity(request.checked.outputs.count)
      var failure: KServeError?
      for wanted in request.checked.outputs {
        let tensor = slot.outputs[wanted.index]
        let declared = model.configuration.outputs[wanted.index]
        let range: Range<Int>
        if !takesRows {
          range = 0..<tensor.memory.count
        } else if let offsets = stringOffsets[wanted.index] {
          range = offsets[firstRow]..<offsets[firstRow + count]
        } else {
          let row = tensor.memory.count / max(1, rows)
          range = firstRow * row..<(firstRow + count) * row
        }
        var shape = tensor.shape
        if takesRows, !shape.isEmpty { shape[0] = count }
        if declared.reshape != nil { shape = (takesRows ? [count] : []) + declared.dims }
        let bytes = UnsafeRawBufferPointer(rebasing: tensor.memory[range])
        let asked = wanted.requested >= 0 ? request.request.outputs[wanted.requested] : InferenceRequest.Output(name: declared.name)
        do throws(KServeError) {
          outputs.append(try output(asked, declared, shape, bytes, count, takesRows))
        } catch {
          failure = error
        }
      }
      if let failure {
        responses.append(.failure(failure))
        continue
      }
      var response = InferenceResponse(
        modelName: model.name, modelVersion: model.versionText, id: request.request.id, outputs: outputs, isSimulated: model.isSimulated)
      response.execution = execution
      responses.append(.success(response))
    }
    return responses
  }

  private var allocator: ByteBufferAllocator { ByteBufferAllocator() }

  private func output(
    _ asked: InferenceRequest.Output, _ declared: OutputConfiguration, _ shape: [Int], _ bytes: UnsafeRawBufferPointer, _ rows: Int,
    _ takesRows: Bool
  ) throws(KServeError) -> InferenceResponse.Output {
    var (type, shape) = (declared.dataType, shape)
    var classes: [UInt8]?
    if asked.classification > 0 {
      guard
        let found = Classification.encode(
          bytes, type: declared.dataType, rows: takesRows ? rows : 1, count: asked.classification,
          labels: model.labels[declared.name] ?? [])
      else {
        throw KServeError(
          .invalidArgument, "output '\(declared.name)' is \(declared.dataType.kserveName); classification needs a number type")
      }
      (type, shape, classes) = (.string, (takesRows ? [rows] : []) + [found.classes], found.bytes)
    }
    if let target = asked.sharedMemory {
      let problem: KServeError? = withBytes(of: classes, or: bytes) { bytes in
        do throws(KServeError) { try model.regions.write(bytes, to: target) } catch { return error }
        return nil
      }
      if let problem { throw problem }
      return InferenceResponse.Output(
        name: declared.name, dataType: type, shape: shape, data: ByteBuffer(),
        sharedMemory: SharedMemoryTarget(region: target.region, offset: target.offset, byteSize: classes?.count ?? bytes.count))
    }
    var data = allocator.buffer(capacity: classes?.count ?? bytes.count)
    if let classes { data.writeBytes(classes) } else { data.writeBytes(bytes) }
    return InferenceResponse.Output(name: declared.name, dataType: type, shape: shape, data: data)
  }

  private func withBytes<Result>(of array: [UInt8]?, or bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result) -> Result
  {
    array?.withUnsafeBytes(body) ?? body(bytes)
  }

  /// Byte offset of each row's first element, and the end.
  private static func rowOffsets(_ data: UnsafeRawBufferPointer, rows: Int, shape: [Int]) -> [Int] {
    let perRow = shape.dropFirst().reduce(1) { $0 &* max(0, $1) }
    var offsets = [0]
    var (elements, offset) = (0, 0)
    _ = BytesTensor.forEach(in: data) { element in
      offset += 4 + element.count
      elements += 1
      if perRow > 0, elements % perRow == 0, offsets.count <= rows { offsets.append(offset) }
    }
    while offsets.count <= rows { offsets.append(offset) }
    return offsets
  }
}

/// Keeps one batch's kernels.
///
/// `@unchecked Sendable`: the device calls `record` from one thread at a time, all before the batch's completion.
private final class KernelCollector: LaunchRecorder, @unchecked Sendable {
  // Unchecked: for the reason above nobody else looks, and the check would cost as much as the append.
  @exclusivity(unchecked) private(set) var events: [(step: Int, start: Instant, end: Instant)] = []

  func begin() { events.removeAll(keepingCapacity: true) }
  func record(step: Int, from start: Instant, to end: Instant) { events.append((step, start, end)) }
}

extension Result {
  fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}
