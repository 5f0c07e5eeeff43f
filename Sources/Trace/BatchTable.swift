/// Requests executed together.
public struct BatchEvent: Sendable, Hashable {
  /// Identity within the run.
  public var id: Int64
  /// Which model.
  public var model: NameID
  /// Which of its instances.
  public var instance: Int32
  /// Rows, padding excluded.
  public var rows: Int32
  /// Requests.
  public var requests: Int32
  /// Why it left the queue; `.unknown` where not recorded.
  public var reason: NameID
  /// The scheduler handed it over, nanoseconds; `Trace.unknown` where not recorded.
  public var formed: Int64
  /// Its input started to be gathered, nanoseconds; `Trace.unknown` where not recorded.
  public var gatherStart: Int64
  /// Its first launch started to be issued, nanoseconds; `Trace.unknown` where not recorded.
  public var computeStart: Int64
  /// Its last kernel ended, nanoseconds; `Trace.unknown` where not recorded.
  public var computeEnd: Int64
  /// Its output was back in host memory, nanoseconds; `Trace.unknown` where not recorded.
  public var outputEnd: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    id: Int64, model: NameID, instance: Int32 = 0, rows: Int32, requests: Int32, reason: NameID = .unknown, formed: Int64 = Trace.unknown,
    gatherStart: Int64 = Trace.unknown, computeStart: Int64 = Trace.unknown, computeEnd: Int64 = Trace.unknown,
    outputEnd: Int64 = Trace.unknown
  ) {
    self.id = id
    self.model = model
    self.instance = instance
    self.rows = rows
    self.requests = requests
    self.reason = reason
    self.formed = formed
    self.gatherStart = gatherStart
    self.computeStart = computeStart
    self.computeEnd = computeEnd
    self.outputEnd = outputEnd
  }
}

/// Batches (HEADROOM_BATCH).
public struct BatchTable: TraceTable {
  /// Identity within the run.
  public var id: [Int64] = []
  /// Which model.
  public var model: [NameID] = []
  /// Which of its instances.
  public var instance: [Int32] = []
  /// Rows, padding excluded.
  public var rows: [Int32] = []
  /// Requests.
  public var requests: [Int32] = []
  /// Why it left the queue; `.unknown` where not recorded.
  public var reason: [NameID] = []
  /// The scheduler handed it over, nanoseconds; `Trace.unknown` where not recorded.
  public var formed: [Int64] = []
  /// Its input started to be gathered, nanoseconds; `Trace.unknown` where not recorded.
  public var gatherStart: [Int64] = []
  /// Its first launch started to be issued, nanoseconds; `Trace.unknown` where not recorded.
  public var computeStart: [Int64] = []
  /// Its last kernel ended, nanoseconds; `Trace.unknown` where not recorded.
  public var computeEnd: [Int64] = []
  /// Its output was back in host memory, nanoseconds; `Trace.unknown` where not recorded.
  public var outputEnd: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { id.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> BatchEvent {
    BatchEvent(
      id: id[index], model: model[index], instance: instance[index], rows: rows[index], requests: requests[index], reason: reason[index],
      formed: formed[index], gatherStart: gatherStart[index], computeStart: computeStart[index], computeEnd: computeEnd[index],
      outputEnd: outputEnd[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: BatchEvent) {
    id.append(row.id)
    model.append(row.model)
    instance.append(row.instance)
    rows.append(row.rows)
    requests.append(row.requests)
    reason.append(row.reason)
    formed.append(row.formed)
    gatherStart.append(row.gatherStart)
    computeStart.append(row.computeStart)
    computeEnd.append(row.computeEnd)
    outputEnd.append(row.outputEnd)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    id.reserveCapacity(capacity)
    model.reserveCapacity(capacity)
    instance.reserveCapacity(capacity)
    rows.reserveCapacity(capacity)
    requests.reserveCapacity(capacity)
    reason.reserveCapacity(capacity)
    formed.reserveCapacity(capacity)
    gatherStart.reserveCapacity(capacity)
    computeStart.reserveCapacity(capacity)
    computeEnd.reserveCapacity(capacity)
    outputEnd.reserveCapacity(capacity)
  }
}
