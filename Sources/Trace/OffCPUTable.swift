/// A stretch in which a thread ran on no processor: it waited for something, or another thread had the processor.
public struct OffCPUEvent: Sendable, Hashable {
  /// When the thread was scheduled out, nanoseconds.
  public var start: Int64
  /// When it was scheduled in again, nanoseconds.
  public var end: Int64
  /// Global thread id.
  public var thread: Int64

  /// A stretch.
  @inlinable public init(start: Int64, end: Int64, thread: Int64) {
    self.start = start
    self.end = end
    self.thread = thread
  }
}

/// When threads ran on no processor, as the system's scheduler was recorded (`nsys profile --cpuctxsw`).
public struct OffCPUTable: TraceTable {
  /// See `OffCPUEvent`.
  public var start: [Int64] = []
  /// See `OffCPUEvent`.
  public var end: [Int64] = []
  /// See `OffCPUEvent`.
  public var thread: [Int64] = []
  /// Threads whose scheduling was recorded at all: outside their stretches they ran.
  public var recordedThreads: Set<Int64> = []

  /// An empty table.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// A row.
  @inlinable public subscript(index: Int) -> OffCPUEvent { OffCPUEvent(start: start[index], end: end[index], thread: thread[index]) }

  /// Adds a row.
  @inlinable public mutating func append(_ row: OffCPUEvent) {
    start.append(row.start)
    end.append(row.end)
    thread.append(row.thread)
  }

  /// Sets room aside.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    thread.reserveCapacity(capacity)
  }
}
