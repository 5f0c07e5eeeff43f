/// Whose figures a load run's are. Programs read the raw values, which stay.
public enum ClientVerdictKind: String, Sendable, Hashable, CaseIterable {
  /// The load generator was the limit.
  case clientBound = "client-bound"
  /// The server could not take what was offered: every connection was waiting for it.
  case serverBehind = "server-behind"
  /// The load generator was not saturated.
  case notClientBound = "not-client-bound"
}
