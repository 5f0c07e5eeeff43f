public import TimeBase

/// When a run need not go on, as it can no longer keep a latency goal: more requests than `requests` of its window took longer than `latency`,
/// or one was rejected.
public struct LateLimit: Sendable, Hashable {
  /// The goal.
  public var latency: TimeSpan
  /// So many may take longer.
  public var requests: Int

  /// A limit.
  public init(latency: TimeSpan, requests: Int) {
    self.latency = latency
    self.requests = requests
  }
}
