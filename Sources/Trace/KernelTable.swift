/// One kernel that ran.
public struct KernelEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// What ran: names and geometry.
  public var description: KernelID
  /// Process, device, context and stream it ran on.
  public var stream: StreamID
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// Node of the CUDA graph that launched it; `Trace.unknown` where not recorded.
  public var graphNode: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, description: KernelID, stream: StreamID, correlation: Int64 = Trace.unknown, graphNode: Int64 = Trace.unknown
  ) {
    self.start = start
    self.end = end
    self.description = description
    self.stream = stream
    self.correlation = correlation
    self.graphNode = graphNode
  }
}

/// Kernels (CUPTI_ACTIVITY_KIND_KERNEL).
public struct KernelTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// What ran: names and geometry.
  public var description: [KernelID] = []
  /// Process, device, context and stream it ran on.
  public var stream: [StreamID] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// Node of the CUDA graph that launched it; `Trace.unknown` where not recorded.
  public var graphNode: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> KernelEvent {
    KernelEvent(
      start: start[index], end: end[index], description: description[index], stream: stream[index], correlation: correlation[index],
      graphNode: graphNode[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: KernelEvent) {
    start.append(row.start)
    end.append(row.end)
    description.append(row.description)
    stream.append(row.stream)
    correlation.append(row.correlation)
    graphNode.append(row.graphNode)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    description.reserveCapacity(capacity)
    stream.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    graphNode.reserveCapacity(capacity)
  }
}
