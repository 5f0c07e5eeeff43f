import CheckedNumbers
import Glibc

/// The pages of a database file, for reading tables past SQLite's virtual machine, which spends four fifths of a scan's time on cells that
/// are one instruction each. SQLite still says what tables and columns there are; what is out of the ordinary is left to it.
///
/// The file format is published and frozen: https://www.sqlite.org/fileformat2.html, whose sections the comments name.
final class SQLitePages {
  /// Bytes of a page (1.3.2), and those of it that are used (1.3.4).
  let pageSize: Int
  let usableSize: Int
  /// Whole pages in the file.
  let pageCount: Int
  private let descriptor: Int32
  private var block = [UInt8](repeating: 0, count: 1 << 18)
  private var blockStart = -1
  private var blockCount = 0

  /// Opens a file. nil where something about it is for SQLite alone to read: another text encoding than UTF-8, a write-ahead log.
  init?(_ path: String) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 { return nil }
    descriptor = file
    var header = [UInt8](repeating: 0, count: 100)
    var status = stat()
    guard pread(file, &header, 100, 0) == 100, fstat(file, &status) == 0, header.starts(with: "SQLite format 3\0".utf8) else {
      close(file)
      return nil
    }
    let stored = Int(header[16]) << 8 | Int(header[17])
    pageSize = stored == 1 ? 65536 : stored
    usableSize = pageSize - Int(header[20])
    let encoding = header[56..<60].reduce(0) { $0 << 8 | Int($1) }
    var log = stat()
    let hasLog = stat(path + "-wal", &log) == 0 && log.st_size > 0
    pageCount = pageSize > 0 ? Int(clamping: status.st_size) / pageSize : 0
    // Sizes as 1.3.2 and 1.3.4 allow them.
    guard pageSize >= 512, pageSize & (pageSize - 1) == 0, usableSize >= 480, encoding <= 1, !hasLog else {
      close(file)
      return nil
    }
  }

  deinit { close(descriptor) }

  /// Copies a page, numbered from 1. False where the file has no such page.
  func read(_ page: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    guard page >= 1, page <= pageCount else { return false }
    let offset = (page - 1) * pageSize
    if blockStart < 0 || offset < blockStart || offset + pageSize > blockStart + blockCount {
      // Tables of an export lie in order: what follows is wanted next.
      var got = 0
      let descriptor = descriptor
      while got < block.count {
        let already = got
        let count = block.withUnsafeMutableBytes {
          pread(descriptor, $0.baseAddress.map { $0 + already }, $0.count - already, off_t(offset + already))
        }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { break }
        got += count
      }
      blockStart = offset
      blockCount = got
      if got < pageSize { return false }
    }
    let from = offset - blockStart
    block.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[from..<from + pageSize])) }
    return true
  }
}

/// A record of a table (2.1): where each column's value lies in the payload, and of which kind.
struct SQLiteRecord {
  /// Where a layout's cell comes from.
  enum Source: Sendable {
    /// A column of the file.
    case column(Int)
    /// The row's id, which an INTEGER PRIMARY KEY is another name of.
    case rowID
    /// Nowhere: NULL.
    case absent
  }

  private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)
  var rowID: Int64 = 0
  private var types: [UInt64]
  private var offsets: [Int]
  /// Columns the row has; later ones are NULL.
  private var count = 0

  /// Room for that many columns; none behind them is looked at.
  init(columns: Int) {
    types = [UInt64](repeating: 0, count: columns)
    offsets = [Int](repeating: 0, count: columns)
  }

  /// Takes a payload apart. False where its header or its values reach beyond it.
  @inline(__always) mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Bool {
    payload = bytes
    count = 0
    var place = 0
    guard let header = Self.varint(bytes, &place), header <= UInt64(truncatingIfNeeded: bytes.count) else { return false }
    let end = Int(truncatingIfNeeded: header)
    var value = end
    let wanted = types.count
    return types.withUnsafeMutableBufferPointer { types in
      offsets.withUnsafeMutableBufferPointer { offsets in
        while place < end, count < wanted {
          guard let type = Self.varint(bytes, &place) else { return false }
          guard let size = Self.size(type) else { return false }
          types[count] = type
          offsets[count] = value
          let (next, overflow) = value.addingReportingOverflow(size)
          guard !overflow, next <= bytes.count else { return false }
          value = next
          count &+= 1
        }
        return true
      }
    }
  }

  /// The serial type of a column; 0 is NULL.
  @inline(__always) func type(_ column: Int) -> UInt64 { column < count ? types[column] : 0 }

  /// A whole number; the column's type is 1 to 6, 8 or 9.
  @inline(__always) func integer(_ column: Int) -> Int64 {
    let offset = offsets[column]
    @inline(__always) func byte(_ index: Int) -> Int64 { Int64(truncatingIfNeeded: payload[offset &+ index]) }
    @inline(__always) func signed(_ index: Int) -> Int64 { Int64(truncatingIfNeeded: Int8(bitPattern: payload[offset &+ index])) }
    switch types[column] {
    case 1: return signed(0)
    case 2: return signed(0) << 8 | byte(1)
    case 3: return signed(0) << 16 | byte(1) << 8 | byte(2)
    case 4: return Int64(Int32(bitPattern: UInt32(bigEndian: payload.loadUnaligned(fromByteOffset: offset, as: UInt32.self))))
    case 5: return signed(0) << 40 | byte(1) << 32 | byte(2) << 24 | byte(3) << 16 | byte(4) << 8 | byte(5)
    case 6: return Int64(bitPattern: UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    case 9: return 1
    default: return 0
    }
  }

  /// A fraction; the column's type is 7.
  func fraction(_ column: Int) -> Double {
    Double(bitPattern: UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: offsets[column], as: UInt64.self)))
  }

  /// A text's or a blob's bytes.
  func bytes(_ column: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: payload[offsets[column]..<offsets[column] + (Self.size(types[column]) ?? 0)])
  }

  /// Bytes of a value of that type; nil for the two that are reserved.
  @inline(__always) private static func size(_ type: UInt64) -> Int? {
    switch type {
    case 0, 8, 9: return 0
    case 1...4: return Int(truncatingIfNeeded: type)
    case 5: return 6
    case 6, 7: return 8
    case 10, 11: return nil
    default: return Int(exactly: (type &- 12) / 2)
    }
  }

  /// A number of one to nine bytes (1.6).
  @inline(__always) static func varint(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> UInt64? {
    guard place < bytes.count else { return nil }
    let first = bytes[place]
    if first < 0x80 {
      place &+= 1
      return UInt64(truncatingIfNeeded: first)
    }
    var value: UInt64 = 0
    for index in 0..<9 {
      guard place < bytes.count else { return nil }
      let byte = bytes[place]
      place &+= 1
      if index == 8 { return value << 8 | UInt64(truncatingIfNeeded: byte) }
      value = value << 7 | UInt64(truncatingIfNeeded: byte & 0x7F)
      if byte < 0x80 { return value }
    }
    return value
  }
}
