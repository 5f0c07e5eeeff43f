import CheckedNumbers
import Trace

extension TraceStoreReader {
  /// Reads every table there is.
  mutating func read() throws(TraceStoreError) -> Trace {
    var trace = Trace()
    try readNames(&trace)
    try readTarget(&trace)
    if let helper = secondReader(), let job = DeviceWorkJob.start(helper, trace) {
      try readHostWork(&trace)
      try readServing(&trace)
      let (device, damages) = try job.result().get()
      trace.adoptDeviceWork(of: device)
      add(damages)
    } else {
      try readDeviceWork(&trace)
      try readHostWork(&trace)
      try readServing(&trace)
    }
    return trace
  }

  mutating func readNames(_ trace: inout Trace) throws(TraceStoreError) {
    names.isPresent = tables.contains(TraceSchema.names.name)
    var texts = NameTable()
    var ids = names
    try scan(TraceSchema.names) { row throws(CellError) in
      let id = try row.int64()
      if let text = try row.text() { ids.add(id, texts.intern(text)) } else { ids.add(id, .unknown) }
    }
    names = ids
    trace.names = texts
    var run: [String: String] = [:]
    try scan(TraceSchema.run) { row throws(CellError) in
      let key = try row.text()
      let value = try row.text()
      if let key, let value { run[key] = value }
    }
    trace.run = run
  }

  mutating func readTarget(_ trace: inout Trace) throws(TraceStoreError) {
    var gpus: [GPUDescription] = []
    try scan(TraceSchema.gpus) { row throws(CellError) in
      var gpu = GPUDescription(id: try row.int64(), name: try row.text() ?? "")
      gpu.l2CacheBytes = try row.int64()
      gpu.totalMemoryBytes = try row.int64()
      gpu.memoryBandwidth = try row.int64()
      gpu.clockRate = try row.int64()
      gpu.smCount = try row.int64()
      gpu.cudaDevice = try row.int64()
      gpu.maxSharedMemoryBytesPerSM = try row.int64()
      gpu.maxRegistersPerSM = try row.int64()
      gpu.maxWarpsPerSM = try row.int64()
      gpu.maxBlocksPerSM = try row.int64()
      gpu.computeMajor = try row.int64()
      gpu.computeMinor = try row.int64()
      gpu.threadsPerWarp = try row.int64()
      gpus.append(gpu)
    }
    trace.gpus = gpus
    try scan(TraceSchema.capture) { row throws(CellError) in
      trace.captureStart = try row.int64()
      trace.captureEnd = try row.int64()
    }
    try scan(TraceSchema.sessionStart) { row throws(CellError) in trace.clockOrigin = try row.int64() }
    var devices: [CUDADeviceMapping] = []
    try scan(TraceSchema.cudaDevices) { row throws(CellError) in
      devices.append(CUDADeviceMapping(gpu: try row.int64(), cudaDevice: try row.int64(), process: try row.int64()))
    }
    trace.cudaDevices = devices
    let ids = names
    var threads: [ThreadDescription] = []
    try scan(TraceSchema.threads) { row throws(CellError) in
      let name = try row.name(ids)
      threads.append(ThreadDescription(thread: try row.int64(), name: name))
    }
    trace.threads = threads
    var texts = trace.names
    trace.names = NameTable()
    var processes: [ProcessDescription] = []
    try scan(TraceSchema.processes) { row throws(CellError) in
      let process = try row.int64()
      // The number is the middle of the global id.
      _ = try row.int64()
      processes.append(ProcessDescription(process: process, name: try row.text().map { texts.intern($0) } ?? .unknown))
    }
    trace.processes = processes
    trace.names = texts
    try scan(TraceSchema.kernelDescriptions) { row throws(CellError) in _ = trace.intern(try row.kernel(ids)) }
    try scan(TraceSchema.streams) { row throws(CellError) in _ = trace.intern(try row.stream()) }
  }

  mutating func readDeviceWork(_ trace: inout Trace) throws(TraceStoreError) {
    let ids = names
    var interner = RowInterner()
    func streamID(_ description: StreamDescription, _ trace: inout Trace) -> StreamID { interner.id(description, &trace) }
    var kernels = KernelTable()
    kernels.reserveCapacity(rowEstimate(TraceSchema.kernels))
    try scan(TraceSchema.kernels) { row throws(CellError) in
      let (start, end) = (try row.int64(), try row.int64())
      let stream = streamID(try row.stream(), &trace)
      let correlation = try row.int64()
      let description = interner.id(try row.kernel(ids), &trace)
      kernels.append(
        KernelEvent(
          start: start, end: end, description: description, stream: stream, correlation: correlation, graphNode: try row.int64()))
    }
    trace.kernels = kernels
    var copies = CopyTable()
    try scan(TraceSchema.copies) { row throws(CellError) in
      copies.append(
        CopyEvent(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          bytes: try row.int64(), direction: try row.int32(), sourceKind: try row.int32(), destinationKind: try row.int32(),
          graphNode: try row.int64()))
    }
    trace.copies = copies
    var memsets = MemsetTable()
    try scan(TraceSchema.memsets) { row throws(CellError) in
      memsets.append(
        MemsetEvent(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          bytes: try row.int64(), value: try row.int64(), memoryKind: try row.int32(), graphNode: try row.int64()))
    }
    trace.memsets = memsets
    var synchronizations = SynchronizationTable()
    try scan(TraceSchema.synchronizations) { row throws(CellError) in
      synchronizations.append(
        SynchronizationEvent(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          type: try row.int32(), event: try row.int64(), recordCorrelation: try row.int64()))
    }
    trace.synchronizations = synchronizations
    var graphs = GraphExecutionTable()
    try scan(TraceSchema.graphExecutions) { row throws(CellError) in
      graphs.append(
        GraphExecution(
          start: try row.int64(), end: try row.int64(), stream: streamID(try row.stream(), &trace), correlation: try row.int64(),
          graph: try row.int64(), executable: try row.int64()))
    }
    trace.graphExecutions = graphs
    var events = EventRecordTable()
    try scan(TraceSchema.eventRecords) { row throws(CellError) in
      events.append(
        EventRecord(
          stream: streamID(try row.stream(), &trace), event: try row.int64(), correlation: try row.int64(), time: try row.int64()))
    }
    trace.eventRecords = events
  }

  mutating func readHostWork(_ trace: inout Trace) throws(TraceStoreError) {
    let ids = names
    var apiCalls = APICallTable()
    apiCalls.reserveCapacity(rowEstimate(TraceSchema.apiCalls))
    try scan(TraceSchema.apiCalls) { row throws(CellError) in
      apiCalls.append(
        APICall(
          start: try row.int64(), end: try row.int64(), thread: try row.int64(), correlation: try row.int64(), name: try row.name(ids),
          eventClass: try row.int32(), returnValue: try row.int32()))
    }
    trace.apiCalls = apiCalls
    var osCalls = OSCallTable()
    try scan(TraceSchema.osCalls) { row throws(CellError) in
      osCalls.append(
        OSCall(
          start: try row.int64(), end: try row.int64(), thread: try row.int64(), name: try row.name(ids), eventClass: try row.int32(),
          returnValue: try row.int64()))
    }
    trace.osCalls = osCalls
    var operators = OperatorTable()
    try scan(TraceSchema.operators) { row throws(CellError) in
      operators.append(
        OperatorEvent(
          start: try row.int64(), end: try row.int64(), thread: try row.int64(), name: try row.name(ids),
          kind: OperatorKind(rawValue: UInt8(truncatingIfNeeded: try row.int64())), externalID: try row.int64(),
          inputShapes: try row.name(ids), inputTypes: try row.name(ids)))
    }
    trace.operators = operators
    var texts = trace.names
    trace.names = NameTable()
    var overheads = OverheadTable()
    try scan(TraceSchema.overheads) { row throws(CellError) in
      var overhead = OverheadEvent(
        start: try row.int64(), end: try row.int64(), thread: try row.int64(), correlation: try row.int64(), name: try row.name(ids))
      OverheadKinds.complete(&overhead, type: try row.int64(), &texts)
      overheads.append(overhead)
    }
    try scan(TraceSchema.profilerOverheads) { row throws(CellError) in
      overheads.append(
        OverheadEvent(
          start: try row.int64(), end: try row.int64(), thread: try row.int64(), name: try row.name(ids), isProfilers: true))
    }
    trace.overheads = overheads
    var ranges = RangeTable()
    try scan(TraceSchema.ranges) { row throws(CellError) in
      var range = RangeEvent(
        start: try row.int64(), end: try row.int64(), thread: try row.int64(), text: try row.name(ids), type: try row.int32(),
        domain: try row.int64(), category: try row.int64())
      if let text = try row.text() { range.text = texts.intern(text) }
      ranges.append(range)
    }
    trace.ranges = ranges
    var diagnostics = DiagnosticTable()
    try scan(TraceSchema.diagnostics) { row throws(CellError) in
      let (time, severity) = (try row.int64(), try row.int32())
      diagnostics.append(DiagnosticEvent(time: time, severity: severity, text: try row.text().map { texts.intern($0) } ?? .unknown))
    }
    trace.diagnostics = diagnostics
    trace.names = texts
  }

  mutating func readServing(_ trace: inout Trace) throws(TraceStoreError) {
    let ids = names
    var texts = trace.names
    trace.names = NameTable()
    var batches = BatchTable()
    try scan(TraceSchema.batches) { row throws(CellError) in
      batches.append(
        BatchEvent(
          id: try row.int64(), model: try row.name(ids), instance: try row.int32(), rows: try row.int32(), requests: try row.int32(),
          reason: try row.text().map { texts.intern($0) } ?? .unknown, formed: try row.int64(), gatherStart: try row.int64(),
          computeStart: try row.int64(), computeEnd: try row.int64(), outputEnd: try row.int64()))
    }
    trace.batches = batches
    trace.names = texts
    var requests = RequestTable()
    try scan(TraceSchema.requests) { row throws(CellError) in
      requests.append(
        RequestEvent(
          id: try row.int64(), batch: try row.int64(), model: try row.name(ids), rows: try row.int32(), bytesIn: try row.int64(),
          bytesOut: try row.int64(), received: try row.int64(), parsed: try row.int64(), enqueued: try row.int64(),
          responseStart: try row.int64(), responseEnd: try row.int64(), status: RequestStatus(rawValue: try row.int32())))
    }
    trace.requests = requests
    var clients = ClientRequestTable()
    try scan(TraceSchema.clientRequests) { row throws(CellError) in
      clients.append(
        ClientRequestEvent(
          id: try row.int64(), intended: try row.int64(), sent: try row.int64(), firstByte: try row.int64(), done: try row.int64(),
          status: RequestStatus(rawValue: try row.int32())))
    }
    trace.clientRequests = clients
    var launches = LaunchTable()
    try scan(TraceSchema.launches) { row throws(CellError) in
      launches.append(LaunchEvent(correlation: try row.int64(), batch: try row.int64(), step: try row.int32()))
    }
    trace.launches = launches
    var counters = CounterTable()
    try scan(TraceSchema.counters) { row throws(CellError) in
      counters.append(
        CounterSample(time: try row.int64(), counter: try row.name(ids), device: try row.int64(), value: try row.double()))
    }
    trace.counters = counters
  }
}

/// Ids of descriptions, found again without hashing all of one: rows of few streams and kernels follow each other in any order.
private struct RowInterner {
  private var streams: [(description: StreamDescription, id: StreamID)?] = Array(repeating: nil, count: 64)
  private var kernels: [(description: KernelDescription, id: KernelID)?] = Array(repeating: nil, count: 1024)

  @inline(__always) mutating func id(_ description: StreamDescription, _ trace: inout Trace) -> StreamID {
    let mixed = description.stream &* 31 &+ description.device &* 7 &+ description.process >> 24
    let slot = Int(truncatingIfNeeded: mixed) & 63
    if let known = streams[slot], known.description == description { return known.id }
    let id = trace.intern(description)
    streams[slot] = (description, id)
    return id
  }

  @inline(__always) mutating func id(_ description: KernelDescription, _ trace: inout Trace) -> KernelID {
    let mixed =
      description.demangledName.rawValue &* 31 &+ description.gridX &* 7 &+ description.gridY &+ description.dynamicSharedMemoryBytes
    let slot = Int(truncatingIfNeeded: mixed) & 1023
    if let known = kernels[slot], known.description == description { return known.id }
    let id = trace.intern(description)
    kernels[slot] = (description, id)
    return id
  }
}
