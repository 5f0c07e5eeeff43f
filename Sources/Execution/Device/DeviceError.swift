/// Why a device could not load a model or run a batch.
public struct DeviceError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is: it decides the status a request gets and whether the instance is kept.
  public enum Kind: Sendable, Hashable {
    /// The model cannot run here (missing weights, an operator nobody has, no memory). Nothing was started.
    case unsupported
    /// The request's fault: shapes the model does not take. The instance is fine.
    case badInput
    /// The batch failed; the instance is fine.
    case batchFailed
    /// The device or the instance is lost (CUDA's sticky errors, a hang): it must be made anew.
    case instanceLost
    /// Nothing can run for now, and later something may: the same request is worth another try.
    case unavailable
  }

  /// See `Kind`.
  public var kind: Kind
  /// What was wrong, where, and what to do next.
  public var description: String

  /// An error of this kind.
  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
