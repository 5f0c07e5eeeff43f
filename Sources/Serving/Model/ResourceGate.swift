import ModelConfiguration
import Scheduling
import Threads

/// The rate limiter in real time: instance threads wait here for their turn, across all models of the server.
///
/// `@unchecked Sendable`: every variable is guarded by `monitor`.
final class ResourceGate: @unchecked Sendable {
  private let monitor = Monitor()
  private var limiter: ExecutionRateLimiter
  private var granted: Set<ExecutionRateLimiter.Ticket> = []

  init(limits: [ExecutionRateLimiter.Limit]) { limiter = ExecutionRateLimiter(limits: limits) }

  /// A ticket for each instance of a model on that device, in order; none is kept when one is refused.
  func add(_ configuration: ModelConfiguration, device: Int) throws(ExecutionRateLimiter.Refusal) -> [ExecutionRateLimiter.Ticket] {
    let groups = configuration.instanceGroups.filter { !$0.passive }
    let limiters =
      groups.isEmpty
      ? [nil] : groups.flatMap { Array(repeating: $0.rateLimiter, count: min(max(1, $0.count), ModelConfiguration.maximumInstances)) }
    var tickets: [ExecutionRateLimiter.Ticket] = []
    monitor.lock()
    defer { monitor.unlock() }
    for limits in limiters.prefix(ModelConfiguration.maximumInstances) {
      do throws(ExecutionRateLimiter.Refusal) {
        tickets.append(try limiter.add(limits, device: device))
      } catch {
        for ticket in tickets { _ = limiter.remove(ticket) }
        throw error
      }
    }
    return tickets
  }

  /// Blocks until it is the instance's turn.
  func enter(_ ticket: ExecutionRateLimiter.Ticket) {
    monitor.lock()
    // Staged by `renew`, it may have been granted since.
    if !granted.contains(ticket) { wake(limiter.stage(ticket)) }
    while granted.remove(ticket) == nil { monitor.wait() }
    monitor.unlock()
  }

  /// The execution ended; also for an instance that was given up, once.
  func leave(_ ticket: ExecutionRateLimiter.Ticket) { monitor.withLock { wake(limiter.release(ticket)) } }

  /// The execution ended and the instance has its next batch: it is staged before what it held is given out, so that its priority counts
  /// (core `src/rate_limiter.cc`, OnRelease). `enter` follows.
  func renew(_ ticket: ExecutionRateLimiter.Ticket) {
    monitor.withLock {
      let staged = limiter.stage(ticket)
      wake(staged + limiter.release(ticket))
    }
  }

  /// The instance is gone.
  func remove(_ ticket: ExecutionRateLimiter.Ticket) { monitor.withLock { wake(limiter.remove(ticket)) } }

  private func wake(_ tickets: [ExecutionRateLimiter.Ticket]) {
    guard !tickets.isEmpty else { return }
    granted.formUnion(tickets)
    monitor.broadcast()
  }
}
