public import Trace
import Vocabulary

/// Where a device's wall time went, nanoseconds of the window. Adds up to it.
public struct DeviceTime: Sendable, Hashable {
  /// Window.
  public var window: Range<Int64>
  /// At least one kernel ran.
  public var gpuBusy: Int64 = 0
  /// Copies or fills ran, and no kernel.
  public var nonOverlappedMemcpy: Int64 = 0
  /// Nothing ran and no request waited behind the front end.
  public var noRequestsIdle: Int64 = 0
  /// Nothing ran, requests waited, and the batcher held them for the batch to fill although an instance was there.
  public var batchingDelayIdle: Int64 = 0
  /// Nothing ran although a batch was due: hand-off, gathering, launching, wake-up, dispatch.
  public var hostOverheadIdle: Int64 = 0
  /// Nothing ran and the trace does not say why.
  public var unattributedIdle: Int64 = 0
  /// Gaps, longest first, at most 1,000.
  public var longestGaps: [Gap] = []
  /// Copies or fills while another batch was due.
  public var copyOnlyWhileWorkWaits: Int64 = 0

  /// A stretch in which the whole device had no work.
  public struct Gap: Sendable, Hashable {
    /// When, nanoseconds.
    public var range: Range<Int64>
    /// Why, by the largest part of it.
    public var cause: Cause
  }

  /// Why a device had nothing to do.
  public enum Cause: String, Sendable, Hashable, CaseIterable {
    /// No request waited.
    case noRequests
    /// The batcher waited for the batch to fill.
    case batchingDelay
    /// A batch was due and not yet on the device.
    case hostOverhead
    /// Between kernels of one batch.
    case insideBatch
    /// Not recorded.
    case unattributed

    /// As printed.
    public var text: String {
      switch self {
      case .noRequests: "no request waited"
      case .batchingDelay: "the batcher waited for the batch to fill"
      case .hostOverhead: "a batch was due and not yet on the device"
      case .insideBatch: "between kernels of one batch"
      case .unattributed: "launch thread blocked, waker unrecorded"
      }
    }
  }

  /// Total length of the window.
  public var wall: Int64 { window.upperBound - window.lowerBound }
  /// Kernels, copies or fills ran.
  public var deviceBusy: Int64 { gpuBusy + nonOverlappedMemcpy }

  /// Attributes a window of a trace. A gap is given to the batch that ends it: before its first request came the device had no requests, from
  /// when the batch was due the host was late, and in between the batcher held it. Without batches and requests idle time stays
  /// unattributed: what cannot be seen is not named.
  public init(of trace: Trace, window: Range<Int64>) {
    self.window = window
    let kernels = Intervals(trace.kernels.start, trace.kernels.end, in: window)
    let device = Intervals(
      [
        (trace.kernels.start, trace.kernels.end), (trace.copies.start, trace.copies.end), (trace.memsets.start, trace.memsets.end),
      ], in: window)
    gpuBusy = kernels.total
    nonOverlappedMemcpy = device.total - gpuBusy
    let batches = BatchTimes(of: trace)
    var next = 0
    var gaps: [Gap] = []
    for gap in device.gaps(in: window) {
      guard !batches.isEmpty else {
        unattributedIdle += gap.upperBound - gap.lowerBound
        gaps.append(Gap(range: gap, cause: .unattributed))
        continue
      }
      while next + 1 < batches.count, batches.gatherStart[next + 1] <= gap.upperBound { next += 1 }
      // The batch that ends it, or, at the window's end, the one that would have.
      let batch = batches.gatherStart[next] <= gap.upperBound ? next : nil
      guard let batch, gap.upperBound < window.upperBound || batches.computeEnd[batch] > gap.upperBound else {
        unattributedIdle += gap.upperBound - gap.lowerBound
        gaps.append(Gap(range: gap, cause: .unattributed))
        continue
      }
      if gap.lowerBound >= batches.computeStart[batch] {
        hostOverheadIdle += gap.upperBound - gap.lowerBound
        gaps.append(Gap(range: gap, cause: .insideBatch))
        continue
      }
      let first = min(max(batches.firstEnqueued[batch], gap.lowerBound), gap.upperBound)
      let due = min(max(batches.due[batch], first), gap.upperBound)
      let (noRequests, batchingDelay, hostOverhead) = (first - gap.lowerBound, due - first, gap.upperBound - due)
      noRequestsIdle += noRequests
      batchingDelayIdle += batchingDelay
      hostOverheadIdle += hostOverhead
      gaps.append(
        Gap(
          range: gap,
          cause: noRequests >= max(batchingDelay, hostOverhead)
            ? .noRequests : batchingDelay >= hostOverhead ? .batchingDelay : .hostOverhead))
    }
    gaps.sort { $0.range.upperBound - $0.range.lowerBound > $1.range.upperBound - $1.range.lowerBound }
    longestGaps = Array(gaps.prefix(1000))

    if !batches.isEmpty, nonOverlappedMemcpy > 0 {
      // An upload during which the next batch is due already, and no kernel runs.
      let uploads = Intervals(trace.copies.start, trace.copies.end, in: window)
      var batch = 0
      var waiting: Int64 = 0
      for index in uploads.starts.indices {
        while batch + 1 < batches.count, batches.gatherStart[batch + 1] <= uploads.starts[index] { batch += 1 }
        guard batch + 1 < batches.count else { break }
        let from = max(uploads.starts[index], batches.due[batch + 1])
        if from < uploads.ends[index] { waiting += uploads.ends[index] - from }
      }
      copyOnlyWhileWorkWaits = min(nonOverlappedMemcpy, waiting)
    }
  }
}

/// When each batch could have left, in order of gathering.
struct BatchTimes {
  var gatherStart: [Int64] = []
  var formed: [Int64] = []
  var computeStart: [Int64] = []
  var computeEnd: [Int64] = []
  var outputEnd: [Int64] = []
  var firstEnqueued: [Int64] = []
  /// From when on it was due: by size, by shape, or by its delay.
  var due: [Int64] = []
  var id: [Int64] = []

  var count: Int { formed.count }
  var isEmpty: Bool { formed.isEmpty }

  /// From a trace with batches and requests; empty where either is missing.
  init(of trace: Trace) {
    let table = trace.batches
    guard table.count > 0, trace.requests.count > 0 else { return }
    let order = table.gatherStart.indices.filter { table.gatherStart[$0] != Trace.unknown && table.formed[$0] != Trace.unknown }
      .sorted { table.gatherStart[$0] < table.gatherStart[$1] }
    var position: [Int64: Int] = [:]
    position.reserveCapacity(order.count)
    for (rank, index) in order.enumerated() { position[table.id[index]] = rank }
    var first = [Int64](repeating: .max, count: order.count)
    var last = [Int64](repeating: .min, count: order.count)
    for (batch, enqueued) in zip(trace.requests.batch, trace.requests.enqueued) where batch != Trace.unknown && enqueued != Trace.unknown {
      guard let rank = position[batch] else { continue }
      first[rank] = min(first[rank], enqueued)
      last[rank] = max(last[rank], enqueued)
    }
    let arrivals = trace.requests.enqueued.filter { $0 != Trace.unknown }.sorted()
    for (rank, index) in order.enumerated() {
      // Requests of batches at the window's edges may not be in the table.
      guard first[rank] != .max else { continue }
      let formed = table.formed[index]
      gatherStart.append(table.gatherStart[index])
      self.formed.append(formed)
      computeStart.append(table.computeStart[index])
      computeEnd.append(table.computeEnd[index])
      outputEnd.append(table.outputEnd[index])
      firstEnqueued.append(first[rank])
      id.append(table.id[index])
      let due: Int64
      switch trace.names[table.reason[index]].flatMap(DispatchReason.init(rawValue:)) {
      case .preferredSize, .full: due = last[rank]
      case .wouldExceed, .shapeMismatch:
        // The request that did not fit, or fit no more, made it leave.
        due = arrivals[min(Self.upperBound(arrivals, last[rank]), arrivals.count - 1)]
      case .zeroDelay, .unbatched: due = first[rank]
      case .delay, nil: due = formed
      }
      self.due.append(min(max(due, first[rank]), formed))
    }
  }

  /// Position of the first element above a value.
  private static func upperBound(_ sorted: [Int64], _ value: Int64) -> Int {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] <= value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
