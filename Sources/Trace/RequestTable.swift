/// One request as the server saw it.
public struct RequestEvent: Sendable, Hashable {
  /// The KServe id, a decimal number; joins with `ClientRequestEvent.id`.
  public var id: Int64
  /// Batch that carried it; `Trace.unknown` where not recorded.
  public var batch: Int64
  /// Which model.
  public var model: NameID
  /// Rows.
  public var rows: Int32
  /// Bytes received; `Trace.unknown` where not recorded.
  public var bytesIn: Int64
  /// Bytes sent; `Trace.unknown` where not recorded.
  public var bytesOut: Int64
  /// First byte read, nanoseconds; `Trace.unknown` where not recorded.
  public var received: Int64
  /// Request decoded, nanoseconds; `Trace.unknown` where not recorded.
  public var parsed: Int64
  /// Entered the scheduler's queue, nanoseconds; `Trace.unknown` where not recorded.
  public var enqueued: Int64
  /// Response started to be written, nanoseconds; `Trace.unknown` where not recorded.
  public var responseStart: Int64
  /// Response written, nanoseconds; `Trace.unknown` where not recorded.
  public var responseEnd: Int64
  /// How it ended.
  public var status: RequestStatus

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    id: Int64, batch: Int64 = Trace.unknown, model: NameID, rows: Int32, bytesIn: Int64 = Trace.unknown, bytesOut: Int64 = Trace.unknown,
    received: Int64 = Trace.unknown, parsed: Int64 = Trace.unknown, enqueued: Int64 = Trace.unknown, responseStart: Int64 = Trace.unknown,
    responseEnd: Int64 = Trace.unknown, status: RequestStatus = .ok
  ) {
    self.id = id
    self.batch = batch
    self.model = model
    self.rows = rows
    self.bytesIn = bytesIn
    self.bytesOut = bytesOut
    self.received = received
    self.parsed = parsed
    self.enqueued = enqueued
    self.responseStart = responseStart
    self.responseEnd = responseEnd
    self.status = status
  }
}

/// Requests as the server saw them (HEADROOM_REQUEST).
public struct RequestTable: TraceTable {
  /// The KServe id, a decimal number; joins with `ClientRequestEvent.id`.
  public var id: [Int64] = []
  /// Batch that carried it; `Trace.unknown` where not recorded.
  public var batch: [Int64] = []
  /// Which model.
  public var model: [NameID] = []
  /// Rows.
  public var rows: [Int32] = []
  /// Bytes received; `Trace.unknown` where not recorded.
  public var bytesIn: [Int64] = []
  /// Bytes sent; `Trace.unknown` where not recorded.
  public var bytesOut: [Int64] = []
  /// First byte read, nanoseconds; `Trace.unknown` where not recorded.
  public var received: [Int64] = []
  /// Request decoded, nanoseconds; `Trace.unknown` where not recorded.
  public var parsed: [Int64] = []
  /// Entered the scheduler's queue, nanoseconds; `Trace.unknown` where not recorded.
  public var enqueued: [Int64] = []
  /// Response started to be written, nanoseconds; `Trace.unknown` where not recorded.
  public var responseStart: [Int64] = []
  /// Response written, nanoseconds; `Trace.unknown` where not recorded.
  public var responseEnd: [Int64] = []
  /// How it ended.
  public var status: [RequestStatus] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { id.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> RequestEvent {
    RequestEvent(
      id: id[index], batch: batch[index], model: model[index], rows: rows[index], bytesIn: bytesIn[index], bytesOut: bytesOut[index],
      received: received[index], parsed: parsed[index], enqueued: enqueued[index], responseStart: responseStart[index],
      responseEnd: responseEnd[index], status: status[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: RequestEvent) {
    id.append(row.id)
    batch.append(row.batch)
    model.append(row.model)
    rows.append(row.rows)
    bytesIn.append(row.bytesIn)
    bytesOut.append(row.bytesOut)
    received.append(row.received)
    parsed.append(row.parsed)
    enqueued.append(row.enqueued)
    responseStart.append(row.responseStart)
    responseEnd.append(row.responseEnd)
    status.append(row.status)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    id.reserveCapacity(capacity)
    batch.reserveCapacity(capacity)
    model.reserveCapacity(capacity)
    rows.reserveCapacity(capacity)
    bytesIn.reserveCapacity(capacity)
    bytesOut.reserveCapacity(capacity)
    received.reserveCapacity(capacity)
    parsed.reserveCapacity(capacity)
    enqueued.reserveCapacity(capacity)
    responseStart.reserveCapacity(capacity)
    responseEnd.reserveCapacity(capacity)
    status.reserveCapacity(capacity)
  }
}
