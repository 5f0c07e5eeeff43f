/// One CUDA runtime or driver call.
public struct APICall: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: Int64
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// Function, version suffix included (`cudaMalloc_v3020`).
  public var name: NameID
  /// 0 runtime, 1 driver.
  public var eventClass: Int32
  /// cudaError_t or CUresult; 0 is success.
  public var returnValue: Int32

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, thread: Int64 = Trace.unknown, correlation: Int64 = Trace.unknown, name: NameID, eventClass: Int32 = 0,
    returnValue: Int32 = 0
  ) {
    self.start = start
    self.end = end
    self.thread = thread
    self.correlation = correlation
    self.name = name
    self.eventClass = eventClass
    self.returnValue = returnValue
  }
}

/// CUDA runtime and driver calls (CUPTI_ACTIVITY_KIND_RUNTIME).
public struct APICallTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: [Int64] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// Function, version suffix included (`cudaMalloc_v3020`).
  public var name: [NameID] = []
  /// 0 runtime, 1 driver.
  public var eventClass: [Int32] = []
  /// cudaError_t or CUresult; 0 is success.
  public var returnValue: [Int32] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> APICall {
    APICall(
      start: start[index], end: end[index], thread: thread[index], correlation: correlation[index], name: name[index],
      eventClass: eventClass[index], returnValue: returnValue[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: APICall) {
    start.append(row.start)
    end.append(row.end)
    thread.append(row.thread)
    correlation.append(row.correlation)
    name.append(row.name)
    eventClass.append(row.eventClass)
    returnValue.append(row.returnValue)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    thread.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    name.reserveCapacity(capacity)
    eventClass.reserveCapacity(capacity)
    returnValue.reserveCapacity(capacity)
  }
}
