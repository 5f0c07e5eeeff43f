import CheckedNumbers
public import Diagnosis
import GPUModel
public import Trace

/// All that a trace says of one device.
public struct DeviceExplanation: Sendable {
  /// As printed.
  public var name: String
  /// The ordinal as its processes count devices.
  public var ordinal: Int64
  /// The device.
  public var facts: DeviceFacts
  /// First work's start to last one's end, or the first window's start to the last one's end; nanoseconds.
  public var span: Range<Int64>
  /// Length of the span, or of the windows that were asked for; nanoseconds, at least 1.
  public var wall: Int64
  /// Unions.
  public var busy: BusyTime
  /// Idle time by cause.
  public var idle: IdleTime
  /// Collectives, processes, waits behind small results.
  public var shares: DeviceShares
  /// The call that allocates, loads or queries and in which most of the idle time lies; nil for none.
  public var waitedCall: String?
  /// The call of `IdleTime.longestCall`; nil for none.
  public var longestCallName: String?
  /// Kernels.
  public var kernels: KernelUse
  /// Copies.
  public var copies: CopyUse
  /// Matrix products whose shapes the trace tells; nil where it tells none.
  public var products: ProductUse?
  /// What tiles and grids say of the size of products, by time.
  public var tiledProducts: [TiledProduct]
  /// What counters would have shown.
  public var counters: PredictedCounters
  /// GPU busy time share of each quarter of the span.
  public var quarters: [Double]
  /// Kernels and copies without a launch in the trace.
  public var unlinked: Int
  /// Rows left out for impossible times.
  public var discarded: Int
  /// Median durations of the longest-running kernel at the trace's start and end, nanoseconds: a slowing of the same work.
  public var drift: (first: Double, last: Double)?

  /// Share of kernel time in CUDA graphs that are recorded as one event each: what ran inside is not known.
  public var hiddenShare: Double { Double(busy.graphSum) / Double(max(1, busy.kernelSum)) }
  /// More of it, and SMs with a resident block and tensor time are unknown.
  static let largestHiddenShare = 0.1
  /// Share of the span.
  public func share(_ nanoseconds: Int64) -> Figure {
    Figure(Double(nanoseconds) / Double(wall), .share, kind, source: "trace: union of intervals over the span")
  }
  /// Simulated or measured.
  public var kind: Figure.Kind

  /// Explains one device of a trace.
  public init(
    _ activity: DeviceActivity, trace: Trace, host: HostActivity, facts: DeviceFacts, rate: Double?, steps: Double?, launches: Int,
    kind: Figure.Kind
  ) {
    name = activity.name
    ordinal = activity.ordinal
    self.facts = facts
    self.kind = kind
    span = activity.span
    wall = activity.wall
    shares = DeviceShares(of: activity, trace: trace)
    discarded = activity.discarded
    let busy = BusyTime(of: activity, shortGap: Int64(saturating: CounterConstants.engineNanosecondsPerStart))
    let isLarge = activity.events.count > ConcurrentPair.minimumRows
    let (idle, (kernels, unlinked)) = ConcurrentPair.run(concurrently: isLarge) {
      IdleTime(of: activity, host: host, trace: trace)
    } _: {
      (
        KernelUse(of: activity, trace: trace, facts: facts, overlap: busy.kernelsOverlap),
        Self.unlinked(activity, trace, host)
      )
    }
    self.unlinked = unlinked
    longestCallName = idle.longestCall.flatMap { trace.names[trace.apiCalls.name[$0.row]] }.map(Self.withoutVersion)
    waitedCall = idle.byFunction.max { ($0.value, $1.key) < ($1.value, $0.key) }.flatMap { trace.names[$0.key] }.map(Self.withoutVersion)
    let copies = CopyUse(of: activity, trace: trace)
    products = ProductUse(of: activity, trace: trace, host: host, facts: facts)
    tiledProducts = kernels.tiledProducts(on: facts.gpu)
    var stepRate: StepRate?
    if let rate {
      if let steps, steps > 0 {
        stepRate = StepRate(stepsInTrace: steps, stepsSource: "as given", unprofiledPerSecond: rate)
      } else {
        stepRate = StepRate(
          unprofiledPerSecond: rate, counts: kernels.rows.map(\.count) + (busy.graphs > 0 ? [busy.graphs] : []), spanNanoseconds: wall)
      }
    }
    let isLaunchBound = Double(idle[.launch]) > 0.2 * Double(wall)
    counters = PredictedCounters(
      busy: busy, kernels: kernels, wall: wall, rate: stepRate, launchBound: isLaunchBound, launches: launches, vendor: facts.vendor,
      bandwidth: facts.gpu.map { $0.memoryGigabytesPerSecond * 1e9 }, copyBytes: copies.bytes)
    quarters = Self.quarters(activity)
    drift = Self.drift(activity, trace, kernels)
    self.busy = busy
    self.idle = idle
    self.kernels = kernels
    self.copies = copies
  }

  /// cudaMalloc_v3020 is cudaMalloc.
  private static func withoutVersion(_ name: String) -> String {
    guard let mark = name.ranges(of: "_v").last, !name[mark.upperBound...].isEmpty, name[mark.upperBound...].allSatisfy(\.isNumber) else {
      return name
    }
    return String(name[..<mark.lowerBound])
  }

  /// Work whose launch is not in the trace.
  private static func unlinked(_ activity: DeviceActivity, _ trace: Trace, _ host: HostActivity) -> Int {
    activity.events.reduce(0) { sum, event in
      if event.kind == .copy, CopyEvent.isMigration(direction: trace.copies.direction[Int(event.row)]) { return sum }
      guard let join = IdleTime.join(event, trace), host.launches.apiCall(process: join.process, correlation: join.correlation) != nil
      else {
        return sum + 1
      }
      return sum
    }
  }

  private static func quarters(_ activity: DeviceActivity) -> [Double] {
    if (activity.windows?.count ?? 1) > 1 { return [] }
    let wall = activity.wall
    return (0..<4).map { quarter in
      let from = activity.span.lowerBound + wall / 4 * Int64(quarter)
      let to = quarter == 3 ? activity.span.upperBound : from + wall / 4
      guard to > from else { return 0 }
      var (sum, end) = (Int64(0), from)
      for event in activity.events where event.kind == .kernel || event.kind == .graph {
        if event.start >= to { break }
        let (start, stop) = (max(event.start, end), min(event.end, to))
        if stop > start {
          sum += stop - start
          end = stop
        }
      }
      return Double(sum) / Double(to - from)
    }
  }

  /// The kernel that takes most time, if it runs long enough for the clock to show in it: medians of its first and its last tenth.
  private static func drift(_ activity: DeviceActivity, _ trace: Trace, _ kernels: KernelUse) -> (first: Double, last: Double)? {
    guard let top = kernels.rows.first, top.count >= 20, top.median >= 50_000 else { return nil }
    var id: KernelID?
    var durations: [Int64] = []
    for event in activity.events where event.kind == .kernel {
      let own = trace.kernels.description[Int(event.row)]
      if id == nil {
        let description = trace[own]
        let name = trace.names[description.demangledName] ?? trace.names[description.shortName] ?? "unknown"
        let grid = [description.gridX, description.gridY, description.gridZ].map { Int($0 == Trace.unknown32 ? 0 : max(0, $0)) }
        if name == top.fullName, grid == top.grid { id = own }
      }
      if own == id { durations.append(event.end - event.start) }
    }
    let part = max(5, durations.count / 10)
    guard durations.count >= 2 * part else { return nil }
    func median(_ values: ArraySlice<Int64>) -> Double { Double(values.sorted()[values.count / 2]) }
    return (median(durations.prefix(part)), median(durations.suffix(part)))
  }
}
