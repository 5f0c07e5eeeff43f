/// One synchronization as the driver saw it.
public struct SynchronizationEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Process, device, context and stream it ran on.
  public var stream: StreamID
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// ENUM_CUPTI_SYNC_TYPE: 1 waits for an event, 2 makes a stream wait for an event, 3 waits for a stream, 4 for the whole context. Files up to schema 3.13.2 number otherwise; importers say it as the enum does.
  public var type: Int32
  /// Event waited for; 0 for none.
  public var event: Int64
  /// Correlation of the call that recorded that event; `Trace.unknown` where not recorded.
  public var recordCorrelation: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, stream: StreamID, correlation: Int64 = Trace.unknown, type: Int32, event: Int64 = 0,
    recordCorrelation: Int64 = Trace.unknown
  ) {
    self.start = start
    self.end = end
    self.stream = stream
    self.correlation = correlation
    self.type = type
    self.event = event
    self.recordCorrelation = recordCorrelation
  }
}

/// Synchronization records (CUPTI_ACTIVITY_KIND_SYNCHRONIZATION).
public struct SynchronizationTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Process, device, context and stream it ran on.
  public var stream: [StreamID] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// ENUM_CUPTI_SYNC_TYPE: 1 waits for an event, 2 makes a stream wait for an event, 3 waits for a stream, 4 for the whole context. Files up to schema 3.13.2 number otherwise; importers say it as the enum does.
  public var type: [Int32] = []
  /// Event waited for; 0 for none.
  public var event: [Int64] = []
  /// Correlation of the call that recorded that event; `Trace.unknown` where not recorded.
  public var recordCorrelation: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> SynchronizationEvent {
    SynchronizationEvent(
      start: start[index], end: end[index], stream: stream[index], correlation: correlation[index], type: type[index], event: event[index],
      recordCorrelation: recordCorrelation[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: SynchronizationEvent) {
    start.append(row.start)
    end.append(row.end)
    stream.append(row.stream)
    correlation.append(row.correlation)
    type.append(row.type)
    event.append(row.event)
    recordCorrelation.append(row.recordCorrelation)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    stream.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    type.reserveCapacity(capacity)
    event.reserveCapacity(capacity)
    recordCorrelation.reserveCapacity(capacity)
  }
}
