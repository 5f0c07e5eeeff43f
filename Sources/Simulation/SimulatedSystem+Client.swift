import CheckedNumbers
import Scheduling
import TimeBase
import Workload

extension SimulatedSystem {
  /// The job's end on whichever core is free first; a job that comes later never ends up before one that came earlier.
  @inline(__always) static func serve(_ free: inout [Int64], at now: Int64, lasting: Double) -> (start: Int64, end: Int64, core: Int) {
    var core = 0
    for other in 1..<max(1, free.count) where free[other] < free[core] { core = other }
    let start = max(now, free[core])
    let end = start + Int64(saturating: lasting.rounded())
    free[core] = end
    return (start, end, core)
  }

  /// How much of an interval lies in the window, nanoseconds.
  @inline(__always) func inWindow(_ start: Int64, _ end: Int64) -> Double {
    Double(max(0, min(end, windowEnd) - max(start, windowStart)))
  }

  mutating func startRequest(user: Int32, intended: Int64) {
    let slot: Int32
    if let reused = freeRequests.popLast() {
      slot = reused
    } else {
      slot = Int32(truncatingIfNeeded: requests.count)
      requests.append(Request())
    }
    let rows: Int
    if user >= 0 {
      rows = configuration.workload.rows.sample(&users[Int(user)])
    } else {
      rows = configuration.workload.rows.sample(&rowDraws)
    }
    var request = Request()
    request.id = nextRequestID
    nextRequestID += 1
    request.user = user
    request.rows = Int32(clamping: rows)
    request.intended = intended
    request.visitsLeft = costs.clientVisits
    request.goesOut = true
    // Without a visit outside it latency measurement starts with the first one.
    request.sent = costs.clientVisitsBefore <= 1 && costs.visitsInside > 0 ? intended : .min
    requests[Int(slot)] = request
    visitClient(slot)
  }

  mutating func visitClient(_ slot: Int32) {
    let index = Int(slot)
    var cost = costs.clientVisit
    // The bytes are handled in the visit that sends them.
    if requests[index].goesOut, requests[index].visitsLeft == costs.clientVisits - costs.clientVisitsBefore + 1 {
      cost += costs.clientPerByte * bytes(requests[index].rows)
    }
    let job = Self.serve(&clientFree, at: now, lasting: cost)
    result.busy.client += inWindow(job.start, job.end)
    requests[index].work = job.end - job.start
    requests[index].visitsLeft -= 1
    events.insert(.clientVisitDone, slot, at: job.end)
  }

  func bytes(_ rows: Int32) -> Double { requestBytes.fixed + requestBytes.perRow * Double(rows) }

  mutating func clientVisitDone(_ slot: Int32) {
    let index = Int(slot)
    workDone(Double(requests[index].work))
    requests[index].work = 0
    let done = costs.clientVisits - requests[index].visitsLeft
    if requests[index].goesOut {
      if done < costs.clientVisitsBefore {
        // The last visit before the sending one has ended: latency measurement starts.
        if done == costs.clientVisitsBefore - 1, costs.visitsInside > 0 { requests[index].sent = now }
        return visitClient(slot)
      }
      if requests[index].sent == .min { requests[index].sent = now }
      if isInWindow { lags.append(requests[index].sent - requests[index].intended) }
      requests[index].goesOut = false
      let size = bytes(requests[index].rows)
      let start = max(now, uplinkFree)
      uplinkFree = start + Int64(saturating: (size * costs.wirePerByte).rounded())
      result.busy.wire += inWindow(start, uplinkFree)
      events.insert(.requestArrives, slot, at: uplinkFree + costs.latency)
    } else if requests[index].visitsLeft > 0 {
      visitClient(slot)
    } else {
      finishRequest(slot)
    }
  }

  private mutating func finishRequest(_ slot: Int32) {
    let request = requests[Int(slot)]
    if isInWindow {
      if request.status == 0 {
        result.answered += 1
        result.answeredRows += Int(request.rows)
        result.latencies.append(now - request.sent)
        if let lateLimit, now - request.sent > lateLimit.latency.nanoseconds { late += 1 }
        let second = Int((now - windowStart) / 1_000_000_000)
        while result.answersPerSecond.count <= second { result.answersPerSecond.append(0) }
        result.answersPerSecond[second] += 1
      }
      let (bytesIn, bytesOut) = (bytes(request.rows), responseBytes.fixed + responseBytes.perRow * Double(request.rows))
      tracer?.record(request, done: now, bytesIn: bytesIn, bytesOut: bytesOut)
    }
    freeRequests.append(slot)
    if request.user >= 0, let think = costs.think {
      let wait = think.sample(&users[Int(request.user)])
      events.insert(.userWakes, request.user, at: now + wait.nanoseconds)
    }
  }

  // MARK: - Front end

  mutating func requestArrives(_ slot: Int32) {
    let index = Int(slot)
    requests[index].received = now
    let job = Self.serve(&frontEndFree, at: now, lasting: costs.parse + costs.parsePerByte * bytes(requests[index].rows))
    result.busy.frontEnd += inWindow(job.start, job.end)
    tracer?.frontEndJob(core: job.core, start: job.start, end: job.end)
    requests[index].work = job.end - job.start
    events.insert(.requestParsed, slot, at: job.end)
  }

  mutating func requestParsed(_ slot: Int32) {
    let index = Int(slot)
    workDone(Double(requests[index].work))
    requests[index].parsed = now
    requests[index].enqueued = now
    countQueue()
    let request = SchedulerRequest(id: Int64(slot), rows: requests[index].rows)
    switch scheduler.enqueue(request, at: Instant(nanoseconds: now)) {
    case .queued: break
    case .refused(.queueFull): answer(slot, .queueFull)
    case .refused: answer(slot, .other)
    }
  }

  /// Sends a result, or an error where there is a reason for one.
  mutating func answer(_ slot: Int32, _ refusal: SimulationResult.Refusal?) {
    let index = Int(slot)
    if let refusal {
      if isInWindow { result.refused[refusal, default: 0] += 1 }
      requests[index].status =
        switch refusal {
        case .queueFull: 1
        case .timeout: 2
        case .other: 4
        }
    }
    let job = Self.serve(&frontEndFree, at: now, lasting: costs.respond)
    result.busy.frontEnd += inWindow(job.start, job.end)
    tracer?.frontEndJob(core: job.core, start: job.start, end: job.end)
    requests[index].work = job.end - job.start
    requests[index].responseStart = job.start
    requests[index].responseEnd = job.end
    events.insert(.responseSent, slot, at: job.end)
  }

  mutating func responseSent(_ slot: Int32) {
    let index = Int(slot)
    workDone(Double(requests[index].work))
    requests[index].work = 0
    let size = requests[index].status == 0 ? responseBytes.fixed + responseBytes.perRow * Double(requests[index].rows) : responseBytes.fixed
    let start = max(now, downlinkFree)
    downlinkFree = start + Int64(saturating: (size * costs.wirePerByte).rounded())
    if costs.clientVisits - costs.clientVisitsBefore > 0 {
      events.insert(.responseArrives, slot, at: downlinkFree + costs.latency)
    } else {
      // No visit after the response: latency measurement ends when it is there.
      requests[index].firstByte = downlinkFree + costs.latency
      events.insert(.clientVisitDone, slot, at: downlinkFree + costs.latency)
    }
  }
}
