import Execution
import Scheduling
import Synchronization
import TimeBase
import Vocabulary

/// The last events of the server: requests, batches and kernels, in rings that are written by the batch and never grow beyond their bounds.
package final class LiveRecorder: Sendable {
  /// A request that was answered.
  package struct Request: Sendable {
    package var model: Int32
    package var rows: Int32
    /// The batch that carried it; -1 for none.
    package var batch: Int64
    package var bytesIn: Int64
    package var bytesOut: Int64
    package var received: Instant
    package var parsed: Instant
    /// `distantFuture`: it never entered the queue.
    package var enqueued: Instant
    package var responseStart: Instant
    package var responseEnd: Instant
    package var failed: Bool
  }

  /// A batch that ran.
  package struct Batch: Sendable {
    package var id: Int64
    package var model: Int32
    package var instance: Int32
    package var rows: Int32
    package var requests: Int32
    package var reason: DispatchReason
    package var formed: Instant
    package var gatherStart: Instant
    package var computeStart: Instant
    package var computeEnd: Instant
    package var outputEnd: Instant
  }

  /// A kernel that ran.
  package struct Kernel: Sendable {
    package var batch: Int64
    package var model: Int32
    package var instance: Int32
    package var rows: Int32
    package var run: KernelRun
    package var start: Instant { run.start }
    package var end: Instant { run.end }
  }

  /// What else a device and its driver did for a batch.
  package struct DriverEvent: Sendable {
    /// One of it.
    package enum Kind: Sendable {
      case copy(CopyRun)
      case call(DriverCall)
      case synchronization(SynchronizationRun)
    }

    package var model: Int32
    package var instance: Int32
    package var kind: Kind

    package var end: Instant {
      switch kind {
      case .copy(let copy): copy.end
      case .call(let call): call.end
      case .synchronization(let synchronization): synchronization.end
      }
    }
  }

  private let requests: Mutex<Ring<Request>>
  private let batches: Mutex<Ring<Batch>>
  private let kernels: Mutex<Ring<Kernel>>
  private let driverEvents: Mutex<Ring<DriverEvent>>

  /// Whether anything is kept.
  let isRecording: Bool

  /// `capacity`: requests that are kept at most, and as many batches, kernels and of what else the driver did: no batch holds less than a request, so that every request
  /// that is kept finds its batch.
  init(isRecording: Bool = true, capacity: Int = 1 << 18) {
    self.isRecording = isRecording
    requests = Mutex(Ring(capacity: max(1, capacity)))
    batches = Mutex(Ring(capacity: max(1, capacity)))
    kernels = Mutex(Ring(capacity: max(1, capacity)))
    driverEvents = Mutex(Ring(capacity: max(1, capacity)))
  }

  /// Events that were overwritten by later ones.
  var overwritten: (requests: Int, batches: Int, kernels: Int, driverEvents: Int) {
    (
      requests.withLock { $0.overwritten }, batches.withLock { $0.overwritten }, kernels.withLock { $0.overwritten },
      driverEvents.withLock { $0.overwritten }
    )
  }

  func record(_ request: Request) {
    if isRecording { requests.withLock { $0.append(request) } }
  }

  /// `events`: what the device reported of it.
  func record(_ batch: Batch, _ events: BatchEvents) {
    guard isRecording else { return }
    batches.withLock { $0.append(batch) }
    if !events.kernels.isEmpty {
      kernels.withLock { ring in
        for run in events.kernels {
          ring.append(Kernel(batch: batch.id, model: batch.model, instance: batch.instance, rows: batch.rows, run: run))
        }
      }
    }
    if events.driverEvents.isEmpty { return }
    driverEvents.withLock { ring in
      for kind in events.driverEvents { ring.append(DriverEvent(model: batch.model, instance: batch.instance, kind: kind)) }
    }
  }

  /// What is left of the time since `start`, each in order of arrival and no more than `limits` of each: who asks holds the lock meanwhile.
  func events(
    since start: Instant, limits: Limits = Limits()
  ) -> (requests: [Request], batches: [Batch], kernels: [Kernel], driverEvents: [DriverEvent]) {
    (
      requests: requests.withLock { $0.elements(limit: limits.requests) { $0.responseEnd >= start } },
      batches: batches.withLock { $0.elements(limit: limits.batches) { $0.outputEnd >= start } },
      kernels: kernels.withLock { $0.elements(limit: limits.kernels) { $0.end >= start } },
      driverEvents: driverEvents.withLock { $0.elements(limit: limits.kernels) { $0.end >= start } }
    )
  }

  /// How many events an answer reads.
  package struct Limits: Sendable {
    package var requests: Int
    package var batches: Int
    package var kernels: Int

    /// What is left out is as much as a whole ring holds by default.
    package init(requests: Int = 1 << 18, batches: Int = 1 << 18, kernels: Int = 1 << 18) {
      self.requests = requests
      self.batches = batches
      self.kernels = kernels
    }
  }
}

/// The last `capacity` elements. Memory grows with use up to that.
struct Ring<Element: Sendable>: Sendable {
  private var storage: [Element] = []
  private var next = 0
  private(set) var overwritten = 0
  let capacity: Int

  init(capacity: Int) { self.capacity = capacity }

  @inline(__always)
  mutating func append(_ element: Element) {
    if storage.count < capacity {
      storage.append(element)
    } else {
      storage[next] = element
      overwritten &+= 1
      next = next &+ 1 == capacity ? 0 : next &+ 1
    }
  }

  /// The newest run of elements that fit, oldest first: looked for from the end, so that a long ring costs nothing.
  func elements(limit: Int = .max, while fits: (Element) -> Bool) -> [Element] {
    var found: [Element] = []
    var index = next
    for _ in 0..<min(limit, storage.count) {
      index = index == 0 ? storage.count - 1 : index - 1
      guard fits(storage[index]) else { break }
      found.append(storage[index])
    }
    return found.reversed()
  }
}
