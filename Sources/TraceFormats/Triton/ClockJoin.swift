import CheckedNumbers
public import Trace

/// How the clock of a server's requests and that of a trace of its GPU are joined: the server's batches and the GPU's bursts of work are the
/// same thing seen twice. A burst begins after its batch began to compute and ends before the batch's end, so each pair bounds the
/// difference of the clocks from both sides, and many pairs leave a narrow interval.
public struct ClockJoin: Sendable, Hashable {
  /// Nanoseconds to add to the server's times.
  public var offset: Int64
  /// Half the width of the interval that the pairs leave: how well the difference is known.
  public var residual: Int64
  /// Batches with work in their window, of those within the trace's span.
  public var matched: Int
  /// See `matched`.
  public var candidates: Int
  /// The next best difference explains nearly as many batches: a steady rhythm looks the same a period later.
  public var isAmbiguous: Bool

  /// Finds the difference of the clocks; nil where nothing fits: no batches, no work, or less than half of the batches have any.
  public init?(_ requests: [TritonTrace.Request], _ trace: Trace) {
    let windows = Self.windows(requests)
    guard windows.count >= 3 else { return nil }
    let durations = windows.map { $0.upperBound - $0.lowerBound }.sorted()
    let typical = max(1000, durations[durations.count / 2])
    let bursts = Self.bursts(trace, closer: typical / 4)
    guard bursts.count >= 3 else { return nil }
    // Every pair of a batch's and a burst's beginning votes for a difference; the right one gets a vote from each batch.
    let bin = max(10_000, typical / 8)
    var votes: [Int64: Int] = [:]
    let (someWindows, someBursts) = (Self.sample(windows, 400), Self.sample(bursts, 1000))
    for window in someWindows {
      for burst in someBursts {
        votes[burst.lowerBound.subtractingSaturated(window.lowerBound) / bin, default: 0] += 1
      }
    }
    let best = votes.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.prefix(48).map { $0.key.multipliedSaturated(by: bin) }
    var fits: [(offset: Int64, residual: Int64, matched: Int, candidates: Int)] = []
    for difference in best {
      if let fit = Self.fit(windows, bursts, near: difference, within: 2 * bin) { fits.append(fit) }
    }
    fits.sort { ($0.matched, -$0.residual) > ($1.matched, -$1.residual) }
    guard let first = fits.first, first.matched * 2 >= first.candidates, first.matched >= 3 else { return nil }
    (offset, residual, matched, candidates) = first
    isAmbiguous = fits.contains { abs($0.offset - first.offset) > typical && $0.matched * 10 >= first.matched * 9 }
  }

  /// When each batch computed: requests of a batch share the moment it began.
  private static func windows(_ requests: [TritonTrace.Request]) -> [Range<Int64>] {
    var ends: [Int64: Int64] = [:]
    for request in requests where request.computeStart != Trace.unknown && request.computeEnd > request.computeStart {
      ends[request.computeStart] = max(ends[request.computeStart] ?? .min, request.computeEnd)
    }
    return ends.map { $0.key..<$0.value }.sorted { $0.lowerBound < $1.lowerBound }
  }

  /// Stretches of device work without a pause of that length.
  private static func bursts(_ trace: Trace, closer: Int64) -> [Range<Int64>] {
    var intervals: [Range<Int64>] = []
    intervals.reserveCapacity(trace.kernels.count + trace.copies.count + trace.memsets.count)
    func add(_ starts: [Int64], _ ends: [Int64]) {
      for row in starts.indices where ends[row] >= starts[row] { intervals.append(starts[row]..<ends[row]) }
    }
    add(trace.kernels.start, trace.kernels.end)
    add(trace.copies.start, trace.copies.end)
    add(trace.memsets.start, trace.memsets.end)
    add(trace.graphExecutions.start, trace.graphExecutions.end)
    intervals.sort { $0.lowerBound < $1.lowerBound }
    var bursts: [Range<Int64>] = []
    for interval in intervals {
      if let last = bursts.last, interval.lowerBound.subtractingSaturated(last.upperBound) < closer {
        bursts[bursts.count - 1] = last.lowerBound..<max(last.upperBound, interval.upperBound)
      } else {
        bursts.append(interval)
      }
    }
    return bursts
  }

  private static func sample(_ ranges: [Range<Int64>], _ count: Int) -> [Range<Int64>] {
    // In a row, not spread: neighbours carry the rhythm.
    Array(ranges.dropFirst(max(0, (ranges.count - count) / 2)).prefix(count))
  }

  private static func fit(
    _ windows: [Range<Int64>], _ bursts: [Range<Int64>], near difference: Int64, within tolerance: Int64
  ) -> (offset: Int64, residual: Int64, matched: Int, candidates: Int)? {
    guard let first = bursts.first, let last = bursts.last else { return nil }
    var (lows, highs): ([Int64], [Int64]) = ([], [])
    var candidates = 0
    var index = 0
    for window in windows {
      let start = window.lowerBound.addingSaturated(difference)
      let end = window.upperBound.addingSaturated(difference)
      if end < first.lowerBound || start > last.upperBound { continue }
      candidates += 1
      let earliest = start.subtractingSaturated(tolerance)
      while index < bursts.count, bursts[index].lowerBound < earliest { index += 1 }
      guard index < bursts.count, bursts[index].lowerBound < end else { continue }
      var ended = bursts[index].upperBound
      var next = index
      while next < bursts.count, bursts[next].lowerBound < end, bursts[next].upperBound <= end.addingSaturated(tolerance) {
        ended = bursts[next].upperBound
        next += 1
      }
      highs.append(bursts[index].lowerBound.subtractingSaturated(window.lowerBound))
      lows.append(ended.subtractingSaturated(window.upperBound))
    }
    if highs.isEmpty { return nil }
    // The tightest bounds, with a twentieth left out on either side for batches that were matched wrongly.
    lows.sort()
    highs.sort()
    let spare = highs.count / 20
    let (low, high) = (lows[lows.count - 1 - spare], highs[spare])
    let middle = low / 2 + high / 2
    return (
      middle, (high.subtractingSaturated(low) / 2).magnitude > UInt64(clamping: Int64.max) ? .max : abs(high.subtractingSaturated(low) / 2),
      highs.count, candidates
    )
  }
}

extension TritonTrace {
  /// Puts the requests and their batches into a trace, their times moved by the clocks' difference. Rows are not in Triton's traces: they stay
  /// unknown.
  public func add(to trace: inout Trace, offset: Int64) {
    func moved(_ time: Int64) -> Int64 { time == Trace.unknown ? time : time.addingSaturated(offset) }
    struct Key: Hashable {
      var model: String
      var start: Int64
    }
    var batches: [Key: (id: Int64, requests: [Request])] = [:]
    var order: [Key] = []
    for request in requests where request.computeStart != Trace.unknown {
      let key = Key(model: request.model, start: request.computeStart)
      if batches[key] == nil {
        order.append(key)
        batches[key] = (Int64(order.count), [])
      }
      batches[key]?.requests.append(request)
    }
    for key in order {
      guard let batch = batches[key] else { continue }
      func last(_ path: KeyPath<Request, Int64>) -> Int64 { batch.requests.map { $0[keyPath: path] }.max() ?? Trace.unknown }
      trace.batches.append(
        BatchEvent(
          id: batch.id, model: trace.names.intern(key.model), rows: Trace.unknown32, requests: Int32(clamping: batch.requests.count),
          gatherStart: moved(key.start), computeStart: moved(last(\.inputEnd)), computeEnd: moved(last(\.outputStart)),
          outputEnd: moved(last(\.computeEnd))))
    }
    for request in requests {
      trace.requests.append(
        RequestEvent(
          id: request.requestID == Trace.unknown ? request.id : request.requestID,
          batch: batches[Key(model: request.model, start: request.computeStart)]?.id ?? Trace.unknown,
          model: trace.names.intern(request.model),
          rows: Trace.unknown32, bytesIn: Trace.unknown, bytesOut: Trace.unknown, received: moved(request.received),
          parsed: moved(request.parsed),
          enqueued: moved(request.queued), responseStart: moved(request.responseStart), responseEnd: moved(request.responseEnd)))
    }
  }
}
