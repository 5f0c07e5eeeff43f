public import ModelConfiguration

/// A request's or tensor's parameter value.
public enum KServeParameter: Sendable, Hashable {
  case bool(Bool)
  case int(Int64)
  case uint(UInt64)
  case double(Double)
  case string(String)
}

/// What a server says of itself (`GET v2`, ServerMetadata).
public struct ServerMetadata: Sendable, Hashable {
  /// The program.
  public var name: String
  /// The program's.
  public var version: String
  /// Protocol extensions served.
  public var extensions: [String]

  /// Every field stated.
  public init(name: String, version: String, extensions: [String]) {
    self.name = name
    self.version = version
    self.extensions = extensions
  }
}

/// What a model takes and gives (`GET v2/models/M`, ModelMetadata).
public struct ModelMetadata: Sendable, Hashable {
  /// One tensor; -1 for a variable dimension, the row dimension included where the model has one.
  public struct Tensor: Sendable, Hashable {
    /// Tensor's name.
    public var name: String
    /// Element type.
    public var dataType: TensorDataType
    /// -1 for a variable dimension.
    public var shape: [Int]

    /// Every field stated.
    public init(name: String, dataType: TensorDataType, shape: [Int]) {
      self.name = name
      self.dataType = dataType
      self.shape = shape
    }
  }

  /// As asked for by clients.
  public var name: String
  /// Versions that are ready, ascending.
  public var versions: [String]
  /// What runs it, by the configuration.
  public var platform: String
  /// In the configuration's order.
  public var inputs: [Tensor]
  /// In the configuration's order.
  public var outputs: [Tensor]

  /// Every field stated.
  public init(name: String, versions: [String], platform: String, inputs: [Tensor], outputs: [Tensor]) {
    self.name = name
    self.versions = versions
    self.platform = platform
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// How often something happened and how long it took in all.
public struct DurationCount: Sendable, Hashable {
  /// How often.
  public var count: UInt64 = 0
  /// Time in all.
  public var nanoseconds: UInt64 = 0

  /// Nothing yet.
  public init() {}

  /// One more.
  @inlinable public mutating func add(_ nanoseconds: Int64, times: UInt64 = 1) {
    count &+= times
    self.nanoseconds &+= UInt64(clamping: max(0, nanoseconds)) &* times
  }
}

/// One model version's counters (triton-inference-server/server `docs/protocol/extension_statistics.md`). Everything is cumulative.
public struct ModelStatistics: Sendable, Hashable {
  /// Executions at one batch size.
  public struct Batch: Sendable, Hashable {
    /// Rows.
    public var batchSize: UInt64
    /// Gathering the inputs.
    public var computeInput = DurationCount()
    /// Running the model.
    public var computeInfer = DurationCount()
    /// Bringing results back.
    public var computeOutput = DurationCount()

    /// No executions yet.
    public init(batchSize: UInt64) { self.batchSize = batchSize }
  }

  /// As asked for by clients.
  public var name: String
  /// A number, as text.
  public var version: String
  /// Milliseconds since the epoch; 0 for never.
  public var lastInference: UInt64 = 0
  /// Rows.
  public var inferenceCount: UInt64 = 0
  /// Batches.
  public var executionCount: UInt64 = 0
  /// Requests answered, from receipt to answer.
  public var success = DurationCount()
  /// Requests that got an error.
  public var fail = DurationCount()
  /// Waiting for a batch.
  public var queue = DurationCount()
  /// Gathering the inputs.
  public var computeInput = DurationCount()
  /// Running the model.
  public var computeInfer = DurationCount()
  /// Bringing results back.
  public var computeOutput = DurationCount()
  /// Always none: there is no response cache.
  public var cacheHit = DurationCount()
  /// Always none: there is no response cache.
  public var cacheMiss = DurationCount()
  /// Ascending by size.
  public var batches: [Batch] = []

  /// A model version that has done nothing.
  public init(name: String, version: String) {
    self.name = name
    self.version = version
  }
}

/// One line of the repository's index. Version, state and reason are empty for a model that was never loaded.
public struct RepositoryIndexEntry: Sendable, Hashable {
  /// As asked for by clients.
  public var name: String
  /// A number, as text.
  public var version: String
  /// "READY", "UNAVAILABLE", "LOADING", "UNLOADING" or empty.
  public var state: String
  /// Why it is unavailable.
  public var reason: String

  /// Every field stated.
  public init(name: String, version: String = "", state: String = "", reason: String = "") {
    self.name = name
    self.version = version
    self.state = state
    self.reason = reason
  }
}

/// A registered region of system shared memory.
public struct SharedMemoryRegion: Sendable, Hashable {
  /// As registered.
  public var name: String
  /// POSIX object name.
  public var key: String
  /// Bytes from the start of the object.
  public var offset: UInt64
  /// Bytes of the region.
  public var byteSize: UInt64

  /// Every field stated.
  public init(name: String, key: String, offset: UInt64, byteSize: UInt64) {
    self.name = name
    self.key = key
    self.offset = offset
    self.byteSize = byteSize
  }
}

/// Trace settings as the protocol shows them: every value is a list of strings ("trace_level") or one string.
public struct TraceSettings: Sendable, Hashable {
  /// "OFF", "TIMESTAMPS", "TENSORS".
  public var level: [String] = ["OFF"]
  /// One request in so many is traced.
  public var rate = "1000"
  /// Traces still to take; "-1" for no limit.
  public var count = "-1"
  /// Traces per file; "0" for one file.
  public var logFrequency = "0"
  /// Path that is written to.
  public var file = ""
  /// "triton": one JSON file of traces.
  public var mode = "triton"

  /// The defaults.
  public init() {}
}

/// Log settings as the protocol shows them.
public struct LogSettings: Sendable, Hashable {
  /// Path written to; empty for standard error.
  public var file = ""
  /// Information is written.
  public var info = true
  /// Warnings are written.
  public var warning = true
  /// Errors are written.
  public var error = true
  /// 0: nothing more than the above.
  public var verboseLevel: UInt32 = 0
  /// "default" or "ISO8601".
  public var format = "default"

  /// The defaults.
  public init() {}
}
