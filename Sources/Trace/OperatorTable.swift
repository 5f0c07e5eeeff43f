/// One call of a framework's operator, or of a Python function.
public struct OperatorEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: Int64
  /// The operator (`aten::linear`) or function (`module.py(12): forward`).
  public var name: NameID
  /// What was called.
  public var kind: OperatorKind
  /// The framework's own number, which API calls and device work may repeat; `Trace.unknown` where not recorded.
  public var externalID: Int64
  /// Shapes of the inputs as JSON text, `[[50, 1024], [1024, 1024], []]` (see `OperatorShapes`); `.unknown` where not recorded.
  public var inputShapes: NameID
  /// Element types of the inputs as JSON text, `["c10::Half", "c10::Half", ""]`; `.unknown` where not recorded.
  public var inputTypes: NameID

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, thread: Int64 = Trace.unknown, name: NameID, kind: OperatorKind = .operator,
    externalID: Int64 = Trace.unknown, inputShapes: NameID = .unknown, inputTypes: NameID = .unknown
  ) {
    self.start = start
    self.end = end
    self.thread = thread
    self.name = name
    self.kind = kind
    self.externalID = externalID
    self.inputShapes = inputShapes
    self.inputTypes = inputTypes
  }
}

/// Operators of a framework and Python functions, per thread (HEADROOM_OPERATOR). Calls of one thread nest.
public struct OperatorTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: [Int64] = []
  /// The operator (`aten::linear`) or function (`module.py(12): forward`).
  public var name: [NameID] = []
  /// What was called.
  public var kind: [OperatorKind] = []
  /// The framework's own number, which API calls and device work may repeat; `Trace.unknown` where not recorded.
  public var externalID: [Int64] = []
  /// Shapes of the inputs as JSON text, `[[50, 1024], [1024, 1024], []]` (see `OperatorShapes`); `.unknown` where not recorded.
  public var inputShapes: [NameID] = []
  /// Element types of the inputs as JSON text, `["c10::Half", "c10::Half", ""]`; `.unknown` where not recorded.
  public var inputTypes: [NameID] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> OperatorEvent {
    OperatorEvent(
      start: start[index], end: end[index], thread: thread[index], name: name[index], kind: kind[index], externalID: externalID[index],
      inputShapes: inputShapes[index], inputTypes: inputTypes[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: OperatorEvent) {
    start.append(row.start)
    end.append(row.end)
    thread.append(row.thread)
    name.append(row.name)
    kind.append(row.kind)
    externalID.append(row.externalID)
    inputShapes.append(row.inputShapes)
    inputTypes.append(row.inputTypes)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    thread.reserveCapacity(capacity)
    name.reserveCapacity(capacity)
    kind.reserveCapacity(capacity)
    externalID.reserveCapacity(capacity)
    inputShapes.reserveCapacity(capacity)
    inputTypes.reserveCapacity(capacity)
  }
}
