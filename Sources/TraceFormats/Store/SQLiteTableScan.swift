import CheckedNumbers

/// Walks a table's tree (1.6) from its root, leaf after leaf, row after row. A page that is damaged is passed over and counted; none is
/// visited twice, so that pages that point at each other in circles come to an end.
struct SQLiteTableScan {
  private let pages: SQLitePages
  private var visited: [UInt64]
  /// An interior page on the way down: its bytes, where its header begins (100 on the file's first page), the next child.
  private struct Level {
    var page: [UInt8]
    var start: Int
    var next = 0
  }

  private var path: [Level] = []
  private var leaf: [UInt8]
  private var overflow: [UInt8]
  private var assembled: [UInt8] = []
  /// Pages that are not what they should be.
  private(set) var damagedPages = 0
  /// Rows whose record reaches beyond what there is.
  private(set) var damagedRows = 0

  /// Payloads longer than this are damage: SQLite's own limit for a text is a thousand million.
  private static let longestPayload = 1 << 30

  init(_ pages: SQLitePages) {
    self.pages = pages
    visited = [UInt64](repeating: 0, count: pages.pageCount / 64 + 1)
    leaf = [UInt8](repeating: 0, count: pages.pageSize)
    overflow = [UInt8](repeating: 0, count: pages.pageSize)
  }

  /// Whether a page is the root of a table with row ids, which this can walk.
  static func isTable(_ root: Int, _ pages: SQLitePages) -> Bool {
    var page = [UInt8](repeating: 0, count: pages.pageSize)
    guard page.withUnsafeMutableBytes({ pages.read(root, into: $0) }) else { return false }
    let kind = page[root == 1 ? 100 : 0]
    return kind == 0x0D || kind == 0x05
  }

  private mutating func visit(_ page: Int) -> Bool {
    guard page >= 1, page <= pages.pageCount else { return false }
    let (word, bit) = (page / 64, UInt64(1) << (page % 64))
    if visited[word] & bit != 0 { return false }
    visited[word] |= bit
    return true
  }

  /// Calls `body` with each row; false ends the walk.
  mutating func forEach(root: Int, _ row: inout RowReader, _ body: (inout RowReader) throws(CellError) -> Bool) throws(CellError) {
    var next: Int? = root
    while true {
      guard let page = next else {
        // The leaf is done: the next child of the nearest page above that has one.
        guard let top = path.indices.last else { return }
        next = child(of: top)
        if next == nil { path.removeLast() }
        continue
      }
      next = nil
      guard visit(page), leaf.withUnsafeMutableBytes({ pages.read(page, into: $0) }) else {
        damagedPages += 1
        continue
      }
      let start = page == 1 ? 100 : 0
      switch leaf[start] {
      case 0x05 where path.count < 64:
        path.append(Level(page: leaf, start: start))
      case 0x0D:
        guard try rows(start, &row, body) else { return }
      default: damagedPages += 1
      }
    }
  }

  /// The page of the next child of an interior page; nil behind the last.
  private mutating func child(of top: Int) -> Int? {
    let (page, start, index) = (path[top].page, path[top].start, path[top].next)
    let count = Int(page[start + 3]) << 8 | Int(page[start + 4])
    func number(_ offset: Int) -> Int? {
      guard offset >= 0, offset + 4 <= page.count else { return nil }
      return page[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
    }
    if index > count { return nil }
    path[top].next = index + 1
    if index == count { return number(start + 8) ?? 0 }
    let pointer = start + 12 + 2 * index
    guard pointer + 2 <= page.count else { return 0 }
    return number(Int(page[pointer]) << 8 | Int(page[pointer + 1])) ?? 0
  }

  /// The rows of the leaf. False where the body wants no more.
  private mutating func rows(
    _ start: Int, _ row: inout RowReader, _ body: (inout RowReader) throws(CellError) -> Bool
  ) throws(CellError) -> Bool {
    let usable = pages.usableSize
    let count = Int(leaf[start + 3]) << 8 | Int(leaf[start + 4])
    if start + 8 + 2 * count > usable {
      damagedPages += 1
      return true
    }
    // Taken out, so that the pointer into it may live while `self` changes.
    let page = leaf
    let result = page.withUnsafeBytes { raw -> Result<Bool, CellError> in
      let bytes = UnsafeRawBufferPointer(rebasing: raw[..<usable])
      for index in 0..<count {
        let pointer = start &+ 8 &+ 2 &* index
        var place = Int(bytes[pointer]) << 8 | Int(bytes[pointer &+ 1])
        guard let size = SQLiteRecord.varint(bytes, &place), let rowID = SQLiteRecord.varint(bytes, &place),
          size <= UInt64(clamping: Self.longestPayload)
        else {
          damagedRows += 1
          continue
        }
        let total = Int(truncatingIfNeeded: size)
        let local = Self.localBytes(total, usable: usable)
        guard place &+ local &+ (local < total ? 4 : 0) <= usable else {
          damagedRows += 1
          continue
        }
        let here = UnsafeRawBufferPointer(rebasing: bytes[place..<place &+ local])
        do throws(CellError) {
          if local == total {
            guard row.record.parse(here) else {
              damagedRows += 1
              continue
            }
            row.record.rowID = Int64(bitPattern: rowID)
            if try !body(&row) { return .success(false) }
          } else {
            let first = bytes[(place + local)..<(place + local + 4)].reduce(0) { $0 << 8 | Int($1) }
            guard assemble(here, total, first) else {
              damagedRows += 1
              continue
            }
            let whole = assembled
            let goesOn = whole.withUnsafeBytes { payload -> Result<Bool, CellError> in
              guard row.record.parse(payload) else {
                damagedRows += 1
                return .success(true)
              }
              row.record.rowID = Int64(bitPattern: rowID)
              do throws(CellError) { return .success(try body(&row)) } catch { return .failure(error) }
            }
            if try !goesOn.get() { return .success(false) }
          }
        } catch {
          return .failure(error)
        }
      }
      return .success(true)
    }
    return try result.get()
  }

  /// Bytes of a payload that stand on the leaf itself; the rest is on overflow pages (1.6, "table b-tree leaf cell").
  @inline(__always) private static func localBytes(_ total: Int, usable: Int) -> Int {
    if total <= usable &- 35 { return total }
    let smallest = (usable &- 12) &* 32 / 255 &- 23
    let local = smallest &+ (total &- smallest) % (usable &- 4)
    return local <= usable &- 35 ? local : smallest
  }

  /// Puts a payload together from the leaf and a chain of overflow pages (1.7). Memory grows with the pages that are there.
  private mutating func assemble(_ local: UnsafeRawBufferPointer, _ total: Int, _ first: Int) -> Bool {
    assembled.removeAll(keepingCapacity: assembled.count < 1 << 20)
    assembled.append(contentsOf: local)
    var page = first
    while assembled.count < total {
      guard page != 0, visit(page), overflow.withUnsafeMutableBytes({ pages.read(page, into: $0) }) else { return false }
      page = overflow[0..<4].reduce(0) { $0 << 8 | Int($1) }
      let count = min(total - assembled.count, pages.usableSize - 4)
      assembled.append(contentsOf: overflow[4..<4 + count])
    }
    return true
  }
}
