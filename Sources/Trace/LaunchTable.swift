/// Which batch and which step of its plan a launch belongs to.
public struct LaunchEvent: Sendable, Hashable {
  /// The launch's correlation id.
  public var correlation: Int64
  /// Batch.
  public var batch: Int64
  /// Step of the plan.
  public var step: Int32

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    correlation: Int64, batch: Int64, step: Int32
  ) {
    self.correlation = correlation
    self.batch = batch
    self.step = step
  }
}

/// Launches tied to batches and plan steps (HEADROOM_LAUNCH).
public struct LaunchTable: TraceTable {
  /// The launch's correlation id.
  public var correlation: [Int64] = []
  /// Batch.
  public var batch: [Int64] = []
  /// Step of the plan.
  public var step: [Int32] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { correlation.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> LaunchEvent {
    LaunchEvent(
      correlation: correlation[index], batch: batch[index], step: step[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: LaunchEvent) {
    correlation.append(row.correlation)
    batch.append(row.batch)
    step.append(row.step)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    correlation.reserveCapacity(capacity)
    batch.reserveCapacity(capacity)
    step.reserveCapacity(capacity)
  }
}
