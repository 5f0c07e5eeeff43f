/// What is to happen, by time; first come first served at the same time. A 4-ary heap of 24-byte entries: shallower than a binary one, and
/// a node's children share cache lines.
struct EventQueue {
  struct Event {
    var time: Int64
    /// Insertion number in the upper 32 bits of order, kind and subject below: ties break by insertion.
    var order: UInt32
    var kind: EventKind
    var subject: Int32
  }

  private var heap: [Event] = []
  private var inserted: UInt32 = 0

  var count: Int { heap.count }
  var firstTime: Int64 { heap.first?.time ?? .max }

  @inline(__always) private static func precedes(_ left: Event, _ right: Event) -> Bool {
    // Insertion numbers wrap after 2^32 events; the difference of two that wait together is far below 2^31.
    left.time < right.time || (left.time == right.time && Int32(bitPattern: left.order &- right.order) < 0)
  }

  mutating func insert(_ kind: EventKind, _ subject: Int32, at time: Int64) {
    let event = Event(time: time, order: inserted, kind: kind, subject: subject)
    inserted &+= 1
    heap.append(event)
    var child = heap.count - 1
    heap.withUnsafeMutableBufferPointer { heap in
      while child > 0 {
        let parent = (child - 1) >> 2
        if !Self.precedes(event, heap[parent]) { break }
        heap[child] = heap[parent]
        child = parent
      }
      heap[child] = event
    }
  }

  mutating func popFirst() -> Event? {
    guard let last = heap.popLast() else { return nil }
    guard let first = heap.first else { return last }
    heap.withUnsafeMutableBufferPointer { heap in
      var parent = 0
      while true {
        let start = 4 * parent + 1
        if start >= heap.count { break }
        var smallest = start
        for child in (start + 1)..<max(start + 1, min(start + 4, heap.count)) where Self.precedes(heap[child], heap[smallest]) {
          smallest = child
        }
        if !Self.precedes(heap[smallest], last) { break }
        heap[parent] = heap[smallest]
        parent = smallest
      }
      heap[parent] = last
    }
    return first
  }
}

/// What an event means.
enum EventKind: UInt8 {
  /// A user has thought long enough; subject: user.
  case userWakes
  /// A request of an open loop is due; subject: none.
  case arrival
  /// A visit to the client's run queue is over; subject: request.
  case clientVisitDone
  /// The request's last byte has reached the server; subject: request.
  case requestArrives
  /// The front end has parsed it; subject: request.
  case requestParsed
  /// The response has left the front end; subject: request.
  case responseSent
  /// The response has reached the client; subject: request.
  case responseArrives
  /// The scheduler asked to be woken.
  case schedulerWakes
  /// A launch thread has issued a batch; subject: thread.
  case threadFree
  /// The response thread knows that a batch's kernels are done; subject: run.
  case computeSeen
  /// The response thread has a batch's outputs; subject: run.
  case outputsSeen
  /// The batch's responses may leave; subject: run.
  case batchDone
  /// A batch's inputs are together on a processor; subject: run.
  case processorStarts
  /// A batch may have ended on a processor; subject: the plan's number.
  case processorDue
}
