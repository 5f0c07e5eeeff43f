import CheckedNumbers
public import Trace

/// How large a trace becomes as JSON, told without writing it, and how much of it fits a limit: viewers load such files whole.
public struct ChromeTraceSize: Sendable, Hashable {
  /// About as many bytes as the whole trace takes.
  public let bytes: Int
  /// Length of the trace, nanoseconds.
  public let nanoseconds: Int64
  /// The last instant whose events are written; nil: all are.
  public let cutoff: Int64?
  /// About as many bytes as will be written.
  public let writtenBytes: Int
  /// Nanoseconds of the trace that will be written.
  public let writtenNanoseconds: Int64

  /// The size of `trace`, cut so that about `limit` bytes remain; nil: whole.
  public init(_ trace: Trace, limit: Int? = nil) {
    var weights = Weights(trace)
    weights.weigh(trace)
    bytes = weights.total
    nanoseconds = weights.span
    guard let limit, weights.total > limit else {
      (cutoff, writtenBytes, writtenNanoseconds) = (nil, weights.total, weights.span)
      return
    }
    let fitting = weights.fitting(limit)
    (cutoff, writtenBytes) = (fitting.cutoff, fitting.bytes)
    writtenNanoseconds = max(0, fitting.cutoff &- weights.first)
  }

  /// Bytes by when their events start, in slices of equal length.
  private struct Weights {
    /// Bytes of an event of each kind, arrows to and from it included, measured over simulated and recorded traces; texts are short.
    static let apiCall = 270
    static let osCall = 150
    static let range = 160
    static let kernel = 420
    static let copy = 340
    static let memset = 300
    static let batch = 190
    static let request = 310
    static let clientRequest = 230
    static let counter = 130
    private static let slices = 4096

    private(set) var first = Int64.max
    private var last = Int64.min
    private var sums = [Int](repeating: 0, count: slices)
    private(set) var total = 0

    init(_ trace: Trace) {
      for start in Self.starts(trace).lazy.flatMap(\.times) where start != Trace.unknown {
        (first, last) = (min(first, start), max(last, start))
      }
      if first > last { (first, last) = (0, 0) }
    }

    /// Nanoseconds from the first start to the last.
    var span: Int64 {
      let (length, overflow) = last.subtractingReportingOverflow(first)
      return overflow ? Int64.max : length
    }

    mutating func weigh(_ trace: Trace) {
      let width = Double(max(1, span)) / Double(Self.slices)
      for (times, weight) in Self.starts(trace) {
        for start in times where start != Trace.unknown {
          let place = Int(saturating: Double(start &- first) / width)
          sums[min(Self.slices - 1, max(0, place))] += weight
          total += weight
        }
      }
    }

    /// Slices from the start while they fit; at least one.
    func fitting(_ limit: Int) -> (cutoff: Int64, bytes: Int) {
      var (count, bytes) = (1, sums[0])
      while count < Self.slices, bytes + sums[count] <= limit {
        bytes += sums[count]
        count += 1
      }
      let length = Double(max(1, span)) / Double(Self.slices) * Double(count)
      return (first.addingReportingOverflow(Int64(saturating: length)).partialValue, bytes)
    }

    private static func starts(_ trace: Trace) -> [(times: [Int64], weight: Int)] {
      [
        (trace.apiCalls.start, apiCall), (trace.osCalls.start, osCall), (trace.ranges.map(\.start), range), (trace.kernels.start, kernel),
        (trace.copies.map(\.start), copy), (trace.memsets.map(\.start), memset), (trace.batches.gatherStart, batch),
        (trace.requests.map(\.received), request), (trace.clientRequests.map(\.sent), clientRequest), (trace.counters.map(\.time), counter),
      ]
    }
  }
}

extension Trace {
  /// What began at `instant` or before, or at a time that is not known.
  func begun(by instant: Int64) -> Trace {
    func kept<Table: TraceTable>(_ table: Table, _ start: (Table.Element) -> Int64) -> Table {
      var result = Table()
      for row in table where start(row) <= instant || start(row) == Trace.unknown { result.append(row) }
      return result
    }
    var cut = self
    cut.apiCalls = kept(apiCalls) { $0.start }
    cut.osCalls = kept(osCalls) { $0.start }
    cut.ranges = kept(ranges) { $0.start }
    cut.kernels = kept(kernels) { $0.start }
    cut.copies = kept(copies) { $0.start }
    cut.memsets = kept(memsets) { $0.start }
    cut.batches = kept(batches) { $0.gatherStart }
    cut.requests = kept(requests) { $0.received }
    cut.clientRequests = kept(clientRequests) { $0.sent }
    cut.counters = kept(counters) { $0.time }
    cut.run["cutAtNanoseconds"] = String(instant)
    return cut
  }
}
