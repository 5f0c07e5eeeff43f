import Synchronization

/// What all connections together hold for clients that do not take it: responses written and not sent, requests read and not begun. One
/// for the process: HTTP, gRPC and metrics count into the same.
///
/// A connection alone is bounded by its own limit; many of them would still add up. Above the bound a connection begins no request while
/// anything of it is unsent, and one whose client takes nothing is closed after seconds rather than a minute.
public final class UnsentBytes: Sendable {
  private let total = Atomic<Int>(0)
  /// Bytes above which the process counts as short of memory for this.
  public let limit: Int

  /// Nothing is unsent yet.
  public init(limit: Int = 64 << 20) { self.limit = limit }

  /// A connection's share has changed.
  package func change(by difference: Int) { if difference != 0 { total.wrappingAdd(difference, ordering: .relaxed) } }

  package var current: Int { total.load(ordering: .relaxed) }
  package var isExceeded: Bool { current > limit }
}
