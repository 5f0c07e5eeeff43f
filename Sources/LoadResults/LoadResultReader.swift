import CheckedNumbers
import FileAccess
import JSONText
import TimeBase

/// Reads results of load generators, recognized by what is in them.
public enum LoadResultReader {
  /// Files larger than this are refused: a summary has kilobytes, a perf_analyzer export of a million requests some hundred megabytes.
  static let largestBytes = 1 << 29

  /// The runs a file holds: one for most tools, one per measured concurrency or rate for perf_analyzer; several requests' rows of Locust
  /// stand behind their total.
  public static func read(_ path: String) throws(LoadResultError) -> [ObservedLoad] {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try Files.read(path, limit: largestBytes) } catch {
      throw LoadResultError(path: path, reason: error.description)
    }
    return try parse(bytes, path: path)
  }

  /// As `read`, of bytes at hand.
  public static func parse(_ bytes: [UInt8], path: String) throws(LoadResultError) -> [ObservedLoad] {
    var content = bytes[...]
    if content.starts(with: [0xEF, 0xBB, 0xBF]) { content = content.dropFirst(3) }
    let utf8 = utf8(ofUTF16: bytes)
    if let utf8 { content = utf8[...] }
    guard let first = content.first(where: { $0 > 0x20 }) else { throw LoadResultError(path: path, reason: "empty") }
    if first == UInt8(ascii: "{") {
      if K6Result.isPoints(content) { return [try K6Result.readPoints(content, path: path)] }
      let document: JSONValue
      do { document = try JSONValue.parse(Array(content)) } catch {
        throw LoadResultError(path: path, reason: "not JSON: \(error)")
      }
      return try json(document, path: path)
    }
    guard let text = String(validating: content, as: UTF8.self) else { throw LoadResultError(path: path, reason: "neither JSON nor text") }
    if let load = try PrintedReport.read(text, path: path) { return [load] }
    let table = try CSVTable(text, path: path)
    if LocustResult.recognizes(table) { return try LocustResult.read(table, path: path) }
    if PerfAnalyzerResult.recognizes(table) { return try PerfAnalyzerResult.read(table, path: path) }
    if GenAIPerfResult.recognizes(table) { return [try GenAIPerfResult.read(table, path: path)] }
    let columns = table.header.prefix(6).joined(separator: ", ").prefix(120)
    throw LoadResultError(path: path, place: "line 1", reason: "the result of no load generator known here (\(columns)). \(known)")
  }

  /// What a Windows shell's redirection wrote; nil for anything without UTF-16's byte order mark.
  private static func utf8(ofUTF16 bytes: [UInt8]) -> [UInt8]? {
    let isLittle = bytes.starts(with: [0xFF, 0xFE])
    guard isLittle || bytes.starts(with: [0xFE, 0xFF]) else { return nil }
    let units = stride(from: 2, to: bytes.count - bytes.count % 2, by: 2).lazy.map { index in
      let (first, second) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
      return isLittle ? second << 8 | first : first << 8 | second
    }
    return Array(String(decoding: Array(units), as: UTF16.self).utf8)
  }

  private static func json(_ document: JSONValue, path: String) throws(LoadResultError) -> [ObservedLoad] {
    if let schema = document["schema"]?.stringValue, schema.hasPrefix("headroom.") {
      return [try HeadroomResult.read(document, schema, path: path)]
    }
    if document["metrics"] != nil { return [try K6Result.read(document, path: path)] }
    if document["latencies"] != nil { return [try VegetaResult.read(document, path: path)] }
    if document["experiments"] != nil { return try PerfAnalyzerResult.read(document, path: path) }
    if GenAIPerfResult.recognizes(document) { return [try GenAIPerfResult.read(document, path: path)] }
    let keys = document.objectValue?.prefix(6).map(\.name).joined(separator: ", ").prefix(120) ?? ""
    throw LoadResultError(path: path, reason: "JSON of no load generator known here (\(keys)). \(known)")
  }

  /// What is read, for errors.
  private static let known =
    "Read are Locust (--csv), k6 (--summary-export, --out json), vegeta (report -type=json), perf_analyzer (-f, --profile-export-file), GenAI-Perf (JSON, CSV), headroom load --json, and what wrk, hey and ab print. Any other rate: --rate N/s"

  /// Nearest-rank percentiles of values in order (the value that at least p % do not exceed).
  static func percentiles(_ sorted: [Double], _ percents: [Double]) -> [ObservedLoad.Percentile] {
    if sorted.isEmpty { return [] }
    return percents.map { percent in
      let rank = NearestRank.rank(percentile: percent, of: Int64(clamping: sorted.count))
      return ObservedLoad.Percentile(percent, seconds: sorted[Int(clamping: rank) - 1])
    }
  }
}

/// A table of comma-separated values (RFC 4180).
struct CSVTable {
  var header: [String]
  /// Rows that are not empty, with the line each begins on.
  var rows: [(line: Int, cells: [String])]

  init(_ text: String, path: String) throws(LoadResultError) {
    var rows: [(line: Int, cells: [String])] = []
    var cells: [String] = []
    var cell: [UInt8] = []
    var line = 1
    var begin = 1
    var isQuoted = false
    var iterator = text.utf8.makeIterator()
    var pending: UInt8?
    func endCell() {
      cells.append(String(decoding: cell, as: UTF8.self))
      cell.removeAll(keepingCapacity: true)
    }
    func endRow() {
      endCell()
      if cells != [""] { rows.append((begin, cells)) }
      cells = []
      begin = line
    }
    while let byte = pending ?? iterator.next() {
      pending = nil
      if isQuoted {
        if byte == UInt8(ascii: "\"") {
          guard let next = iterator.next() else { break }
          if next == UInt8(ascii: "\"") {
            cell.append(next)
          } else {
            isQuoted = false
            pending = next
          }
        } else {
          if byte == UInt8(ascii: "\n") { line += 1 }
          cell.append(byte)
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isQuoted = true
      case UInt8(ascii: ","): endCell()
      case UInt8(ascii: "\r"): break
      case UInt8(ascii: "\n"):
        line += 1
        endRow()
      default: cell.append(byte)
      }
    }
    if !cell.isEmpty || !cells.isEmpty { endRow() }
    guard let first = rows.first else { throw LoadResultError(path: path, reason: "no table in it") }
    header = first.cells
    self.rows = Array(rows.dropFirst())
  }

  func column(_ name: String) -> Int? { header.firstIndex(of: name) }

  /// A cell as a number; nil where the column is missing or the cell says that there is none ("N/A", "").
  func number(_ row: Int, _ name: String) -> Double? {
    guard let column = column(name), rows[row].cells.indices.contains(column) else { return nil }
    return Double(rows[row].cells[column]).flatMap { $0.isFinite ? $0 : nil }
  }

  func text(_ row: Int, _ name: String) -> String? {
    guard let column = column(name), rows[row].cells.indices.contains(column) else { return nil }
    return rows[row].cells[column]
  }
}
