import HostModel
import CheckedNumbers
import DeviceModel
import Planning
import Scheduling
import TimeBase

extension SimulatedSystem {
  /// Puts an instance with a permit into its thread's line; answers the thread.
  @discardableResult mutating func giveThread(_ instance: Int32) -> Int {
    let thread = threads.count == 1 ? 0 : Int(instance)
    threads[thread].ready.append(instance)
    return thread
  }

  /// A thread that has nothing to issue tells the scheduler which instance it waits for: one at a time.
  mutating func announce(_ index: Int) {
    guard threads[index].announced < 0, threads[index].freeAt <= now, !threads[index].ready.isEmpty else { return }
    let instance = threads[index].ready.removeFirst()
    threads[index].announced = instance
    threads[index].announcedAt = now
    countQueue()
    scheduler.instanceReady(Int(instance), at: Instant(nanoseconds: now))
  }

  mutating func plannedBatch(rows: Int) throws(PlanError) -> PlannedBatch {
    if let known = planned[rows] { return known }
    let plan = try configuration.plan.at(rows: max(1, rows))
    if processor != nil {
      let batch = PlannedBatch(table: 0, kernels: 1, inputBytes: Double(plan.inputBytes), outputBytes: Double(plan.outputBytes))
      planned[rows] = batch
      return batch
    }
    let launches = plan.issued
    var timings = launches.map { KernelTiming($0, bytesPerNanosecond: bytesPerNanosecond) }
    if costs.kernels != 1 { for index in timings.indices { timings[index].nanoseconds *= costs.kernels } }
    let batch = PlannedBatch(
      table: machine.register(timings), kernels: timings.count, inputBytes: Double(plan.inputBytes), outputBytes: Double(plan.outputBytes))
    planned[rows] = batch
    tracer?.learn(table: batch.table, launches: launches)
    return batch
  }

  /// A place among the runs.
  mutating func freeRun() -> Int32 {
    if let slot = freeRuns.popLast() { return slot }
    runs.append(nil)
    return Int32(truncatingIfNeeded: runs.count - 1)
  }

  /// What is written down of a batch that starts, whatever runs it. `kernels` are those that its launch calls make.
  mutating func noteStart(
    of run: Run, _ batch: FormedBatch, _ slot: Int32, thread: Int, waitedSince: Int64, kernels: Int, isGraph: Bool
  ) {
    runs[Int(slot)] = run
    if run.isTraced {
      tracer?.batchStarted(
        thread: thread, waitedSince: waitedSince, formed: now, issuedFrom: run.gatherStart, issued: run.issued, kernels: kernels,
        correlation: run.correlation, batch: run.batch.sequence, graph: isGraph)
    }
    for request in batch.requests { requests[Int(request.id)].batch = run.batch.sequence }
    guard now >= windowStart else { return }
    result.batches += 1
    result.batchRows += batch.rows
    result.batchRequests += batch.requests.count
    result.dispatchReasons[batch.reason, default: 0] += 1
    result.batchSizes[batch.rows, default: 0] += 1
  }

  /// The launch thread's work for a batch, all of whose times are known when it starts: gather, uploads, launches, download.
  mutating func startBatch(_ id: BatchID, instance: Int) throws(PlanError) {
    guard let batch = scheduler.batch(id) else { return }
    let thread = threads.count == 1 ? 0 : instance
    let waitedSince = threads[thread].announcedAt
    threads[thread].announced = -1
    permits[instance] -= 1
    let options = configuration.execution
    let plan = try plannedBatch(rows: batch.rows)
    let isTraced = tracer != nil && now >= windowStart

    let gatherStart = now + Int64(saturating: costs.handOff.rounded())
    let gatherEnd =
      gatherStart
      + Int64(
        saturating: (costs.gather + costs.gatherPerByte * plan.inputBytes + costs.gatherPerRequest * Double(batch.requests.count)).rounded()
      )
    let slot = freeRun()
    let correlation = tracer?.reserveCorrelations(plan.kernels + batch.requests.count + 8) ?? 0
    var call = CallWriter(at: gatherEnd, thread: thread, correlation: correlation, isTraced: isTraced)

    let copies = options.gathersCopies ? 1 : max(1, batch.requests.count)
    let uploadStream = options.overlapsCopies ? configuration.scheduler.instances + instance : instance
    let perCopy = costs.uploadTime(plan.inputBytes / Double(copies))
    let launchCost = Int64(saturating: costs.launch.rounded())
    for _ in 0..<copies {
      let ready = call.make(.copyAsync, lasting: launchCost, &tracer)
      if isTraced { tracer?.expectUpload(run: slot, bytes: plan.inputBytes / Double(copies), correlation: ready.correlation) }
      machine.copy(
        tag: slot, isUpload: true, lasting: TimeSpan(nanoseconds: Int64(saturating: perCopy.rounded())), stream: uploadStream,
        ready: Instant(nanoseconds: ready.end))
      if now >= windowStart { result.busy.gatherAndUpload += perCopy }
    }
    var after: Int32 = -1
    if options.overlapsCopies {
      after = Self.tag(slot, .uploaded)
      machine.mark(after, stream: uploadStream, ready: Instant(nanoseconds: call.time))
    }
    let computeStart = call.time
    let firstLaunch = call.correlation
    let latency = Int64(saturating: costs.launchLatency.rounded())
    if options.usesCUDAGraphs {
      let ready = call.make(.graphLaunch, lasting: Int64(saturating: costs.graphLaunch.rounded()), &tracer)
      machine.launch(
        plan.table, tag: slot, stream: instance,
        ready: Instant(nanoseconds: ready.end + Int64(saturating: costs.graphLatency.rounded())), spacing: .zero, after: after)
    } else {
      let operation = Int64(saturating: costs.operation.rounded())
      machine.launch(
        plan.table, tag: slot, stream: instance, ready: Instant(nanoseconds: call.time + operation + launchCost + latency),
        spacing: TimeSpan(nanoseconds: operation + launchCost), after: after)
      call.makeLaunches(plan.kernels, after: operation, lasting: launchCost, &tracer, table: plan.table)
    }
    call.make(.eventRecord, lasting: launchCost / 4, &tracer)
    machine.mark(Self.tag(slot, .computed), stream: instance, ready: Instant(nanoseconds: call.time))
    let download = call.make(.copyAsync, lasting: launchCost, &tracer)
    if isTraced { tracer?.expectDownload(run: slot, bytes: plan.outputBytes, correlation: download.correlation) }
    let downloadTime = costs.downloadTime(plan.outputBytes)
    machine.copy(
      tag: slot, isUpload: false, lasting: TimeSpan(nanoseconds: Int64(saturating: downloadTime.rounded())), stream: instance,
      ready: Instant(nanoseconds: download.end))
    call.make(.eventRecord, lasting: launchCost / 4, &tracer)
    machine.mark(Self.tag(slot, .downloaded), stream: instance, ready: Instant(nanoseconds: call.time))

    let run = Run(
      batch: id, instance: Int32(truncatingIfNeeded: instance), rows: Int32(clamping: batch.rows),
      requests: Int32(clamping: batch.requests.count), reason: batch.reason, formed: batch.formed.nanoseconds, gatherStart: gatherStart,
      computeStart: computeStart, issued: call.time, correlation: firstLaunch, table: plan.table, isTraced: isTraced)
    noteStart(of: run, batch, slot, thread: thread, waitedSince: waitedSince, kernels: plan.kernels, isGraph: options.usesCUDAGraphs)
    if now >= windowStart {
      result.busy.issuing += Double(call.time - now)
      result.busy.gatherAndUpload += Double(gatherEnd - gatherStart)
      result.busy.downloadAndResponse += downloadTime + costs.batchResponse
    }
    threads[thread].freeAt = call.time
    if permits[instance] > 0 { giveThread(Int32(truncatingIfNeeded: instance)) }
    events.insert(.threadFree, Int32(truncatingIfNeeded: thread), at: call.time)
  }

  enum Marker: Int32 {
    case uploaded, computed, downloaded
  }

  static func tag(_ run: Int32, _ marker: Marker) -> Int32 { run &* 4 &+ marker.rawValue }

  /// Takes what the device has done.
  mutating func collectDevice() {
    for reached in machine.reached {
      let slot = reached.tag / 4
      guard runs.indices.contains(Int(slot)) else { continue }
      let seen = reached.time + Int64(saturating: costs.eventWakeUp.rounded())
      switch Marker(rawValue: reached.tag & 3) {
      case .computed:
        runs[Int(slot)]?.computeEnd = reached.time
        events.insert(.computeSeen, slot, at: max(now, seen))
      case .downloaded:
        runs[Int(slot)]?.outputEnd = reached.time
        events.insert(.outputsSeen, slot, at: max(now, seen))
        if configuration.execution.overlapsCopies { machine.forget(Self.tag(slot, .uploaded)) }
      case .uploaded, nil: break
      }
      if machine.streamCount > 1, Marker(rawValue: reached.tag & 3) != .uploaded { machine.forget(reached.tag) }
    }
    machine.reached.removeAll(keepingCapacity: true)
    if tracer != nil {
      for kernel in machine.kernels {
        if let run = runs[Int(kernel.burst)], run.isTraced { tracer?.kernelRan(kernel, run: run) }
      }
      for copy in machine.copies {
        if let run = runs[Int(copy.tag)], run.isTraced { tracer?.copyRan(copy, run: run) }
      }
    }
    machine.kernels.removeAll(keepingCapacity: true)
    machine.copies.removeAll(keepingCapacity: true)
  }

  mutating func outputsSeen(_ slot: Int32) {
    guard let run = runs[Int(slot)] else { return }
    let start = max(now, responderFree[Int(run.instance)])
    let end = start + Int64(saturating: costs.batchResponse.rounded())
    if processor == nil {
      tracer?.responded(
        run, seen: now, computeSeen: run.computeEnd + Int64(saturating: costs.eventWakeUp.rounded()),
        since: responderFree[Int(run.instance)], end: end)
    }
    responderFree[Int(run.instance)] = end
    events.insert(.batchDone, slot, at: end)
  }

  mutating func batchDone(_ slot: Int32) {
    guard let run = runs[Int(slot)] else { return }
    if run.isTraced { tracer?.batchDone(run) }
    runs[Int(slot)] = nil
    freeRuns.append(slot)
    countQueue()
    scheduler.complete(run.batch, at: Instant(nanoseconds: now))
    if processor != nil {
      workDone(costs.batchResponse)
      releaseProcessor(run.instance)
    }
  }
}

/// Writes down the launch thread's calls one after the other.
struct CallWriter {
  var time: Int64
  let thread: Int
  var correlation: Int64
  let isTraced: Bool

  init(at time: Int64, thread: Int, correlation: Int64, isTraced: Bool) {
    self.time = time
    self.thread = thread
    self.correlation = correlation
    self.isTraced = isTraced
  }

  @discardableResult mutating func make(_ call: SimulatedCall, lasting: Int64, _ tracer: inout SimulationTracer?) -> (
    end: Int64, correlation: Int64
  ) {
    let used = correlation
    if isTraced { tracer?.call(call, thread: thread, start: time, end: time + lasting, correlation: used) }
    time += lasting
    correlation += 1
    return (time, used)
  }

  /// Launch calls, each after the thread's work for its operation.
  mutating func makeLaunches(_ count: Int, after operation: Int64, lasting: Int64, _ tracer: inout SimulationTracer?, table: Int32) {
    if isTraced {
      tracer?.launchCalls(
        count, thread: thread, start: time + operation, every: operation + lasting, lasting: lasting, correlation: correlation, table: table
      )
    }
    time += Int64(count) * (operation + lasting)
    correlation += Int64(count)
  }
}

/// CUDA calls the simulated server makes.
enum SimulatedCall: Int {
  case copyAsync, eventRecord, graphLaunch, eventSynchronize
}
