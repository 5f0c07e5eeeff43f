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
  public var name: String
  public var version: String
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
    public var name: String
    public var dataType: TensorDataType
    public var shape: [Int]

    /// Every field stated.
    public init(name: String, dataType: TensorDataType, shape: [Int]) {
      self.name = name
      self.dataType = dataType
      self.shape = shape
    }
  }

  public var name: String
  /// Versions that are ready, ascending.
  public var versions: [String]
  public var platform: String
  public var inputs: [Tensor]
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
  public var count: UInt64 = 0
  public var nanoseconds: UInt64 = 0

  /// Nothing yet.
  public init() {}

  /// One more.
  @inlinable public mutating func add(_ nanoseconds: Int64, times: UInt64 = 1) {
    count &+= times
    self.nanoseconds &+= UInt64(max(0, nanoseconds)) &* times
  }
}

/// One model version's counters (triton-inference-server/server `docs/protocol/extension_statistics.md`). Everything is cumulative.
public struct ModelStatistics: Sendable, Hashable {
  /// Executions at one batch size.
  public struct Batch: Sendable, Hashable {
    /// Rows.
    public var batchSize: UInt64
    public var computeInput = DurationCount()
    public var computeInfer = DurationCount()
    public var computeOutput = DurationCount()

    /// No executions yet.
    public init(batchSize: UInt64) { self.batchSize = batchSize }
  }

  public var name: String
  public var version: String
  /// Milliseconds since the epoch; 0 for never.
  public var lastInference: UInt64 = 0
  /// Rows.
  public var inferenceCount: UInt64 = 0
  /// Batches.
  public var executionCount: UInt64 = 0
  public var success = DurationCount()
  public var fail = DurationCount()
  public var queue = DurationCount()
  public var computeInput = DurationCount()
  public var computeInfer = DurationCount()
  public var computeOutput = DurationCount()
  public var cacheHit = DurationCount()
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
  public var name: String
  public var version: String
  /// "READY", "UNAVAILABLE", "LOADING", "UNLOADING" or empty.
  public var state: String
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
  public var name: String
  /// POSIX object name.
  public var key: String
  public var offset: UInt64
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
  public var level: [String] = ["OFF"]
  public var rate = "1000"
  public var count = "-1"
  public var logFrequency = "0"
  public var file = ""
  public var mode = "triton"

  /// The defaults.
  public init() {}
}

/// Log settings as the protocol shows them.
public struct LogSettings: Sendable, Hashable {
  public var file = ""
  public var info = true
  public var warning = true
  public var error = true
  public var verboseLevel: UInt32 = 0
  /// "default" or "ISO8601".
  public var format = "default"

  /// The defaults.
  public init() {}
}
