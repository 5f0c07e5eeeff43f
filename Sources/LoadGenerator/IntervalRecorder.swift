import CheckedNumbers
import LoadModel

/// What one thread did, second by second. Pure: instants come in, nanoseconds of the run's clock.
struct IntervalRecorder {
  private let plan: [String]
  private let windowStart: Int64
  private let lateAfter: Int64
  private let hasGroups: Bool
  private(set) var current: WorkerReport
  /// Nothing new is sent any more; what is recorded belongs to no second of the run.
  private(set) var isDraining = false
  private var nextProbe: Int64
  private static let second: Int64 = 1_000_000_000
  /// How far apart the looks at the loop's own lag are. A hundred wake-ups per second cost a thousandth of a core.
  private static let probeSpacing: Int64 = 10_000_000

  init(groups: [String], start: Int64, windowStart: Int64, lateAfter: Int64, now: Int64) {
    plan = groups
    self.windowStart = windowStart
    self.lateAfter = lateAfter
    hasGroups = groups.count > 1
    current = WorkerReport(groups: groups)
    current.index = -Int((windowStart - start + Self.second - 1) / Self.second)
    current.startNanoseconds = start
    nextProbe = max(start, now)
  }

  /// When the second that is recorded ends.
  var boundary: Int64 { windowStart &+ Int64(current.index + 1) &* Self.second }
  /// When it is to be looked at next.
  var nextWakeUp: Int64 { isDraining ? .max : min(nextProbe, boundary) }

  /// A second that is over at `now`; nil where none is. Ask again: more may be.
  mutating func finishSecond(at now: Int64, end: Int64) -> WorkerReport? {
    guard !isDraining, now >= boundary, boundary < end else { return nil }
    return replace(endingAt: boundary, with: current.index + 1)
  }

  /// How late the loop is at each of its probes' instants.
  mutating func probe(_ now: Int64) {
    while !isDraining, nextProbe <= now {
      current.schedulingLag.record(now - nextProbe)
      nextProbe += Self.probeSpacing
    }
  }

  /// The run is over: the last second as it is.
  mutating func drain(from end: Int64) -> WorkerReport {
    isDraining = true
    let last = replace(endingAt: end, with: .max)
    current.startNanoseconds = max(end, 1)
    return last
  }

  /// What was recorded since, of whatever second.
  mutating func finish(at now: Int64) -> WorkerReport {
    current.endNanoseconds = now
    return current
  }

  private mutating func replace(endingAt end: Int64, with index: Int) -> WorkerReport {
    current.endNanoseconds = end
    let finished = current
    current = WorkerReport(groups: plan)
    current.index = index
    current.startNanoseconds = end
    return finished
  }

  // MARK: - What happened

  /// Whether a request that was due then belongs to the figures: warm-up has figures of its own, which only the live view shows.
  private func counts(_ due: Int64) -> Bool { current.index < 0 || due >= windowStart }

  @inline(__always)
  mutating func sends(due: Int64, at now: Int64) {
    guard counts(due) else { return }
    let lag = max(0, now - due)
    current.sendLag.record(lag)
    if lag > lateAfter { current.lateCount += 1 }
  }

  @inline(__always)
  mutating func received(_ bytes: Int) { current.bytesReceived += Int64(bytes) }

  mutating func answered(due: Int64, sentAt: Int64, rows: Int, group: Int, at now: Int64) {
    current.answers += 1
    current.latencySum += now - due
    current.sinceSendSum += now - sentAt
    current.rows += Int64(rows)
    if counts(due) {
      current.latency.record(now - due)
      current.uncorrected.record(now - sentAt)
      if hasGroups { current.groups[group].latency.record(now - due) }
    } else {
      current.earlier.record(now - due)
    }
  }

  /// A request that has no answer, or a bad one; `group` where it is known which kind it was.
  mutating func failed(_ kind: LoadErrorKind, due: Int64, group: Int? = nil) {
    guard counts(due), let position = LoadErrorKind.allCases.firstIndex(of: kind) else { return }
    current.errors[position] += 1
    if hasGroups, let group { current.groups[group].errors += 1 }
  }
}
