import HostModel
import CheckedNumbers
import DeviceModel
import Planning
import Scheduling
import TimeBase
import Workload
import Vocabulary

/// The discrete-event system: users, client, network, front end, the real Scheduler, launch threads, device, response threads. Virtual time
/// only; every draw comes from the seed. PipelineStages that serve first come first served with known service times are "free at" instants: a
/// job's end is known when it comes, so that each costs one event.
struct SimulatedSystem {
  struct Request {
    var id: Int64 = 0
    var user: Int32 = -1
    var rows: Int32 = 0
    var visitsLeft: Int32 = 0
    var status: Int8 = 0
    var intended: Int64 = 0
    var sent: Int64 = 0
    var received: Int64 = 0
    var parsed: Int64 = 0
    var enqueued: Int64 = 0
    var responseStart: Int64 = 0
    var responseEnd: Int64 = 0
    var firstByte: Int64 = 0
    var batch: Int64 = -1
    /// Length of the client's or front end's piece of work that it waits for.
    var work: Int64 = 0
    var goesOut = false
  }

  /// A batch between its start and its answer.
  struct Run {
    var batch: BatchID
    var instance: Int32
    var rows: Int32
    var requests: Int32
    var reason: DispatchReason
    var formed: Int64
    var gatherStart: Int64
    var computeStart: Int64
    var issued: Int64
    var computeEnd: Int64 = 0
    var outputEnd: Int64 = 0
    var correlation: Int64 = 0
    var table: Int32
    var isTraced: Bool
  }

  /// A batch size's kernels and bytes, looked up once.
  struct PlannedBatch {
    var table: Int32
    var kernels: Int
    var inputBytes: Double
    var outputBytes: Double
  }

  struct IssuingThread {
    var freeAt: Int64 = 0
    /// The instance it has told the scheduler to be waiting for.
    var announced: Int32 = -1
    var announcedAt: Int64 = 0
    /// Instances with a permit, in the order they got it.
    var ready: [Int32] = []
  }

  let configuration: SimulationConfiguration
  let costs: Costs
  let windowStart: Int64
  let windowEnd: Int64
  let bytesPerNanosecond: Double

  var events = EventQueue()
  var now: Int64 = 0
  var scheduler: Scheduler
  var machine: GPUMachine
  var processor: ProcessorMachine?
  var processorGeneration: Int32 = 0
  var tracer: SimulationTracer?
  var result = SimulationResult()

  var users: [SplitMix64] = []
  var rowDraws: SplitMix64
  var durationDraws: SplitMix64
  var arrivals: ArrivalSequence?
  var requests: [Request] = []
  var freeRequests: [Int32] = []
  var nextRequestID: Int64 = 0
  var clientFree: [Int64]
  var uplinkFree: Int64 = 0
  var downlinkFree: Int64 = 0
  var frontEndFree: [Int64]
  var threads: [IssuingThread]
  var permits: [Int32]
  var responderFree: [Int64]
  var runs: [Run?] = []
  var freeRuns: [Int32] = []
  var planned: [Int: PlannedBatch] = [:]
  var scheduledWake: Int64 = .max
  var requestBytes: (fixed: Double, perRow: Double)
  var responseBytes: (fixed: Double, perRow: Double)
  var queueArea = 0.0
  var queueSince: Int64 = 0
  var busyAtWindowStart: Int64 = 0
  var lags: [Int64] = []
  var lateLimit: LateLimit?
  /// Requests of the window that took longer than the limit's latency.
  var late = 0

  init(_ configuration: SimulationConfiguration) throws(PlanError) {
    self.configuration = configuration
    self.costs = Costs(configuration)
    let workload = configuration.workload
    windowStart = workload.warmUp.nanoseconds
    windowEnd = (Instant.zero + workload.warmUp + workload.duration).nanoseconds
    bytesPerNanosecond = configuration.plan.gpu.memoryGigabytesPerSecond
    var decisions = configuration.scheduler
    if let scale = configuration.scales[.batchingDelay], decisions.batching != nil {
      let delay = decisions.batching?.maximumQueueDelay ?? .zero
      decisions.batching?.maximumQueueDelay = TimeSpan(clampingSeconds: delay.seconds * scale)
    }
    scheduler = Scheduler(decisions)
    let instances = configuration.scheduler.instances
    let uploadStreams = configuration.execution.overlapsCopies ? instances : 0
    machine = GPUMachine(streams: instances + uploadStreams, dispatchGapNanoseconds: costs.dispatchGap)
    processor = configuration.processor.map { ProcessorMachine(threads: $0.threads, cores: $0.sharedCores) }
    let seed = SplitMix64(seed: configuration.seed)
    rowDraws = seed.split(1)
    durationDraws = seed.split(3)
    clientFree = [Int64](repeating: 0, count: costs.clientCores)
    frontEndFree = [Int64](repeating: 0, count: costs.frontEndCores)
    // A processor's instances have a thread each, which computes too.
    let hasOneThread = configuration.execution.issuing == .perDevice && processor == nil
    threads = [IssuingThread](repeating: IssuingThread(), count: hasOneThread ? 1 : instances)
    let permitted = processor == nil ? Int32(clamping: max(1, configuration.execution.permits)) : 1
    permits = [Int32](repeating: permitted, count: instances)
    responderFree = [Int64](repeating: 0, count: instances)

    let one = try configuration.plan.at(rows: 1)
    let rows = max(1, configuration.scheduler.maximumBatchRows)
    let many = rows > 1 ? try configuration.plan.at(rows: rows) : one
    func affine(_ first: Int, _ last: Int) -> (fixed: Double, perRow: Double) {
      let perRow = rows > 1 ? (Double(last) - Double(first)) / Double(rows - 1) : 0
      return (Double(first) - perRow, perRow)
    }
    // A header of some 300 bytes on either way: request line, headers and the JSON part of a binary request.
    let (input, output) = (affine(one.inputBytes, many.inputBytes), affine(one.outputBytes, many.outputBytes))
    requestBytes = (input.fixed + 300, input.perRow)
    responseBytes = (output.fixed + 300, output.perRow)

    if configuration.keepsTrace { tracer = SimulationTracer(configuration) }
    switch workload.load {
    case .closed(let count, let spawnRate, _):
      users = (0..<max(0, count)).map { seed.split(1000 + UInt64(clamping: $0)) }
      for user in users.indices {
        let start = spawnRate > 0 ? Double(user) / spawnRate : 0
        events.insert(.userWakes, Int32(truncatingIfNeeded: user), at: TimeSpan(clampingSeconds: start).nanoseconds)
      }
    case .open(let process):
      arrivals = ArrivalSequence(process, seed: seed.split(2), scale: configuration.scales[.interArrival] ?? 1)
      if let first = arrivals?.next() { events.insert(.arrival, 0, at: first.nanoseconds) }
    }
    for instance in 0..<instances { giveThread(Int32(truncatingIfNeeded: instance)) }
    for thread in threads.indices { announce(thread) }
    try drainActions()
  }

  /// Runs to the end of the window. `progress` is told the share done, from time to time; false stops the run.
  mutating func run(progress: (Double) -> Bool) throws(PlanError) -> Bool {
    var untilReport = 1
    var measured = false
    while true {
      let next = events.firstTime
      machine.advance(to: Instant(nanoseconds: min(next, windowEnd)))
      if !machine.reached.isEmpty || machine.kernels.count >= 4096 {
        let isNews = !machine.reached.isEmpty
        collectDevice()
        // What the host learns may come before what it had planned.
        if isNews { continue }
      }
      guard events.firstTime <= windowEnd, let event = events.popFirst() else { break }
      if !measured, event.time >= windowStart {
        measured = true
        busyAtWindowStart = gpuBusyNanoseconds
        queueSince = windowStart
        queueArea = 0
      }
      now = event.time
      result.events += 1
      try handle(event)
      if let lateLimit, late > lateLimit.requests || !result.refused.isEmpty { return false }
      untilReport -= 1
      if untilReport == 0 {
        untilReport = 1 << 18
        if !progress(windowEnd > 0 ? Double(now) / Double(windowEnd) : 1) { return false }
      }
    }
    collectDevice()
    now = windowEnd
    countQueue()
    finish()
    return true
  }

  private mutating func handle(_ event: EventQueue.Event) throws(PlanError) {
    switch event.kind {
    case .userWakes: startRequest(user: event.subject, intended: now)
    case .arrival:
      startRequest(user: -1, intended: now)
      if let next = arrivals?.next() { events.insert(.arrival, 0, at: max(now, next.nanoseconds)) }
    case .clientVisitDone: clientVisitDone(event.subject)
    case .requestArrives: requestArrives(event.subject)
    case .requestParsed:
      requestParsed(event.subject)
      try drainActions()
    case .responseSent: responseSent(event.subject)
    case .responseArrives:
      requests[Int(event.subject)].firstByte = now
      visitClient(event.subject)
    case .schedulerWakes:
      scheduledWake = .max
      countQueue()
      scheduler.advance(to: Instant(nanoseconds: now))
      try drainActions()
    case .threadFree:
      announce(Int(event.subject))
      try drainActions()
    case .computeSeen:
      if let run = runs[Int(event.subject)] {
        permits[Int(run.instance)] += 1
        let thread = giveThread(run.instance)
        announce(thread)
        try drainActions()
      }
    case .outputsSeen: outputsSeen(event.subject)
    case .batchDone:
      batchDone(event.subject)
      try drainActions()
    case .processorStarts: processorStarts(event.subject)
    case .processorDue: processorDue(event.subject)
    }
  }

  // MARK: - The scheduler's decisions

  mutating func countQueue() {
    if now > queueSince {
      queueArea += Double(scheduler.queuedRequests) * Double(now - queueSince)
      queueSince = now
    }
  }

  mutating func drainActions() throws(PlanError) {
    while let action = scheduler.nextAction() {
      switch action {
      case .start(let id, let instance):
        if let processor = configuration.processor {
          try startOnProcessor(id, instance: instance, processor)
        } else {
          try startBatch(id, instance: instance)
        }
      case .timeOut(let request): answer(Int32(truncatingIfNeeded: request), .timeout)
      case .respond(let request): answer(Int32(truncatingIfNeeded: request), nil)
      }
    }
    let wake = scheduler.nextWakeUp.nanoseconds
    if wake < scheduledWake {
      scheduledWake = wake
      events.insert(.schedulerWakes, 0, at: max(now, wake))
    }
  }

  private mutating func finish() {
    result.windowStart = Instant(nanoseconds: windowStart)
    result.windowEnd = Instant(nanoseconds: windowEnd)
    result.latencies.sort()
    lags.sort()
    if !lags.isEmpty { result.sendLagP99Nanoseconds = lags[min(lags.count - 1, lags.count * 99 / 100)] }
    let window = Double(max(1, windowEnd - windowStart))
    result.meanQueuedRequests = queueArea / window
    result.busy.kernels = Double(gpuBusyNanoseconds - busyAtWindowStart)
    result.trace = tracer?.finish(window: (windowStart, windowEnd), events: result.events)
  }

  var isInWindow: Bool { now >= windowStart }
  private var gpuBusyNanoseconds: Int64 { processor?.busyNanoseconds ?? machine.gpuBusyNanoseconds }
}

/// The profile's costs in nanoseconds, scaled.
struct Costs {
  var clientCores: Int
  var clientVisit: Double
  var clientPerByte: Double
  var clientVisits: Int32
  var clientVisitsBefore: Int32
  var visitsInside: Int32
  var think: ThinkTime?
  var latency: Int64
  var wirePerByte: Double
  var frontEndCores: Int
  var parse: Double
  var parsePerByte: Double
  var respond: Double
  var handOff: Double
  var gather: Double
  var gatherPerByte: Double
  var gatherPerRequest: Double
  /// Time of a copy by its bytes, to the device and from it, with everything that scales it.
  var profile: HostProfile
  var upload: CopyKind
  var uploadScale: Double
  var download: CopyKind
  var downloadScale: Double
  var launch: Double
  var operation: Double
  var graphLaunch: Double
  var launchLatency: Double
  var graphLatency: Double
  var eventWakeUp: Double
  var batchResponse: Double
  var dispatchGap: Double
  var kernels: Double

  init(_ configuration: SimulationConfiguration) {
    let host = configuration.host
    func scale(_ time: TimeTerm) -> Double { configuration.scales[time] ?? 1 }
    func microseconds(_ cost: HostCost, _ time: TimeTerm) -> Double { host[cost].value * 1000 * scale(time) }
    func perByte(_ cost: HostCost, _ time: TimeTerm) -> Double { host[cost].value * scale(time) }
    clientCores = max(1, Int(saturating: host[.clientCores].value))
    let visits = max(1, host[.clientVisits].value.rounded())
    clientVisits = Int32(saturating: visits)
    visitsInside = Int32(saturating: min(host[.clientVisitsInsideLatency].value.rounded(), visits))
    // Of the visits inside the measured latency the first one sends, the rest come after the response.
    clientVisitsBefore = max(1, clientVisits - max(0, visitsInside - 1))
    clientVisit = microseconds(.clientPerRequest, .clientWork) / visits
    clientPerByte = perByte(.clientPerByte, .clientWork)
    if case .closed(_, _, let think) = configuration.workload.load { self.think = think.scaled(scale(.thinkTime)) }
    latency = Int64(saturating: microseconds(.networkLatency, .network).rounded())
    wirePerByte = perByte(.networkPerByte, .network)
    frontEndCores = max(1, Int(saturating: host[.frontEndCores].value))
    parse = microseconds(.frontEndPerRequest, .frontEndWork)
    parsePerByte = perByte(.frontEndPerByte, .frontEndWork)
    respond = microseconds(.responsePerRequest, .frontEndWork)
    handOff = microseconds(.batchHandOff, .wakeUp)
    gather = microseconds(.gatherPerBatch, .gather)
    gatherPerByte = perByte(.gatherPerByte, .gather)
    gatherPerRequest = microseconds(.gatherPerRequest, .gather)
    profile = host
    upload = CopyKind(isUpload: true, isPinned: configuration.execution.pinsMemory)
    uploadScale = scale(.upload)
    download = CopyKind(isUpload: false, isPinned: configuration.execution.pinsMemory)
    downloadScale = scale(.download)
    launch = microseconds(.launch, .launch)
    operation = microseconds(.operation, .launch)
    graphLatency = microseconds(.graphLatency, .launch)
    graphLaunch = microseconds(.graphLaunch, .launch)
    launchLatency = microseconds(.launchLatency, .launch)
    eventWakeUp = microseconds(configuration.execution.spins ? .spinWakeUp : .eventWakeUp, .wakeUp)
    batchResponse = microseconds(.responsePerBatch, .response)
    let options = configuration.execution
    let gap: HostCost = !options.usesCUDAGraphs ? .kernelGap : options.usesDependentLaunch ? .dependentKernelGap : .graphKernelGap
    dispatchGap = (options.dispatchGapNanoseconds ?? host[gap].value * 1000) * scale(.dispatch)
    kernels = scale(.kernels)
  }

  /// Nanoseconds of a copy to the device.
  func uploadTime(_ bytes: Double) -> Double { profile.copyMicroseconds(upload, bytes: bytes) * 1000 * uploadScale }

  /// Nanoseconds of a copy from the device.
  func downloadTime(_ bytes: Double) -> Double { profile.copyMicroseconds(download, bytes: bytes) * 1000 * downloadScale }
}
