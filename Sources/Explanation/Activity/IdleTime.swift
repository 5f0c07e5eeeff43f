import CheckedNumbers
import TimeBase
public import Trace

/// A device's idle time, every nanosecond of it given to a cause. There is no threshold: thousands of gaps of three microseconds may be most
/// of a trace.
public struct IdleTime: Sendable {
  /// A stretch in which the whole device had no work.
  public struct Gap: Sendable, Hashable {
    /// When, nanoseconds.
    public var range: Range<Int64>
    /// The cause of its largest part.
    public var cause: GapCause
    /// What ran before, as a row of its table; nil at the window's start.
    public var before: DeviceEvent?
    /// What ended it; nil at the window's end.
    public var after: DeviceEvent?
    /// Its length, nanoseconds.
    public var length: Int64 { range.upperBound - range.lowerBound }
  }

  /// Gaps alike: the same work before and after, and the same cause.
  public struct Pattern: Sendable, Hashable {
    /// Name of the work before.
    public var before: String
    /// Name of the work after.
    public var after: String
    /// Cause.
    public var cause: GapCause
    /// How many.
    public var count: Int
    /// Their lengths summed, nanoseconds.
    public var total: Int64
  }

  /// Nanoseconds by cause.
  public private(set) var byCause: [GapCause: Int64] = [:]
  /// Gaps by the cause of their largest part.
  public private(set) var counts: [GapCause: Int] = [:]
  /// All gaps, nanoseconds.
  public private(set) var total: Int64 = 0
  /// How many gaps.
  public private(set) var count = 0
  /// Longest first.
  public private(set) var longest: [Gap] = []
  /// By what they add up to, most first.
  public private(set) var patterns: [Pattern] = []
  /// Median length, nanoseconds; 0 without gaps.
  public private(set) var medianLength: Int64 = 0
  /// Idle time inside calls that allocate, load or query, nanoseconds by function.
  public private(set) var byFunction: [NameID: Int64] = [:]
  /// The call that allocates, loads or queries and in which the device idled longest at a stretch: its row, its end and that idle time, both
  /// in nanoseconds. Nil for none.
  public private(set) var longestCall: (row: Int, end: Int64, nanoseconds: Int64)?
  /// Work that began with the device idle and whose launch is in the trace.
  public private(set) var launchedGaps = 0

  /// Between two kernels that were both queued the device takes 0.5 to 2 us (measured: 1.0 after short kernels, up to 1.9 with large
  /// grids on an H200); what is longer waits for something else.
  static let longestDispatch: Int64 = 5_000
  /// A kernel starts so long after its launch call's return at the latest where nothing else holds it back (measured: 2.3 us at the median; a
  /// board that has been idle takes longer, and clocks of host and device differ by some).
  static let longestLaunch: Int64 = 50_000
  /// A stretch of host code counts as "outside CUDA" where it is this many times the thread's usual time between launches ...
  static let outsideFactor: Int64 = 10
  /// ... and at least so long, nanoseconds.
  static let shortestOutside: Int64 = 200_000
  /// Longest gaps kept.
  static let kept = 100

  private struct PatternKey: Hashable {
    var before: Int32
    var after: Int32
    var cause: GapCause
  }

  /// Attributes the gaps of a device by walking back from the launch that ends each: correlation, launching thread, what that thread did.
  public init(of activity: DeviceActivity, host: HostActivity, trace: Trace) {
    var patterns: [PatternKey: (count: Int, total: Int64)] = [:]
    var lengths: [Int64] = []
    // By position of the cause: a dictionary for each of millions of gaps would cost more than the walk.
    var parts = [Int64](repeating: 0, count: GapCause.allCases.count)
    activity.eachGap { gap, before, after in
      for index in parts.indices { parts[index] = 0 }
      if let after {
        attribute(gap, before: before, after: after, host: host, trace: trace) { parts[$0.position] += $1 }
      } else {
        parts[GapCause.launchNotRecorded.position] = gap.upperBound - gap.lowerBound
      }
      note(gap, parts, before: before, after: after, trace: trace, &patterns, &lengths)
    }
    settle(&patterns)
    for (cause, sum) in zip(Self.causes, sums) where sum > 0 { byCause[cause] = sum }
    for (cause, count) in zip(Self.causes, mainCounts) where count > 0 { counts[cause] = count }
    longest.sort { ($1.length, $0.range.lowerBound) < ($0.length, $1.range.lowerBound) }
    longest = Array(longest.prefix(Self.kept))
    self.patterns = patterns.map { key, value in
      Pattern(
        before: Self.name(key.before, trace), after: Self.name(key.after, trace), cause: key.cause, count: value.count, total: value.total)
    }.sorted { ($1.total, $0.before, $0.after) < ($0.total, $1.before, $1.after) }
    medianLength = Selection.value(&lengths, rank: lengths.count / 2) ?? 0
  }

  /// Nanoseconds of a family of causes.
  public subscript(family: GapCause.Family) -> Int64 {
    byCause.reduce(0) { $0 + ($1.key.family == family ? $1.value : 0) }
  }

  private mutating func note(
    _ gap: Range<Int64>, _ parts: [Int64], before: DeviceEvent?, after: DeviceEvent?, trace: Trace,
    _ patterns: inout [PatternKey: (count: Int, total: Int64)], _ lengths: inout [Int64]
  ) {
    let length = gap.upperBound - gap.lowerBound
    total += length
    count += 1
    lengths.append(length)
    // The order of cases decides a tie, so that the answer is always the same.
    var main = GapCause.launchNotRecorded
    var largest: Int64 = -1
    for (cause, part) in zip(Self.causes, parts) where part > 0 {
      sums[cause.position] += part
      if part > largest { (main, largest) = (cause, part) }
    }
    mainCounts[main.position] += 1
    let key = PatternKey(before: Self.label(before, trace), after: Self.label(after, trace), cause: main)
    if key == lastKey {
      lastPattern = (lastPattern.count + 1, lastPattern.total + length)
    } else {
      settle(&patterns)
      (lastKey, lastPattern) = (key, (1, length))
    }
    if longest.count < 2 * Self.kept {
      longest.append(Gap(range: gap, cause: main, before: before, after: after))
    } else if length > longestFloor {
      longest.append(Gap(range: gap, cause: main, before: before, after: after))
      if longest.count >= 4 * Self.kept {
        longest.sort { ($1.length, $0.range.lowerBound) < ($0.length, $1.range.lowerBound) }
        longest.removeLast(longest.count - 2 * Self.kept)
        longestFloor = longest[Self.kept].length
      }
    }
  }

  /// Adds the run of gaps alike that has just ended: gaps of one kind mostly follow each other.
  private mutating func settle(_ patterns: inout [PatternKey: (count: Int, total: Int64)]) {
    guard let key = lastKey else { return }
    let run = lastPattern
    func add(_ value: inout (count: Int, total: Int64)) { value = (value.count + run.count, value.total + run.total) }
    add(&patterns[key, default: (0, 0)])
    lastKey = nil
  }

  private var lastKey: PatternKey?
  private var lastPattern: (count: Int, total: Int64) = (0, 0)
  private static let causes = GapCause.allCases
  /// `byCause` and `counts` while gaps are being counted, by position of the cause.
  private var sums = [Int64](repeating: 0, count: GapCause.allCases.count)
  private var mainCounts = [Int](repeating: 0, count: GapCause.allCases.count)

  /// Gaps no longer than this cannot be among the longest any more.
  private var longestFloor: Int64 = 0

  private mutating func attribute(
    _ gap: Range<Int64>, before: DeviceEvent?, after: DeviceEvent, host: HostActivity, trace: Trace, _ give: (GapCause, Int64) -> Void
  ) {
    let length = gap.upperBound - gap.lowerBound
    guard let join = Self.join(after, trace), let call = host.launches.apiCall(process: join.process, correlation: join.correlation),
      let thread = host.threads[trace.apiCalls.thread[call]]
    else { return attributeMigration(gap, after: after, host: host, trace: trace, give) }
    launchedGaps += 1
    let table = trace.apiCalls
    let start = table.start[call]
    let kind = host.kind(ofCall: call, table)
    if kind == .graphLaunch, let before, let earlier = Self.join(before, trace), earlier == join { return give(.graphNodes, length) }
    if start <= gap.lowerBound {
      // Launched while the device still worked. Where the launch call had not returned yet, the call itself was late.
      if length <= Self.longestDispatch { return give(table.end[call] <= gap.lowerBound ? .dispatch : callCause(kind), length) }
      if table.end[call] > gap.lowerBound {
        let inCall = min(table.end[call], gap.upperBound) - gap.lowerBound
        piece(gap.lowerBound..<gap.lowerBound + inCall, callCause(kind), thread, host, give)
        if inCall < length { give(.dispatch, length - inCall) }
        return
      }
      return give(.dependency, length)
    }
    // Late: from the launch call on it is the launch's own time, as long as a launch may take; before it the thread's.
    let launched = min(start, gap.upperBound)
    let arrived = min(gap.upperBound, max(launched, table.end[call].addingSaturated(Self.longestLaunch)))
    if launched < arrived { piece(launched..<arrived, callCause(kind), thread, host, give) }
    if arrived < gap.upperBound { give(.dependency, gap.upperBound - arrived) }
    walk(gap.lowerBound..<launched, thread: thread, host: host, trace: trace, give)
  }

  /// A gap that ends with work whose call is unknown. Pages of unified memory move to the host when it touches them: no call asks for that, so the
  /// time before it is the host's, of the thread that called last.
  private mutating func attributeMigration(
    _ gap: Range<Int64>, after: DeviceEvent, host: HostActivity, trace: Trace, _ give: (GapCause, Int64) -> Void
  ) {
    let row = Int(after.row)
    if after.kind == .copy, CopyEvent.isMigration(direction: trace.copies.direction[row]),
      let thread = host.lastCaller(in: trace[trace.copies.stream[row]].process, before: gap.upperBound, trace.apiCalls)
    {
      return walk(gap, thread: thread, host: host, trace: trace, give)
    }
    give(.launchNotRecorded, gap.upperBound - gap.lowerBound)
  }

  /// What a launch's own time counts as.
  private func callCause(_ kind: APIKind) -> GapCause {
    switch kind {
    case .graphLaunch: .graphLaunch
    case .copy, .fill: .copyCall
    default: .launchCall
    }
  }

  /// Gives a stretch of the launch thread's time to a cause, less what the profiler or the driver took of it for itself.
  private func piece(
    _ stretch: Range<Int64>, _ cause: GapCause, _ thread: HostActivity.Thread, _ host: HostActivity, _ give: (GapCause, Int64) -> Void
  ) {
    let length = stretch.upperBound - stretch.lowerBound
    let own = min(length, host.overhead(thread.id, stretch))
    if own > 0 { give(.profiler, own) }
    if own < length { give(cause, length - own) }
  }

  /// Gives each part of a stretch to what the launch thread did then, from its end backwards.
  private mutating func walk(
    _ stretch: Range<Int64>, thread: HostActivity.Thread, host: HostActivity, trace: Trace, _ give: (GapCause, Int64) -> Void
  ) {
    let table = trace.apiCalls
    var to = stretch.upperBound
    var position = host.firstCall(after: stretch.upperBound - 1, of: thread, table) - 1
    let outside = max(Self.shortestOutside, (thread.launchInterval ?? 0).multipliedSaturated(by: Self.outsideFactor))
    while to > stretch.lowerBound {
      var previous: Int?
      while position >= 0 {
        let row = Int(thread.calls[position])
        if table.start[row] < to {
          previous = row
          break
        }
        position -= 1
      }
      let callEnd = previous.map { max(min(table.end[$0], to), stretch.lowerBound) } ?? stretch.lowerBound
      if callEnd < to {
        uncovered(
          callEnd..<to, whole: previous.map { to - table.end[$0] } ?? Int64.max, after: callBefore(position, thread, host, trace), outside,
          thread, host, trace, give)
      }
      guard let previous else { return }
      let callStart = max(table.start[previous], stretch.lowerBound)
      if callStart < callEnd {
        let cause = cause(of: previous, host, table)
        if cause.family == .calls {
          byFunction[table.name[previous], default: 0] += callEnd - callStart
          if callEnd - callStart > longestCall?.nanoseconds ?? 0 { longestCall = (previous, table.end[previous], callEnd - callStart) }
        }
        piece(callStart..<callEnd, cause, thread, host, give)
      }
      to = callStart
      position -= 1
    }
  }

  /// The last call at or before a position that is more than a query.
  private func callBefore(_ position: Int, _ thread: HostActivity.Thread, _ host: HostActivity, _ trace: Trace) -> Int? {
    var index = position
    // A handful of queries between two launches is usual; more are not looked through.
    let limit = max(-1, position - 16)
    while index > limit, index >= 0 {
      let row = Int(thread.calls[index])
      if host.kind(ofCall: row, trace.apiCalls) != .other { return row }
      index -= 1
    }
    return nil
  }

  private func cause(of row: Int, _ host: HostActivity, _ table: APICallTable) -> GapCause {
    switch host.kind(ofCall: row, table) {
    case .launch: .launchCall
    case .graphLaunch: .graphLaunch
    case .synchronize: .synchronize
    case .copy, .fill: .copyCall
    case .memoryManagement: .memoryManagement
    case .moduleLoad: .moduleLoad
    case .other: .otherCall
    }
  }

  /// Host time without a CUDA call. `whole` is the length of the whole stretch between the two calls, which may begin before the gap.
  private func uncovered(
    _ stretch: Range<Int64>, whole: Int64, after call: Int?, _ outside: Int64, _ thread: HostActivity.Thread, _ host: HostActivity,
    _ trace: Trace, _ give: (GapCause, Int64) -> Void
  ) {
    let length = stretch.upperBound - stretch.lowerBound
    let own = min(length, host.overhead(thread.id, stretch))
    if own > 0 { give(.profiler, own) }
    let waited = min(length - own, host.waited(thread, stretch, trace.osCalls))
    if waited > 0 { give(.blocked, waited) }
    // A wait in an OS call is time off the processor too: only what goes beyond it has no name yet.
    let offCPU = max(0, min(length - own, host.offCPU(thread.id, stretch)) - waited)
    if offCPU > 0 { give(.offCPU, offCPU) }
    let rest = length - own - waited - offCPU
    if rest == 0 { return }
    if whole >= outside { return give(host.isScheduleRecorded(thread.id) ? .hostComputing : .hostOutsideCUDA, rest) }
    guard let call else { return give(.launchLate, rest) }
    let table = trace.apiCalls
    switch host.kind(ofCall: call, table) {
    case .synchronize: give(.hostAfterSynchronize, rest)
    // A copy that waited for the device is a synchronization by another name; one that was only queued is a launch.
    case .copy where Self.waits(call, host, trace): give(.hostAfterSynchronize, rest)
    default: give(.launchLate, rest)
    }
  }

  /// A copy call that returned no sooner than its copy ended. Told from its name alone: `cudaMemcpy` waits, `cudaMemcpyAsync` mostly not.
  private static func waits(_ call: Int, _ host: HostActivity, _ trace: Trace) -> Bool {
    guard let name = trace.names[trace.apiCalls.name[call]] else { return false }
    return !name.contains("Async")
  }

  /// What joins a device event with its call.
  struct Join: Hashable {
    var process: Int64
    var correlation: Int64
  }

  static func join(_ event: DeviceEvent, _ trace: Trace) -> Join? {
    let row = Int(event.row)
    let (stream, correlation): (StreamID, Int64) =
      switch event.kind {
      case .kernel: (trace.kernels.stream[row], trace.kernels.correlation[row])
      case .copy: (trace.copies.stream[row], trace.copies.correlation[row])
      case .fill: (trace.memsets.stream[row], trace.memsets.correlation[row])
      case .graph: (trace.graphExecutions.stream[row], trace.graphExecutions.correlation[row])
      }
    if correlation == Trace.unknown { return nil }
    return Join(process: trace[stream].process, correlation: correlation)
  }

  /// A number for what an event is: kernels by description, copies by direction.
  private static func label(_ event: DeviceEvent?, _ trace: Trace) -> Int32 {
    guard let event else { return -1 }
    switch event.kind {
    case .kernel: return trace.kernels.description[Int(event.row)].rawValue
    case .copy: return -100 - trace.copies.direction[Int(event.row)] % 100
    case .fill: return -2
    case .graph: return -3
    }
  }

  private static func name(_ label: Int32, _ trace: Trace) -> String {
    switch label {
    case -1: return "(nothing)"
    case -2: return "memset"
    case -3: return "CUDA graph"
    case ..<(-3): return CopyName.short(direction: -100 - label)
    default: return KernelName.short(trace, KernelID(rawValue: label))
    }
  }

  /// As printed: a kernel's short name, a copy's direction.
  public static func name(of event: DeviceEvent?, _ trace: Trace) -> String { name(label(event, trace), trace) }
}

/// Names of copies by direction.
enum CopyName {
  static func short(direction: Int32) -> String {
    switch direction {
    case 1: "copy host to device"
    case 2: "copy device to host"
    case 8: "copy device to device"
    case 9: "copy host to host"
    case 10: "copy peer to peer"
    case 11: "unified memory to device"
    case 12: "unified memory to host"
    case 13: "unified memory between devices"
    default: "copy"
    }
  }
}
