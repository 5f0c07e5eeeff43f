/// One request as the client saw it. Latency is `sent` to `done` inside the client-side latency.
public struct ClientRequestEvent: Sendable, Hashable {
  /// The KServe id, a decimal number.
  public var id: Int64
  /// The schedule meant it to leave, nanoseconds; `Trace.unknown` where not recorded.
  public var intended: Int64
  /// Latency measurement starts, nanoseconds; `Trace.unknown` where not recorded.
  public var sent: Int64
  /// First byte of the response, nanoseconds; `Trace.unknown` where not recorded.
  public var firstByte: Int64
  /// Latency measurement ends, nanoseconds; `Trace.unknown` where not recorded.
  public var done: Int64
  /// How it ended.
  public var status: RequestStatus

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    id: Int64, intended: Int64 = Trace.unknown, sent: Int64 = Trace.unknown, firstByte: Int64 = Trace.unknown, done: Int64 = Trace.unknown,
    status: RequestStatus = .ok
  ) {
    self.id = id
    self.intended = intended
    self.sent = sent
    self.firstByte = firstByte
    self.done = done
    self.status = status
  }
}

/// Requests as the client saw them (HEADROOM_CLIENT_REQUEST).
public struct ClientRequestTable: TraceTable {
  /// The KServe id, a decimal number.
  public var id: [Int64] = []
  /// The schedule meant it to leave, nanoseconds; `Trace.unknown` where not recorded.
  public var intended: [Int64] = []
  /// Latency measurement starts, nanoseconds; `Trace.unknown` where not recorded.
  public var sent: [Int64] = []
  /// First byte of the response, nanoseconds; `Trace.unknown` where not recorded.
  public var firstByte: [Int64] = []
  /// Latency measurement ends, nanoseconds; `Trace.unknown` where not recorded.
  public var done: [Int64] = []
  /// How it ended.
  public var status: [RequestStatus] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { id.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> ClientRequestEvent {
    ClientRequestEvent(
      id: id[index], intended: intended[index], sent: sent[index], firstByte: firstByte[index], done: done[index], status: status[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: ClientRequestEvent) {
    id.append(row.id)
    intended.append(row.intended)
    sent.append(row.sent)
    firstByte.append(row.firstByte)
    done.append(row.done)
    status.append(row.status)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    id.reserveCapacity(capacity)
    intended.reserveCapacity(capacity)
    sent.reserveCapacity(capacity)
    firstByte.reserveCapacity(capacity)
    done.reserveCapacity(capacity)
    status.reserveCapacity(capacity)
  }
}
