import CheckedNumbers
import Diagnosis
import Serving
import TimeBase

/// Figures of one model over the window, read off the events.
struct LiveFigures: Sendable {
  var requestsPerSecond: Figure
  var rowsPerSecond: Figure
  var arrivalsPerSecond: Figure
  var answeredRequests: Figure
  var failedRequests: Figure
  var batches: Figure
  var rowsPerRequest: Figure?
  var requestsPerBatch: Figure?
  var rowsPerBatch: Figure?
  var meanLatency: Figure?
  var medianLatency: Figure?
  var p95Latency: Figure?
  var p99Latency: Figure?
  var instanceBusyShare: Figure
  var instancesAtWork: Figure
  var queuedRequests: Figure
  var queuedRows: Figure
  /// Batches by rows, in at most `bins` ranges.
  var batchSizes: [(rows: ClosedRange<Int>, batches: Int)]

  static let bins = 32

  init(_ state: LiveModelState, good: [LiveRecorder.Request], events: LiveTrace.Events, window: Range<Int64>, kind: Figure.Kind) {
    let wall = Double(max(1, window.upperBound - window.lowerBound))
    let rows = good.reduce(0) { $0 + Int($1.rows) }
    requestsPerSecond = Figure(Double(good.count) / wall * 1e9, .requestsPerSecond, kind, source: "answers in the window")
    rowsPerSecond = Figure(Double(rows) / wall * 1e9, .rowsPerSecond, kind, source: "rows of the answers in the window")
    let arrived = events.requests.count { window.contains($0.received.nanoseconds) } + state.queuedRequests
    arrivalsPerSecond = Figure(
      Double(arrived) / wall * 1e9, .requestsPerSecond, min(kind, .estimated),
      source: "requests received in the window that are answered or wait now; those in a running batch are not in it")
    answeredRequests = Figure(Double(good.count), .count, kind, source: "answers in the window")
    failedRequests = Figure(
      Double(events.requests.count { $0.failed && window.contains($0.responseEnd.nanoseconds) }), .count, kind,
      source: "requests answered with an error in the window")
    let ended = events.batches.filter { window.contains($0.outputEnd.nanoseconds) }
    batches = Figure(Double(ended.count), .count, kind, source: "batches that ended in the window")
    func mean(_ sum: Int, _ count: Int, _ unit: Figure.Unit, _ source: String) -> Figure? {
      count > 0 ? Figure(Double(sum) / Double(count), unit, kind, source: source) : nil
    }
    rowsPerRequest = mean(rows, good.count, .rows, "answers in the window")
    requestsPerBatch = mean(ended.reduce(0) { $0 + Int($1.requests) }, ended.count, .count, "batches in the window")
    rowsPerBatch = mean(ended.reduce(0) { $0 + Int($1.rows) }, ended.count, .rows, "batches in the window")
    let latencies = good.map { ($0.responseEnd - $0.received).nanoseconds }.sorted()
    func percentile(_ percentile: Double) -> Figure? {
      Self.percentile(percentile, of: latencies).map {
        Figure($0, .milliseconds, kind, source: "first byte read to answer written, \(latencies.count) answers")
      }
    }
    (medianLatency, p95Latency, p99Latency) = (percentile(50), percentile(95), percentile(99))
    meanLatency =
      latencies.isEmpty
      ? nil
      : Figure(
        latencies.reduce(0) { $0 + Double($1) } / Double(latencies.count) / 1e6, .milliseconds, kind,
        source: "first byte read to answer written, \(latencies.count) answers")
    let busy = events.batches.reduce(0.0) { $0 + LiveTrace.length($1.gatherStart, $1.outputEnd, in: window) }
    instanceBusyShare = Figure(
      min(1, busy / wall / Double(max(1, state.instances))), .share, kind,
      source: "batches from gather to outputs, over instances and window")
    instancesAtWork = Figure(Double(state.instancesAtWork), .count, kind, source: "instances with a batch now")
    queuedRequests = Figure(Double(state.queuedRequests), .count, kind, source: "requests in the queue now")
    queuedRows = Figure(Double(state.queuedRows), .count, kind, source: "rows in the queue now")
    batchSizes = Self.histogram(ended.map { Int($0.rows) })
  }

  /// Milliseconds of the nearest rank; nil for none.
  static func percentile(_ percentile: Double, of sorted: [Int64]) -> Double? {
    NearestRank.value(percentile: percentile, ofSorted: sorted).map { Double($0) / 1e6 }
  }

  static func histogram(_ sizes: [Int]) -> [(rows: ClosedRange<Int>, batches: Int)] {
    guard let low = sizes.min(), let high = sizes.max() else { return [] }
    let width = (high - low) / bins + 1
    var counts: [Int: Int] = [:]
    for size in sizes { counts[(size - low) / width, default: 0] += 1 }
    return counts.sorted { $0.key < $1.key }.map { bin, count in
      (rows: (low + bin * width)...(low + bin * width + width - 1), batches: count)
    }
  }
}
