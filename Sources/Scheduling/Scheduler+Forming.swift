import CheckedNumbers
import TimeBase
import Vocabulary

extension Scheduler {
  /// Whether a formed batch would find a place: ahead of the instances (two each) without a queue policy, else only an instance that
  /// waits for it (core `src/rate_limiter.cc`, PayloadSlotAvailable).
  private var hasRoom: Bool {
    if allowsPrefetch { return waiting.count < 2 * configuration.instances }
    if !readyInstances.isEmpty { return true }
    // An instance that can gather asks too, but no batch is formed early for it that could have grown.
    return !gatheringInstances.isEmpty && waiting.isEmpty
      && (configuration.batchesEagerly || configuration.batching == nil || queue.rows >= largestPreferred)
  }

  /// Forms batches until nothing more is due.
  mutating func form(at now: Instant) {
    delayEnds = .distantFuture
    rowsToFormNext = 0
    while queue.count > 0, hasRoom, configuration.batching == nil ? formSingle(at: now) : formPass(at: now) {}
    if queue.count > 0, !hasRoom { rowsToFormNext = gatheringInstances.isEmpty || !waiting.isEmpty ? .max : largestPreferred }
  }

  /// A model that does not batch: each request is a batch.
  private mutating func formSingle(at now: Instant) -> Bool {
    moveFirst(1, into: nil, at: now, reason: .unbatched, closes: true)
    return true
  }

  /// One pass over the queue (core `src/dynamic_batch_scheduler.cc`, GetDynamicBatch). True when something left.
  private mutating func formPass(at now: Instant) -> Bool {
    // The open batch, as long as it has not started: p of the rule.
    let grown = open.map { batches[Int($0)].rows } ?? 0
    var pending = 0
    var pendingRows = 0
    var best: (requests: Int, rows: Int)?
    var closesOpen = false
    var sendsNow = false
    var mismatch = false
    var exceeds = false
    var oldest = Instant.distantFuture
    var shape = open.map { batches[Int($0)].shapeKey }
    let comparesShapes = configuration.comparesShapes
    let (largestPreferred, maximumRows, preferred) = (largestPreferred, maximumRows, preferred)

    queue.forEachInOrder { entry in
      let rows = Int(entry.rows)
      if grown + pending == 0 {
        shape = entry.shapeKey
      } else {
        let total = grown + pendingRows + rows
        if total > largestPreferred, best == nil {
          if pending > 0 { best = (pending, pendingRows) }
          closesOpen = true
          exceeds = true
        }
        if total > maximumRows {
          sendsNow = true
          exceeds = true
          return false
        }
        if comparesShapes, shape != entry.shapeKey {
          closesOpen = true
          sendsNow = true
          mismatch = true
          return false
        }
      }
      pending += 1
      pendingRows += rows
      oldest = min(oldest, entry.enqueued)
      if preferred.contains(grown + pendingRows) {
        best = (pending, pendingRows)
      }
      return true
    }

    let age = now - oldest
    // Once no request is taken any more, none comes to fill a batch: what is queued leaves.
    let delayIsOver = delay > .zero && oldest != .distantFuture && (age >= delay || isStopping)
    let total = grown + pendingRows
    func reason(_ rows: Int) -> DispatchReason {
      if rows >= maximumRows { return .full }
      if preferred.contains(rows) { return .preferredSize }
      if mismatch { return .shapeMismatch }
      if exceeds || rows > largestPreferred { return .wouldExceed }
      return delay > .zero ? .delay : .zeroDelay
    }

    if let best, !delayIsOver {
      moveFirst(best.requests, into: open, at: now, reason: reason(grown + best.rows), closes: closesOpen || delay == .zero)
      return true
    }
    if pending == 0 {
      if closesOpen || sendsNow { closeOpen() }
      return closesOpen || sendsNow
    }
    if sendsNow || total >= largestPreferred {
      moveFirst(pending, into: open, at: now, reason: reason(total), closes: true)
      return true
    }
    if delayIsOver || delay == .zero {
      moveFirst(pending, into: open, at: now, reason: reason(total), closes: closesOpen)
      return true
    }
    if let open, !batches[Int(open)].closed, !preferred.contains(grown) {
      // Handed over and not started: the instance is to find the largest batch there is.
      moveFirst(pending, into: open, at: now, reason: reason(total), closes: closesOpen)
      return true
    }
    delayEnds = oldest + delay
    rowsToFormNext = (preferred.first { $0 > total } ?? total + 1) - grown
    return false
  }

  private mutating func closeOpen() {
    guard let slot = open else { return }
    batches[Int(slot)].closed = true
    open = nil
  }

  /// Moves the first `count` waiting requests into a batch: `target`, or a new one that is handed over at once.
  private mutating func moveFirst(_ count: Int, into target: Int32?, at now: Instant, reason: DispatchReason, closes: Bool) {
    let slot = target ?? newBatch(at: now)
    let index = Int(slot)
    for position in 0..<count {
      guard let entry = queue.popFirst() else { break }
      if target == nil, position == 0 { batches[index].shapeKey = entry.shapeKey }
      var ticket: Int64 = -1
      if preservesOrdering {
        // Reserved here, filled on completion, flushed from the front.
        ticket = orderBase + Int64(order.count)
        order.append(OrderSlot(id: entry.id, isDone: false))
      }
      batches[index].requests.append(
        BatchedRequest(id: entry.id, rows: entry.rows, enqueued: entry.enqueued, departed: now, orderTicket: ticket))
      batches[index].rows += Int(entry.rows)
      batches[index].oldest = min(batches[index].oldest, entry.enqueued)
    }
    batches[index].reason = reason
    if target == nil {
      waiting.append(slot)
      open = slot
    }
    if closes {
      batches[index].closed = true
      if open == slot { open = nil }
    }
    startWaiting(at: now)
  }

  private mutating func newBatch(at now: Instant) -> Int32 {
    let slot: Int32
    if let reused = freeBatches.popLast() {
      slot = reused
    } else {
      slot = Int32(truncatingIfNeeded: batches.count)
      batches.append(FormedBatch())
    }
    let index = Int(slot)
    batches[index].rows = 0
    batches[index].formed = now
    batches[index].oldest = .distantFuture
    batches[index].closed = false
    batches[index].phase = .waiting
    batches[index].sequence = nextSequence
    nextSequence += 1
    return slot
  }
}
