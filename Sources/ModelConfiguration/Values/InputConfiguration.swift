/// An input of a model (`ModelInput`).
public struct InputConfiguration: Sendable, Hashable {
  /// As the model names it.
  public var name: String
  /// `.invalid` until given or completed.
  public var dataType: TensorDataType
  /// Sizes without the row dimension of a model with batching; -1 is any size.
  public var dims: [Int]
  /// The shape that the model sees instead of `dims`.
  public var reshape: [Int]?
  /// Requests of unlike shapes may share a batch.
  public var allowRaggedBatch: Bool
  /// The values are a shape: compared when batches are formed, and without rows.
  public var isShapeTensor: Bool
  /// Requests may leave it out.
  public var isOptional: Bool

  /// An input of a fixed or variable shape.
  public init(
    name: String, dataType: TensorDataType = .invalid, dims: [Int] = [], reshape: [Int]? = nil, allowRaggedBatch: Bool = false,
    isShapeTensor: Bool = false, isOptional: Bool = false
  ) {
    self.name = name
    self.dataType = dataType
    self.dims = dims
    self.reshape = reshape
    self.allowRaggedBatch = allowRaggedBatch
    self.isShapeTensor = isShapeTensor
    self.isOptional = isOptional
  }
}
