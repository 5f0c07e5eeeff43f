/// One memory copy.
public struct CopyEvent: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Process, device, context and stream it ran on.
  public var stream: StreamID
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// Bytes moved.
  public var bytes: Int64
  /// ENUM_CUDA_MEMCPY_OPER: 1 host to device, 2 device to host, 8 device to device, 9 host to host, 10 peer to peer, 11 to 13 unified.
  public var direction: Int32
  /// ENUM_CUDA_MEM_KIND: 0 pageable, 1 pinned, 2 device, 4 managed; `Trace.unknown32` where not recorded.
  public var sourceKind: Int32
  /// As `sourceKind`, of the other end.
  public var destinationKind: Int32
  /// Node of the CUDA graph that launched it; `Trace.unknown` where not recorded.
  public var graphNode: Int64

  /// Whether a direction is that of unified memory's pages, which move when somebody touches them and not because a call says so.
  @inlinable public static func isMigration(direction: Int32) -> Bool { (11...13).contains(direction) }

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, stream: StreamID, correlation: Int64 = Trace.unknown, bytes: Int64, direction: Int32,
    sourceKind: Int32 = Trace.unknown32, destinationKind: Int32 = Trace.unknown32, graphNode: Int64 = Trace.unknown
  ) {
    self.start = start
    self.end = end
    self.stream = stream
    self.correlation = correlation
    self.bytes = bytes
    self.direction = direction
    self.sourceKind = sourceKind
    self.destinationKind = destinationKind
    self.graphNode = graphNode
  }
}

/// Memory copies (CUPTI_ACTIVITY_KIND_MEMCPY).
public struct CopyTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Process, device, context and stream it ran on.
  public var stream: [StreamID] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// Bytes moved.
  public var bytes: [Int64] = []
  /// ENUM_CUDA_MEMCPY_OPER: 1 host to device, 2 device to host, 8 device to device, 9 host to host, 10 peer to peer, 11 to 13 unified.
  public var direction: [Int32] = []
  /// ENUM_CUDA_MEM_KIND: 0 pageable, 1 pinned, 2 device, 4 managed; `Trace.unknown32` where not recorded.
  public var sourceKind: [Int32] = []
  /// As `sourceKind`, of the other end.
  public var destinationKind: [Int32] = []
  /// Node of the CUDA graph that launched it; `Trace.unknown` where not recorded.
  public var graphNode: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> CopyEvent {
    CopyEvent(
      start: start[index], end: end[index], stream: stream[index], correlation: correlation[index], bytes: bytes[index],
      direction: direction[index], sourceKind: sourceKind[index], destinationKind: destinationKind[index], graphNode: graphNode[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: CopyEvent) {
    start.append(row.start)
    end.append(row.end)
    stream.append(row.stream)
    correlation.append(row.correlation)
    bytes.append(row.bytes)
    direction.append(row.direction)
    sourceKind.append(row.sourceKind)
    destinationKind.append(row.destinationKind)
    graphNode.append(row.graphNode)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    stream.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    bytes.reserveCapacity(capacity)
    direction.reserveCapacity(capacity)
    sourceKind.reserveCapacity(capacity)
    destinationKind.reserveCapacity(capacity)
    graphNode.reserveCapacity(capacity)
  }
}
