/// One remark of the capture about itself.
public struct DiagnosticEvent: Sendable, Hashable {
  /// When, nanoseconds; `Trace.unknown` where not recorded.
  public var time: Int64
  /// 1 information, 2 warning, 3 error.
  public var severity: Int32
  /// The remark.
  public var text: NameID

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    time: Int64 = Trace.unknown, severity: Int32, text: NameID
  ) {
    self.time = time
    self.severity = severity
    self.text = text
  }
}

/// What the capture says about itself (DIAGNOSTIC_EVENT).
public struct DiagnosticTable: TraceTable {
  /// When, nanoseconds; `Trace.unknown` where not recorded.
  public var time: [Int64] = []
  /// 1 information, 2 warning, 3 error.
  public var severity: [Int32] = []
  /// The remark.
  public var text: [NameID] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { time.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> DiagnosticEvent {
    DiagnosticEvent(
      time: time[index], severity: severity[index], text: text[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: DiagnosticEvent) {
    time.append(row.time)
    severity.append(row.severity)
    text.append(row.text)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    time.reserveCapacity(capacity)
    severity.reserveCapacity(capacity)
    text.reserveCapacity(capacity)
  }
}
