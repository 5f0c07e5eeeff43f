public import Execution

/// The devices a server has.
public struct ModelDevices: Sendable {
  /// Runs graphs.
  public var primary: any Device
  /// Runs ONNX files that hold operators the graph does not know; nil where there is none, with the reason.
  public var onnxRuntime: (any Device)?
  /// Why there is none, and how to get it.
  public var missingONNXRuntime: String

  /// Every field stated.
  public init(primary: any Device, onnxRuntime: (any Device)? = nil, missingONNXRuntime: String = "") {
    self.primary = primary
    self.onnxRuntime = onnxRuntime
    self.missingONNXRuntime = missingONNXRuntime
  }
}
