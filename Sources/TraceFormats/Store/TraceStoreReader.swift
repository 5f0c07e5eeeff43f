import CheckedNumbers
import CSQLite
import Glibc
import Trace

/// Reads one trace, row by row straight into its arrays. Whatever a file claims, memory grows only with rows that were read, and no more
/// rows and text are read than a file of its size can hold.
struct TraceStoreReader {
  /// What becomes of something that cannot be read.
  enum Policy {
    /// An error: our own files are whole or not ours.
    case strict
    /// A bad cell is unknown, a damaged table ends where the damage is; both are noted.
    case lenient
  }

  /// A table's cells or rows that could not be used.
  struct Damage {
    var table: String
    /// Bad cells; 0 for a table that ended early.
    var cells: Int
    /// Row and column of the first, and why.
    var first: String
  }

  let policy: Policy
  private let file: String
  private let size: Int
  let database: SQLiteDatabase
  private let path: String
  /// nil where SQLite reads everything.
  private let pages: SQLitePages?
  private(set) var tables: Set<String> = []
  private var rowsLeft: Int
  private var textBytesLeft: Int
  var names = NameIDMap()
  private(set) var damages: [Damage] = []

  /// Opens `file`; errors name `path`.
  init(_ file: String, path: String, policy: Policy = .strict) throws(TraceStoreError) {
    let (size, cut) = try Self.checkHeader(file, path, policy)
    self.path = path
    self.policy = policy
    self.file = file
    self.size = size
    if let cut { damages.append(Damage(table: "", cells: 0, first: cut)) }
    database = try SQLiteDatabase(file, path: path, flags: SQLITE_OPEN_READONLY)
    pages = SQLitePages(file)
    // A row takes at least two bytes in a page's index of cells, its length, its id, its header's length and a type.
    rowsLeft = size / 6
    // Texts are not compressed; UTF-16 (which other programs may choose) grows by half.
    textBytesLeft = size / 2 * 3
    // About a step a cell, and a cell takes a byte.
    database.limitSteps(thousands: 10_000 + size / 100)
    sqlite3_limit(database.handle, SQLITE_LIMIT_LENGTH, Int32(clamping: max(1 << 20, textBytesLeft)))
    // SQLite refuses a file that is shorter than its header says unless it is told to recover (lockBtree in its src/btree.c), before anything is read.
    if cut != nil { try database.execute("PRAGMA writable_schema = ON") }
    // SQLite's advice for files from elsewhere (https://www.sqlite.org/security.html).
    try database.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -4096")
    // Neither views nor virtual tables: their text is a program.
    var found: Set<String> = []
    do throws(TraceStoreError) {
      let list = try SQLiteStatement("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0", in: database)
      try Self.eachRow(list, database, table: nil) { row throws(CellError) in
        if let name = try row.text() { found.insert(name) }
      }
    } catch {
      throw TraceStoreError(
        path: path, reason: cut ?? "damaged: its list of tables cannot be read (\(error.reason)); copy or export it again")
    }
    tables = found
    if tables.contains(where: { $0.hasPrefix("rocpd_") }) {
      throw TraceStoreError(
        path: path,
        reason: "a rocpd database of rocprofv3, which is not read; AMD traces of torch.profiler (export_chrome_trace) are")
    }
    if !TraceSchema.all.contains(where: { tables.contains($0.name) }) && !tables.contains(TraceSchema.metadata.name) {
      throw TraceStoreError(
        path: path, reason: "a SQLite database without any table of a trace; write one with headroom or `nsys export --type sqlite`")
    }
  }

  /// What SQLite would not say, or not clearly. Returns the size, and what is missing of it.
  private static func checkHeader(_ file: String, _ path: String, _ policy: Policy) throws(TraceStoreError) -> (Int, cut: String?) {
    func failure(_ reason: String) -> TraceStoreError { TraceStoreError(path: path, reason: reason) }
    var status = stat()
    if stat(file, &status) != 0 { throw failure("cannot open: \(String(cString: strerror(errno)))") }
    if status.st_mode & S_IFMT != S_IFREG { throw failure("cannot open: not a regular file") }
    let descriptor = open(file, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw failure("cannot open: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var header = [UInt8](repeating: 0, count: 100)
    let got = pread(descriptor, &header, header.count, 0)
    if got < 0 { throw failure("cannot read: \(String(cString: strerror(errno)))") }
    if got < header.count { throw failure("not a trace: shorter than the header of a SQLite database") }
    if header.allSatisfy({ $0 == 0 }) {
      throw failure("the header is zeros, as an interrupted `nsys export` leaves it; export again")
    }
    if !header.starts(with: "SQLite format 3\0".utf8) { throw failure("not a trace: not a SQLite database") }
    // https://www.sqlite.org/fileformat2.html: page size at 16 (1 means 65536), pages at 28. SQLite reads what is missing of the last
    // page as zeros.
    let size = Int(status.st_size)
    let stored = Int(header[16]) << 8 | Int(header[17])
    let pageSize = stored == 1 ? 65536 : stored
    if pageSize < 512 || pageSize & (pageSize - 1) != 0 { throw failure("damaged: a page size of \(pageSize) bytes") }
    let pages = header[28..<32].reduce(0) { $0 << 8 | Int($1) }
    if size % pageSize != 0 || size / pageSize < pages {
      let cut = "cut short: \(size) bytes where \(max(pages, size / pageSize + 1)) pages of \(pageSize) bytes should be; copy it again"
      if policy == .strict { throw failure(cut) }
      return (size, cut)
    }
    return (size, nil)
  }

  /// Calls `body` for each row of a table, if there is such a table. The body is called, not copied into the walk at each of its uses: with
  /// twenty tables the optimizer took half a minute for that, and a row's many cells cost far more than one call.
  @inline(never)
  mutating func scan(
    _ layout: TableLayout, _ body: (inout RowReader) throws(CellError) -> Void
  ) throws(TraceStoreError) {
    if !tables.contains(layout.name) { return }
    do throws(TraceStoreError) {
      if let plan = try directPlan(layout) { return try scanDirectly(layout, plan, body) }
      let statement = try select(layout)
      let used = try Self.eachRow(
        statement, database, table: layout, lenient: policy == .lenient, rowLimit: rowsLeft, textLimit: textBytesLeft, body)
      rowsLeft -= used.rows
      textBytesLeft -= used.textBytes
      if used.badCells > 0 { damages.append(Damage(table: layout.name, cells: used.badCells, first: used.firstBad)) }
    } catch {
      if policy == .strict { throw error }
      damages.append(Damage(table: layout.name, cells: 0, first: error.row.map { "row \($0): \(error.reason)" } ?? error.reason))
    }
  }

  /// Where the cells of a layout lie in a table's records; nil where SQLite must read it: views of rows that are not stored as they are
  /// declared, values that stand in the schema instead of the rows.
  private func directPlan(_ layout: TableLayout) throws(TraceStoreError) -> DirectPlan? {
    guard let pages else { return nil }
    var columns: [String: SQLiteRecord.Source] = [:]
    var count = 0
    var isPlain = true
    let list = try SQLiteStatement(
      "SELECT cid, name, type, dflt_value, pk, hidden FROM pragma_table_xinfo('\(layout.name)')", in: database, table: layout.name)
    var keys = 0
    var rowIDColumn: String?
    try Self.eachRow(list, database, table: nil) { row throws(CellError) in
      let (index, name, type) = (try row.int64(), try row.text() ?? "", try row.text() ?? "")
      let (standard, key, hidden) = (try row.text(), try row.int64(), try row.int64())
      if hidden != 0 || standard != nil || index != Int64(count) { isPlain = false }
      columns[name] = .column(count)
      if key > 0 {
        keys += 1
        // Exactly "INTEGER" makes the key another name of the row's id (https://www.sqlite.org/lang_createtable.html#rowid).
        if type.lowercased() == "integer" { rowIDColumn = name }
      }
      count += 1
    }
    if keys == 1, let rowIDColumn { columns[rowIDColumn] = .rowID }
    let rootQuery = try SQLiteStatement("SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = '\(layout.name)'", in: database)
    var root = 0
    try Self.eachRow(rootQuery, database, table: nil) { row throws(CellError) in root = Int(clamping: try row.int64()) }
    guard isPlain, root > 0, SQLiteTableScan.isTable(root, pages) else { return nil }
    let sources = (layout.columns + layout.alsoRead).map { columns[$0.name] ?? .absent }
    return DirectPlan(root: root, sources: sources)
  }

  /// See `directPlan`.
  private struct DirectPlan {
    var root: Int
    var sources: [SQLiteRecord.Source]

    /// Columns of a record that are looked at: the last one wanted and those before it.
    var columns: Int {
      sources.reduce(0) { maximum, source in if case .column(let index) = source { max(maximum, index + 1) } else { maximum } }
    }
  }

  /// Another reader of the same file with the same names, for another thread; nil where the file is too small to be worth one.
  func secondReader() -> TraceStoreReader? {
    guard size >= 32 << 20, var reader = try? TraceStoreReader(file, path: path, policy: policy) else { return nil }
    reader.names = names
    reader.damages = []
    return reader
  }

  /// Takes over what another reader could not use.
  mutating func add(_ others: [Damage]) { damages += others }

  /// Rows that a table may have, for the room to set aside: the largest row id, which exports count from 1, and no more than fit in the file.
  func rowEstimate(_ layout: TableLayout) -> Int {
    guard tables.contains(layout.name),
      let query = try? SQLiteStatement("SELECT max(rowid) FROM \(TableLayout.quoted(layout.name))", in: database)
    else { return 0 }
    var largest: Int64 = 0
    _ = try? Self.eachRow(query, database, table: nil, lenient: true) { row throws(CellError) in largest = try row.int64() }
    return min(Int(clamping: max(0, largest)), rowsLeft / 4)
  }

  private mutating func scanDirectly(
    _ layout: TableLayout, _ plan: DirectPlan, _ body: (inout RowReader) throws(CellError) -> Void
  ) throws(TraceStoreError) {
    guard let pages else { return }
    var scan = SQLiteTableScan(pages)
    var row = RowReader(plan.sources, isLenient: policy == .lenient)
    row.record = SQLiteRecord(columns: plan.columns)
    var count = 0
    var firstBad = ""
    let textLimit = textBytesLeft
    func columnName(_ index: Int) -> String? {
      let columns = layout.columns + layout.alsoRead
      return columns.indices.contains(index) ? columns[index].name : nil
    }
    do throws(CellError) {
      try scan.forEach(root: plan.root, &row) { row throws(CellError) in
        count &+= 1
        row.rewind()
        try body(&row)
        if firstBad.isEmpty, let bad = row.firstBad {
          firstBad = "\(columnName(bad.column).map { "column \($0), " } ?? "")row \(count): \(bad.reason)"
        }
        return row.textBytes <= textLimit
      }
    } catch {
      throw TraceStoreError(path: path, table: layout.name, column: columnName(error.column), row: count, reason: error.reason)
    }
    textBytesLeft -= row.textBytes
    let damaged = scan.damagedPages + scan.damagedRows
    if policy == .strict, damaged > 0 || textBytesLeft < 0 {
      throw TraceStoreError(
        path: path, table: layout.name, reason: "damaged: \(scan.damagedPages) pages and \(scan.damagedRows) rows cannot be read")
    }
    if row.badCells > 0 { damages.append(Damage(table: layout.name, cells: row.badCells, first: firstBad)) }
    if damaged > 0 {
      damages.append(
        Damage(
          table: layout.name, cells: 0,
          first: "\(scan.damagedPages) pages and \(scan.damagedRows) rows are damaged and were passed over; \(count) rows were read"))
    }
  }

  /// The cells of a table in the order of its layout; NULL for columns that the file does not have.
  private func select(_ layout: TableLayout) throws(TraceStoreError) -> SQLiteStatement {
    let table = TableLayout.quoted(layout.name)
    var present: Set<String> = []
    // Generated columns, whose text is a program, are not listed.
    let list = try SQLiteStatement("SELECT name FROM pragma_table_info('\(layout.name)')", in: database, table: layout.name)
    try Self.eachRow(list, database, table: layout) { row throws(CellError) in
      if let name = try row.text() { present.insert(name) }
    }
    let columns = (layout.columns + layout.alsoRead).map { present.contains($0.name) ? TableLayout.quoted($0.name) : "NULL" }
    return try SQLiteStatement("SELECT \(columns.joined(separator: ", ")) FROM \(table) NOT INDEXED", in: database, table: layout.name)
  }

  @inline(__always) @discardableResult
  private static func eachRow(
    _ statement: borrowing SQLiteStatement, _ database: SQLiteDatabase, table: TableLayout?, lenient: Bool = false,
    rowLimit: Int = 1 << 20, textLimit: Int = 1 << 30, _ body: (inout RowReader) throws(CellError) -> Void
  ) throws(TraceStoreError) -> (rows: Int, textBytes: Int, badCells: Int, firstBad: String) {
    let pointer = statement.pointer
    var row = RowReader(pointer, isLenient: lenient)
    var count = 0
    var firstBad = ""
    func columnName(_ index: Int) -> String? {
      let columns = table.map { $0.columns + $0.alsoRead } ?? []
      return columns.indices.contains(index) ? columns[index].name : nil
    }
    while true {
      let code = sqlite3_step(pointer)
      if code == SQLITE_DONE { return (count, row.textBytes, row.badCells, firstBad) }
      if code != SQLITE_ROW { throw database.failure(code, table: table?.name, row: count + 1) }
      count += 1
      if count > rowLimit || row.textBytes > textLimit {
        throw TraceStoreError(
          path: database.path, table: table?.name, row: count, reason: "damaged: more rows or text than a file of its size can hold")
      }
      row.rewind()
      do throws(CellError) { try body(&row) } catch {
        throw TraceStoreError(path: database.path, table: table?.name, column: columnName(error.column), row: count, reason: error.reason)
      }
      if firstBad.isEmpty, let bad = row.firstBad {
        firstBad = "\(columnName(bad.column).map { "column \($0), " } ?? "")row \(count): \(bad.reason)"
      }
    }
  }
}
