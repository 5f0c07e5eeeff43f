/// Why a batch left the queue: decided by the scheduler, recorded in traces by its raw value, counted by the metrics, explained by the diagnosis.
public enum DepartureReason: String, Sendable, Hashable, CaseIterable {
  /// Its rows reached a preferred size.
  case preferredSize
  /// It holds as many rows as a batch may.
  case full
  /// Its oldest request had waited for as long as it may.
  case delay
  /// No delay is set: whatever is there leaves.
  case zeroDelay
  /// The next request's shape differs.
  case shapeMismatch
  /// The next request would have taken it past the largest preferred or possible size.
  case wouldExceed
  /// The model does not batch.
  case unbatched

  /// As printed.
  public var text: String {
    switch self {
    case .unbatched: "the model does not batch"
    case .preferredSize: "preferred size reached"
    case .full: "full"
    case .delay: "delay over"
    case .zeroDelay: "no delay set"
    case .shapeMismatch: "next request's shape differs"
    case .wouldExceed: "next request would exceed the largest size"
    }
  }
}
