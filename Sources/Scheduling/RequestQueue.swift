import CheckedNumbers
import DequeModule
import TimeBase

/// Requests that wait: levels in order, first come first served within one, those past their time behind those in time.
///
/// Requests live in a pool of slots, levels hold references. A reference is stale when its ticket differs from its slot's: removal from the
/// middle costs nothing, and stale references are skipped, and swept out before they outnumber the others. No allocation once the pool and
/// the deques have grown to the load's depth.
struct RequestQueue: Sendable {
  struct Entry: Sendable {
    var id: Int64 = 0
    var rows: Int32 = 0
    /// Number of its level.
    var level: UInt64 = 0
    var shapeKey: UInt64 = 0
    var enqueued = Instant.zero
    var deadline = Instant.distantFuture
    /// Of the request, for handles.
    var generation: UInt32 = 0
    /// Of the place in a deque.
    var ticket: UInt32 = 0
    var isQueued = false
    var isDelayed = false
  }

  struct Reference: Sendable {
    var slot: Int32
    var ticket: UInt32
  }

  struct Level: Sendable {
    /// 1 is highest; 0 where there are no levels.
    var number: UInt64
    var policy: QueuePolicy
    var inTime: Deque<Reference> = []
    var delayed: Deque<Reference> = []
    /// Requests of this level, those past their time included: what `maximumQueueSize` bounds.
    var live = 0
    /// Deadlines by time, where requests may shorten them; else the deque itself is in order of deadlines.
    var deadlines = DeadlineHeap()
    var stale = 0
  }

  private(set) var pool: [Entry] = []
  private var free: [Int32] = []
  /// Levels that hold or held requests, by number. A configuration may name 2^64 of them; those that are used are few.
  private(set) var levels: [Level] = []
  private let levelCount: UInt64
  private let defaultLevel: UInt64
  private let defaultPolicy: QueuePolicy
  private let policies: [UInt64: QueuePolicy]
  /// Waiting requests.
  private(set) var count = 0
  /// Their rows.
  private(set) var rows = 0

  init(_ policy: DynamicBatchingPolicy?) {
    levelCount = policy?.priorityLevels ?? 0
    defaultPolicy = policy?.defaultQueuePolicy ?? QueuePolicy()
    policies = policy?.priorityQueuePolicies ?? [:]
    defaultLevel = levelCount == 0 ? 0 : min(max(policy?.defaultPriorityLevel ?? 1, 1), levelCount)
    levels = [Level(number: defaultLevel, policy: policies[defaultLevel] ?? defaultPolicy)]
  }

  /// Position of a level that is in use.
  private func position(of number: UInt64) -> Int {
    if levels.count == 1 { return 0 }
    var low = 0
    var high = levels.count
    while low < high {
      let middle = (low + high) / 2
      if levels[middle].number < number { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Position of the level, in use from now on.
  private mutating func use(_ number: UInt64) -> Int {
    var position = self.position(of: number)
    if levels.indices.contains(position), levels[position].number == number { return position }
    if levels.count >= 64 {
      levels.removeAll { $0.live == 0 }
      position = levels.firstIndex { $0.number > number } ?? levels.count
    } else if levels.count == 1 {
      position = levels[0].number < number ? 1 : 0
    }
    levels.insert(Level(number: number, policy: policies[number] ?? defaultPolicy), at: position)
    return position
  }

  /// Adds a request behind the others of its level; nil when the level is full.
  mutating func append(_ request: SchedulerRequest, at now: Instant) -> RequestHandle? {
    let asked = request.priority
    let number = asked >= 1 && asked <= levelCount ? asked : defaultLevel
    let level = use(number)
    let policy = levels[level].policy
    if policy.maximumQueueSize > 0, levels[level].live >= policy.maximumQueueSize { return nil }
    var timeout = policy.defaultTimeout
    if policy.allowsTimeoutOverride, request.timeout > .zero, request.timeout < timeout { timeout = request.timeout }

    let slot: Int32
    if let reused = free.popLast() {
      slot = reused
    } else {
      slot = Int32(truncatingIfNeeded: pool.count)
      pool.append(Entry())
    }
    let deadline = timeout > .zero ? now + timeout : .distantFuture
    let index = Int(slot)
    pool[index].id = request.id
    pool[index].rows = max(1, request.rows)
    pool[index].level = number
    pool[index].shapeKey = request.shapeKey
    pool[index].enqueued = now
    pool[index].deadline = deadline
    pool[index].isQueued = true
    pool[index].isDelayed = false
    let ticket = pool[index].ticket
    levels[level].inTime.append(Reference(slot: slot, ticket: ticket))
    levels[level].live += 1
    if policy.allowsTimeoutOverride, deadline != .distantFuture {
      levels[level].deadlines.insert(deadline, Reference(slot: slot, ticket: ticket))
      // Requests that left in time leave their deadlines behind; swept like the references.
      if levels[level].deadlines.count > 2 * levels[level].live + 64 {
        let pool = self.pool
        levels[level].deadlines.keep { pool[Int($0.slot)].ticket == $0.ticket }
      }
    }
    count += 1
    rows += Int(pool[index].rows)
    return RequestHandle(slot: slot, generation: pool[index].generation)
  }

  /// Whether a reference still stands for a waiting request.
  func isLive(_ reference: Reference) -> Bool { pool[Int(reference.slot)].ticket == reference.ticket }

  /// Takes the request out of its level and frees its slot; its reference goes stale.
  private mutating func release(_ slot: Int32, leavesReference: Bool) {
    let index = Int(slot)
    let level = position(of: pool[index].level)
    count -= 1
    rows -= Int(pool[index].rows)
    levels[level].live -= 1
    pool[index].ticket &+= 1
    pool[index].generation &+= 1
    pool[index].isQueued = false
    free.append(slot)
    if leavesReference {
      levels[level].stale += 1
      sweep(level)
    }
  }

  /// Removes stale references once there are more of them than of others: amortized, one step a removal.
  private mutating func sweep(_ level: Int) {
    guard levels[level].stale > levels[level].live + 64 else { return }
    let pool = self.pool
    levels[level].inTime.removeAll { pool[Int($0.slot)].ticket != $0.ticket }
    levels[level].delayed.removeAll { pool[Int($0.slot)].ticket != $0.ticket }
    levels[level].stale = 0
  }

  /// Removes a request that still waits; nil when it does not (executing, answered, or a stale handle).
  mutating func cancel(_ handle: RequestHandle) -> Int64? {
    guard pool.indices.contains(Int(handle.slot)) else { return nil }
    let entry = pool[Int(handle.slot)]
    guard entry.isQueued, entry.generation == handle.generation else { return nil }
    release(handle.slot, leavesReference: true)
    return entry.id
  }

  /// The first request in order, removed.
  mutating func popFirst() -> Entry? {
    for level in levels.indices where levels[level].live > 0 {
      while let reference = levels[level].inTime.popFirst() {
        if let entry = take(reference, level) { return entry }
      }
      while let reference = levels[level].delayed.popFirst() {
        if let entry = take(reference, level) { return entry }
      }
    }
    return nil
  }

  private mutating func take(_ reference: Reference, _ level: Int) -> Entry? {
    guard isLive(reference) else {
      levels[level].stale -= 1
      return nil
    }
    let entry = pool[Int(reference.slot)]
    release(reference.slot, leavesReference: false)
    return entry
  }

  /// Visits waiting requests in order until `body` answers false.
  func forEachInOrder(_ body: (borrowing Entry) -> Bool) {
    for level in levels where level.live > 0 {
      for reference in level.inTime where isLive(reference) {
        if !body(pool[Int(reference.slot)]) { return }
      }
      for reference in level.delayed where isLive(reference) {
        if !body(pool[Int(reference.slot)]) { return }
      }
    }
  }

  /// When the next request's time is over: the first instant *after* its deadline ("expired means now > deadline").
  var nextExpiry: Instant {
    var next = Instant.distantFuture
    for level in levels where level.live > 0 && level.policy.defaultTimeout > .zero {
      var deadline = Instant.distantFuture
      if level.policy.allowsTimeoutOverride {
        deadline = level.deadlines.first?.deadline ?? .distantFuture
      } else if let reference = level.inTime.first(where: isLive) {
        deadline = pool[Int(reference.slot)].deadline
      }
      if deadline != .distantFuture { next = min(next, deadline + .nanoseconds(1)) }
    }
    return next
  }

  /// Applies the queue policies: rejected requests are handed to `reject`, delayed ones go behind their level.
  mutating func expire(at now: Instant, reject: (Int64) -> Void) {
    for level in levels.indices where levels[level].live > 0 && levels[level].policy.defaultTimeout > .zero {
      if levels[level].policy.allowsTimeoutOverride {
        while let next = levels[level].deadlines.first, next.deadline < now || !isLive(next.reference) {
          levels[level].deadlines.removeFirst()
          if isLive(next.reference) { expire(next.reference, level, leavesReference: true, reject: reject) }
        }
      } else {
        while let reference = levels[level].inTime.first {
          if isLive(reference) {
            guard pool[Int(reference.slot)].deadline < now else { break }
            levels[level].inTime.removeFirst()
            expire(reference, level, leavesReference: false, reject: reject)
          } else {
            levels[level].inTime.removeFirst()
            levels[level].stale -= 1
          }
        }
      }
    }
  }

  private mutating func expire(_ reference: Reference, _ level: Int, leavesReference: Bool, reject: (Int64) -> Void) {
    let slot = Int(reference.slot)
    switch levels[level].policy.timeoutAction {
    case .reject:
      let id = pool[slot].id
      release(reference.slot, leavesReference: leavesReference)
      reject(id)
    case .delay:
      // It keeps its slot and handle; only its place is new. It has no deadline any more.
      pool[slot].ticket &+= 1
      pool[slot].deadline = .distantFuture
      pool[slot].isDelayed = true
      levels[level].delayed.append(Reference(slot: reference.slot, ticket: pool[slot].ticket))
      if leavesReference {
        levels[level].stale += 1
        sweep(level)
      }
    }
  }
}

/// Deadlines, nearest first: a binary heap that keeps its storage. Stale references are left in it until they surface.
struct DeadlineHeap: Sendable {
  private var items: [(deadline: Instant, reference: RequestQueue.Reference)] = []

  var first: (deadline: Instant, reference: RequestQueue.Reference)? { items.first }
  var count: Int { items.count }

  mutating func insert(_ deadline: Instant, _ reference: RequestQueue.Reference) {
    items.append((deadline, reference))
    var child = items.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if items[parent].deadline <= items[child].deadline { break }
      items.swapAt(parent, child)
      child = parent
    }
  }

  /// Drops every deadline whose reference `isLive` denies.
  mutating func keep(_ isLive: (RequestQueue.Reference) -> Bool) {
    items.removeAll { !isLive($0.reference) }
    // A sorted array is a heap.
    items.sort { $0.deadline < $1.deadline }
  }

  mutating func removeFirst() {
    guard let last = items.popLast(), !items.isEmpty else { return }
    items[0] = last
    var parent = 0
    while true {
      var smallest = 2 * parent + 1
      if smallest >= items.count { return }
      if smallest + 1 < items.count, items[smallest + 1].deadline < items[smallest].deadline { smallest += 1 }
      if items[parent].deadline <= items[smallest].deadline { return }
      items.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
