import CheckedNumbers
public import Trace

/// Where requests were while a device worked and while it idled: what a trace of the GPU alone cannot show. From the tables of requests and
/// batches, which our own traces hold and a server's request trace fills (`--triton-trace`).
public struct RequestUse: Sendable, Hashable {
  /// Where the foremost request was, at a moment. In order of what decides: a batch that runs explains an idle device before a queue does.
  public enum Place: Int, Sendable, Hashable, CaseIterable {
    /// An instance had a batch: the device's idle time is that batch's host part.
    case batch
    /// Requests were queued and no batch ran.
    case queue
    /// Requests were being read or decoded, or answers written, and nothing was queued.
    case frontEnd
    /// The server had no request.
    case nowhere
    /// Before the first or after the last recorded request.
    case unrecorded

    /// As printed.
    public var text: String {
      switch self {
      case .batch: "inside a batch (its host part)"
      case .queue: "queued, no batch running"
      case .frontEnd: "in the front end"
      case .nowhere: "none in the server"
      case .unrecorded: "not recorded"
      }
    }
  }

  /// Requests that were recorded.
  public private(set) var requests = 0
  /// Batches.
  public private(set) var batches = 0
  /// Nanoseconds of the device's idle time, by place.
  public private(set) var idle: [Place: Int64] = [:]
  /// Nanoseconds of the device's work, by place: outside of batches it is another model's, or the clocks are joined wrongly.
  public private(set) var busy: [Place: Int64] = [:]
  /// Mean nanoseconds of a request before it was queued; nil where not recorded. So are the others.
  public private(set) var frontEnd: Double?
  /// Queued.
  public private(set) var queue: Double?
  /// From its batch's begin to its end.
  public private(set) var compute: Double?
  /// From its batch's end to its answer.
  public private(set) var response: Double?
  /// Share of batches that began while at least half of a batch stayed behind in the queue: a backlog, not a delay.
  public private(set) var leftBehindShare = 0.0
  /// Share of batches that began the moment a request arrived in the queue: it filled them, no timer sent them.
  public private(set) var filledByArrivalShare = 0.0
  /// Requests per second over what was recorded.
  public private(set) var requestsPerSecond = 0.0

  /// Requests of a batch, mean.
  public var requestsPerBatch: Double { Double(requests) / Double(max(1, batches)) }
  /// Device time of a batch, nanoseconds.
  public var busyPerBatch: Double { Double(busy[.batch] ?? 0) / Double(max(1, batches)) }

  /// A change of what requests do, at a moment.
  private struct Edge {
    var time: Int64
    /// Position of a place.
    var place: Int
    var step: Int
    /// A batch begins.
    var begins = false
  }

  /// Of one device; nil where the trace holds no requests with times.
  public init?(_ trace: Trace, device: DeviceActivity) {
    let table = trace.requests
    var batchSpans: [Int64: (start: Int64, end: Int64)] = [:]
    var edges: [Edge] = []
    func stretch(_ place: Place, _ from: Int64, _ to: Int64, begins: Bool = false) {
      guard from != Trace.unknown, to != Trace.unknown, to > from, from > -DeviceActivity.largestTime, to < DeviceActivity.largestTime
      else { return }
      edges.append(Edge(time: from, place: place.rawValue, step: 1, begins: begins))
      edges.append(Edge(time: to, place: place.rawValue, step: -1))
    }
    func firstKnown(_ values: Int64...) -> Int64 { values.first { $0 != Trace.unknown } ?? Trace.unknown }
    for row in 0..<trace.batches.count {
      let batch = trace.batches[row]
      let start = firstKnown(batch.formed, batch.gatherStart, batch.computeStart)
      let end = firstKnown(batch.outputEnd, batch.computeEnd)
      guard start != Trace.unknown, end != Trace.unknown, end > start else { continue }
      batchSpans[batch.id] = (start, end)
      batches += 1
      stretch(.batch, start, end, begins: true)
    }
    var sums: [(sum: Double, count: Int)] = Array(repeating: (0, 0), count: 4)
    func note(_ index: Int, _ from: Int64, _ to: Int64) {
      guard from != Trace.unknown, to != Trace.unknown, to >= from else { return }
      sums[index] = (sums[index].sum + Double(to.subtractingSaturated(from)), sums[index].count + 1)
    }
    var (first, last) = (Int64.max, Int64.min)
    for row in 0..<table.count {
      let arrived = firstKnown(table.received[row], table.parsed[row], table.enqueued[row])
      let answered = firstKnown(table.responseEnd[row], table.responseStart[row])
      let queued = firstKnown(table.enqueued[row], table.parsed[row], arrived)
      guard arrived != Trace.unknown, arrived > -DeviceActivity.largestTime, arrived < DeviceActivity.largestTime else { continue }
      requests += 1
      let span = batchSpans[table.batch[row]]
      stretch(.frontEnd, arrived, queued)
      stretch(.queue, queued, span?.start ?? answered)
      if let span { stretch(.frontEnd, span.end, answered) }
      note(0, arrived, queued)
      note(1, queued, span?.start ?? Trace.unknown)
      if let span {
        note(2, span.start, span.end)
        note(3, span.end, answered)
      }
      first = min(first, arrived)
      last = max(last, answered == Trace.unknown ? span?.end ?? arrived : answered)
    }
    guard requests > 0, last > first else { return nil }
    func mean(_ index: Int) -> Double? { sums[index].count > 0 ? sums[index].sum / Double(sums[index].count) : nil }
    (frontEnd, queue, compute, response) = (mean(0), mean(1), mean(2), mean(3))
    // Arrivals are this far apart on average; an arrival that sends a batch does so in a fraction of that.
    let apart = Double(last.subtractingSaturated(first)) / Double(requests)
    requestsPerSecond = Double(requests) / (Double(last.subtractingSaturated(first)) / 1e9)
    // At one moment dispatchReasons come before arrivals: a request that leaves the queue for a batch is not left behind by it.
    edges.sort { ($0.time, $0.step, $0.place) < ($1.time, $1.step, $1.place) }
    let segments = segments(edges, first: first, last: last, atOnce: Int64(saturating: 0.1 * apart))
    attribute(device, segments)
  }

  /// Stretches of one place each, in order, without holes from the first to the last request.
  private mutating func segments(_ edges: [Edge], first: Int64, last: Int64, atOnce: Int64) -> [(start: Int64, place: Place)] {
    var counts = [0, 0, 0]
    var segments: [(start: Int64, place: Place)] = []
    var (leftBehind, filled) = (0, 0)
    var arrived = Int64.min
    let backlog = max(1, Int(saturating: requestsPerBatch / 2))
    var index = 0
    while index < edges.count {
      let time = edges[index].time
      var begins = 0
      while index < edges.count, edges[index].time == time {
        counts[edges[index].place] += edges[index].step
        if edges[index].begins { begins += 1 }
        if edges[index].place == Place.queue.rawValue, edges[index].step > 0 { arrived = time }
        index += 1
      }
      if begins > 0, counts[Place.queue.rawValue] >= backlog { leftBehind += begins }
      if begins > 0, arrived != .min, time - arrived <= atOnce { filled += begins }
      let place: Place = counts[0] > 0 ? .batch : counts[1] > 0 ? .queue : counts[2] > 0 ? .frontEnd : .nowhere
      if segments.last?.place != place { segments.append((time, place)) }
    }
    leftBehindShare = Double(leftBehind) / Double(max(1, batches))
    filledByArrivalShare = Double(filled) / Double(max(1, batches))
    if segments.isEmpty { segments.append((first, .nowhere)) }
    segments.append((max(last, segments.last?.start ?? last), .unrecorded))
    return segments
  }

  /// Gives the device's work and idle time to the places.
  private mutating func attribute(_ device: DeviceActivity, _ segments: [(start: Int64, place: Place)]) {
    var position = 0
    func give(_ range: Range<Int64>, _ sums: inout [Place: Int64]) {
      var from = range.lowerBound
      while from < range.upperBound {
        while position < segments.count, segments[position].start <= from { position += 1 }
        let place = position == 0 ? Place.unrecorded : segments[position - 1].place
        let to = position < segments.count ? min(range.upperBound, segments[position].start) : range.upperBound
        sums[place, default: 0] += to - from
        from = to
      }
    }
    var end = Int64.min
    for event in device.events where event.end > end {
      give(max(end, event.start)..<event.end, &busy)
      end = event.end
    }
    position = 0
    device.eachGap { gap, _, _ in give(gap, &idle) }
  }
}
