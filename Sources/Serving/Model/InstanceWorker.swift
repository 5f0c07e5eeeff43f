import CNVTX
import Execution
import KServe
import NIOCore
import Threads
import TimeBase

/// The thread of one model instance: takes batches, gathers inputs into the slot, runs, takes the answers apart. Where the device has two
/// slots per instance (`LoadedModel.pipelineDepth`), it gathers the next batch while one runs.
///
/// `@unchecked Sendable`: used by the one thread at a time that the queue gave the instance's batch to: its own, or an event loop while its own
/// waits in `ModelQueue.next`; the queue's lock orders the two.
final class InstanceWorker: @unchecked Sendable {
  let model: ServedModel
  private let index: Int
  private let generation: Int
  private let depth: Int
  private var instance: (any ModelInstance)?
  /// One per slot of the instance, of those that no batch is in.
  private var free: [BatchInFlight] = []
  /// Oldest first.
  private var flights: [(batch: BatchInFlight, work: ModelQueue.Work)] = []

  init(_ model: ServedModel, index: Int, generation: Int, instance: (any ModelInstance)?) {
    self.model = model
    self.index = index
    self.generation = generation
    depth = model.pipelineDepth
    if let instance { use(instance) }
  }

  /// Runs until the model is closed or the instance given up.
  func serve() {
    if depth > 1 {
      servePipelined()
    } else {
      var finished: ModelQueue.Finished?
      while let work = next(finished) { finished = run(work) }
    }
    // What did not come back is abandoned: to close it would be to wait for it.
    if model.queue.isServing(index, generation: generation) { instance?.close() }
    // Before the model, whose end gives memory back to the system.
    (instance, free, flights) = (nil, [], [])
    model.workerEnded()
  }

  private func next(_ finished: ModelQueue.Finished?) -> ModelQueue.Work? {
    guard model.isRateLimited else { return model.queue.next(index, generation: generation, finished: finished) }
    let hasMore = model.queue.hand(index, generation: generation, finished: finished)
    // The turn of a thread that was given up ended then, and may be its successor's now.
    if finished != nil, model.queue.isServing(index, generation: generation) {
      if hasMore { model.renewTurn(index) } else { model.endTurn(index) }
    }
    guard let work = model.queue.take(index, generation: generation) else { return nil }
    model.acquireResources(index)
    model.queue.executionBegins(index, generation: generation, work)
    return work
  }

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

  /// Gathers a batch whenever there is one and room for it, answers the oldest when it is done.
  private func servePipelined() {
    var finished: ModelQueue.Finished?
    while let step = model.queue.nextStep(index, generation: generation, finished: finished) {
      finished = nil
      switch step {
      case .answer:
        let flight = flights.removeFirst()
        finished = answer(flight.batch, flight.work)
      case .gather(let work):
        do throws(DeviceError) {
          let flight = try gathered(work)
          flights.append((flight, work))
          let (queue, batch) = (model.queue, work.batch)
          submit(flight, work) { [index, generation] in queue.executed(batch, on: index, generation: generation) }
          queue.submitted(work.batch, on: index, generation: generation)
        } catch {
          finished = fail(work, error)
        }
      }
    }
  }

  /// Runs a batch on the calling thread, which owns the instance meanwhile (`ModelQueue.runImmediately`), to its answers.
  func run(_ work: ModelQueue.Work) -> ModelQueue.Finished {
    do throws(DeviceError) {
      let flight = try gathered(work)
      submit(flight, work, then: nil)
      return answer(flight, work)
    } catch {
      return fail(work, error)
    }
  }

  // MARK: - The instance

  private func use(_ made: any ModelInstance) {
    instance = made
    free = (0..<depth).map { _ in BatchInFlight(CheckedInstance(made, model.layout), of: made) }
  }

  private func vacantFlight() throws(DeviceError) -> BatchInFlight {
    if instance == nil { use(try model.loaded.makeInstance()) }
    guard let flight = free.popLast() else { throw DeviceError(.batchFailed, "instance \(index) has no slot left: a fault of this server") }
    return flight
  }

  /// Back to the instance's slots, unless that was lost meanwhile.
  private func vacate(_ flight: BatchInFlight) {
    flight.clear()
    if flight.instance === instance { free.append(flight) }
  }

  private func fail(_ work: ModelQueue.Work, _ error: DeviceError) -> ModelQueue.Finished {
    let status: KServeStatus =
      switch error.kind {
      case .badInput: .invalidArgument
      case .unsupported: .unsupported
      case .unavailable: .unavailable
      case .batchFailed, .instanceLost: .internalError
      }
    // Whoever gave it up has answered and counted.
    guard model.queue.isServing(index, generation: generation) else { return ModelQueue.Finished(batch: work.batch, results: []) }
    let results = work.requests.map { request -> Result<InferenceResponse, KServeError> in
      model.counters.fail(.backend, nanoseconds: (MonotonicClock.now - request.accepted).nanoseconds)
      return .failure(KServeError(status, "\(request.checked.logTag)\(error.description)"))
    }
    return ModelQueue.Finished(batch: work.batch, results: results)
  }

  // MARK: - A batch

  /// In a slot. An instance may have been lost while it was idle, with what it shares with others (a GPU's context): it learns of that here. Nothing
  /// of the batch has begun then, and a new instance takes it; that one's loss is the batch's.
  private func gathered(_ work: ModelQueue.Work) throws(DeviceError) -> BatchInFlight {
    do throws(DeviceError) { return try gatheredOnce(work) } catch {
      guard error.kind == .instanceLost, instance == nil else { throw error }
      return try gatheredOnce(work)
    }
  }

  private func gatheredOnce(_ work: ModelQueue.Work) throws(DeviceError) -> BatchInFlight {
    let flight = try vacantFlight()
    do throws(DeviceError) { try gather(work, into: flight) } catch {
      lose(flight, error)
      throw error
    }
    return flight
  }

  /// Gives a failed batch's slot back. What is lost is made anew with the next batch; a batch that the device still has keeps its own hold of it.
  private func lose(_ flight: BatchInFlight, _ error: DeviceError) {
    if error.kind == .instanceLost, flight.instance === instance { (instance, free) = (nil, []) }
    vacate(flight)
  }

  private func gather(_ work: ModelQueue.Work, into flight: BatchInFlight) throws(DeviceError) {
    flight.gatherStart = MonotonicClock.now
    flight.rows = work.requests.reduce(0) { $0 + max(1, $1.checked.rows) }
    flight.gathered = 0
    // A request whose bytes cannot be read fails alone.
    flight.problems = try gather(work.requests, rows: flight.rows, into: flight.checked, &flight.gathered)
  }

  /// `then`: called on the device's thread when the batch is done.
  private func submit(_ flight: BatchInFlight, _ work: ModelQueue.Work, then: (@Sendable () -> Void)?) {
    flight.events.begin()
    // For whichever profiler is attached, as an NVTX range: what this batch is.
    let range =
      headroom_nvtx_is_attached() == 0
      ? 0 : headroom_nvtx_start("\(model.name): batch \(work.batch.sequence), \(flight.rows) rows, \(work.reason.rawValue)")
    flight.checked.run(events: model.live.isRecording ? flight.events : nil) { result in
      headroom_nvtx_end(range)
      flight.complete(result)
      then?()
    }
  }

  /// Waits for the batch, unless it is done, and takes its answers apart.
  private func answer(_ flight: BatchInFlight, _ work: ModelQueue.Work) -> ModelQueue.Finished {
    let result = flight.wait()
    do throws(DeviceError) {
      let responses = try responses(work, flight, try result.get())
      vacate(flight)
      return ModelQueue.Finished(batch: work.batch, results: responses)
    } catch {
      lose(flight, error)
      return fail(work, error)
    }
  }

  private func responses(
    _ work: ModelQueue.Work, _ flight: BatchInFlight, _ times: BatchTimes
  ) throws(DeviceError) -> [Result<InferenceResponse, KServeError>] {
    let (gatherStart, rows) = (flight.gatherStart, flight.rows)
    try flight.checked.checkOutputs()
    // A late one's requests were told that it failed, and their shared memory may hold other things by now.
    if model.queue.maybeGaveUp(after: times.outputsReady - gatherStart), !model.queue.isServing(index, generation: generation) { return [] }
    let phases = BatchPhases(
      computeStart: gatherStart, inputsReady: max(gatherStart, times.inputsReady), computeEnd: max(gatherStart, times.computeEnd),
      outputsReady: max(gatherStart, times.outputsReady))
    let responses = try scatter(work.requests, from: flight.checked, flight.problems, phases)
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
        instance: index, rows: rows, reason: work.reason, gatherStart: gatherStart, inputsReady: max(gatherStart, times.inputsReady),
        computeEnd: max(gatherStart, times.computeEnd), outputsEnd: outputsEnd, bytesGathered: flight.gathered), requests: good)
    model.live.record(
      LiveRecorder.Batch(
        id: work.batch.sequence, model: model.number, instance: Int32(clamping: index), rows: Int32(clamping: rows),
        requests: Int32(clamping: work.requests.count), reason: work.reason, formed: work.formed, gatherStart: gatherStart,
        computeStart: times.inputsReady, computeEnd: times.computeEnd, outputEnd: outputsEnd),
      flight.events)
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

extension Result {
  fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}
