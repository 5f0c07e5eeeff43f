import CheckedNumbers
import KServe
import Scheduling
import TimeBase
import Vocabulary

/// What a loaded model's queue holds: its requests from admission to answer, its scheduler, and what each instance has.
///
/// A value with time passed in: `ModelQueue` guards it with a lock, wakes and delivers. Its methods are called on it in place, one after the
/// other under that lock, which guards what they note on the requests too; what is to be done outside of it is taken out by `takeEffects`.
struct QueueState {
  /// A failure to be counted.
  struct Failure {
    var reason: ModelCounters.FailureReason
    var nanoseconds: Int64
  }

  /// What is to be done once the lock is given back.
  struct Effects {
    /// Requests that are over and are to be delivered.
    var ended: [PendingInference]
    /// Failures that are to be counted.
    var failures: [Failure]
    /// Instances whose threads are to be woken.
    var woken: [Int]
    /// When something is due next; `.distantFuture` for never.
    var due: Instant
    /// Everything accepted has been answered, and nothing more will be accepted.
    var hasEnded: Bool
  }

  private let modelName: String
  private let countsRows: Bool
  private var scheduler: Scheduler
  /// Shapes of the requests that were accepted and not answered; nil where every request has the same.
  private var shapes: InternTable<BatchShape>?
  private var pending: [PendingInference?] = []
  private var generations: [UInt32] = []
  private var free: [Int] = []
  private var idle: IdleTimes

  /// What each instance holds.
  var pipelines: InstancePipelines
  /// Whether the instance's thread waits for a signal.
  var isWaiting: [Bool]
  private(set) var isClosing = false
  /// Requests accepted and not answered.
  private(set) var unanswered = 0
  /// Accepted, and neither executing nor answered: in the queue, in a batch that was formed, or before an instance that waits for its turn.
  private(set) var waiting = 0

  private var ended: [PendingInference] = []
  private var failures: [Failure] = []
  private var woken: [Int] = []

  /// More bytes than this would hold up an event loop's other connections for longer than a hand-off takes.
  private static let immediateByteLimit = 64 << 10

  /// An empty queue. `depth`: batches that an instance may hold, 1 or 2.
  init(model: String, configuration: SchedulerConfiguration, depth: Int, now: Instant) {
    modelName = model
    scheduler = Scheduler(configuration)
    shapes = configuration.comparesShapes ? InternTable() : nil
    countsRows = configuration.maximumBatchRows > 0
    idle = IdleTimes(since: now)
    pipelines = InstancePipelines(instances: configuration.instances, depth: depth)
    isWaiting = Array(repeating: false, count: configuration.instances)
  }

  // MARK: - Requests

  /// Where an accepted request stands, until it is over.
  struct Ticket: Sendable {
    fileprivate var slot: Int
    fileprivate var generation: UInt32

    /// The scheduler's name for it.
    fileprivate var id: Int64 { Int64(slot) | Int64(generation) << 32 }
  }

  /// What became of a request that was handed in.
  enum Submission {
    case accepted(Ticket)
    case refused(KServeError)
    /// The model takes no more requests.
    case stopping(KServeError)
  }

  /// Takes a request, or says why not.
  mutating func submit(_ request: PendingInference, at now: Instant) -> Submission {
    let slot = free.popLast() ?? pending.count
    if slot == pending.count {
      pending.append(nil)
      generations.append(0)
    }
    generations[slot] &+= 1
    let ticket = Ticket(slot: slot, generation: generations[slot])
    pending[slot] = request
    if shapes != nil { request.shapeNumber = shapes?.use(BatchShape(request.checked, countsRows: countsRows)) ?? -1 }
    let admission = scheduler.enqueue(
      SchedulerRequest(
        id: ticket.id, rows: Int32(clamping: request.checked.rows), shapeKey: UInt64(bitPattern: Int64(request.shapeNumber)),
        priority: request.request.priority, timeout: .microseconds(Int64(clamping: request.request.timeoutMicroseconds))),
      at: now)
    let submission: Submission
    switch admission {
    case .queued(let handle):
      request.handle = handle
      request.passage.enqueued = now
      unanswered += 1
      waiting += 1
      submission = .accepted(ticket)
    case .refused(let reason):
      pending[slot] = nil
      free.append(slot)
      shapes?.release(request.shapeNumber)
      let refusal = KServeError(reason, request.checked.logTag, modelName)
      submission = reason == .stopping ? .stopping(refusal) : .refused(refusal)
    }
    drain(now)
    return submission
  }

  /// Ends a request that still waits; one that is in a batch goes on.
  mutating func cancel(_ ticket: Ticket, at now: Instant) {
    if pending.indices.contains(ticket.slot), generations[ticket.slot] == ticket.generation, let request = pending[ticket.slot],
      let handle = request.handle, scheduler.cancel(handle, at: now)
    {
      request.result = .failure(KServeError(.cancelled, "\(request.checked.logTag)The request was cancelled"))
      failures.append(Failure(reason: .canceled, nanoseconds: (now - request.accepted).nanoseconds))
      end(ticket.slot)
    }
    drain(now)
  }

  // MARK: - Batches

  /// A batch's results, and what the instance has room for now.
  mutating func finish(_ finished: ModelQueue.Finished?, on instance: Int, at now: Instant) {
    if let finished {
      if let formed = scheduler.batch(finished.batch) {
        for (request, result) in zip(formed.requests, finished.results) { pending[Self.slot(request.id)]?.result = result }
      }
      pipelines.finish(finished.batch, on: instance, at: now)
      scheduler.complete(finished.batch, at: now)
    }
    announce(instance, now)
  }

  /// Tells the scheduler what the instance has room for, and does what follows.
  mutating func announce(_ instance: Int, _ now: Instant) {
    switch pipelines.announcement(instance) {
    case .waits: scheduler.instanceReady(instance, at: now)
    case .canGather: scheduler.instanceCanGather(instance, at: now)
    case nil: break
    }
    drain(now)
  }

  /// The batch that was given to the instance.
  mutating func take(_ instance: Int) -> ModelQueue.Work? {
    guard let batch = pipelines.take(instance), let formed = scheduler.batch(batch) else { return nil }
    var requests: [PendingInference] = []
    requests.reserveCapacity(formed.requests.count)
    for request in formed.requests {
      if let found = pending[Self.slot(request.id)] {
        found.passage.batch = batch.sequence
        found.passage.departed = request.departed
        requests.append(found)
      }
    }
    return ModelQueue.Work(
      batch: batch, requests: requests, rows: formed.rows, reason: formed.reason, formed: formed.formed, oldest: formed.oldest)
  }

  /// The batch that was just given to the one instance to be woken, where it is small enough to be run at once; it executes from now on.
  mutating func takeImmediate(at now: Instant) -> (instance: Int, work: ModelQueue.Work)? {
    guard woken.count == 1, let instance = woken.first, let batch = pipelines.given(instance), let formed = scheduler.batch(batch)
    else { return nil }
    var bytes = 0
    for request in formed.requests {
      if let inputs = pending[Self.slot(request.id)]?.request.inputs { for input in inputs { bytes += input.data.byteCount } }
      if bytes > Self.immediateByteLimit { return nil }
    }
    guard let work = take(instance) else { return nil }
    beginExecution(work.requests)
    woken.removeAll(keepingCapacity: true)
    noteIdle(now)
    return (instance, work)
  }

  /// What executes waits no more.
  mutating func beginExecution(_ requests: [PendingInference]) {
    for request in requests { request.isExecuting = true }
    waiting -= requests.count
  }

  /// An instance that does not come back: its batches fail with what `message` says of each request, its thread is no longer listened to.
  mutating func giveUp(_ instance: Int, at now: Instant, _ message: (_ logTag: String) -> String) {
    for batch in pipelines.giveUp(instance) {
      for request in scheduler.batch(batch)?.requests ?? [] {
        guard let pending = pending[Self.slot(request.id)] else { continue }
        failures.append(Failure(reason: .backend, nanoseconds: (now - pending.accepted).nanoseconds))
        pending.result = .failure(KServeError(.internalError, message(pending.checked.logTag)))
      }
      scheduler.complete(batch, at: now)
    }
    // It may wait for the device, which did not come back: it is to end.
    if isWaiting[instance] { woken.append(instance) }
    isWaiting[instance] = false
    drain(now)
  }

  // MARK: - Time

  /// Does what is due.
  mutating func advance(to now: Instant) {
    scheduler.advance(to: now)
    drain(now)
  }

  /// When something is due next; `.distantFuture` for never.
  var nextWakeUp: Instant { scheduler.nextWakeUp }

  /// Something is to be done outside the lock.
  var hasEffects: Bool { !(ended.isEmpty && failures.isEmpty && woken.isEmpty) }

  /// What is to be done outside the lock, once.
  mutating func takeEffects(at now: Instant) -> Effects {
    noteIdle(now)
    let effects = Effects(ended: ended, failures: failures, woken: woken, due: nextWakeUp, hasEnded: hasEnded)
    if !ended.isEmpty { ended = [] }
    if !failures.isEmpty { failures = [] }
    if !woken.isEmpty { woken = [] }
    return effects
  }

  /// True where nothing is to be done outside the lock: nothing is over, and none but `instance`, whose thread asks, got a batch.
  mutating func settles(for instance: Int, at now: Instant) -> Bool {
    guard ended.isEmpty, failures.isEmpty, woken.allSatisfy({ $0 == instance }) else { return false }
    woken.removeAll(keepingCapacity: true)
    noteIdle(now)
    return true
  }

  /// Takes no more requests.
  mutating func stop(at now: Instant) {
    scheduler.stop(at: now)
    isClosing = true
    drain(now)
  }

  /// Everything accepted has been answered, and nothing more will be accepted.
  var hasEnded: Bool { isClosing && unanswered == 0 }

  /// Queued requests and rows, and instances that wait for a batch.
  var depth: (requests: Int, rows: Int, readyInstances: Int) {
    (scheduler.queuedRequests, scheduler.queuedRows, scheduler.readyInstanceCount)
  }

  /// Charges the time up to now to what held until now.
  mutating func noteIdle(_ now: Instant) {
    idle.note(now, readyInstances: scheduler.readyInstanceCount, hasQueue: scheduler.queuedRequests > 0)
  }

  /// Time in which instances held no batch, up to now.
  mutating func idleTimes(at now: Instant) -> IdleTimes {
    noteIdle(now)
    return idle
  }

  // MARK: - What the scheduler decided

  private mutating func drain(_ now: Instant) {
    while let action = scheduler.nextAction() {
      switch action {
      case .start(let batch, let instance):
        pipelines.give(batch, to: instance)
        if isWaiting[instance] { woken.append(instance) }
      case .timeOut(let id):
        let slot = Self.slot(id)
        if let request = pending[slot] {
          failures.append(Failure(reason: .rejected, nanoseconds: (now - request.accepted).nanoseconds))
          request.result = .failure(KServeError(.unavailable, "Request timeout expired"))
        }
        end(slot)
      case .respond(let id): end(Self.slot(id))
      }
    }
  }

  /// A request is over: it leaves the table and will be delivered.
  private mutating func end(_ slot: Int) {
    guard let request = pending[slot] else { return }
    ended.append(request)
    pending[slot] = nil
    free.append(slot)
    shapes?.release(request.shapeNumber)
    unanswered -= 1
    if !request.isExecuting { waiting -= 1 }
  }

  private static func slot(_ id: Int64) -> Int { Int(id & 0xFFFF_FFFF) }
}
