import FileAccess
import Glibc
import Testing
import TimeBase
import Trace
import TraceFormats

/// Files that others wrote, and files that are broken.
@Suite struct ForeignFileTests {
  @Test func missingColumnsAreUnknown() throws {
    let folder = try TemporaryFolder()
    try sql(
      folder(),
      """
      CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (shortName INTEGER, novelty TEXT, "end" INTEGER, start INTEGER, gridX INTEGER);
      INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (900, 'x', 20, 10, 3), (7, 'y', 40, NULL, NULL);
      CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);
      INSERT INTO StringIds VALUES (7, 'seven'), (900, 'nine hundred');
      CREATE TABLE SOMETHING_ELSE (a); INSERT INTO SOMETHING_ELSE VALUES (1);
      """)
    let trace = try TraceStore.read(folder())
    #expect(trace.rowCount == 2)
    let (first, second) = (try #require(trace.kernels.first), try #require(trace.kernels.last))
    #expect(first.start == 10 && first.end == 20 && first.correlation == Trace.unknown && first.graphNode == Trace.unknown)
    #expect(trace.names[trace[first.description].shortName] == "nine hundred")
    #expect(trace[first.description].demangledName == .unknown)
    #expect(trace[first.description].gridX == 3 && trace[first.description].gridY == Trace.unknown32)
    #expect(trace[first.stream].device == Trace.unknown && trace[first.stream].process == Trace.unknown)
    #expect(second.start == Trace.unknown && trace[second.description].gridX == Trace.unknown32)
    #expect(trace.names[trace[second.description].shortName] == "seven")
  }

  @Test func aRangesTextStandsInOneOfTwoColumns() throws {
    let folder = try TemporaryFolder()
    try sql(
      folder(),
      """
      CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO StringIds VALUES (3, 'registered');
      CREATE TABLE NVTX_EVENTS (start INTEGER, "end" INTEGER, eventType INTEGER, text TEXT, textId INTEGER);
      INSERT INTO NVTX_EVENTS VALUES (1, 2, 59, 'plain', NULL), (3, 4, 59, NULL, 3), (5, NULL, 34, NULL, NULL);
      """)
    let trace = try TraceStore.read(folder())
    #expect(trace.ranges.map { trace.names[$0.text] } == ["plain", "registered", nil])
    #expect(trace.ranges.end == [2, 4, Trace.unknown])
  }

  @Test func aDatabaseOfRocprofV3IsNamed() throws {
    let folder = try TemporaryFolder()
    try sql(folder(), "CREATE TABLE rocpd_kernel_dispatch_0a1b (id, start, end); CREATE TABLE rocpd_string_0a1b (id, string)")
    let error = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder()) }
    #expect(error?.reason.contains("rocpd") == true && error?.reason.contains("export_chrome_trace") == true, "\(error?.reason ?? "")")
  }

  @Test func withoutTextsNamesAreUnknown() throws {
    let folder = try TemporaryFolder()
    try sql(folder(), "CREATE TABLE OSRT_API (start, nameId INTEGER); INSERT INTO OSRT_API VALUES (1, 12)")
    #expect(try TraceStore.read(folder()).osCalls.name == [.unknown])
  }

  @Test func textsInUTF16AreRead() throws {
    let folder = try TemporaryFolder()
    try sql(
      folder(),
      "PRAGMA encoding = 'UTF-16'; CREATE TABLE HEADROOM_RUN (key TEXT, value TEXT); INSERT INTO HEADROOM_RUN VALUES ('host', 'Zürich 🧑‍🚀')")
    #expect(try TraceStore.read(folder()).run == ["host": "Zürich 🧑‍🚀"])
  }

  @Test(arguments: [
    ("'seven'", "text where a whole number should be"), ("x'00'", "bytes where a whole number should be"),
    ("1.5", "a fraction where a whole number should be"), ("5000000000", "5000000000 does not fit in 32 bits"),
  ])
  func wrongValuesAreErrorsThatSayWhere(value: String, reason: String) throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.full(), to: folder())
    try sql(
      folder(),
      """
      INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT * FROM CUPTI_ACTIVITY_KIND_KERNEL;
      UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET gridY = \(value) WHERE rowid = 2
      """)
    let error = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder()) }
    let place = TraceStoreError(path: folder(), table: "CUPTI_ACTIVITY_KIND_KERNEL", column: "gridY", row: 2, reason: reason)
    #expect(error == place)
    #expect(error?.description == "\(folder()): CUPTI_ACTIVITY_KIND_KERNEL, column gridY, row 2: \(reason)")
  }

  @Test func idsThatNameNothingAreErrors() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.full(), to: folder())
    for value in ["99999", "-1", "-9223372036854775807", "9223372036854775807"] {
      try sql(folder(), "UPDATE OSRT_API SET nameId = \(value)")
      let error = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder()) }
      #expect(error?.table == "OSRT_API" && error?.column == "nameId" && error?.row == 1)
      #expect(error?.reason == "\(value) is no id in StringIds")
    }
  }

  @Test func aNumberWhereTextShouldBeIsAnError() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.full(), to: folder())
    try sql(folder(), "UPDATE HEADROOM_BATCH SET reason = x'41'")
    let error = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder()) }
    #expect(error?.column == "reason" && error?.reason == "bytes where text should be")
  }

  @Test func programsInAFileAreNotRun() throws {
    let folder = try TemporaryFolder()
    // A view that never ends, and a column computed by an expression.
    try sql(
      folder(),
      """
      CREATE TABLE HEADROOM_RUN (key TEXT, value TEXT); INSERT INTO HEADROOM_RUN VALUES ('a', 'b');
      CREATE VIEW OSRT_API AS WITH RECURSIVE n(start) AS (SELECT 1 UNION ALL SELECT start + 1 FROM n) SELECT start FROM n;
      CREATE TABLE HEADROOM_LAUNCH (batchId INTEGER, step INTEGER AS (batchId + 1)); INSERT INTO HEADROOM_LAUNCH VALUES (4);
      """)
    let trace = try TraceStore.read(folder())
    #expect(trace.run == ["a": "b"])
    #expect(trace.osCalls.isEmpty)
    #expect(trace.launches.first == LaunchEvent(correlation: Trace.unknown, batch: 4, step: Trace.unknown32))
  }

  @Test func pagesThatPointInCirclesEnd() throws {
    let folder = try TemporaryFolder()
    try sql(
      folder(),
      """
      PRAGMA page_size = 512; CREATE TABLE HEADROOM_LAUNCH (correlationId INTEGER, batchId INTEGER, step INTEGER);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO HEADROOM_LAUNCH SELECT i, i, i FROM n
      """)
    var bytes = try Files.read(folder())
    // Make every interior page of the table's tree point at one child with all its cells: 3 levels of some 60 cells give millions of rows.
    func big(_ at: Int, _ count: Int) -> Int { bytes[at..<at + count].reduce(0) { $0 << 8 | Int($1) } }
    var changed = 0
    for page in 1..<bytes.count / 512 where bytes[page * 512] == 5 {
      let base = page * 512
      let child = Array(bytes[base + big(base + 12, 2)..<base + big(base + 12, 2) + 4])
      for cell in 0..<big(base + 3, 2) {
        let at = base + big(base + 12 + 2 * cell, 2)
        bytes.replaceSubrange(at..<at + 4, with: child)
        changed += 1
      }
    }
    #expect(changed > 1000)
    try Files.write(folder(), bytes)
    let before = ContinuousClock.now
    do {
      // As many rows as before: harmless. More than fit: refused.
      #expect(try TraceStore.read(folder()).launches.count <= bytes.count / 6)
    } catch {
      #expect(error.table == "HEADROOM_LAUNCH")
    }
    #expect(ContinuousClock.now - before < .seconds(20))
  }

  @Test func filesThatAreNoTraces() throws {
    let folder = try TemporaryFolder()
    func expectError(_ bytes: [UInt8], _ reason: String) throws {
      try Files.write(folder(), bytes)
      let error = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder()) }
      #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }
    try expectError([], "shorter than the header")
    try expectError(Array("{\"traceEvents\": []}".utf8) + Array(repeating: 32, count: 200), "not a SQLite database")
    try TraceStore.write(RandomTrace.full(), to: folder())
    var bytes = try Files.read(folder())
    bytes.replaceSubrange(0..<100, with: repeatElement(0, count: 100))
    try expectError(bytes, "interrupted")

    let missing = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder("missing")) }
    #expect(missing?.reason == "cannot open: No such file or directory")
    let directory = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder.path) }
    #expect(directory?.reason == "cannot open: not a regular file")
    try #require(mkfifo(folder("pipe"), 0o600) == 0)
    #expect(throws: TraceStoreError.self) { try TraceStore.read(folder("pipe")) }

    unlink(folder())
    try sql(folder(), "CREATE TABLE people (name TEXT)")
    let other = #expect(throws: TraceStoreError.self) { try TraceStore.read(folder()) }
    #expect(other?.reason.hasPrefix("a SQLite database without any table of a trace") == true)
  }

  @Test func cutFilesAreErrors() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.make(seed: 3, rows: 2000), to: folder())
    let bytes = try Files.read(folder())
    var random = SplitMix64(seed: 4)
    var lengths = [0, 1, 15, 16, 99, 100, 511, 512, 65535, 65536, 65537, bytes.count - 65536, bytes.count - 1]
    for _ in 0..<60 { lengths.append(Int(clamping: random.next() % UInt64(clamping: bytes.count))) }
    for length in lengths where length < bytes.count {
      try Files.write(folder("cut"), Array(bytes[..<length]))
      #expect(throws: TraceStoreError.self, "\(length) of \(bytes.count) bytes") { try TraceStore.read(folder("cut")) }
    }
  }

  @Test func brokenBytesGiveAnErrorOrATrace() throws {
    let folder = try TemporaryFolder()
    try TraceStore.write(RandomTrace.make(seed: 5, rows: 60), to: folder())
    // Small pages, so that random bytes hit structure and not only text.
    try sql(folder(), "PRAGMA page_size = 1024; VACUUM")
    let bytes = try Files.read(folder())
    var random = SplitMix64(seed: 6)
    var (errors, traces) = (0, 0)
    for _ in 0..<400 {
      var broken = bytes
      for _ in 0..<1 + Int(clamping: random.next() % 12) {
        // Half of them in the heads of pages.
        let page = Int(clamping: random.next() % UInt64(clamping: bytes.count / 1024)) * 1024
        let offset = random.next() % 2 == 0 ? Int(clamping: random.next() % 24) : Int(clamping: random.next() % 1024)
        broken[page + offset] = UInt8(truncatingIfNeeded: random.next())
      }
      try Files.write(folder("broken"), broken)
      do {
        _ = try TraceStore.read(folder("broken")).rowCount
        traces += 1
      } catch {
        errors += 1
      }
    }
    #expect(errors > 50, "the bytes were not broken enough to show anything: \(errors) errors, \(traces) traces")
  }

  // MARK: Real exports, where they are at hand

  static let exports: [String] = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(4)
    let folder = "/" + parts.joined(separator: "/") + "/shared/traces/nsys"
    let names = (try? Files.entries(of: folder)) ?? []
    return names.filter { $0.hasSuffix(".sqlite") }.map { "\(folder)/\($0)" }
  }()

  @Test(.enabled(if: !exports.isEmpty), arguments: exports) func realExportsAreRead(path: String) throws {
    let trace = try TraceStore.read(path)
    let folder = try TemporaryFolder()
    try Files.write(folder(), try Files.read(path))
    func count(_ table: String) throws -> Int {
      if try sql(folder(), "SELECT 1 FROM sqlite_master WHERE name = '\(table)'").isEmpty { return 0 }
      return Int(try #require(try sql(folder(), "SELECT count(*) FROM \(table)").first?.first ?? nil)) ?? -1
    }
    #expect(trace.kernels.count == (try count("CUPTI_ACTIVITY_KIND_KERNEL")))
    #expect(trace.copies.count == (try count("CUPTI_ACTIVITY_KIND_MEMCPY")))
    #expect(trace.memsets.count == (try count("CUPTI_ACTIVITY_KIND_MEMSET")))
    #expect(trace.synchronizations.count == (try count("CUPTI_ACTIVITY_KIND_SYNCHRONIZATION")))
    #expect(trace.apiCalls.count == (try count("CUPTI_ACTIVITY_KIND_RUNTIME")))
    #expect(trace.osCalls.count == (try count("OSRT_API")))
    #expect(trace.ranges.count == (try count("NVTX_EVENTS")))
    #expect(trace.gpus.count == (try count("TARGET_INFO_GPU")))
    #expect(trace.rowCount > 0)
    try TraceStore.write(trace, to: folder("again"))
    #expect(try TraceStore.read(folder("again")) == trace)

    // Every column of a table of schema 3.25 is in ours.
    let version = "SELECT value FROM META_DATA_EXPORT WHERE name = 'EXPORT_SCHEMA_VERSION'"
    if try count("META_DATA_EXPORT") == 0 { return }
    if try sql(folder(), version) != [["3.25.0"]] { return }
    func columns(_ file: String, _ table: String) throws -> Set<String> {
      Set(try sql(folder(file), "SELECT name FROM pragma_table_info('\(table)')").compactMap { $0.first ?? nil })
    }
    for table in try sql(folder("again"), "SELECT name FROM sqlite_master WHERE name NOT LIKE 'HEADROOM%'").compactMap({ $0[0] }) {
      #expect(try columns("trace.sqlite", table).subtracting(columns("again", table)).isEmpty, "\(table)")
    }
  }
}
