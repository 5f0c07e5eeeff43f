/// What a model itself says about its inputs and outputs, to complete a configuration with.
public struct ModelSignature: Sendable, Hashable {
  /// An input or output.
  public struct Tensor: Sendable, Hashable {
    /// As the model names it.
    public var name: String
    /// Element type.
    public var dataType: TensorDataType
    /// All sizes, the row dimension first where there is one; -1 for rows and for any other size left open.
    public var dims: [Int]
    /// An input that has a default: a request may leave it out.
    public var isOptional: Bool

    /// A tensor.
    public init(name: String, dataType: TensorDataType, dims: [Int], isOptional: Bool = false) {
      self.isOptional = isOptional
      self.name = name
      self.dataType = dataType
      self.dims = dims
    }
  }

  /// In the model's order.
  public var inputs: [Tensor]
  /// In the model's order.
  public var outputs: [Tensor]
  /// The most rows the model can run at once; nil where it sets no limit.
  public var maxRows: Int?

  /// Inputs, outputs and the most rows.
  public init(inputs: [Tensor], outputs: [Tensor], maxRows: Int? = nil) {
    self.inputs = inputs
    self.outputs = outputs
    self.maxRows = maxRows
  }
}
