import CSQLite
import Glibc
import Testing
import Trace
import TraceFormats

@testable import Summaries

/// The tables against SQL that does not know of them: on an export made up here, and on real ones where they are at hand.
@Suite struct SummarySQLTests {
  /// Rows of a query.
  @discardableResult static func query(_ path: String, _ text: String) throws -> [[String]] {
    var database: OpaquePointer?
    defer { sqlite3_close_v2(database) }
    try #require(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil) == SQLITE_OK)
    var statement: OpaquePointer?
    var rows: [[String]] = []
    var rest: UnsafePointer<CChar>?
    let copy = strdup(text)
    defer { free(copy) }
    rest = UnsafePointer(copy)
    while let sql = rest, sql.pointee != 0 {
      let code = sqlite3_prepare_v2(database, sql, -1, &statement, &rest)
      try #require(code == SQLITE_OK, "\(String(cString: sqlite3_errmsg(database))) in \(text)")
      defer { sqlite3_finalize(statement) }
      while sqlite3_step(statement) == SQLITE_ROW {
        rows.append(
          (0..<sqlite3_column_count(statement)).map { sqlite3_column_text(statement, $0).map { String(cString: $0) } ?? "NULL" })
      }
    }
    return rows
  }

  /// A query that gives name, total, count, mean, median, minimum, maximum and the sum of squares of deviations, of durations `d` and names
  /// `n` of a query.
  static func statistics(_ source: String) -> String {
    """
    WITH s AS (\(source)),
      o AS (SELECT n, d, row_number() OVER (PARTITION BY n ORDER BY d) AS r, count(*) OVER (PARTITION BY n) AS c,
        avg(d) OVER (PARTITION BY n) AS a FROM s)
    SELECT n, sum(d), count(*), printf('%!.17g', a),
      printf('%!.17g', avg(CASE WHEN r IN ((c + 1) / 2, (c + 2) / 2) THEN d END)), min(d), max(d), sum((d - a) * (d - a)) FROM o
      GROUP BY n ORDER BY sum(d) DESC, n
    """
  }

  static let apiName = """
    CASE WHEN s.value GLOB '*_v[0-9][0-9][0-9][0-9]' THEN substr(s.value, 1, length(s.value) - 6) ELSE s.value END
    """
  static let label = """
    CASE copyKind WHEN 1 THEN '[CUDA memcpy Host-to-Device]' WHEN 2 THEN '[CUDA memcpy Device-to-Host]'
      WHEN 8 THEN '[CUDA memcpy Device-to-Device]' WHEN 10 THEN '[CUDA memcpy Peer-to-Peer]' ELSE 'other' END
    """

  static func sources(_ tables: Set<String>) -> [(SummaryRequest, String)] {
    var sources: [(SummaryRequest, String)] = []
    if tables.contains("CUPTI_ACTIVITY_KIND_RUNTIME") {
      sources.append(
        (
          SummaryRequest(.apiCalls),
          "SELECT \(apiName) AS n, r.\"end\" - r.start AS d FROM CUPTI_ACTIVITY_KIND_RUNTIME r JOIN StringIds s ON s.id = nameId"
        ))
    }
    if tables.contains("OSRT_API") {
      sources.append(
        (SummaryRequest(.osCalls), "SELECT s.value AS n, o.\"end\" - o.start AS d FROM OSRT_API o JOIN StringIds s ON s.id = nameId"))
    }
    if tables.contains("CUPTI_ACTIVITY_KIND_KERNEL") {
      for (name, column) in [(SummaryRequest.KernelName.demangled, "demangledName"), (.base, "shortName")] {
        sources.append(
          (
            SummaryRequest(.kernels, kernelName: name),
            "SELECT s.value AS n, k.\"end\" - k.start AS d FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN StringIds s ON s.id = \(column)"
          ))
      }
    }
    if tables.contains("CUPTI_ACTIVITY_KIND_MEMCPY") {
      var memory = "SELECT \(label) AS n, \"end\" - start AS d FROM CUPTI_ACTIVITY_KIND_MEMCPY"
      var size = "SELECT \(label) AS n, bytes AS d FROM CUPTI_ACTIVITY_KIND_MEMCPY"
      if tables.contains("CUPTI_ACTIVITY_KIND_MEMSET") {
        memory += " UNION ALL SELECT '[CUDA memset]', \"end\" - start FROM CUPTI_ACTIVITY_KIND_MEMSET"
        size += " UNION ALL SELECT '[CUDA memset]', bytes FROM CUPTI_ACTIVITY_KIND_MEMSET"
      }
      sources.append((SummaryRequest(.memoryTime), memory))
      sources.append((SummaryRequest(.memorySize), size))
    }
    if tables.contains("NVTX_EVENTS") {
      sources.append(
        (
          SummaryRequest(.pushPopRanges),
          """
          SELECT coalesce(text, (SELECT value FROM StringIds WHERE id = textId), 'unknown') AS n, "end" - start AS d FROM NVTX_EVENTS
            WHERE eventType = 59 AND "end" IS NOT NULL
          """
        ))
    }
    return sources
  }

  static func compare(_ path: String) throws {
    let tables = Set(try query(path, "SELECT name FROM sqlite_master WHERE type = 'table'").map { $0[0] })
    let trace = try TraceImporters.read(path).trace
    for (request, source) in sources(tables) {
      let expected = try query(path, statistics(source))
      let table = SummaryTable(request, of: trace)
      let where_ = "\(request.report.rawValue):\(request.kernelName.rawValue) of \(path)"
      #expect(table.rows.count == expected.count, "\(where_)")
      let total = expected.reduce(0.0) { $0 + (Double($1[1]) ?? 0) }
      for (row, right) in zip(table.rows, expected) {
        let deviation = (right[2] == "1" ? 0 : ((Double(right[7]) ?? 0) / ((Double(right[2]) ?? 0) - 1)).squareRoot())
        if request.report == .memorySize {
          func megabytes(_ text: String) -> String { SummaryTable.fixed((Double(text) ?? 0) / 1e6, 3) }
          #expect(row.last == .text(right[0]), "\(where_)")
          #expect(printed(row, table)[0] == megabytes(right[1]), "\(where_)")
          #expect(printed(row, table)[1] == right[2], "\(where_)")
          #expect(printed(row, table)[4] == megabytes(right[5]) && printed(row, table)[5] == megabytes(right[6]), "\(where_)")
          continue
        }
        let share = SummaryTable.fixed(100 * (Double(right[1]) ?? 0) / total, 1)
        // SQLite's own printf rounds ties up, the C library's and Python's to even.
        func tenth(_ text: String) -> String { SummaryTable.fixed(Double(text) ?? .nan, 1) }
        let expectedCells = [
          share, right[1], right[2], tenth(right[3]), tenth(right[4]), right[5], right[6], SummaryTable.fixed(deviation, 1), right[0],
        ]
        #expect(printed(row, table) == expectedCells, "\(where_)")
      }
    }
  }

  /// The cells as CSV has them, but unquoted.
  static func printed(_ row: [SummaryTable.Value], _ table: SummaryTable) -> [String] {
    zip(table.columns, row).map { column, value in
      switch value {
      case .text(let text): text
      case .whole(let number): String(number)
      case .number(let number): SummaryTable.fixed(number, column.decimals)
      case .none: ""
      }
    }
  }

  @Test func theTablesOfAMadeUpExportEqualSQL() throws {
    let folder = try TemporaryFolder()
    try Self.query(
      folder(),
      """
      CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);
      INSERT INTO StringIds VALUES (1, 'cudaMalloc_v3020'), (2, 'cudaMalloc_v5000'), (3, 'cudaLaunchKernelExC_v11060'), (4, 'poll'), (5, 'k<int>(int)'),
        (6, 'k'), (7, 'k<float>(float)'), (8, 'a, "quoted" name');
      CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, "end", globalTid, correlationId, nameId);
      CREATE TABLE OSRT_API (start, "end", globalTid, nameId);
      CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, "end", deviceId, streamId, globalPid, correlationId, demangledName, shortName);
      CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start, "end", deviceId, streamId, globalPid, correlationId, bytes, copyKind);
      CREATE TABLE CUPTI_ACTIVITY_KIND_MEMSET (start, "end", deviceId, streamId, globalPid, correlationId, bytes);
      CREATE TABLE NVTX_EVENTS (start, "end", eventType, text TEXT, textId, globalTid);
      WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1999)
        INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME SELECT x * 1000, x * 1000 + (x * 7919) % 977, 0, x, 1 + x % 3 FROM n;
      WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 48)
        INSERT INTO OSRT_API SELECT x * 1000, x * 1000 + (x * 7919) % 97, 0, CASE x WHEN 5 THEN 8 ELSE 4 END FROM n;
      WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)
        INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT x * 1000, x * 1000 + (x * 31) % 500, 0, 7, 0, x, 5 + 2 * (x % 2), 6 FROM n;
      INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY VALUES (1, 49313, 0, 7, 0, 1, 1234567, 1), (2, 126769699, 0, 7, 0, 2, 5, 1), (3, 9, 0, 7, 0, 3, 7, 2);
      INSERT INTO CUPTI_ACTIVITY_KIND_MEMSET VALUES (1, 5, 0, 7, 0, 1, 512);
      INSERT INTO NVTX_EVENTS VALUES (1, 9, 59, 'r', NULL, 0), (2, 4, 59, NULL, 8, 0), (5, NULL, 59, 'open', NULL, 0), (7, 8, 60, 's', NULL, 0);
      """)
    try Self.compare(folder())
  }

  static let exports: [String] = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(4)
    let folder = "/" + parts.joined(separator: "/") + "/shared/traces/nsys"
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var paths: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name.hasSuffix(".sqlite") { paths.append("\(folder)/\(name)") }
    }
    return paths.sorted()
  }()

  @Test(.enabled(if: !exports.isEmpty), arguments: exports) func theTablesOfRealExportsEqualSQL(path: String) throws {
    // A copy: SQLite would write beside a file that it may write to.
    let folder = try TemporaryFolder()
    let bytes = try #require(fopen(path, "r"))
    defer { fclose(bytes) }
    let copy = try #require(fopen(folder(), "w"))
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&buffer, 1, buffer.count, bytes)
      if count == 0 { break }
      fwrite(buffer, 1, count, copy)
    }
    fclose(copy)
    try Self.compare(folder())
  }
}

/// A folder that lives as long as the object, with one file in it.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/headroom-summaries-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }

  deinit {
    unlink(self())
    rmdir(path)
  }

  func callAsFunction() -> String { "\(path)/trace.sqlite" }
}
