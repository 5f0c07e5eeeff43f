import FileAccess
import Glibc
import Testing
import Trace
import TraceFormats

@Suite struct TraceStoreTests {
  @Test(arguments: 0..<40 as Range<UInt64>) func whatIsWrittenIsRead(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    // Around 64 rows, where writing changes from many rows a statement to one.
    let trace = RandomTrace.make(seed: seed, rows: seed % 4 == 0 ? 200 : 70)
    try TraceStore.write(trace, to: folder())
    let back = try TraceStore.read(folder())
    #expect(back.names == trace.names)
    // Swift's == takes canonical equivalents for equal.
    #expect(back.names.texts.map { Array($0.utf8) } == trace.names.texts.map { Array($0.utf8) })
    #expect(back.run == trace.run)
    #expect(back.gpus == trace.gpus)
    #expect(back.cudaDevices == trace.cudaDevices)
    #expect(back.kernelDescriptions == trace.kernelDescriptions)
    #expect(back.streams == trace.streams)
    #expect(back.kernels == trace.kernels)
    #expect(back.copies == trace.copies)
    #expect(back.memsets == trace.memsets)
    #expect(back.synchronizations == trace.synchronizations)
    #expect(back.apiCalls == trace.apiCalls)
    #expect(back.osCalls == trace.osCalls)
    #expect(back.ranges == trace.ranges)
    #expect(back.batches == trace.batches)
    #expect(back.requests == trace.requests)
    #expect(back.clientRequests == trace.clientRequests)
    #expect(back.launches == trace.launches)
    #expect(back.counters == trace.counters)
    #expect(back.diagnostics == trace.diagnostics)
    #expect(back == trace, "everything, internals too")
  }

  @Test func anEmptyTraceIsATrace() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(Trace(), to: folder())
    #expect(try TraceStore.read(folder()) == Trace())
    #expect(try sql(folder(), "SELECT name FROM sqlite_master") == [["META_DATA_EXPORT"]])
  }

  @Test func aSampleThatIsNoNumberComesBackAsOne() throws {
    let folder = try TemporaryFolder()
    var trace = Trace()
    trace.counters.append(CounterSample(time: 1, counter: .unknown, value: .nan))
    try TraceStore.write(trace, to: folder())
    let back = try TraceStore.read(folder())
    #expect(back.counters.count == 1)
    #expect(back.counters.value.first?.isNaN == true)
  }

  @Test func tablesAndColumnsAreNsightSystems() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.full(), to: folder())
    let rows = try sql(
      folder(),
      """
      SELECT m.name, (SELECT group_concat(name, ' ') FROM pragma_table_info(m.name)) FROM sqlite_master m WHERE type = 'table' ORDER BY 1
      """)
    let text = rows.map { "\($0[0] ?? "")\n  \($0[1] ?? "")" }.joined(separator: "\n")
    #expect(text == schema)
    #expect(try sql(folder(), "SELECT count(*) FROM sqlite_master WHERE type <> 'table'") == [["0"]], "no index, as in exports")
    #expect(try sql(folder(), "SELECT value FROM META_DATA_EXPORT WHERE name = 'EXPORT_SCHEMA_VERSION'") == [["3.25.0"]])
    #expect(try sql(folder(), "PRAGMA integrity_check") == [["ok"]])
  }

  @Test func otherPeoplesQueriesRun() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.full(), to: folder())
    let kernels = """
      SELECT s.value, k.end - k.start, k.gridX, r.globalTid / 0x1000000 % 0x1000000, t.label, k.greenContextId, k.gridId
      FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN StringIds s ON s.id = k.demangledName
      JOIN CUPTI_ACTIVITY_KIND_RUNTIME r ON r.correlationId = k.correlationId AND k.globalPid = r.globalTid & ~0xFFFFFF
      LEFT JOIN ENUM_CUDA_KERNEL_LAUNCH_TYPE t ON t.id = k.launchType
      """
    #expect(try sql(folder(), kernels) == [["gemm", "1001", "4", "4711", nil, nil, nil]])
    let copies = """
      SELECT o.label, a.label, b.label, bytes FROM CUPTI_ACTIVITY_KIND_MEMCPY JOIN ENUM_CUDA_MEMCPY_OPER o ON o.id = copyKind
      JOIN ENUM_CUDA_MEM_KIND a ON a.id = srcKind JOIN ENUM_CUDA_MEM_KIND b ON b.id = dstKind
      """
    #expect(try sql(folder(), copies) == [["Host-to-Device", "Pinned", "Device", "64"]])
    let ranges = "SELECT name, value FROM NVTX_EVENTS JOIN StringIds s ON s.id = textId JOIN ENUM_NSYS_EVENT_TYPE e ON e.id = eventType"
    #expect(try sql(folder(), ranges) == [["NvtxPushPopRange", "step \"1\""]])
    #expect(try sql(folder(), "SELECT label FROM ENUM_CUPTI_SYNC_TYPE WHERE id = 3") == [["Stream sync"]])
  }

  @Test func simulatedFilesSaySo() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.full(), to: folder())
    #expect(try sql(folder(), "SELECT value FROM HEADROOM_RUN WHERE key = 'kind'") == [["simulated"]])
    #expect(try sql(folder(), "SELECT name FROM TARGET_INFO_GPU") == [["H200 SXM (simulated by headroom)"]])
    let text = try sql(folder(), "SELECT severity, text FROM DIAGNOSTIC_EVENT")
    #expect(text == [["2", "The times in this file are simulated by headroom. No GPU ran."]])
  }

  @Test func aFileIsReplacedWholeOrNotAtAll() throws {
    let folder = try TemporaryFolder()
    let (old, new) = (RandomTrace.make(seed: 1, rows: 100), RandomTrace.make(seed: 2, rows: 10))
    try TraceStore.write(old, to: folder())
    try TraceStore.write(new, to: folder())
    #expect(try TraceStore.read(folder()) == new)
    var foreign = new
    foreign.kernels.append(KernelEvent(start: 0, end: 1, description: KernelID(rawValue: 1_000_000), stream: StreamID(rawValue: 0)))
    let error = #expect(throws: TraceStoreError.self) { try TraceStore.write(foreign, to: folder()) }
    #expect(error?.table == "CUPTI_ACTIVITY_KIND_KERNEL")
    #expect(error?.row == foreign.kernels.count)
    #expect(try TraceStore.read(folder()) == new)
    #expect(folder.names == ["trace.sqlite"], "nothing is left behind")
  }

  @Test func idsOfAnotherTraceAreNotWritten() throws {
    let folder = try TemporaryFolder()
    func expectRefusal(_ table: String, _ change: (inout Trace) -> Void) {
      var trace = Trace()
      change(&trace)
      let error = #expect(throws: TraceStoreError.self) { try TraceStore.write(trace, to: folder()) }
      #expect(error?.table == table && error?.row == 1)
    }
    let (name, stream) = (NameID(rawValue: 0), StreamID(rawValue: 0))
    expectRefusal("CUPTI_ACTIVITY_KIND_MEMCPY") { $0.copies.append(CopyEvent(start: 0, end: 1, stream: stream, bytes: 1, direction: 1)) }
    expectRefusal("CUPTI_ACTIVITY_KIND_MEMSET") { $0.memsets.append(MemsetEvent(start: 0, end: 1, stream: stream, bytes: 1)) }
    expectRefusal("CUPTI_ACTIVITY_KIND_RUNTIME") { $0.apiCalls.append(APICall(start: 0, end: 1, name: name)) }
    expectRefusal("CUPTI_ACTIVITY_KIND_RUNTIME") { $0.apiCalls.append(APICall(start: 0, end: 1, name: NameID(rawValue: -2))) }
    expectRefusal("ThreadNames") { $0.threads.append(ThreadDescription(thread: 1, name: name)) }
    expectRefusal("PROCESSES") { $0.processes.append(ProcessDescription(process: 1, name: name)) }
    expectRefusal("OSRT_API") { $0.osCalls.append(OSCall(start: 0, end: 1, name: name)) }
    expectRefusal("NVTX_EVENTS") { $0.ranges.append(RangeEvent(start: 0, text: name)) }
    expectRefusal("HEADROOM_BATCH") { $0.batches.append(BatchEvent(id: 0, model: name, rows: 1, requests: 1)) }
    expectRefusal("HEADROOM_REQUEST") { $0.requests.append(RequestEvent(id: 0, model: name, rows: 1)) }
    expectRefusal("HEADROOM_COUNTER") { $0.counters.append(CounterSample(time: 0, counter: name, value: 0)) }
    expectRefusal("DIAGNOSTIC_EVENT") { $0.diagnostics.append(DiagnosticEvent(severity: 1, text: name)) }
    expectRefusal("HEADROOM_KERNEL_DESCRIPTION") {
      _ = $0.intern(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
    }
    #expect(folder.names.isEmpty)
  }

  @Test func pathsThatCannotBeWritten() throws {
    let folder = try TemporaryFolder()
    #expect(throws: TraceStoreError.self) { try TraceStore.write(Trace(), to: folder.path) }
    #expect(throws: TraceStoreError.self) { try TraceStore.write(Trace(), to: folder("missing/trace.sqlite")) }
    #expect(throws: TraceStoreError.self) { try TraceStore.write(Trace(), to: "/dev/null") }
    #expect(folder.names.isEmpty)
  }

  private let schema = """
    CUPTI_ACTIVITY_KIND_KERNEL
      start end deviceId contextId streamId globalPid correlationId demangledName shortName mangledName launchType registersPerThread \
    gridX gridY gridZ blockX blockY blockZ staticSharedMemory dynamicSharedMemory localMemoryPerThread clusterX clusterY clusterZ \
    graphNodeId greenContextId \
    cacheConfig localMemoryTotal gridId sharedMemoryExecuted sharedMemoryLimitConfig qmdBulkReleaseDone qmdPreexitDone qmdLastCtaDone \
    graphId clusterSchedulingPolicy maxPotentialClusterSize maxActiveClusters \
    sharedMemoryRequestedPercentage tensorSizeMinusOneElements
    CUPTI_ACTIVITY_KIND_MEMCPY
      start end deviceId contextId streamId globalPid correlationId bytes copyKind srcKind dstKind graphNodeId greenContextId \
    deprecatedSrcId srcDeviceId srcContextId dstDeviceId dstContextId migrationCause virtualAddress copyCount
    CUPTI_ACTIVITY_KIND_MEMSET
      start end deviceId contextId streamId globalPid correlationId bytes value memKind graphNodeId greenContextId
    CUPTI_ACTIVITY_KIND_RUNTIME
      start end globalTid correlationId nameId eventClass returnValue callchainId
    CUPTI_ACTIVITY_KIND_SYNCHRONIZATION
      start end deviceId contextId streamId globalPid correlationId syncType eventId recordCorrelationId greenContextId \
    deprecatedSyncType eventSyncId
    DIAGNOSTIC_EVENT
      timestamp severity text timestampType source globalPid
    ENUM_CUDA_KERNEL_LAUNCH_TYPE
      id name label
    ENUM_CUDA_MEMCPY_OPER
      id name label
    ENUM_CUDA_MEM_KIND
      id name label
    ENUM_CUPTI_SYNC_TYPE
      id name label
    ENUM_NSYS_EVENT_TYPE
      id name label
    HEADROOM_BATCH
      id modelNameId instance rows requests reason formed gatherStart computeStart computeEnd outputEnd
    HEADROOM_CLIENT_REQUEST
      id intended sent firstByte done status
    HEADROOM_COUNTER
      timestamp counterNameId deviceId value
    HEADROOM_KERNEL_DESCRIPTION
      demangledName shortName mangledName launchType registersPerThread gridX gridY gridZ blockX blockY blockZ staticSharedMemory \
    dynamicSharedMemory localMemoryPerThread clusterX clusterY clusterZ
    HEADROOM_LAUNCH
      correlationId batchId step
    HEADROOM_REQUEST
      id batchId modelNameId rows bytesIn bytesOut received parsed enqueued responseStart responseEnd status
    HEADROOM_RUN
      key value
    HEADROOM_STREAM
      deviceId contextId streamId globalPid
    META_DATA_EXPORT
      name value
    NVTX_EVENTS
      start end globalTid textId eventType domainId category text rangeId color endGlobalTid uint64Value int64Value doubleValue \
    uint32Value int32Value floatValue jsonTextId jsonText binaryData
    OSRT_API
      start end globalTid nameId eventClass returnValue nestingLevel callchainId argumentsId
    PROCESSES
      globalPid pid name
    StringIds
      id value
    TARGET_INFO_CUDA_DEVICE
      gpuId cudaId pid uuid numMultiprocessors
    TARGET_INFO_GPU
      id name l2CacheSize totalMemory memoryBandwidth clockRate smCount cuDevice maxShmemPerSm maxRegistersPerSm maxWarpsPerSm \
    maxBlocksPerSm computeMajor computeMinor threadsPerWarp vmId busLocation isDiscrete pwGpuId uuid luid chipName ctxswDevPath ctrlDevPath revision \
    nodeMask constantMemory maxIPC maxRegistersPerBlock maxShmemPerBlock maxShmemPerBlockOptin asyncEngines \
    maxThreadsPerBlock maxBlockDimX maxBlockDimY maxBlockDimZ maxGridDimX maxGridDimY maxGridDimZ smMajor smMinor
    ThreadNames
      nameId globalTid priority
    """
}
