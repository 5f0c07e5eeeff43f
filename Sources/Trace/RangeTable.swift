/// One NVTX range or mark.
public struct RangeEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds; `Trace.unknown` for a mark or a range that was never closed.
  public var end: Int64
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: Int64
  /// What the program called it; `.unknown` for none.
  public var text: NameID
  /// ENUM_NSYS_EVENT_TYPE: 59 push/pop, 60 start/end, 34 mark, 75 and 76 domain bookkeeping. 1000 (ours): an annotation as a framework projected it onto a GPU, which is no work.
  public var type: Int32
  /// NVTX domain; `Trace.unknown` where not recorded.
  public var domain: Int64
  /// NVTX category; `Trace.unknown` where not recorded.
  public var category: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64 = Trace.unknown, thread: Int64 = Trace.unknown, text: NameID = .unknown, type: Int32 = 59,
    domain: Int64 = Trace.unknown, category: Int64 = Trace.unknown
  ) {
    self.start = start
    self.end = end
    self.thread = thread
    self.text = text
    self.type = type
    self.domain = domain
    self.category = category
  }

  /// A range's name without the number of its turn: "aten::to, op_id = 998949" (PyTorch's `emit_nvtx`), "ProfilerStep#12".
  ///
  /// - Parameter separators: what the number may stand behind.
  public static func nameWithoutNumber(_ name: String, behind separators: Set<Character> = ["#"]) -> String {
    for mark in [", seq = ", ", op_id = "] {
      if let place = name.firstRange(of: mark) { return String(name[..<place.lowerBound]) }
    }
    guard let sign = name.lastIndex(where: separators.contains), sign > name.startIndex else { return name }
    let digits = name[name.index(after: sign)...]
    return !digits.isEmpty && digits.allSatisfy(\.isNumber) ? String(name[..<sign]) : name
  }
}

/// Annotated ranges (NVTX_EVENTS).
public struct RangeTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds; `Trace.unknown` for a mark or a range that was never closed.
  public var end: [Int64] = []
  /// Global thread id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var thread: [Int64] = []
  /// What the program called it; `.unknown` for none.
  public var text: [NameID] = []
  /// ENUM_NSYS_EVENT_TYPE: 59 push/pop, 60 start/end, 34 mark, 75 and 76 domain bookkeeping. 1000 (ours): an annotation as a framework projected it onto a GPU, which is no work.
  public var type: [Int32] = []
  /// NVTX domain; `Trace.unknown` where not recorded.
  public var domain: [Int64] = []
  /// NVTX category; `Trace.unknown` where not recorded.
  public var category: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> RangeEvent {
    RangeEvent(
      start: start[index], end: end[index], thread: thread[index], text: text[index], type: type[index], domain: domain[index],
      category: category[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: RangeEvent) {
    start.append(row.start)
    end.append(row.end)
    thread.append(row.thread)
    text.append(row.text)
    type.append(row.type)
    domain.append(row.domain)
    category.append(row.category)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    thread.reserveCapacity(capacity)
    text.reserveCapacity(capacity)
    type.reserveCapacity(capacity)
    domain.reserveCapacity(capacity)
    category.reserveCapacity(capacity)
  }
}
