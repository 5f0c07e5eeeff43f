import CheckedNumbers
import DeviceModel
import GPUModel
import Planning
import Scheduling
import TimeBase
import Trace
import Vocabulary

/// Writes what happens in the system as a capture would show it: API calls of the issuing and response threads, kernels, copies, what threads
/// wait in, batches and requests.
struct SimulationTracer {
  private var recorder: TraceRecorder
  private let gpu: GPU
  private let configuration: SimulationConfiguration
  private var nextCorrelation: Int64 = 1
  private let calls: [NameID]
  private let launchName: NameID
  private let launchExName: NameID
  private let futex: NameID
  private let epollWait: NameID
  private let semaphoreWait: NameID
  private let model: NameID
  private let issuingThreads: [Int64]
  private let responseThreads: [Int64]
  private let batcherThread: Int64
  private let frontEndThreads: [Int64]
  private let streams: [StreamID]
  private var frontEndSince: [Int64]
  private var batcherSince: Int64
  private var issuedAt: [Int64]
  private var reasons: [NameID]
  private let windowStart: Int64
  /// Kernels of a table: description and API name of each, filled when the plan is known.
  private var tables: [Int32: (kernels: [KernelID], usesEx: [Bool])] = [:]
  private var uploads: [Int32: [(bytes: Double, correlation: Int64)]] = [:]
  private var downloads: [Int32: (bytes: Double, correlation: Int64)] = [:]
  private var usesGraphs = false

  init(_ configuration: SimulationConfiguration) {
    self.configuration = configuration
    gpu = configuration.plan.gpu
    let seconds = configuration.workload.duration.seconds
    // Room for a thousand requests per second; a column that grows beyond it is copied a few times.
    let requests = Int(saturating: min(seconds * 1500, 4e6))
    let batches = requests / 4
    let kernels = min(batches * max(1, configuration.plan.steps.count), 16_000_000)
    var recorder = TraceRecorder(
      kernels: kernels, apiCalls: kernels + 6 * batches, osCalls: 2 * requests + 3 * batches, requests: requests, batches: batches)
    calls = ["cudaMemcpyAsync", "cudaEventRecord", "cudaGraphLaunch", "cudaEventSynchronize"].map { recorder.name($0) }
    launchName = recorder.name("cuLaunchKernel")
    launchExName = recorder.name("cuLaunchKernelEx")
    futex = recorder.name("futex")
    epollWait = recorder.name("epoll_wait")
    semaphoreWait = recorder.name("sem_timedwait")
    model = recorder.name(configuration.model)
    let process: Int64 = 1000
    let instances = configuration.scheduler.instances
    issuingThreads = (0..<instances).map { GlobalID.thread(process: process, thread: 1100 + Int64($0)) }
    responseThreads = (0..<instances).map { GlobalID.thread(process: process, thread: 1200 + Int64($0)) }
    batcherThread = GlobalID.thread(process: process, thread: 1300)
    let cores = max(1, Int(saturating: configuration.host[.frontEndCores].value))
    frontEndThreads = (0..<cores).map { GlobalID.thread(process: process, thread: 1400 + Int64($0)) }
    streams = (0..<(2 * instances)).map {
      recorder.stream(StreamDescription(process: GlobalID.process(process), device: 0, stream: 7 + Int64($0)))
    }
    windowStart = configuration.workload.warmUp.nanoseconds
    frontEndSince = [Int64](repeating: windowStart, count: cores)
    batcherSince = windowStart
    issuedAt = [Int64](repeating: windowStart, count: instances)
    reasons = DispatchReason.allCases.map { recorder.name($0.rawValue) }
    recorder.setRun(simulated: true)
    if let processor = configuration.processor {
      recorder.add(GPUDescription(id: 0, cudaDevice: 0, name: "CPU: \(processor.name)"), simulated: true)
      let name = recorder.name("batch (its time was measured)")
      let kernel = recorder.kernel(KernelDescription(demangledName: name, shortName: name, grid: (0, 0, 0), block: (0, 0, 0)))
      tables[0] = (kernels: [kernel], usesEx: [false])
      self.recorder = recorder
      return
    }
    recorder.add(
      GPUDescription(
        id: 0, cudaDevice: 0, name: gpu.name, smCount: Int64(gpu.smCount),
        memoryBandwidth: Int64(saturating: gpu.memoryGigabytesPerSecond * 1e9),
        clockRate: Int64(saturating: gpu.modelGigahertz * 1e9), totalMemoryBytes: Int64(saturating: gpu.memoryGigabytes * 1e9),
        l2CacheBytes: Int64(saturating: gpu.l2Megabytes * 1e6),
        computeMajor: Int64(gpu.computeCapability.major), computeMinor: Int64(gpu.computeCapability.minor),
        maxWarpsPerSM: Int64(gpu.warpsPerSM), maxBlocksPerSM: Int64(gpu.blocksPerSM),
        maxRegistersPerSM: Int64(gpu.registersPerSM), maxSharedMemoryBytesPerSM: Int64(gpu.sharedKilobytesPerSM) * 1024), simulated: true)
    self.recorder = recorder
  }

  mutating func reserveCorrelations(_ count: Int) -> Int64 {
    defer { nextCorrelation += Int64(count) }
    return nextCorrelation
  }

  mutating func call(_ call: SimulatedCall, thread: Int, start: Int64, end: Int64, correlation: Int64) {
    recorder.recordAPICall(
      calls[call.rawValue], thread: issuingThreads[thread], from: Instant(nanoseconds: start), to: Instant(nanoseconds: end),
      correlation: correlation)
  }

  /// A table's kernels become known with its first batch.
  mutating func learn(table: Int32, launches: [Launch]) {
    guard tables[table] == nil else { return }
    var kernels: [KernelID] = []
    var usesEx: [Bool] = []
    for launch in launches {
      var grid: (Int32, Int32, Int32) = (1, 1, 1)
      var block: (Int32, Int32, Int32) = (1, 1, 1)
      var (registers, shared) = (Int32(0), Int32(0))
      if case .gpu(let shape) = launch.shape {
        func dimension(_ values: [Int], _ index: Int) -> Int32 { values.indices.contains(index) ? Int32(clamping: values[index]) : 1 }
        grid = (dimension(shape.grid, 0), dimension(shape.grid, 1), dimension(shape.grid, 2))
        block = (dimension(shape.block, 0), dimension(shape.block, 1), dimension(shape.block, 2))
        (registers, shared) = (Int32(clamping: shape.registersPerThread), Int32(clamping: shape.sharedMemoryBytes))
      }
      let name = recorder.name(launch.kernelName)
      kernels.append(
        recorder.kernel(
          KernelDescription(
            demangledName: name, shortName: name, grid: grid, block: block, registersPerThread: registers,
            dynamicSharedMemoryBytes: shared)))
      usesEx.append(launch.gemm != nil)
    }
    tables[table] = (kernels, usesEx)
  }

  mutating func launchCalls(_ count: Int, thread: Int, start: Int64, every period: Int64, lasting: Int64, correlation: Int64, table: Int32)
  {
    guard let usesEx = tables[table]?.usesEx else { return }
    for kernel in 0..<min(count, usesEx.count) {
      let from = start + Int64(kernel) * period
      recorder.recordAPICall(
        usesEx[kernel] ? launchExName : launchName, thread: issuingThreads[thread], from: Instant(nanoseconds: from),
        to: Instant(nanoseconds: from + lasting), correlation: correlation + Int64(kernel), eventClass: 1)
    }
  }

  mutating func batchStarted(
    thread: Int, waitedSince: Int64, formed: Int64, issuedFrom: Int64, issued: Int64, kernels: Int, correlation: Int64, batch: Int64,
    graph: Bool
  ) {
    usesGraphs = graph
    // The permit is a semaphore, the wait for a batch a condition variable, and both are futexes to the kernel; Triton's backend waits for its
    // permit with a timed semaphore wait.
    let since = max(issuedAt[thread], windowStart)
    osCall(semaphoreWait, issuingThreads[thread], since, max(since, waitedSince))
    osCall(futex, issuingThreads[thread], max(since, waitedSince), formed)
    osCall(futex, batcherThread, batcherSince, formed)
    batcherSince = formed
    issuedAt[thread] = issued
    for kernel in 0..<kernels {
      recorder.recordLaunch(
        correlation: graph ? correlation : correlation + Int64(kernel), batch: batch, step: Int32(truncatingIfNeeded: kernel))
    }
  }

  private mutating func osCall(_ name: NameID, _ thread: Int64, _ start: Int64, _ end: Int64) {
    guard end > start else { return }
    recorder.recordOSCall(name, thread: thread, from: Instant(nanoseconds: start), to: Instant(nanoseconds: end))
  }

  mutating func expectUpload(run: Int32, bytes: Double, correlation: Int64) { uploads[run, default: []].append((bytes, correlation)) }

  mutating func expectDownload(run: Int32, bytes: Double, correlation: Int64) { downloads[run] = (bytes, correlation) }

  mutating func kernelRan(_ kernel: GPUMachine.KernelRun, run: SimulatedSystem.Run) {
    guard let table = tables[run.table] else { return }
    recorder.recordKernel(
      table.kernels[Int(kernel.kernel)], on: streams[Int(kernel.stream)], from: Instant(nanoseconds: kernel.start),
      to: Instant(nanoseconds: kernel.end), correlation: usesGraphs ? run.correlation : run.correlation + Int64(kernel.kernel),
      graphNode: usesGraphs ? Int64(kernel.kernel) + 1 : Trace.unknown)
  }

  /// A whole batch on a processor.
  mutating func processorRan(_ run: SimulatedSystem.Run, end: Int64) {
    guard let kernel = tables[0]?.kernels.first else { return }
    recorder.recordKernel(
      kernel, on: streams[Int(run.instance)], from: Instant(nanoseconds: run.computeStart), to: Instant(nanoseconds: end),
      correlation: run.correlation)
  }

  mutating func copyRan(_ copy: GPUMachine.CopyRun, run: SimulatedSystem.Run) {
    var (bytes, correlation) = (0.0, Trace.unknown)
    if copy.isUpload, var waiting = uploads[copy.tag], !waiting.isEmpty {
      (bytes, correlation) = waiting.removeFirst()
      uploads[copy.tag] = waiting
    } else if !copy.isUpload, let waiting = downloads.removeValue(forKey: copy.tag) {
      (bytes, correlation) = waiting
    }
    let host: Int32 = configuration.execution.pinsMemory ? 1 : 0
    recorder.recordCopy(
      bytes: Int64(saturating: bytes.rounded()), direction: copy.isUpload ? 1 : 2, on: streams[Int(copy.stream)],
      from: Instant(nanoseconds: copy.start), to: Instant(nanoseconds: copy.end), correlation: correlation,
      sourceKind: copy.isUpload ? host : 2, destinationKind: copy.isUpload ? 2 : host)
  }

  /// The response thread's two synchronizations, and its wait for work before them.
  mutating func responded(_ run: SimulatedSystem.Run, seen: Int64, computeSeen: Int64, since: Int64, end: Int64) {
    guard run.isTraced else { return }
    let thread = responseThreads[Int(run.instance)]
    osCall(futex, thread, max(since, windowStart), run.issued)
    let first = max(run.issued, since)
    let middle = max(computeSeen, first + 1000)
    let last = max(seen, middle + 1000)
    for (from, to) in [(first, middle), (middle, last)] {
      recorder.recordAPICall(
        calls[SimulatedCall.eventSynchronize.rawValue], thread: thread, from: Instant(nanoseconds: from), to: Instant(nanoseconds: to),
        correlation: nextCorrelation)
      nextCorrelation += 1
    }
  }

  mutating func frontEndJob(core: Int, start: Int64, end: Int64) {
    guard end >= windowStart else { return }
    osCall(epollWait, frontEndThreads[core], max(frontEndSince[core], windowStart), start)
    frontEndSince[core] = end
  }

  mutating func batchDone(_ run: SimulatedSystem.Run) {
    recorder.trace.batches.append(
      BatchEvent(
        id: run.batch.sequence, model: model, instance: run.instance, rows: run.rows, requests: run.requests,
        reason: reasons[Self.index(run.reason)], formed: run.formed, gatherStart: run.gatherStart, computeStart: run.computeStart,
        computeEnd: run.computeEnd, outputEnd: run.outputEnd))
  }

  mutating func record(_ request: SimulatedSystem.Request, done: Int64, bytesIn: Double, bytesOut: Double) {
    guard done >= windowStart else { return }
    let status = RequestStatus(rawValue: Int32(request.status))
    recorder.trace.requests.append(
      RequestEvent(
        id: request.id, batch: request.batch >= 0 ? request.batch : Trace.unknown, model: model, rows: request.rows,
        bytesIn: Int64(saturating: bytesIn.rounded()), bytesOut: Int64(saturating: bytesOut.rounded()), received: request.received,
        parsed: request.parsed,
        enqueued: request.enqueued, responseStart: request.responseStart, responseEnd: request.responseEnd, status: status))
    recorder.trace.clientRequests.append(
      ClientRequestEvent(
        id: request.id, intended: request.intended, sent: request.sent, firstByte: request.firstByte, done: done, status: status))
  }

  mutating func finish(window: (start: Int64, end: Int64), events: Int) -> Trace {
    recorder.trace.measurementWindow = window.start..<max(window.start, window.end)
    recorder.trace.run["seed"] = String(configuration.seed)
    recorder.trace.run["hostProfile"] = configuration.host.name
    recorder.trace.run["model"] = configuration.model
    return recorder.trace
  }

  private static func index(_ reason: DispatchReason) -> Int { DispatchReason.allCases.firstIndex(of: reason) ?? 0 }
}
