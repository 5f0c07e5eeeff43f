public import TimeBase
public import Vocabulary

/// What the scheduler knows of a request.
@frozen public struct SchedulerRequest: Sendable, Hashable {
  /// The caller's own number; comes back in actions.
  public var id: Int64
  /// Rows; 0 (a model without a row dimension) counts as 1.
  public var rows: Int32
  /// Requests whose keys differ never share a batch where shapes are compared. To be a number for the exact shape, not a hash value: requests
  /// of the same key do share one.
  public var shapeKey: UInt64
  /// Level asked for; 0 or one that does not exist: the default level.
  public var priority: UInt64
  /// Queue timeout asked for; zero: none.
  public var timeout: TimeSpan

  /// A request; only `id` and `rows` are usual.
  @inlinable public init(id: Int64, rows: Int32, shapeKey: UInt64 = 0, priority: UInt64 = 0, timeout: TimeSpan = .zero) {
    self.id = id
    self.rows = rows
    self.shapeKey = shapeKey
    self.priority = priority
    self.timeout = timeout
  }
}

/// A queued request, to cancel it by. Stale handles are recognized.
@frozen public struct RequestHandle: Sendable, Hashable {
  @usableFromInline let slot: Int32
  @usableFromInline let generation: UInt32

  @usableFromInline init(slot: Int32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
}

/// What became of a request at once.
public enum Admission: Sendable, Hashable {
  /// It waits, or is in a batch already.
  case queued(RequestHandle)
  /// It never entered the queue.
  case refused(Refusal)

  /// Why a request never entered the queue.
  public enum Refusal: String, Sendable, Hashable {
    /// UNAVAILABLE, "Exceeds maximum queue size" (core `src/scheduler_utils.cc`).
    case queueFull
    /// UNAVAILABLE: the scheduler was told to stop.
    case stopping
    /// INVALID_ARG: more rows than a batch may hold (core `src/infer_request.cc`).
    case tooManyRows
  }
}

/// A batch of the scheduler, from its forming to `complete`.
@frozen public struct BatchID: Sendable, Hashable {
  /// Reused after completion.
  public let slot: Int32
  /// Counts batches from 0; never reused.
  public let sequence: Int64

  @usableFromInline init(slot: Int32, sequence: Int64) {
    self.slot = slot
    self.sequence = sequence
  }
}

/// What is to be done. Actions are to be carried out in the order they come.
public enum SchedulerAction: Sendable, Hashable {
  /// Run the batch on the instance.
  case start(BatchID, instance: Int)
  /// Answer the request with an error: its time in the queue is over ("Request timeout expired").
  case timeOut(request: Int64)
  /// Answer the request with the batch's result.
  case respond(request: Int64)
}

/// A request in a batch.
@frozen public struct BatchedRequest: Sendable, Hashable {
  /// The caller's number.
  public var id: Int64
  /// Rows as given.
  public var rows: Int32
  /// When it entered the queue.
  public var enqueued: Instant
  /// When it left the queue for a batch.
  public var departed: Instant
  @usableFromInline var orderTicket: Int64
}

/// A batch as formed.
public struct FormedBatch: Sendable, Hashable {
  /// Its requests, oldest first within a level.
  public internal(set) var requests: [BatchedRequest] = []
  /// Sum of the requests' rows, each at least 1.
  public internal(set) var rows = 0
  /// Why it left, by the last decision about it.
  public internal(set) var reason = DispatchReason.unbatched
  /// When it was formed.
  public internal(set) var formed = Instant.zero
  /// Entry of its oldest request into the queue.
  public internal(set) var oldest = Instant.distantFuture
  /// No more requests may join.
  var closed = false
  /// Whether requests may still join it while it waits for an instance.
  public var canGrow: Bool { !closed }
  var phase = Phase.free
  var shapeKey: UInt64 = 0
  var sequence: Int64 = 0

  enum Phase: UInt8 { case free, waiting, executing }
}
