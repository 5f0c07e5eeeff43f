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
    var reason: DispatchReason
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

  private var state: QueueState
  private var timerTarget = Instant.distantFuture
  private var whenDrained: [@Sendable () -> Void] = []
  /// Runs a batch of that instance on the calling thread; nil: batches go to the instances' threads. Set before the first request.
  private var immediate: ((Int, Work) -> Finished)?

  /// `depth`: batches that an instance may hold, 1 or 2 (`LoadedModel.pipelineDepth`).
  init(
    model: String, configuration: SchedulerConfiguration, executionLimit: TimeSpan, counters: ModelCounters, depth: Int = 1,
    clock: @escaping @Sendable () -> Instant = { MonotonicClock.now }
  ) {
    modelName = model
    monitor = Monitor(conditions: 1 + configuration.instances)
    self.executionLimit = executionLimit
    self.counters = counters
    self.clock = clock
    state = QueueState(model: model, configuration: configuration, depth: depth, now: clock())
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
    let submission = state.submit(request, at: now)
    if let immediate, let (instance, work) = state.takeImmediate(at: now) {
      monitor.unlock()
      // The instance is this thread's until `finish`: its own thread waits for a batch and gets none meanwhile.
      let finished = immediate(instance, work)
      monitor.lock()
      // What came meanwhile came later than this request.
      now = clock()
      state.finish(finished, on: instance, at: now)
    }
    leave(now)
    switch submission {
    case .accepted(let ticket): return InferenceHandle { [self] in cancel(ticket) }
    case .stopping(let refusal): return fallback() ?? refuse(request, refusal)
    case .refused(let refusal): return refuse(request, refusal)
    }
  }

  private func refuse(_ request: PendingInference, _ refusal: KServeError) -> InferenceHandle {
    counters.fail(refusal.status == .unavailable ? .rejected : .other, nanoseconds: (clock() - request.accepted).nanoseconds)
    request.result = .failure(refusal)
    request.deliver()
    return InferenceHandle {}
  }

  private func cancel(_ ticket: QueueState.Ticket) {
    monitor.lock()
    // Behind the lock: to the scheduler, time does not go backwards.
    let now = clock()
    state.cancel(ticket, at: now)
    leave(now)
  }

  // MARK: - Instance threads

  /// A thread begins to serve an instance.
  func currentGeneration(_ instance: Int) -> Int { monitor.withLock { state.pipelines.generation(instance) } }

  /// Hands in the last batch's results and waits for the next batch. nil: the thread is to end, because the model is unloaded or because
  /// the instance was given up meanwhile.
  func next(_ instance: Int, generation: Int, finished: Finished?) -> Work? {
    monitor.lock()
    guard state.pipelines.generation(instance) == generation else {
      monitor.unlock()
      return nil
    }
    report(instance, finished)
    let work = waitForWork(instance, generation)
    if let work { beginExecution(instance, work.requests) }
    counters.setPending(state.waiting)
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
      counters.setPending(state.waiting)
      monitor.unlock()
    }
    guard state.pipelines.generation(instance) == generation else { return nil }
    report(instance, finished)
    while state.pipelines.generation(instance) == generation {
      switch state.pipelines.next(instance) {
      case .answer(let batch): return .answer(batch)
      case .gather:
        guard let work = state.take(instance) else { return nil }
        beginExecution(instance, work.requests)
        return .gather(work)
      case nil:
        if state.hasEnded { return nil }
        waitForSignal(instance, generation)
      }
    }
    return nil
  }

  private func waitForSignal(_ instance: Int, _ generation: Int) {
    state.isWaiting[instance] = true
    monitor.wait(1 + instance)
    // A thread that was given up meanwhile has a successor, which may wait.
    if state.pipelines.generation(instance) == generation { state.isWaiting[instance] = false }
  }

  /// The device has the batch: the instance could gather another.
  func submitted(_ batch: BatchID, on instance: Int, generation: Int) {
    let now = clock()
    monitor.lock()
    guard state.pipelines.generation(instance) == generation else { return monitor.unlock() }
    state.pipelines.submitted(batch, on: instance)
    state.announce(instance, now)
    leave(now)
  }

  /// The device is done with the batch. On any thread.
  func executed(_ batch: BatchID, on instance: Int, generation: Int) {
    monitor.lock()
    guard state.pipelines.generation(instance) == generation else { return monitor.unlock() }
    state.pipelines.executed(batch, on: instance)
    let wakes = state.isWaiting[instance]
    monitor.unlock()
    if wakes { monitor.signal(1 + instance) }
  }

  /// The first half of `next`, for an instance that has its turn to give back in between: whether another batch is there for it.
  func hand(_ instance: Int, generation: Int, finished: Finished?) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    guard state.pipelines.generation(instance) == generation else { return false }
    report(instance, finished)
    return state.pipelines.hasGiven(instance)
  }

  /// The second half of `next`. Execution begins with `executionBegins`.
  func take(_ instance: Int, generation: Int) -> Work? { monitor.withLock { waitForWork(instance, generation) } }

  /// What became of the last batch, and that the instance waits for another. Ends with the lock held.
  private func report(_ instance: Int, _ finished: Finished?) {
    let now = clock()
    state.finish(finished, on: instance, at: now)
    if state.settles(for: instance, at: now) { return }
    leave(now)
    monitor.lock()
  }

  private func waitForWork(_ instance: Int, _ generation: Int) -> Work? {
    while !state.pipelines.hasGiven(instance) {
      if state.pipelines.generation(instance) != generation || state.hasEnded { return nil }
      waitForSignal(instance, generation)
    }
    return state.take(instance)
  }

  /// The batch begins to execute: from now on its time counts. Waiting for a turn before is no hanging.
  func executionBegins(_ instance: Int, generation: Int, _ work: Work) {
    monitor.lock()
    if state.pipelines.generation(instance) == generation { beginExecution(instance, work.requests) }
    counters.setPending(state.waiting)
    monitor.unlock()
  }

  private func beginExecution(_ instance: Int, _ requests: [PendingInference]) {
    state.beginExecution(requests)
    guard executionLimit > .zero else { return }
    let start = clock()
    state.pipelines.executionBegins(instance, at: start)
    if start + executionLimit < timerTarget { wakeTimer(by: start + executionLimit) }
  }

  /// Whether an instance that took so long, as its own thread sees it, may have been given up: then `isServing` is worth its lock.
  func maybeGaveUp(after span: TimeSpan) -> Bool { executionLimit > .zero && span + span >= executionLimit }

  /// Whether this thread still serves the instance.
  func isServing(_ instance: Int, generation: Int) -> Bool {
    monitor.withLock { state.pipelines.generation(instance) == generation }
  }

  // MARK: - Under the lock

  private func wakeTimer(by target: Instant) {
    timerTarget = target
    monitor.signal(Self.timer)
  }

  /// Unlocks, wakes whoever got work and delivers what is over. Nothing of this happens under the lock.
  private func leave(_ now: Instant) {
    let effects = state.takeEffects(at: now)
    counters.setPending(state.waiting)
    for failure in effects.failures { counters.fail(failure.reason, nanoseconds: failure.nanoseconds) }
    if effects.due < timerTarget { wakeTimer(by: effects.due) }
    var drained: [@Sendable () -> Void] = []
    if effects.hasEnded {
      (drained, whenDrained) = (whenDrained, [])
      // It holds the model, which holds this queue.
      immediate = nil
      for instance in 0..<state.pipelines.count { monitor.signal(1 + instance) }
      monitor.signal(Self.timer)
    }
    monitor.unlock()
    for instance in effects.woken { monitor.signal(1 + instance) }
    if !effects.ended.isEmpty { PendingInference.deliver(effects.ended) }
    for call in drained { call() }
  }

  // MARK: - Time

  private func keepTime(_ onHang: (Int) -> Void) {
    monitor.lock()
    while !state.hasEnded {
      let now = clock()
      if !act(at: now, onHang) { continue }
      var target = state.nextWakeUp
      if executionLimit > .zero { target = min(target, state.pipelines.nextHang(limit: executionLimit)) }
      timerTarget = target
      if target > clock() { monitor.wait(Self.timer, until: target) }
    }
    monitor.unlock()
  }

  /// Does what is due at `now`. False where the lock was given up meanwhile: whatever was looked at before, the end included, may be otherwise.
  private func act(at now: Instant, _ onHang: (Int) -> Void) -> Bool {
    state.advance(to: now)
    var hung: [Int] = []
    if executionLimit > .zero {
      for instance in 0..<state.pipelines.count where state.pipelines.hangs(instance, at: now, limit: executionLimit) {
        giveUp(instance, now)
        hung.append(instance)
      }
    }
    if !state.hasEffects, hung.isEmpty { return true }
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

  private func giveUp(_ instance: Int, _ now: Instant) {
    let (model, limit) = (modelName, executionLimit.seconds)
    state.giveUp(instance, at: now) {
      "\($0)instance \(instance) of model '\(model)' did not finish the batch within \(limit) s; it is being restarted"
    }
  }

  // MARK: - End

  /// Takes no more requests; `drained` is called once everything accepted has been answered.
  func close(drained: @escaping @Sendable () -> Void) {
    monitor.lock()
    let now = clock()
    state.stop(at: now)
    whenDrained.append(drained)
    leave(now)
  }

  /// Requests accepted and not answered.
  var unansweredRequests: Int { monitor.withLock { state.unanswered } }
  /// Queued requests and rows, and instances that wait for a batch.
  var depth: (requests: Int, rows: Int, readyInstances: Int) { monitor.withLock { state.depth } }
  /// Time in which instances held no batch, up to now.
  var idleTimes: IdleTimes { monitor.withLock { state.idleTimes(at: clock()) } }
}
