/// Time that the driver or the profiler itself took.
public struct OverheadEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: Int64
  /// The API call it happened in, within its process; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// What it was, as the profiler calls it.
  public var name: NameID
  /// The profiler's own cost, which would not be there without it; else the driver's.
  public var isProfilers: Bool

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, thread: Int64 = Trace.unknown, correlation: Int64 = Trace.unknown, name: NameID, isProfilers: Bool = false
  ) {
    self.start = start
    self.end = end
    self.thread = thread
    self.correlation = correlation
    self.name = name
    self.isProfilers = isProfilers
  }
}

/// Overheads: compilation, lazy loading, full command buffers, buffer flushes (CUPTI_ACTIVITY_KIND_OVERHEAD, PROFILER_OVERHEAD).
public struct OverheadTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: [Int64] = []
  /// The API call it happened in, within its process; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// What it was, as the profiler calls it.
  public var name: [NameID] = []
  /// The profiler's own cost, which would not be there without it; else the driver's.
  public var isProfilers: [Bool] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> OverheadEvent {
    OverheadEvent(
      start: start[index], end: end[index], thread: thread[index], correlation: correlation[index], name: name[index],
      isProfilers: isProfilers[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: OverheadEvent) {
    start.append(row.start)
    end.append(row.end)
    thread.append(row.thread)
    correlation.append(row.correlation)
    name.append(row.name)
    isProfilers.append(row.isProfilers)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    thread.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    name.reserveCapacity(capacity)
    isProfilers.reserveCapacity(capacity)
  }
}
