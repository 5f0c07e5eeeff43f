import FileAccess
import Glibc
import Testing
import Trace
import TraceFormats

/// Exports as many versions of Nsight Systems write them: the traps met in real ones, each by itself.
@Suite struct NsightImporterTests {
  /// A database of that SQL, read.
  static func read(_ text: String) throws -> ImportedTrace {
    let folder = try TemporaryFolder()
    try sql(folder(), text)
    return try TraceImporters.read(folder())
  }

  static let kernels = "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, \"end\", deviceId, contextId, streamId, correlationId, globalPid);"
  static let runtime =
    "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, \"end\", eventClass, globalTid, correlationId, nameId, returnValue);"
  static let strings = "CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT NOT NULL);"
  static func version(_ text: String, table: String = "META_DATA_EXPORT") -> String {
    "CREATE TABLE \(table) (name TEXT, value TEXT); INSERT INTO \(table) VALUES ('EXPORT_SCHEMA_VERSION', '\(text)');"
  }
  static func process(_ number: Int64) -> Int64 { GlobalID.process(number) }
  static func thread(_ number: Int64) -> Int64 { GlobalID.thread(process: number, thread: number) }

  @Test func theVersionStandsInOneOfTwoTables() throws {
    #expect(try Self.read(Self.version("3.23.3") + Self.kernels).trace.run["schemaVersion"] == "3.23.3")
    #expect(try Self.read(Self.version("2.9.1", table: "EXPORT_META_DATA") + Self.kernels).trace.run["schemaVersion"] == "2.9.1")
  }

  @Test(arguments: [("3.13.2", 4, 1), ("3.4.0", 4, 1), ("2.9.1", 4, 1), ("3.17.2", 1, 2), ("3.25.0", 1, 2), ("4.0.0", 1, 2)])
  func synchronizationTypesFollowTheVersion(version: String, one: Int32, two: Int32) throws {
    let imported = try Self.read(
      Self.version(version) + """
        CREATE TABLE CUPTI_ACTIVITY_KIND_SYNCHRONIZATION (start, "end", deviceId, contextId, streamId, correlationId, globalPid, syncType, eventId);
        INSERT INTO CUPTI_ACTIVITY_KIND_SYNCHRONIZATION VALUES
          (10, 20, 0, 1, 4294967295, 5, 0, 1, 0), (20, 30, 0, 1, 7, 6, 0, 2, 3), (30, 40, 0, 1, 7, 7, 0, 3, 0);
        """)
    #expect(imported.trace.synchronizations.type == [one, two, 3])
    #expect(imported.notes.contains { $0.kind == .version } == (one == 4))
  }

  @Test func theJoinedCallsOutweighTheVersion() throws {
    let process = Self.process(9)
    let imported = try Self.read(
      Self.version("3.14.0") + Self.strings + Self.runtime + """
        INSERT INTO StringIds VALUES (1, 'cudaDeviceSynchronize_v3020');
        INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (9, 21, 0, \(Self.thread(9)), 5, 1, 0);
        CREATE TABLE CUPTI_ACTIVITY_KIND_SYNCHRONIZATION (start, "end", deviceId, contextId, streamId, correlationId, globalPid, syncType);
        INSERT INTO CUPTI_ACTIVITY_KIND_SYNCHRONIZATION VALUES (10, 20, 0, 1, 4294967295, 5, \(process), 4);
        """)
    #expect(imported.trace.synchronizations.type == [4])
  }

  @Test func devicesAreCUDAOrdinalsAndNotNsightsNumbers() throws {
    // In this machine Nsight's GPU 1 is CUDA's device 0; a process that sees one GPU calls it 0 too.
    let imported = try Self.read(
      Self.kernels + """
        CREATE TABLE TARGET_INFO_GPU (id, name TEXT, smCount, cuDevice);
        INSERT INTO TARGET_INFO_GPU VALUES (0, 'A40', 84, 1), (1, 'A100', 108, 0);
        CREATE TABLE TARGET_INFO_CUDA_DEVICE (gpuId, cudaId, pid);
        INSERT INTO TARGET_INFO_CUDA_DEVICE VALUES (1, 0, 10), (0, 0, 11);
        INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES
          (10, 20, 0, 1, 7, 1, \(Self.process(10))), (10, 20, 0, 1, 7, 1, \(Self.process(11))), (30, 40, 0, 1, 7, 2, \(Self.process(12)));
        """)
    let trace = imported.trace
    #expect(trace.kernels.map { trace.gpu(of: trace[$0.stream])?.name } == ["A100", "A40", "A100"])
  }

  @Test func correlationsAreCountedByEachProcess() throws {
    let imported = try Self.read(
      Self.strings + Self.kernels + Self.runtime + """
        INSERT INTO StringIds VALUES (1, 'cudaLaunchKernel_v7000');
        INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (5, 6, 0, \(Self.thread(10)), 77, 1, 0), (7, 8, 0, \(Self.thread(11)), 77, 1, 0);
        INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES
          (10, 20, 0, 1, 7, 77, \(Self.process(11))), (10, 20, 0, 1, 7, 77, \(Self.process(10))), (10, 20, 0, 1, 7, 78, \(Self.process(10)));
        """)
    let trace = imported.trace
    let index = CorrelationIndex(trace)
    #expect(trace.kernels.map { index.apiCall(process: trace[$0.stream].process, correlation: $0.correlation) } == [1, 0, nil])
    #expect(imported.notes.contains { $0.kind == .unlinkedDeviceWork && $0.text.hasPrefix("1 of 3") })
  }

  @Test func wholeGraphsAreKeptApartFromKernels() throws {
    let imported = try Self.read(
      """
      CREATE TABLE CUPTI_ACTIVITY_KIND_GRAPH_TRACE (start, "end", deviceId, contextId, greenContextId, streamId, correlationId, globalPid, graphId, graphExecId);
      INSERT INTO CUPTI_ACTIVITY_KIND_GRAPH_TRACE VALUES (10, 500, 0, 1, NULL, 7, 4, 0, 109, 110);
      """)
    #expect(imported.trace.graphExecutions.count == 1 && imported.trace.graphExecutions.first?.graph == 109)
    #expect(imported.trace.kernels.isEmpty)
    #expect(imported.notes.contains { $0.kind == .graphsWithoutNodes && $0.text.contains("--cuda-graph-trace=node") })
  }

  @Test func GPUMetricsBecomeCountersOfTheOrdinal() throws {
    let imported = try Self.read(
      """
      CREATE TABLE TARGET_INFO_GPU (id, name TEXT, cuDevice); INSERT INTO TARGET_INFO_GPU VALUES (0, 'a', 1), (1, 'b', 0);
      CREATE TABLE TARGET_INFO_GPU_METRICS (typeId, sourceId, typeName TEXT, metricId, metricName TEXT);
      INSERT INTO TARGET_INFO_GPU_METRICS VALUES (72057594037927937, 0, 'GPU metrics', 3, 'SMs Active [Throughput %]');
      CREATE TABLE GPU_METRICS (timestamp, typeId, metricId, value);
      INSERT INTO GPU_METRICS VALUES (100, 72057594037927937, 3, 42), (200, 72057594037927937, 9, 7);
      """)
    let trace = imported.trace
    #expect(trace.counters.value == [42, 7] && trace.counters.device == [0, 0])
    #expect(trace.names[trace.counters.counter[0]] == "SMs Active [Throughput %]" && trace.counters.counter[1] == .unknown)
  }

  @Test func overheadsOfTheDriverAndOfTheProfilerAreToldApart() throws {
    let trace = try Self.read(
      Self.strings + """
        INSERT INTO StringIds VALUES (1, 'Lazy Function Loading'), (2, 'CUPTI buffer flush');
        CREATE TABLE CUPTI_ACTIVITY_KIND_OVERHEAD (start, "end", eventClass, globalTid, correlationId, nameId, overheadType);
        INSERT INTO CUPTI_ACTIVITY_KIND_OVERHEAD VALUES (10, 20, 103, 5, 6, 1, 8);
        CREATE TABLE PROFILER_OVERHEAD (start, "end", globalTid, nameId, returnValue);
        INSERT INTO PROFILER_OVERHEAD VALUES (30, 40, 5, 2, 0);
        """
    ).trace
    #expect(trace.overheads.isProfilers == [false, true] && trace.overheads.correlation == [6, Trace.unknown])
    #expect(trace.overheads.map { trace.names[$0.name] } == ["Lazy Function Loading", "CUPTI buffer flush"])
  }

  @Test func withoutATableOfGPUsTheCUDADevicesTell() throws {
    let imported = try Self.read(
      Self.kernels + """
        INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (10, 20, 0, 1, 7, 77, \(Self.process(11)));
        CREATE TABLE TARGET_INFO_CUDA_DEVICE (gpuId, cudaId, pid, uuid TEXT, numMultiprocessors);
        INSERT INTO TARGET_INFO_CUDA_DEVICE VALUES (3, 0, 11, 'x', 132);
        """)
    #expect(imported.trace.gpu(of: imported.trace.streams[0])?.smCount == 132)
    let bare = try Self.read(Self.kernels + "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (10, 20, 0, 1, 7, 77, 0)")
    #expect(bare.notes.contains { $0.kind == .missingDeviceFacts && $0.text.contains("device 0 is") })
  }

  // MARK: Broken

  @Test func badCellsAreUnknownAndTheRestIsRead() throws {
    let imported = try Self.read(
      """
      CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, "end", deviceId, streamId, gridX, demangledName);
      INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (10, 20, 0, 7, 'many', 1), (20, 30, 0, 7, 4, 99), (30, 40, 0, 7, 5000000000, NULL);
      CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO StringIds VALUES (1, 'k');
      """)
    #expect(imported.trace.kernels.count == 3)
    let note = try #require(imported.notes.first { $0.kind == .unreadable })
    #expect(note.text.hasPrefix("CUPTI_ACTIVITY_KIND_KERNEL: 3 cells"))
    #expect(note.text.contains("column gridX, row 1: text where a whole number should be"))
  }

  @Test func impossibleTimesAreTakenOutAndCounted() throws {
    let imported = try Self.read(
      Self.kernels + """
        INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL (start, "end") VALUES
          (10, 20), (30, 25), (NULL, 5), (40, NULL), (50, 1000000000000000050), (-9223372036854775807, 9223372036854775807), (60, 61), (70, 71);
        """)
    #expect(imported.trace.kernels.start == [10, 60, 70])
    #expect(imported.notes.contains { $0.kind == .impossibleTimes && $0.text.hasPrefix("5 of 8 kernels") })
  }

  @Test func anInterruptedExportIsNamed() throws {
    let folder = try TemporaryFolder()
    try sql(folder(), Self.kernels)
    var bytes = try Files.read(folder())
    for index in 0..<100 { bytes[index] = 0 }
    try Files.write(folder(), bytes)
    let error = #expect(throws: TraceImportError.self) { try TraceImporters.read(folder()) }
    #expect(error?.reason == "the header is zeros, as an interrupted `nsys export` leaves it; export again")
  }

  @Test func aDamagedTableEndsWhereTheDamageIs() throws {
    let folder = try TemporaryFolder()
    try sql(
      folder(),
      "PRAGMA page_size = 512;" + Self.runtime + Self.kernels + """
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 4000)
          INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT x * 10, x * 10 + 5, 0, 1, 7, x, 0 FROM n;
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100)
          INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME SELECT x, x + 1, 0, 0, x, NULL, 0 FROM n;
        """)
    var bytes = try Files.read(folder())
    // A page in the middle of the kernels.
    let page = bytes.count / 512 / 2 * 512
    for index in page..<page + 512 { bytes[index] = 0xEE }
    try Files.write(folder(), bytes)
    let imported = try TraceImporters.read(folder())
    #expect(imported.trace.kernels.count > 100 && imported.trace.kernels.count < 4000)
    #expect(imported.trace.apiCalls.count == 100)
    #expect(
      imported.notes.contains { $0.kind == .incomplete && $0.text.hasPrefix("CUPTI_ACTIVITY_KIND_KERNEL: 1 pages and 0 rows are damaged") })
  }

  @Test func aFileThatWasCutGivesWhatIsThere() throws {
    let folder = try TemporaryFolder()
    try sql(
      folder(),
      Self.kernels + """
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000)
          INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT x * 10, x * 10 + 5, 0, 1, 7, x, 0 FROM n;
        """)
    let bytes = try Files.read(folder())
    try Files.write(folder(), Array(bytes[..<(bytes.count / 2)]))
    let imported = try TraceImporters.read(folder())
    #expect(imported.trace.kernels.count > 1000 && imported.trace.kernels.count < 20000)
    #expect(imported.notes.contains { $0.kind == .incomplete && $0.text.hasPrefix("cut short") })
  }

  // MARK: Reports

  @Test func reportsAreAnsweredWithTheLineThatExportsThem() throws {
    let folder = try TemporaryFolder()
    try Files.write(folder("run 1.nsys-rep"), [0x00, 0x01, 0xFE, 0x80, 0x00])
    try Files.write(folder("x.qdstrm"), [0x00, 0x01, 0xFE, 0x80, 0x00])
    #expect(NsightReportImporter.exportCommand("run.nsys-rep") == ["nsys export --type sqlite --output run.sqlite run.nsys-rep"])
    #expect(NsightReportImporter.exportCommand("a b.nsys-rep") == ["nsys export --type sqlite --output 'a b.sqlite' 'a b.nsys-rep'"])
    #expect(NsightReportImporter.exportCommand("x.qdstrm").last == "nsys export --type sqlite --output x.sqlite x.nsys-rep")
    #expect(try TraceImporters.format(of: folder("run 1.nsys-rep")) == .nsightReport)
    let error = #expect(throws: TraceImportError.self) { try TraceImporters.read(folder("x.qdstrm")) }
    #expect(error?.remedy?.contains("QdstrmImporter --input-file") == true)
  }

  // MARK: Recognition

  @Test func ourOwnFilesAreRecognizedByWhatTheySayAndNotByTheirNames() throws {
    let folder = try TemporaryFolder()
    let trace = RandomTrace.full()
    try TraceStore.write(trace, to: folder("x.json"))
    let imported = try TraceImporters.read(folder("x.json"))
    #expect(imported.format == .headroom && imported.trace == trace)
  }

  @Test func ofAFolderEveryTraceIsFound() throws {
    let folder = try TemporaryFolder()
    try Files.write(folder("rank1.json"), "{\"traceEvents\": []}")
    try Files.write(folder("rank0.json"), "[{\"ph\": \"M\"}]")
    try Files.write(folder("notes.txt"), "none")
    #expect(try TraceImporters.files(at: folder.path) == [folder("rank0.json"), folder("rank1.json")])
    #expect(try TraceImporters.files(at: folder("notes.txt")) == [folder("notes.txt")])
  }

  @Test func theSchedulersRecordsSayWhenALaunchThreadDidNotRun() throws {
    let (thread, other) = (Self.thread(9), Self.thread(10))
    let trace = try Self.read(
      Self.version("3.13.2") + Self.runtime + """
        INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (9, 21, 0, \(thread), 5, NULL, 0);
        CREATE TABLE SCHED_EVENTS (start INTEGER, cpu INTEGER, isSchedIn INTEGER, globalTid INTEGER, threadState INTEGER);
        INSERT INTO SCHED_EVENTS VALUES
          (300, 1, 1, \(thread), 0), (100, 1, 0, \(thread), 3), (150, 1, 0, \(thread), 3), (50, 1, 1, \(thread), 0),
          (400, 2, 0, \(thread), 0), (400, 2, 1, \(thread), 0), (500, 2, 0, \(thread), 0), (90, 0, 0, \(other), 0), (95, 0, 1, \(other), 0),
          (NULL, 0, 0, \(thread), 0), (600, 0, NULL, \(thread), 0);
        """
    ).trace
    #expect(trace.offCPU.start == [100] && trace.offCPU.end == [300] && trace.offCPU.thread == [thread])
    #expect(trace.offCPU.recordedThreads == [thread])
  }

  @Test func overheadsAreNamedByTheirTypes() throws {
    let trace = try Self.read(
      Self.version("3.24.0") + Self.kernels + """
        CREATE TABLE CUPTI_ACTIVITY_KIND_OVERHEAD (start, "end", overheadType, correlationId);
        INSERT INTO CUPTI_ACTIVITY_KIND_OVERHEAD VALUES (1, 2, 393216, 5), (3, 4, 65536, 6), (5, 6, 99, 7);
        """
    ).trace
    #expect(trace.overheads.name.map { trace.names[$0] } == ["command buffer full", "activity buffer flush", nil])
    #expect(trace.overheads.isProfilers == [false, true, false])
  }
}
