/// What happens to requests that wait (`ModelQueuePolicy`).
public struct ModelQueuePolicy: Sendable, Hashable {
  /// What happens to a request that waited too long.
  public enum TimeoutAction: String, Sendable, Hashable, CaseIterable {
    /// It is answered with an error.
    case reject = "REJECT"
    /// It goes behind all requests of its level that did not time out.
    case delay = "DELAY"
  }

  /// For requests that time out.
  public var timeoutAction: TimeoutAction
  /// Counted from entry into the queue; 0 for none.
  public var defaultTimeoutMicroseconds: UInt64
  /// A request may shorten the timeout; never lengthen it.
  public var allowTimeoutOverride: Bool
  /// In requests, not rows; 0 for no limit.
  public var maxQueueSize: Int

  /// A policy.
  public init(
    timeoutAction: TimeoutAction = .reject, defaultTimeoutMicroseconds: UInt64 = 0, allowTimeoutOverride: Bool = false,
    maxQueueSize: Int = 0
  ) {
    self.timeoutAction = timeoutAction
    self.defaultTimeoutMicroseconds = defaultTimeoutMicroseconds
    self.allowTimeoutOverride = allowTimeoutOverride
    self.maxQueueSize = maxQueueSize
  }
}
