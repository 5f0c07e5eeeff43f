public import Execution

/// The devices a server has.
public struct ModelDevices: Sendable {
  /// Which models of ONNX Runtime run in processes of their own (`--isolate-engines`).
  public enum Isolation: String, Sendable, Hashable, CaseIterable {
    /// Until a model has proven itself: see `EngineCache`.
    case auto
    case always
    case never
  }

  /// Runs graphs.
  public var primary: any Device
  /// Runs ONNX files that the primary device cannot; nil where there is none, with the reason.
  public var onnxRuntime: (any Device)?
  /// Why there is none, and how to get it.
  public var missingONNXRuntime: String
  /// Runs them in processes of their own; nil where that is off.
  public var isolated: IsolatedDevice?
  /// Which models that is for.
  public var isolation: Isolation
  /// Where it is remembered which models have proven themselves; nil: nowhere, and none has.
  public var engineCache: EngineCache?

  /// Every field stated.
  public init(
    primary: any Device, onnxRuntime: (any Device)? = nil, missingONNXRuntime: String = "", isolated: IsolatedDevice? = nil,
    isolation: Isolation = .never, engineCache: EngineCache? = nil
  ) {
    self.primary = primary
    self.onnxRuntime = onnxRuntime
    self.missingONNXRuntime = missingONNXRuntime
    self.isolated = isolated
    self.isolation = isolation
    self.engineCache = engineCache
  }
}
