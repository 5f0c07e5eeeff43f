import Foundation
import Scheduling
import Testing
import TimeBase

/// Instances that gather the next batch while one executes: what their threads, the device and the clients may do, in any order.
@Suite struct InstancePipelineTests {
  private static func batch(_ world: inout Scheduler) -> BatchID? {
    guard case .start(let id, _)? = world.nextAction() else { return nil }
    return id
  }

  @Test func anInstanceOfDepthTwoAsksForTheNextBatchOnceTheDeviceHasTheFirst() throws {
    var scheduler = Scheduler(SchedulerConfiguration(maximumBatchRows: 1, batching: nil))
    var pipelines = InstancePipelines(instances: 1, depth: 2)
    #expect(pipelines.announcement(0) == .waits)
    #expect(pipelines.announcement(0) == nil, "once is enough")
    scheduler.instanceReady(0, at: .zero)
    for id in 0..<3 { _ = scheduler.enqueue(SchedulerRequest(id: Int64(id), rows: 1), at: .zero) }
    let first = try #require(Self.batch(&scheduler))
    pipelines.give(first, to: 0)
    #expect(pipelines.next(0) == .gather(first))
    #expect(pipelines.take(0) == first)
    #expect(pipelines.announcement(0) == nil, "its thread gathers")
    pipelines.submitted(first, on: 0)
    #expect(pipelines.announcement(0) == .canGather)
    scheduler.instanceCanGather(0, at: .zero)
    let second = try #require(Self.batch(&scheduler))
    pipelines.give(second, to: 0)
    #expect(pipelines.next(0) == .gather(second))
    _ = pipelines.take(0)
    pipelines.submitted(second, on: 0)
    #expect(pipelines.announcement(0) == nil, "both places are taken")
    pipelines.executed(second, on: 0)
    #expect(pipelines.next(0) == nil, "batches are answered in their order")
    pipelines.executed(first, on: 0)
    #expect(pipelines.next(0) == .answer(first))
    #expect(pipelines.finish(first, on: 0, at: .zero) == true)
    #expect(pipelines.next(0) == .answer(second))
  }

  @Test func anInstanceOfDepthOneAsksWhenItHoldsNothing() throws {
    var pipelines = InstancePipelines(instances: 1, depth: 1)
    var scheduler = Scheduler(SchedulerConfiguration(maximumBatchRows: 1, batching: nil))
    _ = pipelines.announcement(0)
    scheduler.instanceReady(0, at: .zero)
    _ = scheduler.enqueue(SchedulerRequest(id: 1, rows: 1), at: .zero)
    let batch = try #require(Self.batch(&scheduler))
    pipelines.give(batch, to: 0)
    _ = pipelines.take(0)
    pipelines.submitted(batch, on: 0)
    #expect(pipelines.announcement(0) == nil)
    pipelines.finish(batch, on: 0, at: .zero)
    #expect(pipelines.announcement(0) == .waits)
  }

  /// A batch that could still grow is not taken early: it would only be smaller. triton-inference-server/common
  /// `protobuf/model_config.proto`, eager_batching: "the next batch might be smaller than what it could have been".
  @Test(arguments: [false, true]) func onlyEagerBatchingTakesABatchThatCouldGrow(isEager: Bool) throws {
    var scheduler = Scheduler(
      SchedulerConfiguration(maximumBatchRows: 4, batching: DynamicBatchingPolicy(), batchesEagerly: isEager))
    scheduler.instanceReady(0, at: .zero)
    _ = scheduler.enqueue(SchedulerRequest(id: 0, rows: 1), at: .zero)
    _ = try #require(Self.batch(&scheduler))
    scheduler.instanceCanGather(0, at: .zero)
    for id in 1...3 { _ = scheduler.enqueue(SchedulerRequest(id: Int64(id), rows: 1), at: .zero) }
    if isEager {
      let batch = try #require(Self.batch(&scheduler))
      #expect(scheduler.batch(batch)?.rows == 1)
      return
    }
    #expect(scheduler.nextAction() == nil)
    _ = scheduler.enqueue(SchedulerRequest(id: 4, rows: 1), at: .zero)
    let batch = try #require(Self.batch(&scheduler))
    #expect(scheduler.batch(batch)?.rows == 4, "a full one is taken while the instance executes")
  }

  /// With a queue policy nothing is formed ahead (core `src/scheduler_utils.cc`, SupportPrefetching), so that waiting requests count and
  /// time out; a full batch is worth it.
  @Test func withAQueuePolicyAFullBatchIsFormedForAnInstanceThatCanGather() throws {
    var policy = DynamicBatchingPolicy()
    policy.defaultQueuePolicy.maximumQueueSize = 100
    var scheduler = Scheduler(SchedulerConfiguration(maximumBatchRows: 2, batching: policy))
    scheduler.instanceReady(0, at: .zero)
    _ = scheduler.enqueue(SchedulerRequest(id: 0, rows: 2), at: .zero)
    _ = try #require(Self.batch(&scheduler))
    scheduler.instanceCanGather(0, at: .zero)
    _ = scheduler.enqueue(SchedulerRequest(id: 1, rows: 1), at: .zero)
    #expect(scheduler.nextAction() == nil && scheduler.queuedRequests == 1)
    _ = scheduler.enqueue(SchedulerRequest(id: 2, rows: 1), at: .zero)
    #expect(try #require(Self.batch(&scheduler)).sequence == 1)
  }

  @Test func aHungInstanceGivesUpWhatItTookAndKeepsWhatItWasGiven() throws {
    var scheduler = Scheduler(SchedulerConfiguration(maximumBatchRows: 1, batching: nil))
    var pipelines = InstancePipelines(instances: 1, depth: 2)
    _ = pipelines.announcement(0)
    scheduler.instanceReady(0, at: .zero)
    for id in 0..<2 { _ = scheduler.enqueue(SchedulerRequest(id: Int64(id), rows: 1), at: .zero) }
    let first = try #require(Self.batch(&scheduler))
    pipelines.give(first, to: 0)
    _ = pipelines.take(0)
    pipelines.executionBegins(0, at: .zero)
    pipelines.submitted(first, on: 0)
    _ = pipelines.announcement(0)
    scheduler.instanceCanGather(0, at: .zero)
    let second = try #require(Self.batch(&scheduler))
    pipelines.give(second, to: 0)
    let limit = TimeSpan.milliseconds(10)
    #expect(pipelines.nextHang(limit: limit) == Instant.zero + limit)
    #expect(!pipelines.hangs(0, at: Instant(nanoseconds: 9_999_999), limit: limit) && pipelines.hangs(0, at: .zero + limit, limit: limit))
    #expect(pipelines.giveUp(0) == [first])
    #expect(pipelines.generation(0) == 1 && pipelines.next(0) == .gather(second))
    pipelines.executed(first, on: 0)
    #expect(pipelines.finish(first, on: 0, at: .zero) == false, "the late batch is nobody's")
  }

  /// The time of a batch that waited behind another in its instance begins when it is the device's first.
  @Test func whatIsBehindAnotherBatchDoesNotHang() throws {
    var scheduler = Scheduler(SchedulerConfiguration(maximumBatchRows: 1, batching: nil))
    var pipelines = InstancePipelines(instances: 1, depth: 2)
    _ = pipelines.announcement(0)
    scheduler.instanceReady(0, at: .zero)
    for id in 0..<2 { _ = scheduler.enqueue(SchedulerRequest(id: Int64(id), rows: 1), at: .zero) }
    let first = try #require(Self.batch(&scheduler))
    pipelines.give(first, to: 0)
    _ = pipelines.take(0)
    pipelines.executionBegins(0, at: .zero)
    pipelines.submitted(first, on: 0)
    _ = pipelines.announcement(0)
    scheduler.instanceCanGather(0, at: .zero)
    pipelines.give(try #require(Self.batch(&scheduler)), to: 0)
    _ = pipelines.take(0)
    pipelines.executionBegins(0, at: .zero)
    let later = Instant(nanoseconds: 8_000_000)
    pipelines.finish(first, on: 0, at: later)
    #expect(pipelines.nextHang(limit: .milliseconds(10)) == later + .milliseconds(10))
  }

  // MARK: - Whatever happens

  /// A hundred thousand short lives of a model: arrivals, cancellations, expiries, slow and failing devices, threads that do not come back,
  /// unloading. Every rule is looked at after every event.
  @Test(arguments: 0..<8) func rulesHoldForAnySequenceOfEvents(block: Int) {
    let count = UInt64(ProcessInfo.processInfo.environment["HEADROOM_PROPERTY_SEQUENCES"] ?? "") ?? 100_000
    for seed in UInt64(clamping: block) * count / 8..<UInt64(clamping: block + 1) * count / 8 {
      var life = Life(seed: seed)
      life.run()
      if let fault = life.fault {
        Issue.record("seed \(seed): \(fault)")
        return
      }
    }
  }

  private struct Life {
    enum Fate: UInt8 { case unknown, waiting, batched, answered, gone }

    var random: SplitMix64
    let depth: Int
    let instances: Int
    let preservesOrder: Bool
    let isEager: Bool
    var scheduler: Scheduler
    var pipelines: InstancePipelines
    var now = Instant.zero
    var fate: [Fate] = []
    var handles: [RequestHandle?] = []
    /// What each instance's thread gathers; nil: it waits.
    var gathering: [BatchID?]
    /// What each instance's device has, oldest first.
    var device: [[BatchID]]
    /// What each instance was given and has not answered, oldest first.
    var given: [[BatchID]]
    var batched: [Int64] = []
    var answered: [Int64] = []
    var isStopped = false
    var fault: String?

    init(seed: UInt64) {
      random = SplitMix64(seed: seed)
      func pick(_ random: inout SplitMix64, _ limit: UInt64) -> Int { Int(clamping: random.next() % limit) }
      depth = pick(&random, 4) == 0 ? 1 : 2
      instances = 1 + pick(&random, 2)
      preservesOrder = pick(&random, 3) == 0
      isEager = pick(&random, 3) == 0
      var policy = DynamicBatchingPolicy(
        preferredSizes: pick(&random, 2) == 0 ? [] : [2], maximumQueueDelay: .microseconds(Int64(pick(&random, 3) * 20)),
        preservesOrdering: preservesOrder)
      if pick(&random, 2) == 0 { policy.defaultQueuePolicy.defaultTimeout = .microseconds(Int64(30 + pick(&random, 100))) }
      if pick(&random, 3) == 0 { policy.defaultQueuePolicy.maximumQueueSize = 4 }
      scheduler = Scheduler(
        SchedulerConfiguration(
          maximumBatchRows: 1 + pick(&random, 4), batching: pick(&random, 4) == 0 ? nil : policy, instances: instances,
          batchesEagerly: isEager))
      pipelines = InstancePipelines(instances: instances, depth: depth)
      gathering = Array(repeating: nil, count: instances)
      device = Array(repeating: [], count: instances)
      given = Array(repeating: [], count: instances)
    }

    mutating func pick(_ limit: Int) -> Int { Int(clamping: random.next() % UInt64(clamping: limit)) }
    mutating func fail(_ what: String) { if fault == nil { fault = what } }

    mutating func announce(_ instance: Int) {
      switch pipelines.announcement(instance) {
      case .waits:
        if !given[instance].isEmpty { fail("an instance that holds a batch said that it waits") }
        scheduler.instanceReady(instance, at: now)
      case .canGather:
        if !(depth == 2 && given[instance].count == 1 && device[instance].count == 1) { fail("it has no room, or nothing that executes") }
        scheduler.instanceCanGather(instance, at: now)
      case nil: break
      }
      drain()
    }

    mutating func drain() {
      while let action = scheduler.nextAction() {
        switch action {
        case .start(let batch, let instance):
          guard let formed = scheduler.batch(batch) else {
            fail("a started batch is unknown")
            continue
          }
          if !given[instance].isEmpty {
            if !(given[instance].count < depth) { fail("more batches than the instance has places") }
            // Sizes that no batch can have do not count.
            let maximum = scheduler.configuration.maximumBatchRows
            let sizes = (scheduler.configuration.batching?.preferredSizes ?? []).filter { $0 <= maximum }
            let isPreferred = sizes.isEmpty ? formed.rows >= maximum : sizes.contains(formed.rows)
            // One of a preferred size that was taken early may have taken over what stood behind it.
            let couldGrow = formed.canGrow && !isPreferred && (formed.reason != .delay || sizes.isEmpty)
            if !(isEager || !couldGrow || isStopped) { fail("a batch that could grow was taken early") }
          }
          for request in formed.requests {
            if fate[Int(request.id)] != .waiting { fail("\(request.id) was batched and is \(fate[Int(request.id)])") }
            fate[Int(request.id)] = .batched
            batched.append(request.id)
          }
          pipelines.give(batch, to: instance)
          given[instance].append(batch)
        case .timeOut(let id):
          if fate[Int(id)] != .waiting { fail("\(id) timed out and is \(fate[Int(id)])") }
          fate[Int(id)] = .gone
        case .respond(let id):
          if fate[Int(id)] != .batched { fail("\(id) is answered and is \(fate[Int(id)])") }
          fate[Int(id)] = .answered
          answered.append(id)
        }
      }
    }

    /// The instance's thread looks for what to do.
    mutating func step(_ instance: Int) {
      if let batch = gathering[instance] {
        gathering[instance] = nil
        // Now and then a request's bytes cannot be read by the device.
        if pick(12) == 0 { return finish(batch, instance) }
        device[instance].append(batch)
        // A device that computes where it was called is done before the thread says that it has the batch.
        if pick(4) == 0, device[instance].count == 1 { complete(instance) }
        pipelines.submitted(batch, on: instance)
        announce(instance)
        return
      }
      switch pipelines.next(instance) {
      case .answer(let batch):
        if given[instance].first != batch { fail("batches are answered in the order they were given") }
        finish(batch, instance)
      case .gather(let batch):
        if pipelines.take(instance) != batch { fail("what is there is taken") }
        pipelines.executionBegins(instance, at: now)
        gathering[instance] = batch
      case nil: announce(instance)
      }
    }

    mutating func finish(_ batch: BatchID, _ instance: Int) {
      if !pipelines.finish(batch, on: instance, at: now) { fail("a batch that it holds ends once") }
      given[instance].removeAll { $0 == batch }
      scheduler.complete(batch, at: now)
      drain()
      announce(instance)
    }

    /// The device is done with its oldest batch, or lost it: to the queue that is the same.
    mutating func complete(_ instance: Int) {
      guard !device[instance].isEmpty else { return }
      pipelines.executed(device[instance].removeFirst(), on: instance)
    }

    /// The thread does not come back.
    mutating func giveUp(_ instance: Int) {
      let late = device[instance]
      let lost = pipelines.giveUp(instance)
      if !(Set(lost) == Set(given[instance].filter { lost.contains($0) })) { fail("only what it holds is given up") }
      for batch in lost {
        given[instance].removeAll { $0 == batch }
        scheduler.complete(batch, at: now)
      }
      (gathering[instance], device[instance]) = (nil, [])
      drain()
      // The device comes back late: nothing of it counts.
      for batch in late {
        pipelines.executed(batch, on: instance)
        if pipelines.finish(batch, on: instance, at: now) { fail("a batch that was given up ends again") }
      }
      announce(instance)
    }

    mutating func pass(_ microseconds: Int) {
      let end = now + .microseconds(Int64(microseconds))
      while scheduler.nextWakeUp <= end {
        now = max(now, scheduler.nextWakeUp)
        scheduler.advance(to: now)
        drain()
      }
      now = end
    }

    mutating func run() {
      for instance in 0..<instances { announce(instance) }
      let events = 30 + pick(20)
      for event in 0..<events where fault == nil {
        let instance = pick(instances)
        switch pick(16) {
        case 0..<5: send()
        case 5..<9: step(instance)
        case 9..<12: complete(instance)
        case 12: pass(pick(60))
        case 13: cancel()
        case 14: if pick(6) == 0 { giveUp(instance) }
        default:
          if event > events * 3 / 4, !isStopped {
            isStopped = true
            scheduler.stop(at: now)
            drain()
          }
        }
      }
      // Unloading: what was accepted is answered, whatever state it is in.
      if !isStopped {
        isStopped = true
        scheduler.stop(at: now)
        drain()
      }
      for _ in 0..<400 where fate.contains(where: { $0 == .waiting || $0 == .batched }) && fault == nil {
        for instance in 0..<instances {
          complete(instance)
          step(instance)
        }
        pass(1)
      }
      for (id, fate) in fate.enumerated() where fate == .waiting || fate == .batched {
        fail("\(id) is \(fate) and never ended (depth \(depth), \(instances) instances)")
      }
      for instance in 0..<instances {
        if !(given[instance].isEmpty && pipelines.taken(instance) == 0) { fail("something is left in an instance") }
      }
      if preservesOrder, scheduler.configuration.batching != nil {
        if answered != batched { fail("answers are not in the order of batching") }
      }
      if Set(answered).count != answered.count { fail("answered twice") }
    }

    mutating func send() {
      let id = fate.count
      let rows = 1 + pick(max(1, scheduler.configuration.maximumBatchRows))
      fate.append(.waiting)
      handles.append(nil)
      switch scheduler.enqueue(SchedulerRequest(id: Int64(id), rows: Int32(clamping: rows)), at: now) {
      case .queued(let handle): handles[id] = handle
      case .refused: fate[id] = .gone
      }
      drain()
    }

    mutating func cancel() {
      guard !fate.isEmpty else { return }
      let id = pick(fate.count)
      guard let handle = handles[id] else { return }
      if scheduler.cancel(handle, at: now) {
        if fate[id] != .waiting { fail("\(id) was cancelled and is \(fate[id])") }
        fate[id] = .gone
      }
      drain()
    }
  }
}
