import CheckedNumbers
import CSQLite
import Glibc
import Trace

/// Writes one trace, column by column straight from its arrays.
struct TraceStoreWriter {
  private let trace: Trace
  private let path: String
  /// With the tables that are ours alone.
  private let isOwn: Bool

  init(_ trace: Trace, _ path: String, isOwn: Bool = true) {
    self.trace = trace
    self.path = path
    self.isOwn = isOwn
  }

  func write() throws(TraceStoreError) {
    try checkReferences()
    var status = stat()
    if stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG {
      throw TraceStoreError(path: path, reason: "cannot write: not a regular file")
    }
    let temporary = "\(path).\(getpid()).partial"
    unlink(temporary)
    do throws(TraceStoreError) {
      try fill(temporary)
      if rename(temporary, path) != 0 {
        throw TraceStoreError(path: path, reason: "cannot write: \(String(cString: strerror(errno)))")
      }
    } catch {
      unlink(temporary)
      throw error
    }
  }

  private func fill(_ file: String) throws(TraceStoreError) {
    let database = try SQLiteDatabase(file, path: path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
    // The file is new and nobody sees it before it is whole: no journal, no lock, no flush. Large pages, as every read is a scan.
    try database.execute(
      """
      PRAGMA page_size = 65536; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA cache_size = -16384; BEGIN
      """)
    try writeNames(database)
    try writeTarget(database)
    try writeDeviceWork(database)
    try writeHostWork(database)
    if isOwn { try writeServing(database) }
    try writeEnums(database)
    try database.execute("COMMIT")
  }

  private func writeNames(_ database: SQLiteDatabase) throws(TraceStoreError) {
    let version = TraceSchema.version
    let metadata = [
      ("EXPORT_PRODUCT_NAME", isOwn ? "headroom" : "NVIDIA Nsight Systems"),
      ("EXPORT_SCHEMA_VERSION", "\(version.major).\(version.minor).\(version.micro)"),
      ("EXPORT_SCHEMA_VERSION_MAJOR", "\(version.major)"),
      ("EXPORT_SCHEMA_VERSION_MINOR", "\(version.minor)"),
      ("EXPORT_SCHEMA_VERSION_MICRO", "\(version.micro)"),
    ]
    try database.insert(TraceSchema.metadata, count: metadata.count) { index, row in
      row.text(metadata[index].0)
      row.text(metadata[index].1)
    }
    let run = isOwn ? trace.run.sorted { $0.key < $1.key } : []
    try database.insert(TraceSchema.run, count: run.count) { index, row in
      row.text(run[index].key)
      row.text(run[index].value)
    }
    let texts = trace.names.texts
    try database.insert(TraceSchema.names, count: texts.count) { index, row in
      row.int64(Int64(index))
      row.text(texts[index])
    }
  }

  private func writeTarget(_ database: SQLiteDatabase) throws(TraceStoreError) {
    let gpus = trace.gpus
    try database.insert(TraceSchema.gpus, count: gpus.count) { index, row in
      let gpu = gpus[index]
      row.int64(gpu.id)
      row.text(gpu.name)
      row.int64(gpu.l2CacheBytes)
      row.int64(gpu.totalMemoryBytes)
      row.int64(gpu.memoryBandwidth)
      row.int64(gpu.clockRate)
      row.int64(gpu.smCount)
      row.int64(gpu.cudaDevice)
      row.int64(gpu.maxSharedMemoryBytesPerSM)
      row.int64(gpu.maxRegistersPerSM)
      row.int64(gpu.maxWarpsPerSM)
      row.int64(gpu.maxBlocksPerSM)
      row.int64(gpu.computeMajor)
      row.int64(gpu.computeMinor)
      row.int64(gpu.threadsPerWarp)
    }
    if trace.captureStart != Trace.unknown || trace.captureEnd != Trace.unknown {
      try database.insert(TraceSchema.capture, count: 1) { _, row in
        row.int64(trace.captureStart)
        row.int64(trace.captureEnd)
      }
    }
    if trace.clockOrigin != Trace.unknown {
      try database.insert(TraceSchema.sessionStart, count: 1) { _, row in row.int64(trace.clockOrigin) }
    }
    let devices = trace.cudaDevices
    try database.insert(TraceSchema.cudaDevices, count: devices.count) { index, row in
      row.int64(devices[index].gpu)
      row.int64(devices[index].cudaDevice)
      row.int64(devices[index].process)
    }
    let threads = trace.threads
    try database.insert(TraceSchema.threads, count: threads.count) { index, row in
      row.name(threads[index].name)
      row.int64(threads[index].thread)
    }
    let (processes, names) = (trace.processes, trace.names)
    try database.insert(TraceSchema.processes, count: processes.count) { index, row in
      row.int64(processes[index].process)
      row.int64(GlobalID.processNumber(processes[index].process))
      row.text(names[processes[index].name])
    }
    if !isOwn { return }
    let descriptions = trace.kernelDescriptions
    try database.insert(TraceSchema.kernelDescriptions, count: descriptions.count) { index, row in row.kernel(descriptions[index]) }
    let streams = trace.streams
    try database.insert(TraceSchema.streams, count: streams.count) { index, row in row.stream(streams[index]) }
  }

  private func writeDeviceWork(_ database: SQLiteDatabase) throws(TraceStoreError) {
    let (descriptions, streams) = (trace.kernelDescriptions, trace.streams)
    let kernels = trace.kernels
    try database.insert(TraceSchema.kernels, count: kernels.count) { index, row in
      row.int64(kernels.start[index])
      row.int64(kernels.end[index])
      row.stream(streams[Int(kernels.stream[index].rawValue)])
      row.int64(kernels.correlation[index])
      row.kernel(descriptions[Int(kernels.description[index].rawValue)])
      row.int64(kernels.graphNode[index])
    }
    let copies = trace.copies
    try database.insert(TraceSchema.copies, count: copies.count) { index, row in
      let copy = copies[index]
      row.int64(copy.start)
      row.int64(copy.end)
      row.stream(streams[Int(copy.stream.rawValue)])
      row.int64(copy.correlation)
      row.int64(copy.bytes)
      row.int32(copy.direction)
      row.int32(copy.sourceKind)
      row.int32(copy.destinationKind)
      row.int64(copy.graphNode)
    }
    let memsets = trace.memsets
    try database.insert(TraceSchema.memsets, count: memsets.count) { index, row in
      let memset = memsets[index]
      row.int64(memset.start)
      row.int64(memset.end)
      row.stream(streams[Int(memset.stream.rawValue)])
      row.int64(memset.correlation)
      row.int64(memset.bytes)
      row.int64(memset.value)
      row.int32(memset.memoryKind)
      row.int64(memset.graphNode)
    }
    let synchronizations = trace.synchronizations
    try database.insert(TraceSchema.synchronizations, count: synchronizations.count) { index, row in
      let synchronization = synchronizations[index]
      row.int64(synchronization.start)
      row.int64(synchronization.end)
      row.stream(streams[Int(synchronization.stream.rawValue)])
      row.int64(synchronization.correlation)
      row.int32(synchronization.type)
      row.int64(synchronization.event)
      row.int64(synchronization.recordCorrelation)
    }
    let graphs = trace.graphExecutions
    try database.insert(TraceSchema.graphExecutions, count: graphs.count) { index, row in
      row.int64(graphs.start[index])
      row.int64(graphs.end[index])
      row.stream(streams[Int(graphs.stream[index].rawValue)])
      row.int64(graphs.correlation[index])
      row.int64(graphs.graph[index])
      row.int64(graphs.executable[index])
    }
    let events = trace.eventRecords
    try database.insert(TraceSchema.eventRecords, count: events.count) { index, row in
      row.stream(streams[Int(events.stream[index].rawValue)])
      row.int64(events.event[index])
      row.int64(events.correlation[index])
      row.int64(events.time[index])
    }
  }

  private func writeHostWork(_ database: SQLiteDatabase) throws(TraceStoreError) {
    let apiCalls = trace.apiCalls
    try database.insert(TraceSchema.apiCalls, count: apiCalls.count) { index, row in
      row.int64(apiCalls.start[index])
      row.int64(apiCalls.end[index])
      row.int64(apiCalls.thread[index])
      row.int64(apiCalls.correlation[index])
      row.name(apiCalls.name[index])
      row.int32(apiCalls.eventClass[index])
      row.int32(apiCalls.returnValue[index])
    }
    let osCalls = trace.osCalls
    try database.insert(TraceSchema.osCalls, count: osCalls.count) { index, row in
      row.int64(osCalls.start[index])
      row.int64(osCalls.end[index])
      row.int64(osCalls.thread[index])
      row.name(osCalls.name[index])
      row.int32(osCalls.eventClass[index])
      row.int64(osCalls.returnValue[index])
    }
    let ranges = trace.ranges
    try database.insert(TraceSchema.ranges, count: ranges.count) { index, row in
      let range = ranges[index]
      row.int64(range.start)
      row.int64(range.end)
      row.int64(range.thread)
      row.name(range.text)
      row.int32(range.type)
      row.int64(range.domain)
      row.int64(range.category)
    }
    let operators = trace.operators
    try database.insert(TraceSchema.operators, count: isOwn ? operators.count : 0) { index, row in
      row.int64(operators.start[index])
      row.int64(operators.end[index])
      row.int64(operators.thread[index])
      row.name(operators.name[index])
      row.int64(Int64(operators.kind[index].rawValue))
      row.int64(operators.externalID[index])
      row.name(operators.inputShapes[index])
      row.name(operators.inputTypes[index])
    }
    let overheads = trace.overheads
    let drivers = overheads.indices.filter { !overheads.isProfilers[$0] }
    try database.insert(TraceSchema.overheads, count: drivers.count) { index, row in
      let overhead = overheads[drivers[index]]
      row.int64(overhead.start)
      row.int64(overhead.end)
      row.int64(overhead.thread)
      row.int64(overhead.correlation)
      row.name(overhead.name)
    }
    let profilers = overheads.indices.filter { overheads.isProfilers[$0] }
    try database.insert(TraceSchema.profilerOverheads, count: profilers.count) { index, row in
      let overhead = overheads[profilers[index]]
      row.int64(overhead.start)
      row.int64(overhead.end)
      row.int64(overhead.thread)
      row.name(overhead.name)
    }
    let (diagnostics, names) = (trace.diagnostics, trace.names)
    try database.insert(TraceSchema.diagnostics, count: diagnostics.count) { index, row in
      row.int64(diagnostics.time[index])
      row.int32(diagnostics.severity[index])
      row.text(names[diagnostics.text[index]])
    }
  }

  private func writeServing(_ database: SQLiteDatabase) throws(TraceStoreError) {
    let (batches, names) = (trace.batches, trace.names)
    try database.insert(TraceSchema.batches, count: batches.count) { index, row in
      let batch = batches[index]
      row.int64(batch.id)
      row.name(batch.model)
      row.int32(batch.instance)
      row.int32(batch.rows)
      row.int32(batch.requests)
      row.text(names[batch.reason])
      row.int64(batch.formed)
      row.int64(batch.gatherStart)
      row.int64(batch.computeStart)
      row.int64(batch.computeEnd)
      row.int64(batch.outputEnd)
    }
    let requests = trace.requests
    try database.insert(TraceSchema.requests, count: requests.count) { index, row in
      let request = requests[index]
      row.int64(request.id)
      row.int64(request.batch)
      row.name(request.model)
      row.int32(request.rows)
      row.int64(request.bytesIn)
      row.int64(request.bytesOut)
      row.int64(request.received)
      row.int64(request.parsed)
      row.int64(request.enqueued)
      row.int64(request.responseStart)
      row.int64(request.responseEnd)
      row.int32(request.status.rawValue)
    }
    let clients = trace.clientRequests
    try database.insert(TraceSchema.clientRequests, count: clients.count) { index, row in
      let request = clients[index]
      row.int64(request.id)
      row.int64(request.intended)
      row.int64(request.sent)
      row.int64(request.firstByte)
      row.int64(request.done)
      row.int32(request.status.rawValue)
    }
    let launches = trace.launches
    try database.insert(TraceSchema.launches, count: launches.count) { index, row in
      row.int64(launches.correlation[index])
      row.int64(launches.batch[index])
      row.int32(launches.step[index])
    }
    let counters = trace.counters
    try database.insert(TraceSchema.counters, count: counters.count) { index, row in
      row.int64(counters.time[index])
      row.name(counters.counter[index])
      row.int64(counters.device[index])
      row.double(counters.value[index])
    }
  }

  /// The meaning of numbers, beside the tables that use them.
  private func writeEnums(_ database: SQLiteDatabase) throws(TraceStoreError) {
    let uses: [(EnumTable, Bool)] = [
      (.copyKind, !trace.copies.isEmpty), (.memoryKind, !trace.copies.isEmpty || !trace.memsets.isEmpty),
      (.syncType, !trace.synchronizations.isEmpty), (.eventType, !trace.ranges.isEmpty), (.launchType, !trace.kernels.isEmpty),
    ]
    for (table, isUsed) in uses where isUsed {
      try database.insert(table.layout, count: table.values.count) { index, row in
        row.int64(table.values[index].id)
        row.text(table.values[index].symbol)
        row.text(table.values[index].label)
      }
    }
  }

  /// Ids are plain numbers, so a caller can hand in rows that belong to another trace; they must not be written as if they meant something.
  private func checkReferences() throws(TraceStoreError) {
    let (nameCount, kernelCount, streamCount) = (trace.names.count, trace.kernelDescriptions.count, trace.streams.count)
    func check(_ layout: TableLayout, _ what: String, _ valid: Int?) throws(TraceStoreError) {
      if let index = valid {
        throw TraceStoreError(path: path, table: layout.name, row: index + 1, reason: "\(what) of another trace; nothing was written")
      }
    }
    func badName(_ ids: [NameID]) -> Int? { ids.firstIndex { $0.rawValue < -1 || Int($0.rawValue) >= nameCount } }
    func badStream(_ ids: [StreamID]) -> Int? { ids.firstIndex { $0.rawValue < 0 || Int($0.rawValue) >= streamCount } }
    func bad(_ id: NameID) -> Bool { id.rawValue < -1 || Int(id.rawValue) >= nameCount }

    let kernels = trace.kernels.description.firstIndex { $0.rawValue < 0 || Int($0.rawValue) >= kernelCount }
    try check(TraceSchema.kernels, "the description is", kernels)
    try check(TraceSchema.kernels, "the stream is", badStream(trace.kernels.stream))
    try check(TraceSchema.copies, "the stream is", badStream(trace.copies.stream))
    try check(TraceSchema.memsets, "the stream is", badStream(trace.memsets.stream))
    try check(TraceSchema.synchronizations, "the stream is", badStream(trace.synchronizations.stream))
    try check(TraceSchema.graphExecutions, "the stream is", badStream(trace.graphExecutions.stream))
    try check(TraceSchema.eventRecords, "the stream is", badStream(trace.eventRecords.stream))
    try check(TraceSchema.operators, "the name is", badName(trace.operators.name))
    try check(TraceSchema.operators, "the shapes are", badName(trace.operators.inputShapes))
    try check(TraceSchema.operators, "the types are", badName(trace.operators.inputTypes))
    try check(TraceSchema.overheads, "the name is", badName(trace.overheads.name))
    let described = trace.kernelDescriptions.firstIndex { bad($0.demangledName) || bad($0.shortName) || bad($0.mangledName) }
    try check(TraceSchema.kernelDescriptions, "a name is", described)
    try check(TraceSchema.threads, "the name is", badName(trace.threads.map(\.name)))
    try check(TraceSchema.processes, "the name is", badName(trace.processes.map(\.name)))
    try check(TraceSchema.apiCalls, "the name is", badName(trace.apiCalls.name))
    try check(TraceSchema.osCalls, "the name is", badName(trace.osCalls.name))
    try check(TraceSchema.ranges, "the text is", badName(trace.ranges.text))
    try check(TraceSchema.diagnostics, "the text is", badName(trace.diagnostics.text))
    try check(TraceSchema.batches, "the model is", badName(trace.batches.model))
    try check(TraceSchema.batches, "the reason is", badName(trace.batches.reason))
    try check(TraceSchema.requests, "the model is", badName(trace.requests.model))
    try check(TraceSchema.counters, "the counter is", badName(trace.counters.counter))
  }
}
