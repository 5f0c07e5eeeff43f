/// One operating-system runtime call.
public struct OSCall: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: Int64
  /// Function.
  public var name: NameID
  /// Nsight's event class; 27 for OSRT.
  public var eventClass: Int32
  /// What it returned.
  public var returnValue: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, thread: Int64 = Trace.unknown, name: NameID, eventClass: Int32 = 27, returnValue: Int64 = 0
  ) {
    self.start = start
    self.end = end
    self.thread = thread
    self.name = name
    self.eventClass = eventClass
    self.returnValue = returnValue
  }
}

/// Operating-system runtime calls (OSRT_API).
public struct OSCallTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: [Int64] = []
  /// Function.
  public var name: [NameID] = []
  /// Nsight's event class; 27 for OSRT.
  public var eventClass: [Int32] = []
  /// What it returned.
  public var returnValue: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> OSCall {
    OSCall(
      start: start[index], end: end[index], thread: thread[index], name: name[index], eventClass: eventClass[index],
      returnValue: returnValue[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: OSCall) {
    start.append(row.start)
    end.append(row.end)
    thread.append(row.thread)
    name.append(row.name)
    eventClass.append(row.eventClass)
    returnValue.append(row.returnValue)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    thread.reserveCapacity(capacity)
    name.reserveCapacity(capacity)
    eventClass.reserveCapacity(capacity)
    returnValue.reserveCapacity(capacity)
  }
}
