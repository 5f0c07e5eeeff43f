/// Requests that every instance runs before the model is ready (`ModelWarmup`).
public struct WarmupSample: Sendable, Hashable {
  /// Where an input's values come from.
  public enum Data: Sendable, Hashable {
    /// Zeros.
    case zero
    /// Random values.
    case random
    /// A file in the model's folder `warmup`.
    case file(String)
  }

  /// An input of the sample.
  public struct Input: Sendable, Hashable {
    /// Element type.
    public var dataType: TensorDataType
    /// Sizes without the row dimension; all fixed.
    public var dims: [Int]
    /// Nil where the configuration names none.
    public var data: Data?

    /// An input's shape and values.
    public init(dataType: TensorDataType, dims: [Int], data: Data?) {
      self.dataType = dataType
      self.dims = dims
      self.data = data
    }
  }

  /// For errors.
  public var name: String
  /// One-row requests in the batch; 0 skips the sample.
  public var batchSize: Int
  /// By name.
  public var inputs: [String: Input]
  /// How often the sample runs; 0 counts as 1.
  public var count: Int

  /// A sample.
  public init(name: String = "", batchSize: Int, inputs: [String: Input] = [:], count: Int = 0) {
    self.name = name
    self.batchSize = batchSize
    self.inputs = inputs
    self.count = count
  }
}
