import Execution
import KServe
import NIOCore
import Threads
import TimeBase

/// The thread of one model instance: takes batches, gathers inputs into the slot, runs, takes the answers apart.
///
/// `@unchecked Sendable`: used by the one thread at a time that the queue gave the instance's batch to: its own, or an event loop while its own
/// waits in `ModelQueue.next`; the queue's lock orders the two.
final class InstanceWorker: @unchecked Sendable {
  let model: ServedModel
  private let index: Int
  private let tenure: Int
  private var instance: CheckedInstance?
  private let kernels = KernelCollector()
  private let completion = BatchCompletion()

  init(_ model: ServedModel, index: Int, tenure: Int, instance: (any ModelInstance)?) {
    self.model = model
    self.index = index
    self.tenure = tenure
    self.instance = instance.map { CheckedInstance($0, model.layout) }
  }

  /// Runs until the model is closed or the instance given up.
  func serve() {
    var finished: ModelQueue.Finished?
    while let work = next(finished) { finished = ModelQueue.Finished(batch: work.batch, results: execute(work)) }
    instance?.close()
    // Before the model, whose end gives memory back to the system.
    instance = nil
    model.workerEnded()
  }

  private func next(_ finished: ModelQueue.Finished?) -> ModelQueue.Work? {
    guard model.limitsTurns else { return model.queue.next(index, tenure: tenure, finished: finished) }
    let hasMore = model.queue.hand(index, tenure: tenure, finished: finished)
    // The turn of a thread that was given up ended then, and may be its successor's now.
    if finished != nil, model.queue.isServing(index, tenure: tenure) {
      if hasMore { model.renewTurn(index) } else { model.endTurn(index) }
    }
    guard let work = model.queue.take(index, tenure: tenure) else { return nil }
    model.beginTurn(index)
    model.queue.executionBegins(index, tenure: tenure, work)
    return work
  }

  /// Runs a batch on the calling thread, which owns the instance meanwhile (`ModelQueue.runImmediately`).
  func run(_ work: ModelQueue.Work) -> ModelQueue.Finished { ModelQueue.Finished(batch: work.batch, results: execute(work)) }

  /// When a batch did what.
  struct BatchPhases {
    var computeStart: Instant
    var inputsReady: Instant
    var computeEnd: Instant
    var outputsReady: Instant

    /// What a request of it is told.
    func execution(_ passage: RequestPassage) -> InferenceResponse.Execution {
      InferenceResponse.Execution(
        batch: passage.batch, accepted: passage.accepted, enqueued: passage.enqueued, departed: passage.departed,
        computeStart: computeStart, inputsReady: inputsReady, computeEnd: computeEnd, outputsReady: outputsReady)
    }
  }

  private func execute(_ work: ModelQueue.Work) -> [Result<InferenceResponse, KServeError>] {
    do throws(DeviceError) {
      if instance == nil { instance = CheckedInstance(try model.loaded.makeInstance(), model.layout) }
      guard let instance else { throw DeviceError(.instanceLost, "instance \(index) could not be made") }
      return try run(work, on: instance)
    } catch {
      let status: KServeStatus = error.kind == .badInput ? .invalidArgument : error.kind == .unsupported ? .unsupported : .internalError
      // What is lost is made anew with the next batch.
      if error.kind == .instanceLost { instance = nil }
      // Whoever gave it up has answered and counted.
      guard model.queue.isServing(index, tenure: tenure) else { return [] }
      return work.requests.map { request in
        model.counters.fail(.backend, nanoseconds: (MonotonicClock.now - request.accepted).nanoseconds)
        return .failure(KServeError(status, "\(request.checked.logTag)\(error.description)"))
      }
    }
  }

  private func run(_ work: ModelQueue.Work, on instance: CheckedInstance) throws(DeviceError) -> [Result<InferenceResponse, KServeError>] {
    let gatherStart = MonotonicClock.now
    let rows = work.requests.reduce(0) { $0 + max(1, $1.checked.rows) }
    var gathered = 0
    // A request whose bytes cannot be had fails alone.
    let problems = try gather(work.requests, rows: rows, into: instance, &gathered)
    kernels.begin()
    let times = try completion.wait { instance.run(events: model.live.isRecording ? kernels : nil, completion: $0) }.get()
    try instance.checkOutputs()
    // A late one's requests were told that it failed, and their shared memory may hold other things by now.
    if model.queue.maybeGaveUp(after: times.outputsReady - gatherStart), !model.queue.isServing(index, tenure: tenure) { return [] }
    let phases = BatchPhases(
      computeStart: gatherStart, inputsReady: max(gatherStart, times.inputsReady), computeEnd: max(gatherStart, times.computeEnd),
      outputsReady: max(gatherStart, times.outputsReady))
    let responses = try scatter(work.requests, from: instance, problems, phases)
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

  /// Every request's bytes into the batch; what went wrong by the request's place.
  private func gather(
    _ requests: [PendingInference], rows: Int, into instance: CheckedInstance, _ gathered: inout Int
  ) throws(DeviceError) -> [Int: KServeError] {
    guard let first = requests.first else { throw DeviceError(.batchFailed, "a batch of no requests was formed") }
    let takesRows = model.takesRows
    // A batch runs with one shape, the first one's.
    let shape = BatchShape(first.checked, countsRows: takesRows)
    guard takesRows || requests.count == 1, requests.dropFirst().allSatisfy({ BatchShape($0.checked, countsRows: takesRows) == shape })
    else { throw DeviceError(.batchFailed, "requests of different shapes were put into one batch: a fault of this server") }
    var shapes = first.checked.shapes
    if takesRows { for input in shapes.indices where !shapes[input].isEmpty { shapes[input][0] = rows } }
    try instance.begin(shapes, rows: rows, omitting: shapes.indices.filter { first.checked.inputs[$0] < 0 })
    var problems: [Int: KServeError] = [:]
    for input in shapes.indices where first.checked.inputs[input] >= 0 {
      if instance.isString(input) {
        try instance.reserve(
          input, byteCount: requests.reduce(0) { $0 + $1.request.inputs[$1.checked.inputs[input]].data.byteCount })
      }
      for (place, request) in requests.enumerated() {
        let data = request.request.inputs[request.checked.inputs[input]].data
        var reason: KServeError?
        let written = try instance.write(input, rows: max(1, request.checked.rows), byteCount: data.byteCount) { target in
          do throws(KServeError) { try data.copy(to: target, regions: model.regions, counter: &gathered) } catch { reason = error }
          return reason == nil
        }
        if written != .whole { problems[place] = problem(request, input, data.byteCount, written, reason) }
      }
    }
    return problems
  }

  private func problem(
    _ request: PendingInference, _ input: Int, _ byteCount: Int, _ written: CheckedInstance.Written, _ reason: KServeError?
  ) -> KServeError {
    if let reason { return reason }
    let name = model.configuration.inputs[input].name
    guard case .wrongSize(let expected) = written else {
      return KServeError(.invalidArgument, "\(request.checked.logTag)the strings of input '\(name)' do not fit its shape")
    }
    return KServeError(
      .invalidArgument,
      "\(request.checked.logTag)input byte size mismatch for input '\(name)' for model '\(model.name)'. Expected \(expected), got \(byteCount)"
    )
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
