import CheckedNumbers
import DeviceModel
import Planning
import Scheduling
import TimeBase

extension SimulatedSystem {
  /// A batch on a processor: its instance's thread gathers, computes and answers, one after the other.
  mutating func startOnProcessor(_ id: BatchID, instance: Int, _ device: ProcessorDevice) throws(PlanError) {
    guard let batch = scheduler.batch(id) else { return }
    let thread = threads.count == 1 ? 0 : instance
    let waitedSince = threads[thread].announcedAt
    threads[thread].announced = -1
    permits[instance] -= 1
    let plan = try plannedBatch(rows: batch.rows)
    let gatherStart = now + Int64(saturating: costs.handOff.rounded())
    let gatherEnd =
      gatherStart
      + Int64(
        saturating: (costs.gather + costs.gatherPerByte * plan.inputBytes + costs.gatherPerRequest * Double(batch.requests.count)).rounded()
      )
    let slot = freeRun()
    let isTraced = tracer != nil && now >= windowStart
    let correlation = tracer?.reserveCorrelations(1) ?? 0
    let run = Run(
      batch: id, instance: Int32(truncatingIfNeeded: instance), rows: Int32(clamping: batch.rows),
      requests: Int32(clamping: batch.requests.count), reason: batch.reason, formed: batch.formed.nanoseconds, gatherStart: gatherStart,
      computeStart: gatherEnd, issued: gatherEnd, correlation: correlation, table: plan.table, isTraced: isTraced)
    noteStart(of: run, batch, slot, thread: thread, waitedSince: waitedSince, kernels: 1, isGraph: false)
    if now >= windowStart {
      result.busy.gatherAndUpload += Double(gatherEnd - gatherStart)
      result.busy.issuing += Double(gatherEnd - gatherStart)
      result.busy.downloadAndResponse += costs.batchResponse
    }
    events.insert(.processorStarts, slot, at: gatherEnd)
  }

  /// Inputs are together: the batch joins those that compute.
  mutating func processorStarts(_ slot: Int32) {
    guard let run = runs[Int(slot)], let device = configuration.processor else { return }
    workDone(Double(now - run.gatherStart))
    advanceProcessor()
    let time = device.durations.nanoseconds(rows: Int(run.rows), at: durationDraws.nextUnitDouble())
    processor?.start(slot, lasting: time * costs.kernels)
    planProcessor()
  }

  /// Something may have ended; what was planned before a change is passed over.
  mutating func processorDue(_ generation: Int32) {
    guard generation == processorGeneration else { return }
    advanceProcessor()
    planProcessor()
  }

  private mutating func advanceProcessor() {
    for slot in processor?.advance(to: Instant(nanoseconds: now)) ?? [] {
      runs[Int(slot)]?.computeEnd = now
      runs[Int(slot)]?.outputEnd = now
      if let run = runs[Int(slot)], run.isTraced { tracer?.processorRan(run, end: now) }
      outputsSeen(slot)
    }
  }

  private mutating func planProcessor() {
    guard let end = processor?.nextEnd else { return }
    processorGeneration &+= 1
    events.insert(.processorDue, processorGeneration, at: max(now, end.nanoseconds))
  }

  /// A piece of the host's work has ended on one of its cores.
  @inline(__always) mutating func workDone(_ nanoseconds: Double) {
    if processor != nil { processor?.hostWorked(nanoseconds: nanoseconds) }
  }

  /// The instance that has answered takes its next batch.
  mutating func releaseProcessor(_ instance: Int32) {
    permits[Int(instance)] += 1
    announce(giveThread(instance))
  }
}
