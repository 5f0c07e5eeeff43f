/// Why a batch left the queue: decided by the scheduler, recorded in traces by its raw value, counted by the metrics, explained by the diagnosis.
public enum DispatchReason: String, Sendable, Hashable, CaseIterable {
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
    case .unbatched: "no dynamic batching"
    case .preferredSize: "preferred_batch_size reached"
    case .full: "max_batch_size reached"
    case .delay: "max queue delay reached"
    case .zeroDelay: "no queue delay set"
    case .shapeMismatch: "next request's shape differs"
    case .wouldExceed: "would exceed max_batch_size"
    }
  }
}
