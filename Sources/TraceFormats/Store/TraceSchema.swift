import CheckedNumbers

/// The tables of a trace file. Names and columns as in Nsight Systems' exports with schema 3.25.0 (read off real ones); those that begin
/// with HEADROOM are our own.
enum TraceSchema {
  static let version = (major: 3, minor: 25, micro: 0)

  static let names = TableLayout("StringIds", "id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL")
  static let metadata = TableLayout("META_DATA_EXPORT", "name TEXT NOT NULL, value TEXT")
  static let run = TableLayout("HEADROOM_RUN", "key TEXT NOT NULL, value TEXT")

  static let gpus = TableLayout(
    "TARGET_INFO_GPU",
    """
    id, name TEXT, l2CacheSize, totalMemory, memoryBandwidth, clockRate, smCount, cuDevice, maxShmemPerSm, maxRegistersPerSm,
    maxWarpsPerSm, maxBlocksPerSm, computeMajor, computeMinor, threadsPerWarp
    """,
    others: """
      vmId, busLocation TEXT, isDiscrete, pwGpuId, uuid TEXT, luid, chipName TEXT, ctxswDevPath TEXT, ctrlDevPath TEXT, revision, nodeMask,
      constantMemory, maxIPC, maxRegistersPerBlock, maxShmemPerBlock, maxShmemPerBlockOptin, asyncEngines,
      maxThreadsPerBlock, maxBlockDimX, maxBlockDimY, maxBlockDimZ, maxGridDimX, maxGridDimY, maxGridDimZ, smMajor, smMinor
      """)
  static let cudaDevices = TableLayout("TARGET_INFO_CUDA_DEVICE", "gpuId, cudaId, pid", others: "uuid TEXT, numMultiprocessors")

  static let threads = TableLayout("ThreadNames", "nameId, globalTid", others: "priority")
  static let processes = TableLayout("PROCESSES", "globalPid, pid, name TEXT")

  private static let kernelDescriptionColumns = """
    demangledName, shortName, mangledName, launchType, registersPerThread, gridX, gridY, gridZ, blockX, blockY, blockZ,
    staticSharedMemory, dynamicSharedMemory, localMemoryPerThread, clusterX, clusterY, clusterZ
    """
  private static let streamColumns = "deviceId, contextId, streamId, globalPid"

  /// Kernels and streams in the order a trace holds them, so that reading gives the same ids, and those without rows too.
  static let kernelDescriptions = TableLayout("HEADROOM_KERNEL_DESCRIPTION", kernelDescriptionColumns)
  static let streams = TableLayout("HEADROOM_STREAM", streamColumns)

  static let kernels = TableLayout(
    "CUPTI_ACTIVITY_KIND_KERNEL", "start, end, \(streamColumns), correlationId, \(kernelDescriptionColumns), graphNodeId",
    others: """
      greenContextId, cacheConfig, localMemoryTotal, gridId, sharedMemoryExecuted, sharedMemoryLimitConfig, qmdBulkReleaseDone,
      qmdPreexitDone, qmdLastCtaDone, graphId, clusterSchedulingPolicy, maxPotentialClusterSize,
      maxActiveClusters, sharedMemoryRequestedPercentage, tensorSizeMinusOneElements TEXT
      """)
  static let copies = TableLayout(
    "CUPTI_ACTIVITY_KIND_MEMCPY", "start, end, \(streamColumns), correlationId, bytes, copyKind, srcKind, dstKind, graphNodeId",
    others: """
      greenContextId, deprecatedSrcId, srcDeviceId, srcContextId, dstDeviceId, dstContextId, migrationCause, virtualAddress, copyCount
      """)
  static let memsets = TableLayout(
    "CUPTI_ACTIVITY_KIND_MEMSET", "start, end, \(streamColumns), correlationId, bytes, value, memKind, graphNodeId",
    others: "greenContextId")
  static let synchronizations = TableLayout(
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", "start, end, \(streamColumns), correlationId, syncType, eventId, recordCorrelationId",
    others: "greenContextId, deprecatedSyncType, eventSyncId")
  static let apiCalls = TableLayout(
    "CUPTI_ACTIVITY_KIND_RUNTIME", "start, end, globalTid, correlationId, nameId, eventClass, returnValue", others: "callchainId")
  static let osCalls = TableLayout(
    "OSRT_API", "start, end, globalTid, nameId, eventClass, returnValue", others: "nestingLevel, callchainId, argumentsId")
  /// A range's text stands in `text` unless the program registered it; we always write `textId`.
  static let ranges = TableLayout(
    "NVTX_EVENTS", "start, end, globalTid, textId, eventType, domainId, category", alsoRead: "text TEXT",
    others: """
      rangeId, color, endGlobalTid, uint64Value, int64Value, doubleValue REAL, uint32Value, int32Value, floatValue REAL, jsonTextId,
      jsonText TEXT, binaryData TEXT
      """)
  static let overheads = TableLayout(
    "CUPTI_ACTIVITY_KIND_OVERHEAD", "start, end, globalTid, correlationId, nameId", alsoRead: "overheadType", others: "eventClass")
  static let profilerOverheads = TableLayout("PROFILER_OVERHEAD", "start, end, globalTid, nameId", others: "overheadType")
  static let graphExecutions = TableLayout(
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE", "start, end, \(streamColumns), correlationId, graphId, graphExecId", others: "greenContextId")
  static let eventRecords = TableLayout(
    "CUPTI_ACTIVITY_KIND_CUDA_EVENT", "\(streamColumns), eventId, correlationId, timestamp", others: "greenContextId, eventSyncId")
  static let capture = TableLayout("ANALYSIS_DETAILS", "startTime, stopTime", others: "globalVid, duration")
  /// What joins the trace's clock with the calendar's.
  static let sessionStart = TableLayout(
    "TARGET_INFO_SESSION_START_TIME", "utcEpochNs", others: "utcTime TEXT, localTime TEXT, systemClockNs")
  static let operators = TableLayout(
    "HEADROOM_OPERATOR", "start, end, globalTid, nameId, kind, externalId, inputShapesId, inputTypesId")

  static let diagnostics = TableLayout(
    "DIAGNOSTIC_EVENT", "timestamp, severity, text TEXT", others: "timestampType, source, globalPid")

  static let batches = TableLayout(
    "HEADROOM_BATCH",
    "id, modelNameId, instance, rows, requests, reason TEXT, formed, gatherStart, computeStart, computeEnd, outputEnd")
  static let requests = TableLayout(
    "HEADROOM_REQUEST",
    "id, batchId, modelNameId, rows, bytesIn, bytesOut, received, parsed, enqueued, responseStart, responseEnd, status")
  static let clientRequests = TableLayout("HEADROOM_CLIENT_REQUEST", "id, intended, sent, firstByte, done, status")
  static let launches = TableLayout("HEADROOM_LAUNCH", "correlationId, batchId, step")
  static let counters = TableLayout("HEADROOM_COUNTER", "timestamp, counterNameId, deviceId, value REAL")

  /// Every table that is read.
  static let all = [
    names, run, gpus, cudaDevices, threads, processes, kernelDescriptions, streams, kernels, copies, memsets, synchronizations, apiCalls,
    osCalls, ranges,
    overheads, profilerOverheads, graphExecutions, eventRecords, capture, sessionStart, operators, diagnostics, batches, requests,
    clientRequests, launches, counters,
  ]
}

/// A table that names the values of a column of another: Nsight's own numbers, symbols and labels.
struct EnumTable: Sendable {
  var name: String
  var values: [(id: Int64, symbol: String, label: String)]

  var layout: TableLayout { TableLayout(name, "id INTEGER NOT NULL PRIMARY KEY, name TEXT, label TEXT") }

  private init(_ name: String, prefix: String = "", from first: Int64 = 0, _ values: [(String, String)]) {
    self.name = name
    self.values = values.enumerated().map { (first + Int64($0.offset), prefix + $0.element.0, $0.element.1) }
  }

  static let copyKind = EnumTable(
    "ENUM_CUDA_MEMCPY_OPER", prefix: "CUDA_MEMCPY_KIND_",
    [
      ("UNKNOWN", "Unknown"), ("HTOD", "Host-to-Device"), ("DTOH", "Device-to-Host"), ("HTOA", "Host-to-Array"),
      ("ATOH", "Array-to-Host"), ("ATOA", "Array-to-Array"), ("ATOD", "Array-to-Device"), ("DTOA", "Device-to-Array"),
      ("DTOD", "Device-to-Device"), ("HTOH", "Host-to-Host"), ("PTOP", "Peer-to-Peer"), ("UVM_HTOD", "Unified Host-to-Device"),
      ("UVM_DTOH", "Unified Device-to-Host"), ("UVM_DTOD", "Unified Device-to-Device"),
    ])
  static let memoryKind = EnumTable(
    "ENUM_CUDA_MEM_KIND", prefix: "CUDA_MEMOPR_MEMORY_KIND_",
    [
      ("PAGEABLE", "Pageable"), ("PINNED", "Pinned"), ("DEVICE", "Device"), ("ARRAY", "Array"), ("MANAGED", "Managed"),
      ("DEVICE_STATIC", "Device Static"), ("MANAGED_STATIC", "Managed Static"), ("UNKNOWN", "Unknown"),
    ])
  static let syncType = EnumTable(
    "ENUM_CUPTI_SYNC_TYPE", prefix: "CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_",
    [
      ("UNKNOWN", "Unknown"), ("EVENT_SYNCHRONIZE", "Event sync"), ("STREAM_WAIT_EVENT", "Stream wait sync"),
      ("STREAM_SYNCHRONIZE", "Stream sync"), ("CONTEXT_SYNCHRONIZE", "Context sync"),
    ])
  static let launchType = EnumTable(
    "ENUM_CUDA_KERNEL_LAUNCH_TYPE", prefix: "CUDA_KERNEL_LAUNCH_TYPE_",
    [
      ("UNKNOWN", "Unknown"), ("REGULAR", "Regular"), ("COOPERATIVE_SINGLE_DEVICE", "Coop Single Device"),
      ("COOPERATIVE_MULTI_DEVICE", "Coop Multi Device"),
    ])
  /// The NVTX events of it; the table of a real export names every event Nsight knows.
  static let eventType: EnumTable = {
    var table = EnumTable("ENUM_NSYS_EVENT_TYPE", [])
    let names: [(Int64, String)] = [
      (33, "NvtxCategory"), (34, "NvtxMark"), (35, "NvtxPushRange"), (36, "NvtxPopRange"), (37, "NvtxStartRange"), (38, "NvtxEndRange"),
      (39, "NvtxThread"), (59, "NvtxPushPopRange"), (60, "NvtxStartEndRange"), (75, "NvtxDomainCreate"), (76, "NvtxDomainDestroy"),
    ]
    table.values = names.map { ($0.0, $0.1, $0.1) }
    return table
  }()
}
