import CSQLite
import Glibc

/// One connection to one file, used by one thread.
final class SQLiteDatabase {
  /// The path errors name.
  let path: String
  let handle: OpaquePointer
  /// SQLite's own steps that reading may still take, in thousands. A file whose pages point at each other in circles would go on for ever.
  private let stepsLeft: UnsafeMutablePointer<Int>

  /// Opens `file`; errors name `path`.
  init(_ file: String, path: String, flags: Int32) throws(TraceStoreError) {
    var opened: OpaquePointer?
    // With a slash in front no name is special to SQLite (":memory:", "file:").
    let code = sqlite3_open_v2(file.hasPrefix("/") ? file : "./" + file, &opened, flags | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let opened else {
      let reason = opened.flatMap { sqlite3_errmsg($0) } ?? sqlite3_errstr(code)
      let text = reason.map { String(cString: $0) } ?? "SQLite error \(code)"
      sqlite3_close_v2(opened)
      throw TraceStoreError(path: path, reason: "cannot open: \(text)")
    }
    self.path = path
    handle = opened
    stepsLeft = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    stepsLeft.initialize(to: 0)
  }

  deinit {
    sqlite3_close_v2(handle)
    stepsLeft.deallocate()
  }

  /// Stops any statement once that many thousand steps were taken in all.
  func limitSteps(thousands: Int) {
    stepsLeft.pointee = thousands
    let stop: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { context in
      guard let left = context?.assumingMemoryBound(to: Int.self) else { return 1 }
      left.pointee -= 1
      return left.pointee < 0 ? 1 : 0
    }
    sqlite3_progress_handler(handle, 1000, stop, stepsLeft)
  }

  /// What SQLite last complained about, as an error.
  func failure(_ code: Int32, table: String? = nil, row: Int? = nil) -> TraceStoreError {
    let text =
      code == SQLITE_INTERRUPT
      ? "damaged: reading it takes more steps than a file of its size can need"
      : sqlite3_errmsg(handle).map { String(cString: $0) } ?? "SQLite error \(code)"
    return TraceStoreError(path: path, table: table, row: row, reason: text)
  }

  /// Runs statements that give no rows worth reading.
  func execute(_ sql: String) throws(TraceStoreError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    if code != SQLITE_OK { throw failure(code) }
  }
}

/// A prepared statement.
struct SQLiteStatement: ~Copyable {
  let pointer: OpaquePointer

  init(_ sql: String, in database: SQLiteDatabase, table: String? = nil) throws(TraceStoreError) {
    var prepared: OpaquePointer?
    let code = sqlite3_prepare_v2(database.handle, sql, -1, &prepared, nil)
    guard code == SQLITE_OK, let prepared else { throw database.failure(code, table: table) }
    pointer = prepared
  }

  deinit { sqlite3_finalize(pointer) }
}
