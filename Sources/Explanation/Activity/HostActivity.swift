import CheckedNumbers
import TimeBase
public import Trace

/// Calls of host threads, in order, so that a gap can be walked back from the launch that ends it.
public struct HostActivity: Sendable {
  /// CUDA calls of one thread that no other call of it encloses, in order of start.
  public struct Thread: Sendable {
    /// Global thread id.
    public var id: Int64
    /// Rows of `Trace.apiCalls`.
    public var calls: [Int32]
    /// Rows of `Trace.osCalls`, the waits of the thread, in order of start.
    public var waits: [Int32]
    /// Median time between two launches of this thread with no other call but queries between, nanoseconds; nil below ten of them.
    public var launchInterval: Int64?
  }

  /// Threads that call CUDA.
  public var threads: [Int64: Thread]
  /// What each call is, by position in `Trace.names`.
  private let kinds: [APIKind]
  /// Call rows by (process, correlation).
  public let launches: CorrelationIndex

  /// The profiler's and the driver's own work; under `Trace.unknown` where the trace does not say which thread.
  private var overheads = ThreadStretches()
  /// When threads ran on no processor.
  private var stretchesOffCPU = ThreadStretches()
  /// Threads whose scheduling was recorded.
  private var scheduledThreads: Set<Int64> = []

  /// Indexes a trace's calls.
  public init(of trace: Trace) {
    kinds = trace.names.texts.map(APIKind.init(function:))
    launches = CorrelationIndex(trace)
    threads = [:]
    let table = trace.apiCalls
    var rows: [Int64: [Int32]] = [:]
    // Calls of one thread mostly follow each other: a list is found once for all of them.
    var (last, list) = (Int64?.none, [Int32]())
    for row in 0..<min(table.count, Int(Int32.max)) where Self.isPlausible(table.start[row], table.end[row]) {
      let thread = table.thread[row]
      if thread != last {
        if let last { rows[last] = list }
        list = []
        swap(&list, &rows[thread, default: []])
        last = thread
      }
      list.append(Int32(clamping: row))
    }
    if let last { rows[last] = list }
    for (id, unsorted) in rows {
      let sorted = Self.sorted(unsorted, by: table.start)
      var outer: [Int32] = []
      outer.reserveCapacity(sorted.count)
      var end = Int64.min
      for row in sorted where table.start[Int(row)] >= end || table.end[Int(row)] > end {
        // A runtime's call encloses the driver's.
        if table.start[Int(row)] < end { continue }
        outer.append(row)
        end = table.end[Int(row)]
      }
      threads[id] = Thread(id: id, calls: outer, waits: [], launchInterval: nil)
    }
    for id in rows.keys {
      let interval = medianLaunchInterval(of: id, table)
      threads[id]?.launchInterval = interval
    }
    addWaits(trace)
    overheads = ThreadStretches(trace.overheads.start, trace.overheads.end, trace.overheads.thread)
    stretchesOffCPU = ThreadStretches(trace.offCPU.start, trace.offCPU.end, trace.offCPU.thread)
    scheduledThreads = trace.offCPU.recordedThreads
  }

  /// Nanoseconds of a stretch in which the profiler or the driver worked for itself on a thread, as far as the trace says on which.
  func overhead(_ thread: Int64, _ stretch: Range<Int64>) -> Int64 {
    let own = overheads.covered(thread, stretch)
    return thread == Trace.unknown ? own : max(own, overheads.covered(Trace.unknown, stretch))
  }

  /// Nanoseconds of a stretch in which a thread ran on no processor.
  func offCPU(_ thread: Int64, _ stretch: Range<Int64>) -> Int64 { stretchesOffCPU.covered(thread, stretch) }

  /// Whether the trace says when a thread ran on a processor.
  func isScheduleRecorded(_ thread: Int64) -> Bool { scheduledThreads.contains(thread) }

  /// Ends no sooner than it starts, at times that a clock shows.
  private static func isPlausible(_ start: Int64, _ end: Int64) -> Bool {
    end >= start && start > -DeviceActivity.largestTime && end < DeviceActivity.largestTime
  }

  private mutating func addWaits(_ trace: Trace) {
    var waits: [Int64: [Int32]] = [:]
    let table = trace.osCalls
    for row in 0..<min(table.count, Int(Int32.max))
    where table.end[row] > table.start[row] && Self.isPlausible(table.start[row], table.end[row]) {
      if threads[table.thread[row]] != nil { waits[table.thread[row], default: []].append(Int32(clamping: row)) }
    }
    for (id, rows) in waits { threads[id]?.waits = Self.sorted(rows, by: table.start) }
  }

  private func medianLaunchInterval(of id: Int64, _ table: APICallTable) -> Int64? {
    guard let thread = threads[id] else { return nil }
    var intervals: [Int64] = []
    var last: Int64?
    for row in thread.calls {
      let kind = self.kind(ofCall: Int(row), table)
      if kind.isLaunch {
        if let last { intervals.append(table.start[Int(row)] - last) }
        last = table.start[Int(row)]
      } else if kind != .other {
        last = nil
      }
    }
    if intervals.count < 10 { return nil }
    return Selection.value(&intervals, rank: intervals.count / 2)
  }

  private static func sorted(_ rows: [Int32], by start: [Int64]) -> [Int32] {
    for index in rows.indices.dropFirst() where start[Int(rows[index])] < start[Int(rows[index - 1])] {
      return rows.sorted { (start[Int($0)], $0) < (start[Int($1)], $1) }
    }
    return rows
  }

  /// Calls that launch kernels or graphs, on all threads.
  public func launchCount(_ trace: Trace) -> Int {
    threads.values.reduce(0) { sum, thread in
      sum + thread.calls.reduce(0) { $0 + (kind(ofCall: Int($1), trace.apiCalls).isLaunch ? 1 : 0) }
    }
  }

  /// What a call does.
  public func kind(ofCall row: Int, _ table: APICallTable) -> APIKind {
    let position = Int(table.name[row].rawValue)
    return kinds.indices.contains(position) ? kinds[position] : .other
  }

  /// Position in `calls` of the first call that starts after `time`.
  func firstCall(after time: Int64, of thread: Thread, _ table: APICallTable) -> Int {
    var low = 0
    var high = thread.calls.count
    while low < high {
      let middle = (low + high) / 2
      if table.start[Int(thread.calls[middle])] <= time { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The thread of a process whose call was the last to begin before `time`; any process's where `process` is unknown.
  func lastCaller(in process: Int64, before time: Int64, _ table: APICallTable) -> Thread? {
    var best: (start: Int64, thread: Thread)?
    for thread in threads.values where process == Trace.unknown || GlobalID.process(ofThread: thread.id) == process {
      let position = firstCall(after: time - 1, of: thread, table) - 1
      guard position >= 0 else { continue }
      let start = table.start[Int(thread.calls[position])]
      if start > best?.start ?? .min || start == best?.start && thread.id < best?.thread.id ?? .max { best = (start, thread) }
    }
    return best?.thread
  }

  /// Time of a stretch that the thread spent in operating-system calls that wait, nanoseconds.
  func waited(_ thread: Thread, _ stretch: Range<Int64>, _ table: OSCallTable) -> Int64 {
    if thread.waits.isEmpty { return 0 }
    var low = 0
    var high = thread.waits.count
    while low < high {
      let middle = (low + high) / 2
      if table.end[Int(thread.waits[middle])] <= stretch.lowerBound { low = middle + 1 } else { high = middle }
    }
    var sum: Int64 = 0
    var from = stretch.lowerBound
    while low < thread.waits.count {
      let row = Int(thread.waits[low])
      if table.start[row] >= stretch.upperBound { break }
      let start = max(from, table.start[row])
      let end = min(stretch.upperBound, table.end[row])
      if end > start {
        sum += end - start
        from = end
      }
      low += 1
    }
    return sum
  }
}
