import Scheduling
import Testing
import TimeBase

/// What holds for every sequence of events.
@Suite struct SchedulerPropertyTests {
  /// One random world: configuration, arrivals, cancellations, instances of unequal speed; every rule is checked at every step.
  static func check(seed: UInt64) -> [String] {
    var random = SplitMix64(seed: seed)
    func pick(_ limit: UInt64) -> Int { Int(clamping: random.next() % limit) }
    func flip() -> Bool { random.next() & 1 == 0 }
    let maximum = 1 + pick(16)
    var policy = DynamicBatchingPolicy(
      preferredSizes: (0..<pick(3)).map { _ in 1 + pick(UInt64(clamping: maximum)) },
      maximumQueueDelay: flip() ? .zero : .microseconds(Int64(pick(500))), preservesOrdering: flip())
    if flip() { policy.defaultQueuePolicy.maximumQueueSize = 1 + pick(20) }
    if flip() { policy.defaultQueuePolicy.defaultTimeout = .microseconds(Int64(1 + pick(400))) }
    if !policy.preservesOrdering {
      policy.defaultQueuePolicy.allowsTimeoutOverride = flip()
      if flip() { policy.defaultQueuePolicy.timeoutAction = .delay }
      if flip() {
        policy.priorityLevels = UInt64(clamping: 1 + pick(4))
        policy.defaultPriorityLevel = 1
      }
    }
    let instances = 1 + pick(3)
    let configuration = SchedulerConfiguration(
      maximumBatchRows: maximum, batching: pick(10) == 0 ? nil : policy, instances: instances, comparesShapes: flip())

    var faults: [String] = []
    func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
      if !holds, faults.count < 5 { faults.append("seed \(seed): \(what())") }
    }
    var scheduler = Scheduler(configuration)
    var now = Instant.zero
    struct Sent {
      var rows: Int
      var shape: UInt64
      var at: Instant
      var deadline: Instant
      var handle: RequestHandle
    }
    var waiting: [Int64: Sent] = [:]
    var executing: [Int64: Int] = [:]
    var batched: [Int64] = []
    var answered: [Int64] = []
    var gone: Set<Int64> = []
    var running: [(end: Instant, id: BatchID, instance: Int)] = []
    var free = instances
    for instance in 0..<instances { scheduler.instanceReady(instance, at: now) }

    func drain() {
      while let action = scheduler.nextAction() {
        switch action {
        case .start(let id, let instance):
          guard let batch = scheduler.batch(id) else {
            expect(false, "a started batch is unknown")
            continue
          }
          free -= 1
          expect(free >= 0, "started without a ready instance")
          expect(batch.rows == batch.requests.reduce(0) { $0 + Int($1.rows) }, "rows do not add up")
          expect(batch.rows <= max(1, maximum), "\(batch.rows) rows in a batch of at most \(maximum)")
          expect(!batch.requests.isEmpty, "empty batch")
          let shapes = Set(batch.requests.compactMap { waiting[$0.id]?.shape })
          expect(!configuration.comparesShapes || shapes.count <= 1, "shapes mixed")
          for request in batch.requests {
            expect(waiting[request.id] != nil, "\(request.id) executed twice or never sent")
            expect(Int(request.rows) == waiting[request.id]?.rows, "request split")
            waiting[request.id] = nil
            executing[request.id] = instance
            batched.append(request.id)
          }
          running.append((now + .microseconds(Int64(1 + pick(200) * (instance + 1))), id, instance))
        case .timeOut(let id):
          let sent = waiting.removeValue(forKey: id)
          expect(sent != nil, "\(id) timed out and was not waiting")
          if let sent { expect(now.nanoseconds == sent.deadline.nanoseconds + 1, "deadline missed by \(now - sent.deadline)") }
          gone.insert(id)
        case .respond(let id):
          expect(executing.removeValue(forKey: id) != nil, "\(id) answered twice or never executed")
          answered.append(id)
        }
      }
      if let limit = configuration.batching?.defaultQueuePolicy.maximumQueueSize, limit > 0, policy.priorityLevels == 0 {
        expect(scheduler.queuedRequests <= limit, "queue bound exceeded")
      }
      // Never later than the delay while an instance is free.
      if free > 0, scheduler.queuedRequests > 0, policy.defaultQueuePolicy.timeoutAction == .reject, policy.priorityLevels == 0,
        let oldest = waiting.values.map(\.at).min()
      {
        // At the very tick the wake-up may still be ahead, never later.
        let isDueNow = now - oldest == policy.maximumQueueDelay && scheduler.nextWakeUp <= now
        expect(now - oldest < policy.maximumQueueDelay || isDueNow, "waited \((now - oldest).microseconds) us with a free instance")
      }
    }

    func pass(to end: Instant) {
      while true {
        let completion = running.min { $0.end < $1.end }
        let next = min(scheduler.nextWakeUp, completion?.end ?? .distantFuture)
        guard next <= end else { break }
        now = max(now, next)
        if let completion, completion.end <= now {
          running.removeAll { $0.id == completion.id }
          scheduler.complete(completion.id, at: now)
          drain()
          free += 1
          scheduler.instanceReady(completion.instance, at: now)
        } else {
          scheduler.advance(to: now)
        }
        drain()
      }
      now = max(now, end)
    }

    var accepted = 0
    let busy = Int64(20 + pick(400))
    for id in 0..<Int64(300) {
      pass(to: now + .nanoseconds(Int64(pick(UInt64(clamping: busy) * 1000))))
      let rows = 1 + pick(UInt64(clamping: maximum))
      let shape = UInt64(clamping: pick(2))
      let asked = TimeSpan.microseconds(Int64(pick(500)))
      let queue = configuration.batching?.defaultQueuePolicy ?? QueuePolicy()
      var timeout = queue.defaultTimeout
      if queue.allowsTimeoutOverride, asked > .zero, asked < timeout { timeout = asked }
      let sent = scheduler.enqueue(
        SchedulerRequest(id: id, rows: Int32(clamping: rows), shapeKey: shape, priority: UInt64(clamping: pick(6)), timeout: asked), at: now
      )
      if case .queued(let handle) = sent {
        accepted += 1
        waiting[id] = Sent(
          rows: rows, shape: shape, at: now, deadline: timeout > .zero ? now + timeout : .distantFuture, handle: handle)
      } else {
        expect(queue.maximumQueueSize > 0, "refused without a limit")
      }
      drain()
      if pick(20) == 0, let victim = waiting.keys.sorted().first, let sent = waiting[victim] {
        if scheduler.cancel(sent.handle, at: now) {
          waiting[victim] = nil
          gone.insert(victim)
        }
        drain()
      }
    }
    pass(to: now + .milliseconds(10_000))
    drain()
    expect(waiting.isEmpty, "\(waiting.count) requests were lost")
    expect(executing.isEmpty, "\(executing.count) requests were never answered")
    expect(answered.count + gone.count == accepted, "\(accepted) taken, \(answered.count) answered, \(gone.count) gone")
    expect(Set(answered).isDisjoint(with: gone), "answered although gone")
    if configuration.batching != nil, policy.preservesOrdering {
      expect(answered == batched, "order of answers is not the order of batching")
      expect(batched == batched.sorted(), "order of batching is not the order of arrival")
    }
    return faults
  }

  @Test(arguments: 0..<8) func rulesHold(block: Int) {
    for seed in UInt64(clamping: block) * 150..<UInt64(clamping: block + 1) * 150 {
      let faults = Self.check(seed: seed)
      #expect(faults.isEmpty, "\(faults)")
      if !faults.isEmpty { return }
    }
  }

  @Test func theSameEventsGiveTheSameActions() {
    let configuration = SchedulerConfiguration(
      maximumBatchRows: 8, batching: DynamicBatchingPolicy(preferredSizes: [4], maximumQueueDelay: .milliseconds(1)), instances: 2)
    func run() -> [Timeline.Departure] {
      var random = SplitMix64(seed: 5)
      var timeline = Timeline(configuration) { Double($0 + 1) }
      for id in 0..<500 { timeline.send(Int64(id), rows: Int32(clamping: 1 + random.next() % 8), at: Double(id) * 0.3) }
      timeline.run(until: 10_000)
      return timeline.dispatchReasons
    }
    #expect(run() == run())
  }
}
