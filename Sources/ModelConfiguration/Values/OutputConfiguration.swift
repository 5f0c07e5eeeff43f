/// An output of a model (`ModelOutput`).
public struct OutputConfiguration: Sendable, Hashable {
  /// As the model names it.
  public var name: String
  /// `.invalid` until given or completed.
  public var dataType: TensorDataType
  /// Sizes without the row dimension of a model with batching; -1 is any size.
  public var dims: [Int]
  /// The shape that the model gives instead of `dims`.
  public var reshape: [Int]?
  /// The values are a shape, without rows.
  public var isShapeTensor: Bool
  /// A file with the names of classes; empty for none.
  public var labelFilename: String

  /// An output of a fixed or variable shape.
  public init(
    name: String, dataType: TensorDataType = .invalid, dims: [Int] = [], reshape: [Int]? = nil, isShapeTensor: Bool = false,
    labelFilename: String = ""
  ) {
    self.name = name
    self.dataType = dataType
    self.dims = dims
    self.reshape = reshape
    self.isShapeTensor = isShapeTensor
    self.labelFilename = labelFilename
  }
}
