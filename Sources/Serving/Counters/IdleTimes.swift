import CheckedNumbers
import TimeBase

/// How long a model's instances held no batch, in instance-seconds, by why: nothing waited, or requests waited for their batch to fill.
///
/// A pure value: whoever owns the scheduler notes its state after every change, and each stretch is charged to the state that it began with.
struct IdleTimes: Sendable, Hashable {
  private(set) var noRequestsNanoseconds: Int64 = 0
  private(set) var batchingDelayNanoseconds: Int64 = 0
  private var since: Instant
  private var readyInstances = 0
  private var hasQueue = false

  /// Nothing is ready before the first instance says so.
  init(since: Instant) { self.since = since }

  /// What holds from `now` on; `readyInstances` wait for a batch. A time before the last one is taken as the last one.
  mutating func note(_ now: Instant, readyInstances: Int, hasQueue: Bool) {
    let elapsed = max(0, (now - since).nanoseconds)
    let (charge, overflow) = elapsed.multipliedReportingOverflow(by: Int64(clamping: self.readyInstances))
    if !overflow {
      if self.hasQueue { batchingDelayNanoseconds &+= charge } else { noRequestsNanoseconds &+= charge }
    }
    since = max(since, now)
    (self.readyInstances, self.hasQueue) = (readyInstances, hasQueue)
  }
}
