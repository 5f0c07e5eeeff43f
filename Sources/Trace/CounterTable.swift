/// One sample of a hardware or system counter.
public struct CounterSample: Sendable, Hashable {
  /// When, nanoseconds.
  public var time: Int64
  /// Which counter, with its unit.
  public var counter: NameID
  /// CUDA device ordinal; unknown for a counter of the host; `Trace.unknown` where not recorded.
  public var device: Int64
  /// The sample.
  public var value: Double

  /// Every column stated; what is left out is unknown or zero as documented.
  @inlinable public init(
    time: Int64, counter: NameID, device: Int64 = Trace.unknown, value: Double
  ) {
    self.time = time
    self.counter = counter
    self.device = device
    self.value = value
  }
}

/// Sampled counters (HEADROOM_COUNTER).
public struct CounterTable: TraceTable {
  /// When, nanoseconds.
  public var time: [Int64] = []
  /// Which counter, with its unit.
  public var counter: [NameID] = []
  /// CUDA device ordinal; unknown for a counter of the host; `Trace.unknown` where not recorded.
  public var device: [Int64] = []
  /// The sample.
  public var value: [Double] = []

  /// No rows.
  public init() {}

  /// Rows.
  @inlinable public var count: Int { time.count }

  /// One row, put together from its columns.
  @inlinable public subscript(index: Int) -> CounterSample {
    CounterSample(
      time: time[index], counter: counter[index], device: device[index], value: value[index])
  }

  /// Adds a row at the end.
  @inlinable public mutating func append(_ row: CounterSample) {
    time.append(row.time)
    counter.append(row.counter)
    device.append(row.device)
    value.append(row.value)
  }

  /// Room for that many rows in all.
  public mutating func reserveCapacity(_ capacity: Int) {
    time.reserveCapacity(capacity)
    counter.reserveCapacity(capacity)
    device.reserveCapacity(capacity)
    value.reserveCapacity(capacity)
  }
}
