import Synchronization

/// How many connections are open, against a limit.
final class ConnectionCount: Sendable {
  private let count = Atomic<Int>(0)
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// False where the limit is reached; then `leave` must not be called.
  func enter() -> Bool {
    if count.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
    count.wrappingSubtract(1, ordering: .relaxed)
    return false
  }

  func leave() { count.wrappingSubtract(1, ordering: .relaxed) }

  var current: Int { count.load(ordering: .relaxed) }
}
