import CheckedNumbers
import CSQLite
import Trace

/// Binds the cells of rows, one behind the other, in the order of the table's layout.
struct RowWriter {
  private let statement: OpaquePointer
  private var position: Int32 = 0
  /// Any bit of any error.
  private(set) var code: Int32 = SQLITE_OK

  init(_ statement: OpaquePointer) { self.statement = statement }

  @inline(__always) mutating func int64(_ value: Int64) {
    position += 1
    code |= value == Trace.unknown ? sqlite3_bind_null(statement, position) : sqlite3_bind_int64(statement, position, value)
  }

  @inline(__always) mutating func int32(_ value: Int32) {
    position += 1
    code |= value == Trace.unknown32 ? sqlite3_bind_null(statement, position) : sqlite3_bind_int64(statement, position, Int64(value))
  }

  @inline(__always) mutating func name(_ value: NameID) {
    position += 1
    code |= value == .unknown ? sqlite3_bind_null(statement, position) : sqlite3_bind_int64(statement, position, Int64(value.rawValue))
  }

  /// NaN becomes NULL, which SQLite does by itself.
  mutating func double(_ value: Double) {
    position += 1
    code |= sqlite3_bind_double(statement, position, value)
  }

  mutating func text(_ value: String?) {
    position += 1
    guard var value else {
      code |= sqlite3_bind_null(statement, position)
      return
    }
    // SQLITE_TRANSIENT: SQLite copies the bytes before the call returns.
    let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    code |= value.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) { bytes in
        // No address would mean NULL; no bytes is an empty text.
        guard let start = bytes.baseAddress else {
          return sqlite3_bind_text64(statement, position, "", 0, copied, UInt8(clamping: SQLITE_UTF8))
        }
        return sqlite3_bind_text64(statement, position, start, UInt64(clamping: bytes.count), copied, UInt8(clamping: SQLITE_UTF8))
      }
    }
  }

  mutating func stream(_ value: StreamDescription) {
    int64(value.device)
    int64(value.context)
    int64(value.stream)
    int64(value.process)
  }

  @inline(__always) mutating func kernel(_ value: KernelDescription) {
    name(value.demangledName)
    name(value.shortName)
    name(value.mangledName)
    int32(value.launchType)
    int32(value.registersPerThread)
    int32(value.gridX)
    int32(value.gridY)
    int32(value.gridZ)
    int32(value.blockX)
    int32(value.blockY)
    int32(value.blockZ)
    int32(value.staticSharedMemoryBytes)
    int32(value.dynamicSharedMemoryBytes)
    int32(value.localMemoryBytesPerThread)
    int32(value.clusterX)
    int32(value.clusterY)
    int32(value.clusterZ)
  }
}

extension SQLiteDatabase {
  /// Rows that one statement inserts: with 64 a row costs half of what it does with one.
  private static let rowsAStatement = 64

  /// Creates a table and fills it. Nothing is written for no rows.
  @inline(__always)
  func insert(_ layout: TableLayout, count: Int, _ bind: (Int, inout RowWriter) -> Void) throws(TraceStoreError) {
    if count == 0 { return }
    let table = TableLayout.quoted(layout.name)
    let columns = layout.columns.map { "\(TableLayout.quoted($0.name)) \($0.type)" }
    try execute("CREATE TABLE \(table) (\(columns.joined(separator: ", ")))")

    let values = "(" + columns.map { _ in "?" }.joined(separator: ",") + ")"
    var row = 0
    for rows in [Self.rowsAStatement, 1] where count - row >= rows {
      let sql = "INSERT INTO \(table) VALUES " + Array(repeating: values, count: rows).joined(separator: ",")
      let statement = try SQLiteStatement(sql, in: self, table: layout.name)
      while count - row >= rows {
        var writer = RowWriter(statement.pointer)
        for offset in 0..<rows { bind(row + offset, &writer) }
        var code = writer.code
        if code == SQLITE_OK { code = sqlite3_step(statement.pointer) }
        if code != SQLITE_DONE { throw failure(code, table: layout.name, row: row + 1) }
        sqlite3_reset(statement.pointer)
        row += rows
      }
    }
    for column in layout.alsoRead + layout.others {
      try execute("ALTER TABLE \(table) ADD COLUMN \(TableLayout.quoted(column.name)) \(column.type)")
    }
  }
}
