import Scheduling
import TimeBase
import Vocabulary

/// Drives a scheduler with invented times and writes down what it did.
struct Timeline {
  /// A batch that left.
  struct Departure: Hashable, CustomStringConvertible {
    var milliseconds: Double
    var rows: [Int]
    var reason: DispatchReason
    var description: String { "\(milliseconds) ms \(rows) \(reason.rawValue)" }
  }

  var scheduler: Scheduler
  var now = Instant.zero
  var dispatchReasons: [Departure] = []
  var timedOut: [(id: Int64, milliseconds: Double)] = []
  var answered: [Int64] = []
  var refused: [(id: Int64, refusal: Admission.Refusal)] = []
  /// How long an instance takes for a batch, milliseconds.
  var executionMilliseconds: (Int) -> Double
  private var executing: [(end: Instant, batch: BatchID, instance: Int)] = []

  init(_ configuration: SchedulerConfiguration, ready: Bool = true, execution: @escaping (Int) -> Double = { _ in 0.001 }) {
    scheduler = Scheduler(configuration)
    executionMilliseconds = execution
    if ready { for instance in 0..<configuration.instances { scheduler.instanceReady(instance, at: now) } }
  }

  static func instant(_ milliseconds: Double) -> Instant { Instant(nanoseconds: Int64((milliseconds * 1e6).rounded())) }

  private mutating func drain() {
    while let action = scheduler.nextAction() {
      let time = Double(now.nanoseconds) / 1e6
      switch action {
      case .start(let id, let instance):
        guard let batch = scheduler.batch(id) else { continue }
        dispatchReasons.append(Departure(milliseconds: time, rows: batch.requests.map { Int($0.rows) }, reason: batch.reason))
        executing.append((now + Self.instant(executionMilliseconds(instance)).span, id, instance))
      case .timeOut(let request): timedOut.append((request, time))
      case .respond(let request): answered.append(request)
      }
    }
  }

  /// Takes no more requests.
  mutating func stop() {
    scheduler.stop(at: now)
    drain()
  }

  /// Lets time pass.
  mutating func run(until milliseconds: Double) {
    let end = Self.instant(milliseconds)
    while true {
      let completion = executing.min { $0.end < $1.end }
      let next = min(scheduler.nextWakeUp, completion?.end ?? .distantFuture)
      guard next <= end else { break }
      now = max(now, next)
      if let completion, completion.end <= now {
        executing.removeAll { $0.batch == completion.batch }
        scheduler.complete(completion.batch, at: now)
        scheduler.instanceReady(completion.instance, at: now)
      } else {
        scheduler.advance(to: now)
      }
      drain()
    }
    now = max(now, end)
  }

  @discardableResult mutating func send(
    _ id: Int64, rows: Int32, at milliseconds: Double, shape: UInt64 = 0, priority: UInt64 = 0, timeoutMilliseconds: Double = 0
  ) -> RequestHandle? {
    run(until: milliseconds)
    let request = SchedulerRequest(
      id: id, rows: rows, shapeKey: shape, priority: priority, timeout: Self.instant(timeoutMilliseconds).span)
    let admission = scheduler.enqueue(request, at: now)
    drain()
    switch admission {
    case .queued(let handle): return handle
    case .refused(let refusal):
      refused.append((id, refusal))
      return nil
    }
  }

  mutating func ready(_ instance: Int, at milliseconds: Double) {
    run(until: milliseconds)
    scheduler.instanceReady(instance, at: now)
    drain()
  }
}

extension Instant {
  var span: TimeSpan { TimeSpan(nanoseconds: nanoseconds) }
}
