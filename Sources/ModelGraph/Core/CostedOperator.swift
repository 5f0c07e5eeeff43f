/// An ONNX operator that is known by its cost alone: plans count it, no device of this package runs it, and nothing evaluates it.
///
/// What its results are and how much work they take was worked out from the file, by the rules for its family (ONNXFormat).
public struct CostedOperator: Sendable, Hashable {
  /// A value it writes.
  public struct Result: Sendable, Hashable {
    /// Element type.
    public var type: DataType
    /// Shape, affine in the rows.
    public var shape: Shape

    /// A value of this type and shape.
    public init(type: DataType, shape: Shape) {
      self.type = type
      self.shape = shape
    }
  }

  /// A kernel, or several alike one after the other. Sizes are products of dimensions.
  public enum Work: Sendable, Hashable {
    /// `batch` independent [m, k] x [k, n], launched `repetitions` times. `source`: elements of A in memory where the kernel gathers A from
    /// fewer (a convolution reads its input once for all offsets of the filter); nil: batch m k.
    case product(batch: Shape, m: Shape, n: Shape, k: Shape, source: Shape?, repetitions: Shape)
    /// Reads every input, writes every result, and computes so many operations for each of `elements`.
    case traffic(operations: Double, elements: Shape)
  }

  /// ONNX's name, with its domain where that is not ONNX's own: "Conv", "com.microsoft.Attention".
  public var type: String
  /// What it writes; empty where the shapes are not known.
  public var results: [Result]
  /// Its kernels; empty for what only changes how bytes are read.
  public var work: [Work]
  /// Why its operations are not known; nil where they are. Its bytes are counted all the same.
  public var unplanned: String?
  /// What runs in the same kernel behind it: "batchnormalization", "relu".
  public var fused: [String] = []

  /// An operator and what it costs.
  public init(type: String, results: [Result], work: [Work], unplanned: String? = nil) {
    self.type = type
    self.results = results
    self.work = work
    self.unplanned = unplanned
  }
}
