/// One execution of a whole CUDA graph, recorded without its nodes.
public struct GraphExecution: Sendable, Hashable {
  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds on the run's clock.
  public var end: Int64
  /// Process, device, context and stream it ran on.
  public var stream: StreamID
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: Int64
  /// The graph; `Trace.unknown` where not recorded.
  public var graph: Int64
  /// The instantiated graph; `Trace.unknown` where not recorded.
  public var executable: Int64

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    start: Int64, end: Int64, stream: StreamID, correlation: Int64 = Trace.unknown, graph: Int64 = Trace.unknown,
    executable: Int64 = Trace.unknown
  ) {
    self.start = start
    self.end = end
    self.stream = stream
    self.correlation = correlation
    self.graph = graph
    self.executable = executable
  }
}

/// Executions of CUDA graphs recorded as one interval each (CUPTI_ACTIVITY_KIND_GRAPH_TRACE): the kernels inside are not known, so the interval is an upper bound of their busy time.
public struct GraphExecutionTable: TraceTable {
  /// Start, nanoseconds on the run's clock.
  public var start: [Int64] = []
  /// End, nanoseconds on the run's clock.
  public var end: [Int64] = []
  /// Process, device, context and stream it ran on.
  public var stream: [StreamID] = []
  /// Joins it, within its process, with the API call that caused it; `Trace.unknown` where not recorded.
  public var correlation: [Int64] = []
  /// The graph; `Trace.unknown` where not recorded.
  public var graph: [Int64] = []
  /// The instantiated graph; `Trace.unknown` where not recorded.
  public var executable: [Int64] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { start.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> GraphExecution {
    GraphExecution(
      start: start[index], end: end[index], stream: stream[index], correlation: correlation[index], graph: graph[index],
      executable: executable[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: GraphExecution) {
    start.append(row.start)
    end.append(row.end)
    stream.append(row.stream)
    correlation.append(row.correlation)
    graph.append(row.graph)
    executable.append(row.executable)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    start.reserveCapacity(capacity)
    end.reserveCapacity(capacity)
    stream.reserveCapacity(capacity)
    correlation.reserveCapacity(capacity)
    graph.reserveCapacity(capacity)
    executable.reserveCapacity(capacity)
  }
}
