/// Rows kept as columns: one array a field. A million kernels cost 44 MB, a pass over one field touches only that field.
public protocol TraceTable: Sendable, Hashable, RandomAccessCollection where Index == Int {
  /// An empty table.
  init()
  /// Adds a row at the end.
  mutating func append(_ row: Element)
  /// Room for that many rows in all.
  mutating func reserveCapacity(_ capacity: Int)
}

extension TraceTable {
  /// 0.
  @inlinable public var startIndex: Int { 0 }
  /// The number of rows.
  @inlinable public var endIndex: Int { count }
}
