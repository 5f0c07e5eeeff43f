/// One memory fill.
public struct MemsetEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Process, device, context and stream it ran on.
  public var stream: StreamID
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// Bytes set.
  public var bytes: Int64
  /// The value set.
  public var value: Int64
  /// ENUM_CUDA_MEM_KIND; `Trace.unknown32` where not recorded.
  public var memoryKind: Int32
  /// Node of the CUDA graph that launched it; `Trace.unknown` where not recorded.
  public var graphNode: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, stream: StreamID, correlation: Int64 = Trace.unknown, bytes: Int64, value: Int64 = 0,
    memoryKind: Int32 = Trace.unknown32, graphNode: Int64 = Trace.unknown
  ) {
    self.start = start
    self.end = end
    self.stream = stream
    self.correlation = correlation
    self.bytes = bytes
    self.value = value
    self.memoryKind = memoryKind
    self.graphNode = graphNode
  }
}

/// Memory fills (CUPTI_ACTIVITY_KIND_MEMSET).
public struct MemsetTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Process, device, context and stream it ran on.
  public var stream: [StreamID] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// Bytes set.
  public var bytes: [Int64] = []
  /// The value set.
  public var value: [Int64] = []
  /// ENUM_CUDA_MEM_KIND; `Trace.unknown32` where not recorded.
  public var memoryKind: [Int32] = []
  /// Node of the CUDA graph that launched it; `Trace.unknown` where not recorded.
  public var graphNode: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> MemsetEvent {
    MemsetEvent(
      start: start[index], end: end[index], stream: stream[index], correlation: correlation[index], bytes: bytes[index],
      value: value[index], memoryKind: memoryKind[index], graphNode: graphNode[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: MemsetEvent) {
    start.append(row.start)
    end.append(row.end)
    stream.append(row.stream)
    correlation.append(row.correlation)
    bytes.append(row.bytes)
    value.append(row.value)
    memoryKind.append(row.memoryKind)
    graphNode.append(row.graphNode)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    stream.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    bytes.reserveCapacity(capacity)
    value.reserveCapacity(capacity)
    memoryKind.reserveCapacity(capacity)
    graphNode.reserveCapacity(capacity)
  }
}
