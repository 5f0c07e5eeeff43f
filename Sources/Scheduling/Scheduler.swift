import CheckedNumbers
import DequeModule
public import TimeBase

/// Decides what runs together, where and when: queues, dynamic batching, priorities, timeouts, ordering and instance choice.
///
/// A pure value: an event and a time go in, actions come out (`nextAction`), and `nextWakeUp` says when time alone will change
/// something. Times must not go backwards. The server drives it with real time, the simulation with virtual time, tests with invented
/// time.
///
/// Behaviour: triton-inference-server/core `src/dynamic_batch_scheduler.cc` (BatcherThread, GetDynamicBatch), `src/scheduler_utils.cc`,
/// `src/payload.cc`, `src/rate_limiter.cc`. Two differences, on purpose: deadlines act at once (there a sweep every 500 ms), and with
/// `preserve_ordering` order is reserved when a request goes into a batch, so that it holds.
public struct Scheduler: Sendable {
  /// What it decides by.
  public let configuration: SchedulerConfiguration

  let maximumRows: Int
  let preferred: [Int]
  let largestPreferred: Int
  let delay: TimeSpan
  let allowsPrefetch: Bool
  let preservesOrdering: Bool

  var queue: RequestQueue
  var batches: [FormedBatch] = []
  var freeBatches: [Int32] = []
  /// Formed and handed over, not yet started; oldest first.
  var waiting: Deque<Int32> = []
  /// The batch that may still grow: one at a time.
  var open: Int32?
  var readyInstances: Deque<Int32> = []
  /// Instances that execute a batch and could gather the next one meanwhile.
  var gatheringInstances: Deque<Int32> = []
  var nextSequence: Int64 = 0
  var order: Deque<OrderSlot> = []
  var orderBase: Int64 = 0
  var actions: Deque<SchedulerAction> = []
  /// Queued rows at which forming is worth another look; 0: at once.
  var rowsToFormNext = 0
  /// When the pending requests' delay is over.
  var delayEnds = Instant.distantFuture
  var isStopping = false

  struct OrderSlot: Sendable {
    var id: Int64
    var isDone: Bool
  }

  /// A scheduler with nothing queued and no instance ready.
  public init(_ configuration: SchedulerConfiguration) {
    self.configuration = configuration
    let batching = configuration.batching
    let maximum = max(1, configuration.maximumBatchRows)
    self.maximumRows = maximum
    let sizes = (batching?.preferredSizes ?? []).filter { $0 > 0 && $0 <= maximum }
    // "empty, then normalised to [max_batch_size]" (core src/model_config_utils.cc).
    self.preferred = sizes.isEmpty ? [maximum] : Set(sizes).sorted()
    self.largestPreferred = preferred.last ?? maximum
    self.delay = batching?.maximumQueueDelay ?? .zero
    self.allowsPrefetch = batching?.allowsPrefetch ?? true
    self.preservesOrdering = batching?.preservesOrdering ?? false
    self.queue = RequestQueue(batching)
  }

  // MARK: - Events

  /// A request arrives.
  public mutating func enqueue(_ request: SchedulerRequest, at now: Instant) -> Admission {
    if isStopping { return .refused(.stopping) }
    if Int(request.rows) > maximumRows { return .refused(.tooManyRows) }
    if queue.nextExpiry <= now { expire(at: now) }
    guard let handle = queue.append(request, at: now) else { return .refused(.queueFull) }
    if queue.rows >= rowsToFormNext || configuration.comparesShapes || delayEnds <= now { form(at: now) }
    return .queued(handle)
  }

  /// An instance waits for a batch. Announce it again after each batch it is done with.
  public mutating func instanceReady(_ instance: Int, at now: Instant) {
    expire(at: now)
    if !gatheringInstances.isEmpty { gatheringInstances.removeAll { $0 == Int32(truncatingIfNeeded: instance) } }
    readyInstances.append(Int32(truncatingIfNeeded: instance))
    startWaiting(at: now)
    form(at: now)
  }

  /// An instance executes a batch and has room to gather the next one meanwhile (`InstancePipelines`).
  ///
  /// It gets a batch that would not grow by waiting until the instance is idle: one that is closed, or whose rows are a preferred size.
  /// With `eager_batching` it gets whatever is formed, "with the trade-off that the next batch might be smaller than what it could have
  /// been" (triton-inference-server/common `protobuf/model_config.proto`, ModelOptimizationPolicy). Instances that wait go first.
  /// `instanceReady` takes the announcement back.
  public mutating func instanceCanGather(_ instance: Int, at now: Instant) {
    expire(at: now)
    gatheringInstances.append(Int32(truncatingIfNeeded: instance))
    startWaiting(at: now)
    form(at: now)
  }

  /// Time has passed; to be called at `nextWakeUp`, and harmless at any other time.
  public mutating func advance(to now: Instant) {
    expire(at: now)
    if delayEnds <= now { form(at: now) }
  }

  /// A client went away. True when the request still waited: it will not be executed nor answered.
  public mutating func cancel(_ handle: RequestHandle, at now: Instant) -> Bool {
    guard queue.cancel(handle) != nil else { return false }
    rowsToFormNext = 0
    form(at: now)
    return true
  }

  /// A batch's results are there: its requests may be answered.
  public mutating func complete(_ batch: BatchID, at now: Instant) {
    let index = Int(batch.slot)
    guard batches.indices.contains(index), batches[index].sequence == batch.sequence, batches[index].phase == .executing else { return }
    for request in batches[index].requests {
      if preservesOrdering {
        order[Int(request.orderTicket - orderBase)].isDone = true
      } else {
        actions.append(.respond(request: request.id))
      }
    }
    while let first = order.first, first.isDone {
      actions.append(.respond(request: first.id))
      order.removeFirst()
      orderBase += 1
    }
    batches[index].requests.removeAll(keepingCapacity: true)
    batches[index].phase = .free
    freeBatches.append(batch.slot)
  }

  /// No further request is taken; what is queued is served without waiting for more.
  public mutating func stop(at now: Instant) {
    isStopping = true
    form(at: now)
  }

  // MARK: - What comes out

  /// The next thing to do, removed.
  public mutating func nextAction() -> SchedulerAction? { actions.popFirst() }

  /// When time alone will change something: a delay or a deadline is over. `.distantFuture` for never.
  public var nextWakeUp: Instant { min(queue.nextExpiry, delayEnds) }

  /// A batch that was started and is not complete.
  public func batch(_ id: BatchID) -> FormedBatch? {
    let index = Int(id.slot)
    guard batches.indices.contains(index), batches[index].sequence == id.sequence, batches[index].phase != .free else { return nil }
    return batches[index]
  }

  /// Requests that wait in the queue; those in formed batches are not among them.
  public var queuedRequests: Int { queue.count }
  /// Rows of the requests that wait.
  public var queuedRows: Int { queue.rows }
  /// Batches formed and not started.
  public var waitingBatches: Int { waiting.count }
  /// Instances that wait for a batch. One that executes and could gather the next is not among them.
  public var readyInstanceCount: Int { readyInstances.count }

  // MARK: - Instances

  mutating func expire(at now: Instant) {
    guard queue.nextExpiry <= now else { return }
    var expired: [Int64] = []
    queue.expire(at: now) { expired.append($0) }
    for id in expired { actions.append(.timeOut(request: id)) }
    // The pending set has changed.
    rowsToFormNext = 0
    form(at: now)
  }

  /// Hands waiting batches to ready instances, first to first, then those that would not grow to instances that can gather meanwhile.
  mutating func startWaiting(at now: Instant) {
    while !readyInstances.isEmpty, let slot = waiting.popFirst() { start(slot, on: readyInstances.removeFirst(), at: now) }
    while !gatheringInstances.isEmpty, let slot = waiting.first, isWorthGathering(slot) {
      waiting.removeFirst()
      start(slot, on: gatheringInstances.removeFirst(), at: now)
    }
  }

  private mutating func start(_ slot: Int32, on instance: Int32, at now: Instant) {
    if delay > .zero { absorb(into: Int(slot), at: now) }
    batches[Int(slot)].phase = .executing
    if open == slot { open = nil }
    actions.append(.start(BatchID(slot: slot, sequence: batches[Int(slot)].sequence), instance: Int(instance)))
  }

  /// Whether an instance that still executes may take the batch: see `instanceCanGather`.
  private func isWorthGathering(_ slot: Int32) -> Bool {
    let batch = batches[Int(slot)]
    return configuration.batchesEagerly || batch.closed || preferred.contains(batch.rows)
  }

  /// At its start an unclosed batch takes over following ones that are older than the delay, while the rows fit and the shapes match
  /// (core `src/instance_queue.cc`).
  private mutating func absorb(into slot: Int, at now: Instant) {
    while !batches[slot].closed, let next = waiting.first {
      let other = batches[Int(next)]
      guard now - other.oldest >= delay, batches[slot].rows + other.rows <= maximumRows,
        !configuration.comparesShapes || other.shapeKey == batches[slot].shapeKey
      else { return }
      waiting.removeFirst()
      batches[slot].requests += other.requests
      batches[slot].rows += other.rows
      batches[slot].closed = other.closed
      batches[slot].reason = batches[slot].rows >= maximumRows ? .full : .delay
      if open == next { open = nil }
      batches[Int(next)].requests.removeAll(keepingCapacity: true)
      batches[Int(next)].phase = .free
      freeBatches.append(next)
    }
  }
}
