import CheckedNumbers
import CSQLite
import Trace

/// The cells of one row, one behind the other, in the order of the table's layout. NULL, and what the file has no column for, is unknown.
/// They come from a statement of SQLite's, or straight from a record in the file.
struct RowReader {
  private let statement: OpaquePointer?
  /// Of a record: where each cell comes from.
  private let sources: [SQLiteRecord.Source]
  var record = SQLiteRecord(columns: 0)
  /// A bad cell is unknown and counted, not an error.
  private let isLenient: Bool
  private var position: Int32 = -1
  /// Bytes of text handed out.
  private(set) var textBytes = 0
  /// Cells that were not what they should be.
  private(set) var badCells = 0
  /// The first of them.
  private(set) var firstBad: CellError?

  /// The rows of a statement.
  init(_ statement: OpaquePointer, isLenient: Bool = false) {
    self.statement = statement
    self.isLenient = isLenient
    sources = []
  }

  /// The rows of records.
  init(_ sources: [SQLiteRecord.Source], isLenient: Bool) {
    statement = nil
    self.sources = sources
    self.isLenient = isLenient
  }

  mutating func rewind() { position = -1 }

  /// Counts a bad cell, or throws it.
  private mutating func bad(_ error: CellError) throws(CellError) {
    if !isLenient { throw error }
    badCells += 1
    if firstBad == nil { firstBad = error }
  }

  @inline(__always) mutating func int64() throws(CellError) -> Int64 {
    position &+= 1
    guard let statement else { return try recordedInt64() }
    let type = sqlite3_column_type(statement, position)
    if type == SQLITE_INTEGER { return sqlite3_column_int64(statement, position) }
    if type == SQLITE_NULL { return Trace.unknown }
    try bad(wrongType(type, expected: "a whole number"))
    return Trace.unknown
  }

  @inline(__always) private mutating func recordedInt64() throws(CellError) -> Int64 {
    switch sources[Int(truncatingIfNeeded: position)] {
    case .absent: return Trace.unknown
    case .rowID: return record.rowID
    case .column(let column):
      let type = record.type(column)
      if type == 0 { return Trace.unknown }
      if type < 7 || type == 8 || type == 9 { return record.integer(column) }
      try bad(wrongType(Self.sqliteType(type), expected: "a whole number"))
      return Trace.unknown
    }
  }

  /// SQLite's name for a serial type.
  private static func sqliteType(_ type: UInt64) -> Int32 {
    switch type {
    case 0: SQLITE_NULL
    case 7: SQLITE_FLOAT
    case 1...6, 8, 9: SQLITE_INTEGER
    default: type % 2 == 0 ? SQLITE_BLOB : SQLITE_TEXT
    }
  }

  @inline(__always) mutating func int32() throws(CellError) -> Int32 {
    let value = try int64()
    if let small = Int32(exactly: value) { return small }
    if value == Trace.unknown { return Trace.unknown32 }
    try bad(CellError(column: Int(position), reason: "\(value) does not fit in 32 bits"))
    return Trace.unknown32
  }

  @inline(__always) mutating func name(_ ids: NameIDMap) throws(CellError) -> NameID {
    let value = try int64()
    if value == Trace.unknown { return .unknown }
    if let name = ids[value] { return name }
    try bad(CellError(column: Int(position), reason: "\(value) is no id in StringIds"))
    return .unknown
  }

  mutating func double() throws(CellError) -> Double {
    position += 1
    guard let statement else {
      guard case .column(let column) = sources[Int(position)], record.type(column) == 7 else {
        position -= 1
        let whole = try int64()
        return whole == Trace.unknown ? .nan : Double(whole)
      }
      return record.fraction(column)
    }
    let type = sqlite3_column_type(statement, position)
    if type == SQLITE_FLOAT || type == SQLITE_INTEGER { return sqlite3_column_double(statement, position) }
    if type == SQLITE_NULL { return .nan }
    try bad(wrongType(type, expected: "a number"))
    return .nan
  }

  mutating func text() throws(CellError) -> String? {
    position += 1
    guard let statement else {
      guard case .column(let column) = sources[Int(position)] else { return nil }
      let type = record.type(column)
      if type == 0 { return nil }
      if type < 13 || type % 2 == 0 {
        try bad(wrongType(Self.sqliteType(type), expected: "text"))
        return nil
      }
      let bytes = record.bytes(column)
      textBytes += bytes.count
      return String(decoding: bytes, as: UTF8.self)
    }
    let type = sqlite3_column_type(statement, position)
    if type == SQLITE_NULL { return nil }
    if type != SQLITE_TEXT {
      try bad(wrongType(type, expected: "text"))
      return nil
    }
    guard let start = sqlite3_column_text(statement, position) else {
      throw CellError(column: Int(position), reason: "no memory for this text")
    }
    let count = Int(sqlite3_column_bytes(statement, position))
    textBytes += count
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  mutating func stream() throws(CellError) -> StreamDescription {
    let (device, context, stream) = (try int64(), try int64(), try int64())
    return StreamDescription(process: try int64(), device: device, context: context, stream: stream)
  }

  @inline(__always) mutating func kernel(_ ids: NameIDMap) throws(CellError) -> KernelDescription {
    let (demangled, short, mangled) = (try name(ids), try name(ids), try name(ids))
    let (launchType, registers) = (try int32(), try int32())
    let grid = (try int32(), try int32(), try int32())
    let block = (try int32(), try int32(), try int32())
    var description = KernelDescription(
      demangledName: demangled, shortName: short, mangledName: mangled, grid: grid, block: block, registersPerThread: registers,
      staticSharedMemoryBytes: try int32(), dynamicSharedMemoryBytes: try int32(), localMemoryBytesPerThread: try int32(),
      launchType: launchType)
    description.clusterX = try int32()
    description.clusterY = try int32()
    description.clusterZ = try int32()
    return description
  }

  private func wrongType(_ type: Int32, expected: String) -> CellError {
    let found = [SQLITE_INTEGER: "a whole number", SQLITE_FLOAT: "a fraction", SQLITE_TEXT: "text", SQLITE_BLOB: "bytes"]
    return CellError(column: Int(position), reason: "\(found[type] ?? "something else") where \(expected) should be")
  }
}

/// A file's ids of texts, as the trace numbers them.
struct NameIDMap {
  /// False where the file has no table of texts: then every name is unknown.
  var isPresent = false
  /// By id, -2 for none: our own files count from 0, those of others have gaps.
  private var dense: [Int32] = []
  private var others: [Int64: NameID] = [:]

  /// Ids below this are looked up by position, in at most 64 MB.
  private static let densest = Int64(1) << 24

  mutating func add(_ id: Int64, _ name: NameID) {
    guard id >= 0, id < Self.densest else {
      others[id] = name
      return
    }
    let place = Int(id)
    if place >= dense.count { dense.append(contentsOf: repeatElement(-2, count: max(place + 1, 2 * dense.count) - dense.count)) }
    dense[place] = name.rawValue
  }

  @inline(__always) subscript(id: Int64) -> NameID? {
    if id >= 0, id < Int64(truncatingIfNeeded: dense.count) {
      let value = dense[Int(truncatingIfNeeded: id)]
      if value >= -1 { return NameID(rawValue: value) }
    }
    return others.isEmpty ? (isPresent ? nil : .unknown) : others[id] ?? (isPresent ? nil : .unknown)
  }
}
