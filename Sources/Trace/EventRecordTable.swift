/// One record of a CUDA event on a stream.
public struct EventRecord: Sendable, Hashable {
  /// Process, device, context and stream it ran on.
  public var stream: StreamID
  /// The event, within its process and context.
  public var event: Int64
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// When the device reached it, nanoseconds; `Trace.unknown` where not recorded.
  public var time: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    stream: StreamID, event: Int64, correlation: Int64 = Trace.unknown, time: Int64 = Trace.unknown
  ) {
    self.stream = stream
    self.event = event
    self.correlation = correlation
    self.time = time
  }
}

/// CUDA events recorded on streams (CUPTI_ACTIVITY_KIND_CUDA_EVENT): with synchronizations, the order between streams.
public struct EventRecordTable: TraceTable {
  /// Process, device, context and stream it ran on.
  public var stream: [StreamID] = []
  /// The event, within its process and context.
  public var event: [Int64] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// When the device reached it, nanoseconds; `Trace.unknown` where not recorded.
  public var time: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { stream.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> EventRecord {
    EventRecord(
      stream: stream[index], event: event[index], correlation: correlation[index], time: time[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: EventRecord) {
    stream.append(row.stream)
    event.append(row.event)
    correlation.append(row.correlation)
    time.append(row.time)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    stream.reserveCapacity(capacity)
    event.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    time.reserveCapacity(capacity)
  }
}
