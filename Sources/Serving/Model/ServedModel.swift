import CheckedNumbers
import Execution
import KServe
import ModelConfiguration
import NIOCore
import Scheduling
import Synchronization
import TimeBase
import Threads

/// A version of a model, loaded and serving: its queue, its instances' threads, its counters.
final class ServedModel: Sendable {
  let name: String
  let version: Int
  let versionText: String
  /// Normalized and completed from the model.
  let configuration: ModelConfiguration
  let loaded: any LoadedModel
  let device: DeviceDescription
  /// Labels by output, for classification.
  let labels: [String: [String]]
  let regions: SharedMemoryRegions
  let live: LiveRecorder
  let counters: ModelCounters
  /// Of this loading, in the live events.
  let number: Int32
  let checker: RequestChecker
  /// Which of the device's tensors the configured ones are.
  let layout: BatchLayout
  private let gate: ResourceGate?
  /// One an instance, where turns are limited.
  private let tickets: [ExecutionRateLimiter.Ticket]
  /// Bytes of all outputs for a row, or for a request where there are none; 0 where dimensions or elements are not fixed.
  private let outputBytes: Int
  private let threads = Atomic<Int>(0)
  let queue: ModelQueue

  /// Saturating: only an estimate of what an answer will take.
  private static func outputBytes(_ configuration: ModelConfiguration) -> Int {
    configuration.outputs.reduce(0) { sum, output in
      guard output.dims.allSatisfy({ $0 > 0 }) else { return sum }
      let bytes = output.dims.reduce(output.dataType.bytesPerElement ?? 0) { $0.multipliedSaturated(by: $1) }
      return sum.addingSaturated(bytes)
    }
  }

  /// Bytes of outputs that the answer to a request will have, as far as the configuration tells.
  func expectedBytes(of request: InferenceRequest) -> Int {
    let rows = takesRows ? max(1, request.inputs.first?.shape.first ?? 1) : 1
    return outputBytes.multipliedSaturated(by: rows)
  }

  var isSimulated: Bool { device.isSimulated }
  var takesRows: Bool { configuration.maxBatchSize > 0 }
  /// Instances that execute.
  let instanceCount: Int
  // The last property: weights are freed before it.
  private let trim = HeapTrim()

  init(
    name: String, version: Int, configuration: ModelConfiguration, loaded: any LoadedModel, device: DeviceDescription,
    labels: [String: [String]], regions: SharedMemoryRegions, live: LiveRecorder, number: Int32, executionLimit: TimeSpan,
    gate: ResourceGate?
  ) throws {
    self.name = name
    self.version = version
    versionText = String(version)
    self.configuration = configuration
    self.loaded = loaded
    self.device = device
    self.labels = labels
    self.regions = regions
    self.live = live
    self.number = number
    self.gate = gate
    layout = try BatchLayout(configuration, loaded)
    tickets = try gate?.add(configuration, device: device.ordinal) ?? []
    counters = ModelCounters(model: name, version: versionText)
    outputBytes = Self.outputBytes(configuration)
    checker = RequestChecker(configuration)
    let scheduling = SchedulerConfiguration(configuration)
    instanceCount = scheduling.instances
    queue = ModelQueue(
      model: name, configuration: scheduling, executionLimit: executionLimit, counters: counters,
      depth: tickets.isEmpty ? loaded.pipelineDepth : 1)
  }

  /// Starts the instances' threads; `instances` were made and warmed up before.
  func start(_ instances: [any ModelInstance]) {
    queue.start { [weak self] index in
      // What hangs keeps nothing: its turn ends here, and the late leave of its thread finds nothing to give back (see InstanceWorker).
      self?.endTurn(index)
      self?.startWorker(index, nil)
    }
    var workers: [InstanceWorker] = []
    for index in 0..<instanceCount { workers.append(startWorker(index, instances.indices.contains(index) ? instances[index] : nil)) }
    // Instances that may be given up, or have to wait for turns, need threads of their own.
    if loaded.isImmediate, !isRateLimited { queue.runImmediately { [workers] index, work in workers[index].run(work) } }
  }

  @discardableResult
  private func startWorker(_ index: Int, _ instance: (any ModelInstance)?) -> InstanceWorker {
    let worker = InstanceWorker(self, index: index, generation: queue.currentGeneration(index), instance: instance)
    threads.wrappingAdd(1, ordering: .relaxed)
    DetachedThread.start(named: "\(name) \(index)") { worker.serve() }
    return worker
  }

  func workerEnded() {
    guard threads.wrappingSubtract(1, ordering: .relaxed).newValue == 0 else { return }
    for ticket in tickets { gate?.remove(ticket) }
  }

  /// It was never started: what it holds of the rate limiter is free.
  func abandon() {
    for ticket in tickets { gate?.remove(ticket) }
  }

  /// Batches that an instance may hold. One that takes turns with others holds no turn ahead.
  var pipelineDepth: Int { isRateLimited ? 1 : loaded.pipelineDepth }

  /// Instances share resources with others and take turns.
  var isRateLimited: Bool { !tickets.isEmpty }

  /// Waits for the instance's turn.
  func acquireResources(_ index: Int) {
    guard tickets.indices.contains(index) else { return }
    gate?.enter(tickets[index])
  }

  /// The turn is over and the instance has another batch: it asks before others are let in.
  func renewTurn(_ index: Int) {
    guard tickets.indices.contains(index) else { return }
    gate?.renew(tickets[index])
  }

  func endTurn(_ index: Int) {
    guard tickets.indices.contains(index) else { return }
    gate?.leave(tickets[index])
  }

  /// Strings in shared memory are taken once, before they are counted: what the client writes there later changes nothing.
  private func takeStrings(_ request: inout InferenceRequest) throws(KServeError) {
    for (index, input) in request.inputs.enumerated() {
      guard case .sharedMemory(let place) = input.data, input.dataType?.bytesPerElement == nil else { continue }
      request.inputs[index].data = .one(try regions.bytes(at: place))
    }
  }

  /// Accepts and runs, or answers why not. `fallback` is asked when the model is being closed: another may take the request.
  func infer(
    _ request: consuming InferenceRequest, on loop: any EventLoop, fallback: @escaping @Sendable () -> InferenceHandle?,
    reply: @escaping @Sendable (Result<InferenceResponse, KServeError>, RequestPassage) -> Void
  ) -> InferenceHandle {
    var request = request
    let accepted = MonotonicClock.now
    let checked: CheckedRequest
    let hold: SharedMemoryHold?
    do throws(KServeError) {
      if isSimulated, request.requiresReal {
        throw KServeError(
          .unsupported,
          "model '\(name)' runs on a simulated device (\(device.name)), and the request asks for a real one (Headroom-Require-Real)")
      }
      // Before all else, as the reference server, whose front ends look the regions up.
      let places = request.sharedMemoryPlaces
      hold = places.isEmpty ? nil : try regions.hold(places)
      if hold != nil { try takeStrings(&request) }
      checked = try checker.check(&request)
    } catch {
      counters.fail(.other, nanoseconds: (MonotonicClock.now - accepted).nanoseconds)
      reply(.failure(error), RequestPassage(accepted: accepted))
      return InferenceHandle {}
    }
    guard let hold else {
      return queue.submit(
        PendingInference(request: request, checked: checked, loop: loop, accepted: accepted, reply: reply), fallback: fallback)
    }
    return queue.submit(
      PendingInference(
        request: request, checked: checked, loop: loop, accepted: accepted,
        reply: { answer, passage in
          // Before the answer: who has it finds the region unregistered, if that was asked for meanwhile.
          hold.end()
          reply(answer, passage)
        }), fallback: fallback)
  }
}
