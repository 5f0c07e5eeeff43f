import CheckedNumbers
import CSQLite
import Trace

/// The cells of one row, one behind the other, in the order of the table's layout. NULL, and what the file has no column for, is unknown.
struct RowReader {
  private let statement: OpaquePointer
  private var position: Int32 = -1
  /// Bytes of text handed out.
  private(set) var textBytes = 0

  init(_ statement: OpaquePointer) { self.statement = statement }

  mutating func rewind() { position = -1 }

  @inline(__always) mutating func int64() throws(CellError) -> Int64 {
    position += 1
    let type = sqlite3_column_type(statement, position)
    if type == SQLITE_INTEGER { return sqlite3_column_int64(statement, position) }
    if type == SQLITE_NULL { return Trace.unknown }
    throw wrongType(type, expected: "a whole number")
  }

  @inline(__always) mutating func int32() throws(CellError) -> Int32 {
    let value = try int64()
    if let small = Int32(exactly: value) { return small }
    if value == Trace.unknown { return Trace.unknown32 }
    throw CellError(column: Int(position), reason: "\(value) does not fit in 32 bits")
  }

  @inline(__always) mutating func name(_ ids: NameIDMap) throws(CellError) -> NameID {
    let value = try int64()
    if value == Trace.unknown { return .unknown }
    if let name = ids[value] { return name }
    throw CellError(column: Int(position), reason: "\(value) is no id in StringIds")
  }

  mutating func double() throws(CellError) -> Double {
    position += 1
    let type = sqlite3_column_type(statement, position)
    if type == SQLITE_FLOAT || type == SQLITE_INTEGER { return sqlite3_column_double(statement, position) }
    if type == SQLITE_NULL { return .nan }
    throw wrongType(type, expected: "a number")
  }

  mutating func text() throws(CellError) -> String? {
    position += 1
    let type = sqlite3_column_type(statement, position)
    if type == SQLITE_NULL { return nil }
    if type != SQLITE_TEXT { throw wrongType(type, expected: "text") }
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
    return KernelDescription(
      demangledName: demangled, shortName: short, mangledName: mangled, grid: grid, block: block, registersPerThread: registers,
      staticSharedMemoryBytes: try int32(), dynamicSharedMemoryBytes: try int32(), localMemoryBytesPerThread: try int32(),
      launchType: launchType)
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
  /// Ids 0, 1, 2, ... as our own files number them.
  private var first: [NameID] = []
  private var others: [Int64: NameID] = [:]

  mutating func add(_ id: Int64, _ name: NameID) {
    if id == Int64(first.count) { first.append(name) } else { others[id] = name }
  }

  @inline(__always) subscript(id: Int64) -> NameID? {
    if id >= 0 && id < Int64(first.count) { return first[Int(id)] }
    return others[id] ?? (isPresent ? nil : .unknown)
  }
}
