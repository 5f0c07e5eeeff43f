import CheckedNumbers
import KServe
import NIOCore
import Scheduling
import TimeBase
import Threads
import Vocabulary

/// A loaded model's scheduler in real time: requests come in from event loops, batches go out to instance threads, deadlines are kept by one
/// timer thread that sleeps while nothing is due.
///
/// `@unchecked Sendable`: every variable is guarded by `monitor`.
final class ModelQueue: @unchecked Sendable {
  /// A batch for an instance.
  struct Work {
    var batch: BatchID
    var requests: [PendingInference]
    var rows: Int
    var reason: DepartureReason
    var formed: Instant
    var oldest: Instant
  }

  /// A batch that ended: a result for each of its requests, in order.
  struct Finished {
    var batch: BatchID
    var results: [Result<InferenceResponse, KServeError>]
  }

  private static let timer = 0
  private let monitor: Monitor
  private let modelName: String
  /// Time an instance may take for a batch before it counts as hung.
  private let executionLimit: TimeSpan
  private let counters: ModelCounters
  /// Time: the clock that cannot be set, or a test's.
  private let clock: @Sendable () -> Instant

  private var scheduler: Scheduler
  /// Shapes of the requests that were accepted and not answered; nil where every request has the same.
  private var shapes: InternTable<BatchShape>?
  private let countsRows: Bool
  private var pending: [PendingInference?] = []
  private var generations: [UInt32] = []
  private var free: [Int] = []
  /// What each instance holds.
  private var pipelines: InstancePipelines
  private var isWaiting: [Bool]
  private var timerTarget = Instant.distantFuture
  private var isClosing = false
  private var unanswered = 0
  /// Accepted, and neither executing nor answered: in the queue, in a batch that was formed, or before an instance that waits for its turn.
  private var waiting = 0
  private var whenDrained: [@Sendable () -> Void] = []

  /// Runs a batch of that instance on the calling thread; nil: batches go to the instances' threads. Set before the first request.
  private var immediate: ((Int, Work) -> Finished)?
  /// More bytes than this would hold up an event loop's other connections for longer than a hand-off takes.
  private static let immediateByteLimit = 64 << 10

  private var deliveries: [PendingInference] = []
  private var woken: [Int] = []
  private var idle: IdleTimes

  /// `depth`: batches that an instance may hold, 1 or 2 (`LoadedModel.pipelineDepth`).
  init(
    model: String, configuration: SchedulerConfiguration, executionLimit: TimeSpan, counters: ModelCounters, depth: Int = 1,
    clock: @escaping @Sendable () -> Instant = { MonotonicClock.now }
  ) {
    let instances = configuration.instances
    modelName = model
    monitor = Monitor(conditions: 1 + instances)
    scheduler = Scheduler(configuration)
    shapes = configuration.comparesShapes ? InternTable() : nil
    countsRows = configuration.maximumBatchRows > 0
    self.executionLimit = executionLimit
    self.counters = counters
    self.clock = clock
    idle = IdleTimes(since: clock())
    pipelines = InstancePipelines(instances: instances, depth: depth)
    isWaiting = Array(repeating: false, count: instances)
  }

  /// Starts to keep deadlines. `onHang` is told of an instance that was given up.
  func start(onHang: @escaping @Sendable (Int) -> Void) {
    DetachedThread.start(named: "timer \(modelName)", hasShortSlice: true) { [self] in keepTime(onHang) }
  }

  /// Lets batches run where their last request arrived while the instance's thread waits: for models whose work takes less time than handing
  /// it over.
  func runImmediately(_ run: @escaping (Int, Work) -> Finished) { monitor.withLock { immediate = run } }

  // MARK: - Event loops

  /// Takes a request, or answers at once why not. Returns what cancels it.
  func submit(_ request: PendingInference, fallback: () -> InferenceHandle?) -> InferenceHandle {
    monitor.lock()
    // Behind the lock: waiting for it is no queueing.
    var now = clock()
    let slot = free.popLast() ?? pending.count
    if slot == pending.count {
      pending.append(nil)
      generations.append(0)
    }
    generations[slot] &+= 1
    let generation = generations[slot]
    pending[slot] = request
    if shapes != nil { request.shapeNumber = shapes?.use(BatchShape(request.checked, countsRows: countsRows)) ?? -1 }
    let admission = scheduler.enqueue(
      SchedulerRequest(
        id: Int64(slot) | Int64(generation) << 32, rows: Int32(clamping: request.checked.rows),
        shapeKey: UInt64(bitPattern: Int64(request.shapeNumber)), priority: request.request.priority,
        timeout: .microseconds(Int64(clamping: request.request.timeoutMicroseconds))),
      at: now)
    var refusal: KServeError?
    let isStopping = admission == .refused(.stopping)
    switch admission {
    case .queued(let handle):
      request.handle = handle
      request.passage.enqueued = now
      unanswered += 1
      waiting += 1
    case .refused(let reason):
      pending[slot] = nil
      free.append(slot)
      shapes?.release(request.shapeNumber)
      refusal = KServeError(reason, request.checked.logTag, modelName)
    }
    drain()
    if let immediate, woken.count == 1, let instance = woken.first, let work = takeImmediate(instance) {
      woken.removeAll(keepingCapacity: true)
      noteIdle(now)
      monitor.unlock()
      // The instance is this thread's until `complete`: its own thread waits for a batch and gets none meanwhile.
      let finished = immediate(instance, work)
      monitor.lock()
      // What came meanwhile came later than this request.
      now = clock()
      complete(finished, instance, now)
      announce(instance, now)
      drain()
    }
    leave(now)
    if isStopping, let other = fallback() { return other }
    if let refusal {
      counters.fail(refusal.status == .unavailable ? .rejected : .other, nanoseconds: (clock() - request.accepted).nanoseconds)
      request.result = .failure(refusal)
      request.deliver()
      return InferenceHandle {}
    }
    return InferenceHandle { [self] in cancel(slot, generation) }
  }

  private func cancel(_ slot: Int, _ generation: UInt32) {
    monitor.lock()
    // Behind the lock: to the scheduler, time does not go backwards.
    let now = clock()
    if pending.indices.contains(slot), generations[slot] == generation, let request = pending[slot], let handle = request.handle,
      scheduler.cancel(handle, at: now)
    {
      request.result = .failure(KServeError(.cancelled, "\(request.checked.logTag)The request was cancelled"))
      counters.fail(.canceled, nanoseconds: (now - request.accepted).nanoseconds)
      take(slot)
    }
    drain()
    leave(now)
  }

  // MARK: - Instance threads

  /// A thread begins to serve an instance.
  func currentGeneration(_ instance: Int) -> Int { monitor.withLock { pipelines.generation(instance) } }

  /// Hands in the last batch's results and waits for the next batch. nil: the thread is to end, because the model is unloaded or because
  /// the instance was given up meanwhile.
  func next(_ instance: Int, generation: Int, finished: Finished?) -> Work? {
    monitor.lock()
    guard pipelines.generation(instance) == generation else {
      monitor.unlock()
      return nil
    }
    report(instance, finished)
    let work = waitForWork(instance, generation)
    if let work { beginExecution(instance, work.requests) }
    counters.setPending(waiting)
    monitor.unlock()
    return work
  }

  /// What the thread of an instance of depth 2 does next.
  enum Step {
    case gather(Work)
    case answer(BatchID)
  }

  /// As `next`, for an instance that may gather a batch while the device executes another. nil: the thread is to end.
  func nextStep(_ instance: Int, generation: Int, finished: Finished?) -> Step? {
    monitor.lock()
    defer {
      counters.setPending(waiting)
      monitor.unlock()
    }
    guard pipelines.generation(instance) == generation else { return nil }
    report(instance, finished)
    while pipelines.generation(instance) == generation {
      switch pipelines.next(instance) {
      case .answer(let batch): return .answer(batch)
      case .gather:
        guard let work = takeAssigned(instance) else { return nil }
        beginExecution(instance, work.requests)
        return .gather(work)
      case nil:
        if isClosing && unanswered == 0 { return nil }
        waitForSignal(instance, generation)
      }
    }
    return nil
  }

  private func waitForSignal(_ instance: Int, _ generation: Int) {
    isWaiting[instance] = true
    monitor.wait(1 + instance)
    // A thread that was given up meanwhile has a successor, which may wait.
    if pipelines.generation(instance) == generation { isWaiting[instance] = false }
  }

  /// The device has the batch: the instance could gather another.
  func submitted(_ batch: BatchID, on instance: Int, generation: Int) {
    let now = clock()
    monitor.lock()
    guard pipelines.generation(instance) == generation else { return monitor.unlock() }
    pipelines.submitted(batch, on: instance)
    announce(instance, now)
    drain()
    leave(now)
  }

  /// The device is done with the batch. On any thread.
  func executed(_ batch: BatchID, on instance: Int, generation: Int) {
    monitor.lock()
    guard pipelines.generation(instance) == generation else { return monitor.unlock() }
    pipelines.executed(batch, on: instance)
    let wakes = isWaiting[instance]
    monitor.unlock()
    if wakes { monitor.signal(1 + instance) }
  }

  /// The first half of `next`, for an instance that has its turn to give back in between: whether another batch is there for it.
  func hand(_ instance: Int, generation: Int, finished: Finished?) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    guard pipelines.generation(instance) == generation else { return false }
    report(instance, finished)
    return pipelines.hasGiven(instance)
  }

  /// The second half of `next`. Execution begins with `executionBegins`.
  func take(_ instance: Int, generation: Int) -> Work? { monitor.withLock { waitForWork(instance, generation) } }

  /// What became of the last batch, and that the instance waits for another. Ends with the lock held.
  private func report(_ instance: Int, _ finished: Finished?) {
    let now = clock()
    if let finished { complete(finished, instance, now) }
    announce(instance, now)
    drain()
    if !deliveries.isEmpty || woken.contains(where: { $0 != instance }) {
      leave(now)
      monitor.lock()
    } else {
      woken.removeAll(keepingCapacity: true)
      noteIdle(now)
    }
  }

  /// Tells the scheduler what the instance has room for.
  private func announce(_ instance: Int, _ now: Instant) {
    switch pipelines.announcement(instance) {
    case .waits: scheduler.instanceReady(instance, at: now)
    case .canGather: scheduler.instanceCanGather(instance, at: now)
    case nil: break
    }
  }

  private func waitForWork(_ instance: Int, _ generation: Int) -> Work? {
    while !pipelines.hasGiven(instance) {
      if pipelines.generation(instance) != generation || isClosing && unanswered == 0 { return nil }
      waitForSignal(instance, generation)
    }
    return takeAssigned(instance)
  }

  /// The batch just assigned to a waiting instance, where it is small enough.
  private func takeImmediate(_ instance: Int) -> Work? {
    guard let batch = pipelines.given(instance), let formed = formed(batch) else { return nil }
    var bytes = 0
    for request in formed.requests {
      for input in pending[Int(request.id & 0xFFFF_FFFF)]?.request.inputs ?? [] { bytes += input.data.byteCount }
      if bytes > Self.immediateByteLimit { return nil }
    }
    let work = takeAssigned(instance)
    if let work { begin(work.requests) }
    return work
  }

  private func takeAssigned(_ instance: Int) -> Work? {
    guard let batch = pipelines.take(instance), let formed = formed(batch) else { return nil }
    var requests: [PendingInference] = []
    requests.reserveCapacity(formed.requests.count)
    for request in formed.requests {
      if let found = pending[Int(request.id & 0xFFFF_FFFF)] {
        found.passage.batch = batch.sequence
        found.passage.departed = request.departed
        requests.append(found)
      }
    }
    return Work(
      batch: batch, requests: requests, rows: formed.rows, reason: formed.reason, formed: formed.formed, oldest: formed.oldest)
  }

  /// The batch begins to execute: from now on its time counts. Waiting for a turn before is no hanging.
  func executionBegins(_ instance: Int, generation: Int, _ work: Work) {
    monitor.lock()
    if pipelines.generation(instance) == generation { beginExecution(instance, work.requests) }
    counters.setPending(waiting)
    monitor.unlock()
  }

  private func beginExecution(_ instance: Int, _ requests: [PendingInference]) {
    begin(requests)
    guard executionLimit > .zero else { return }
    let start = clock()
    pipelines.executionBegins(instance, at: start)
    if start + executionLimit < timerTarget { wakeTimer(by: start + executionLimit) }
  }

  /// What executes waits no more.
  private func begin(_ requests: [PendingInference]) {
    for request in requests { request.isExecuting = true }
    waiting -= requests.count
  }

  /// Whether an instance that took so long, as its own thread sees it, may have been given up: then `isServing` is worth its lock.
  func maybeGaveUp(after span: TimeSpan) -> Bool { executionLimit > .zero && span + span >= executionLimit }

  /// Whether this thread still serves the instance.
  func isServing(_ instance: Int, generation: Int) -> Bool { monitor.withLock { pipelines.generation(instance) == generation } }

  private func complete(_ finished: Finished, _ instance: Int, _ now: Instant) {
    if let formed = formed(finished.batch) {
      for (request, result) in zip(formed.requests, finished.results) { pending[Int(request.id & 0xFFFF_FFFF)]?.result = result }
    }
    pipelines.finish(finished.batch, on: instance, at: now)
    scheduler.complete(finished.batch, at: now)
  }

  // MARK: - Under the lock

  /// A method of a structure that is stored in an object is called on a copy of it, which costs ten retains and releases here, four times a
  /// request; of one that is lent it is not.
  private static func reading<Value>(_ scheduler: inout Scheduler, _ body: (inout Scheduler) -> Value) -> Value { body(&scheduler) }

  private func formed(_ batch: BatchID) -> FormedBatch? { Self.reading(&scheduler) { $0.batch(batch) } }

  private func drain() {
    while let action = scheduler.nextAction() {
      switch action {
      case .start(let batch, let instance):
        pipelines.give(batch, to: instance)
        if isWaiting[instance] { woken.append(instance) }
      case .timeOut(let id):
        let slot = Int(id & 0xFFFF_FFFF)
        if let request = pending[slot] {
          counters.fail(.rejected, nanoseconds: (clock() - request.accepted).nanoseconds)
          request.result = .failure(KServeError(.unavailable, "Request timeout expired"))
        }
        take(slot)
      case .respond(let id): take(Int(id & 0xFFFF_FFFF))
      }
    }
  }

  /// A request is over: it leaves the table and will be delivered.
  private func take(_ slot: Int) {
    guard let request = pending[slot] else { return }
    deliveries.append(request)
    pending[slot] = nil
    free.append(slot)
    shapes?.release(request.shapeNumber)
    unanswered -= 1
    if !request.isExecuting { waiting -= 1 }
  }

  private func noteIdle(_ now: Instant) {
    idle.note(now, readyInstances: scheduler.readyInstanceCount, hasQueue: scheduler.queuedRequests > 0)
  }

  private func wakeTimer(by target: Instant) {
    timerTarget = target
    monitor.signal(Self.timer)
  }

  /// Unlocks, wakes whoever got work and delivers what is over. Nothing of this happens under the lock.
  private func leave(_ now: Instant) {
    noteIdle(now)
    counters.setPending(waiting)
    let due = Self.reading(&scheduler) { $0.nextWakeUp }
    if due < timerTarget { wakeTimer(by: due) }
    let (ended, instances) = (deliveries, woken)
    if !ended.isEmpty { deliveries = [] }
    if !instances.isEmpty { woken = [] }
    var drained: [@Sendable () -> Void] = []
    if isClosing && unanswered == 0 {
      (drained, whenDrained) = (whenDrained, [])
      // It holds the model, which holds this queue.
      immediate = nil
      for instance in 0..<pipelines.count { monitor.signal(1 + instance) }
      monitor.signal(Self.timer)
    }
    monitor.unlock()
    for instance in instances { monitor.signal(1 + instance) }
    if !ended.isEmpty { PendingInference.deliver(ended) }
    for call in drained { call() }
  }

  // MARK: - Time

  private func keepTime(_ onHang: (Int) -> Void) {
    monitor.lock()
    while !(isClosing && unanswered == 0) {
      let now = clock()
      if !act(at: now, onHang) { continue }
      var target = Self.reading(&scheduler) { $0.nextWakeUp }
      if executionLimit > .zero { target = min(target, pipelines.nextHang(limit: executionLimit)) }
      timerTarget = target
      if target > clock() { monitor.wait(Self.timer, until: target) }
    }
    monitor.unlock()
  }

  /// Does what is due at `now`. False where the lock was given up meanwhile: whatever was looked at before, the end included, may be otherwise.
  private func act(at now: Instant, _ onHang: (Int) -> Void) -> Bool {
    scheduler.advance(to: now)
    drain()
    var hung: [Int] = []
    if executionLimit > .zero {
      for instance in 0..<pipelines.count where pipelines.hangs(instance, at: now, limit: executionLimit) {
        giveUp(instance, now)
        hung.append(instance)
      }
    }
    if deliveries.isEmpty, woken.isEmpty, hung.isEmpty { return true }
    leave(now)
    for instance in hung { onHang(instance) }
    monitor.lock()
    return false
  }

  /// What the timer thread does at that time, for a queue without one.
  func advance(to now: Instant, onHang: (Int) -> Void = { _ in }) {
    monitor.lock()
    _ = act(at: now, onHang)
    leave(now)
  }

  /// An instance that does not come back: its batches fail, its thread is no longer listened to.
  private func giveUp(_ instance: Int, _ now: Instant) {
    for batch in pipelines.giveUp(instance) {
      for request in formed(batch)?.requests ?? [] {
        guard let pending = pending[Int(request.id & 0xFFFF_FFFF)] else { continue }
        counters.fail(.backend, nanoseconds: (now - pending.accepted).nanoseconds)
        pending.result = .failure(
          KServeError(
            .internalError,
            "\(pending.checked.logTag)instance \(instance) of model '\(modelName)' did not finish the batch within "
              + "\(executionLimit.seconds) s; it is being restarted"))
      }
      scheduler.complete(batch, at: now)
    }
    // It may wait for the device, which did not come back: it is to end.
    if isWaiting[instance] { woken.append(instance) }
    isWaiting[instance] = false
    drain()
  }

  // MARK: - End

  /// Takes no more requests; `drained` is called once everything accepted has been answered.
  func close(drained: @escaping @Sendable () -> Void) {
    monitor.lock()
    let now = clock()
    scheduler.stop(at: now)
    isClosing = true
    whenDrained.append(drained)
    drain()
    leave(now)
  }

  /// Requests accepted and not answered.
  var unansweredRequests: Int { monitor.withLock { unanswered } }
  /// Queued requests and rows, and instances that wait for a batch.
  var depth: (requests: Int, rows: Int, readyInstances: Int) {
    monitor.withLock { (scheduler.queuedRequests, scheduler.queuedRows, scheduler.readyInstanceCount) }
  }
  /// Time in which instances held no batch, up to now.
  var idleTimes: IdleTimes {
    monitor.withLock {
      noteIdle(clock())
      return idle
    }
  }
}
