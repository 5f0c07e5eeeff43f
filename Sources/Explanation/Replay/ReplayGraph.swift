import CheckedNumbers
public import Trace

/// A trace as a graph of dependencies that can be edited and run again: thread order, launch before work, stream order, waits for other
/// streams, synchronizations, copies that block (Zhu et al., Daydream, USENIX ATC 2020, for the idea).
///
/// What a host thread does between two calls keeps its time; what the device takes between queued kernels keeps its own. A launch is bound by
/// its call or by the work before it in the stream, whichever bound it in the recording.
public struct ReplayGraph: Sendable {
  /// A host call.
  struct Call: Sendable {
    /// Position in `threadStarts`.
    var thread: Int32
    /// Host time from the end of the thread's previous call, nanoseconds; negative where calls overlap.
    var gap: Int64
    /// Its own time, nanoseconds, waiting included.
    var duration: Int64
    var kind: APIKind
    /// What it waits for.
    var wait = Wait.none
    /// From the end of what it waited for to its return, nanoseconds.
    var wake: Int64 = 0
    /// Work it enqueues: positions in `work`.
    var first: Int32 = 0
    var count: Int32 = 0
    var isRemoved = false
    /// Bytes of its copy; 0 for none.
    var bytes: Int64 = 0
    /// Direction of its copy; 0 for none.
    var direction: Int32 = 0
    /// Its copy's host side is pageable.
    var isPageable = false
  }

  enum Wait: Sendable, Hashable {
    case none
    /// All work of a process enqueued so far.
    case process(Int32)
    /// One stream's.
    case stream(Int32)
    /// Its own copy.
    case own
  }

  /// A kernel, copy or fill.
  struct Work: Sendable {
    /// Position in `Trace.streams`.
    var stream: Int32
    var duration: Int64
    /// From its call's start at the earliest.
    var afterCall: Int64
    /// From the end of the work before it in its stream at the earliest; may be negative inside graphs.
    var afterStream: Int64
    /// Work of another stream that it waits for, as a position in `work`; -1 for none.
    var dependency: Int32 = -1
    var afterDependency: Int64 = 0
    var isKernel: Bool
    var isRemoved = false
    /// Role of the kernel.
    var role: KernelName.Role
    /// Node of a graph launch.
    var isGraphNode: Bool
    /// Position in `Trace.kernelDescriptions`; -1 for no kernel.
    var description: Int32 = -1
  }

  /// What a run of the graph came to, nanoseconds.
  public struct Outcome: Sendable, Hashable {
    /// First work's start to last one's end.
    public var span: Int64
    /// Union of kernels.
    public var gpuBusy: Int64
    /// Union of everything.
    public var deviceBusy: Int64
  }

  /// In order of recorded start.
  var calls: [Call] = []
  /// In order of their calls.
  var work: [Work] = []
  /// First call's start of each thread.
  var threadStarts: [Int64] = []
  /// Process of each stream, by position in `Trace.streams`.
  var processOfStream: [Int32] = []
  /// Processes.
  var processCount = 0
  /// As recorded.
  public private(set) var recorded: Outcome
  /// Share of the device's work, by time, that no call of the trace launched.
  public private(set) var unlinkedShare = 0.0
  /// From a late launch call's start to its kernel's start, median, nanoseconds.
  public private(set) var launchLatency: Int64 = 6_800

  /// A device takes this between two dependent kernels of a stream that are both queued, nanoseconds (measured on an H200, after short
  /// kernels; 1.1 to 1.9 with large grids).
  public static let queuedGap: Int64 = 1_000
  /// The same between nodes of a graph (0.45 above the sum of records).
  public static let graphGap: Int64 = 500
  /// More work than that is not replayed.
  static let largestWork = 300_000

  /// From a trace; nil where it holds no work, too much of it, or none with a launch. `devices` are those of the trace: what a process waits
  /// for may run on any of them.
  public init?(of trace: Trace, host: HostActivity, devices: [DeviceActivity]) {
    let events = devices.flatMap(\.events)
    guard !events.isEmpty, events.count <= Self.largestWork else { return nil }
    recorded = Self.outcome(events.map { ($0.start, $0.end, $0.kind == .kernel || $0.kind == .graph) })
    // Work by the call that launched it.
    var byCall: [Int: [DeviceEvent]] = [:]
    var (unlinked, total) = (0.0, 0.0)
    for event in events {
      total += Double(event.end - event.start)
      guard let join = IdleTime.join(event, trace), let row = host.launches.apiCall(process: join.process, correlation: join.correlation),
        trace.apiCalls.end[row] >= trace.apiCalls.start[row]
      else {
        unlinked += Double(event.end - event.start)
        continue
      }
      byCall[row, default: []].append(event)
    }
    unlinkedShare = total > 0 ? unlinked / total : 1
    guard !byCall.isEmpty else { return nil }
    var processes: [Int64: Int32] = [:]
    func process(_ id: Int64) -> Int32 {
      if let known = processes[id] { return known }
      let next = Int32(clamping: processes.count)
      processes[id] = next
      return next
    }
    processOfStream = trace.streams.map { process($0.process) }
    let syncStreams = Self.synchronizedStreams(trace)
    build(trace, host, byCall, syncStreams, process: process)
    processCount = processes.count
    if calls.isEmpty || work.isEmpty { return nil }
  }

  private static func synchronizedStreams(_ trace: Trace) -> [IdleTime.Join: Int32] {
    var streams: [IdleTime.Join: Int32] = [:]
    let table = trace.synchronizations
    for row in 0..<table.count where table.correlation[row] != Trace.unknown && table.type[row] == 3 {
      let stream = table.stream[row]
      guard trace.streams.indices.contains(Int(stream.rawValue)) else { continue }
      streams[IdleTime.Join(process: trace[stream].process, correlation: table.correlation[row])] = stream.rawValue
    }
    return streams
  }

  private mutating func build(
    _ trace: Trace, _ host: HostActivity, _ byCall: [Int: [DeviceEvent]], _ syncStreams: [IdleTime.Join: Int32],
    process: (Int64) -> Int32
  ) {
    let table = trace.apiCalls
    var rows: [(row: Int32, thread: Int32)] = []
    var lastEnd: [Int64] = []
    // Threads in order of their ids, so that the same trace gives the same graph.
    for id in host.threads.keys.sorted() {
      guard let thread = host.threads[id], let first = thread.calls.first else { continue }
      let index = Int32(clamping: threadStarts.count)
      threadStarts.append(table.start[Int(first)])
      lastEnd.append(table.start[Int(first)])
      rows += thread.calls.map { ($0, index) }
    }
    rows.sort { (table.start[Int($0.row)], $0.row) < (table.start[Int($1.row)], $1.row) }
    var streamEnd = [Int64](repeating: .min, count: trace.streams.count)
    // The last few pieces of work of each stream: what another stream may wait for.
    var recent: [Int32: [(work: Int32, end: Int64)]] = [:]
    let roles = trace.kernelDescriptions.map { KernelName(trace.names[$0.demangledName] ?? trace.names[$0.shortName] ?? "").role }
    launchLatency = Self.latency(trace, host, byCall, rows.map(\.row)) ?? launchLatency
    for (row32, thread) in rows {
      let row = Int(row32)
      let (start, end) = (table.start[row], table.end[row])
      let kind = host.kind(ofCall: row, table)
      var call = Call(thread: thread, gap: start - lastEnd[Int(thread)], duration: end - start, kind: kind)
      lastEnd[Int(thread)] = end
      call.first = Int32(clamping: work.count)
      let processID = process(GlobalID.process(ofThread: table.thread[row]))
      let before = kind == .synchronize ? streamEnd : []
      var ownEnd = Int64.min
      let events = (byCall[row] ?? []).sorted { ($0.start, $0.row) < ($1.start, $1.row) }
      for event in events {
        let stream = Self.stream(event, trace)
        var item = Work(
          stream: stream, duration: event.end - event.start, afterCall: event.start - start, afterStream: 0,
          isKernel: event.kind == .kernel || event.kind == .graph,
          role: event.kind == .kernel ? roles[Int(trace.kernels.description[Int(event.row)].rawValue)] : .other,
          isGraphNode: kind == .graphLaunch,
          description: event.kind == .kernel ? trace.kernels.description[Int(event.row)].rawValue : -1)
        let previous = streamEnd[Int(stream)]
        if previous == .min || previous <= start {
          item.afterStream = previous == .min ? 0 : min(event.start - previous, Self.queuedGap)
        } else {
          item.afterStream = event.start - previous
          item.afterCall = min(item.afterCall, launchLatency)
          if item.afterStream > 10_000, event.start - start > launchLatency + 10_000,
            let other = Self.awaited(event.start, stream, recent)
          {
            item.dependency = other.work
            item.afterDependency = event.start - other.end
            item.afterStream = min(item.afterStream, Self.queuedGap)
          }
        }
        recent[stream, default: []].append((Int32(clamping: work.count), event.end))
        if recent[stream]?.count ?? 0 > 8 { recent[stream]?.removeFirst(4) }
        streamEnd[Int(stream)] = max(previous, event.end)
        ownEnd = max(ownEnd, event.end)
        work.append(item)
        if event.kind == .copy {
          let copy = Int(event.row)
          call.bytes = trace.copies.bytes[copy]
          call.direction = trace.copies.direction[copy]
          let hostKind = call.direction == 1 ? trace.copies.sourceKind[copy] : trace.copies.destinationKind[copy]
          call.isPageable = hostKind == 0
        }
      }
      call.count = Int32(clamping: work.count) - call.first
      Self.decideWait(
        &call, start, end, ownEnd, before, processID, processOfStream,
        syncStreams[
          IdleTime.Join(process: GlobalID.process(ofThread: table.thread[row]), correlation: table.correlation[row])])
      calls.append(call)
    }
  }

  /// What a call waited for, if it returned after that ended and began before.
  private static func decideWait(
    _ call: inout Call, _ start: Int64, _ end: Int64, _ ownEnd: Int64, _ streamEnd: [Int64], _ process: Int32,
    _ processOfStream: [Int32], _ stream: Int32?
  ) {
    // A clock of the device may run a few microseconds ahead of the host's.
    let tolerance: Int64 = 5_000
    switch call.kind {
    case .synchronize:
      var target = Int64.min
      if let stream {
        target = streamEnd[Int(stream)]
        call.wait = .stream(stream)
      } else {
        for index in streamEnd.indices where processOfStream[index] == process { target = max(target, streamEnd[index]) }
        call.wait = .process(process)
      }
      if target <= start || target > end + tolerance {
        call.wait = .none
      } else {
        call.wake = max(0, end - target)
      }
    case .copy, .fill:
      if call.count > 0, ownEnd <= end, ownEnd > start {
        call.wait = .own
        call.wake = end - ownEnd
      }
    default: break
    }
    if call.wait == .none { call.wake = 0 }
  }

  private static func stream(_ event: DeviceEvent, _ trace: Trace) -> Int32 {
    let row = Int(event.row)
    switch event.kind {
    case .kernel: return trace.kernels.stream[row].rawValue
    case .copy: return trace.copies.stream[row].rawValue
    case .fill: return trace.memsets.stream[row].rawValue
    case .graph: return trace.graphExecutions.stream[row].rawValue
    }
  }

  private static func awaited(_ start: Int64, _ stream: Int32, _ recent: [Int32: [(work: Int32, end: Int64)]]) -> (work: Int32, end: Int64)?
  {
    var best: (work: Int32, end: Int64)?
    for (other, items) in recent where other != stream {
      for item in items where item.end <= start && start - item.end < 6_000 {
        if best == nil || (item.end, item.work) > (best?.end ?? .min, best?.work ?? -1) { best = item }
      }
    }
    return best
  }

  /// From a launch call's start to its kernel's, where the stream had nothing left to do: what a launch costs when nothing is queued before it.
  private static func latency(_ trace: Trace, _ host: HostActivity, _ byCall: [Int: [DeviceEvent]], _ rows: [Int32]) -> Int64? {
    var latencies: [Int64] = []
    var streamEnd = [Int64](repeating: .min, count: trace.streams.count)
    for row32 in rows {
      let row = Int(row32)
      guard let events = byCall[row] else { continue }
      let start = trace.apiCalls.start[row]
      if let first = events.min(by: { ($0.start, $0.row) < ($1.start, $1.row) }), host.kind(ofCall: row, trace.apiCalls) == .launch,
        streamEnd[Int(stream(first, trace))] <= start
      {
        latencies.append(first.start - start)
      }
      for event in events {
        let stream = Int(stream(event, trace))
        streamEnd[stream] = max(streamEnd[stream], event.end)
      }
    }
    // A handful of launches on an idle stream is a program's beginning.
    if latencies.count < 10 { return nil }
    latencies.sort()
    return max(1_000, latencies[latencies.count / 4])
  }

  static func outcome(_ events: [(start: Int64, end: Int64, isKernel: Bool)]) -> Outcome {
    let sorted = events.sorted { ($0.start, $0.end) < ($1.start, $1.end) }
    var (kernel, device) = (Int64(0), Int64(0))
    var (kernelEnd, deviceEnd) = (Int64.min, Int64.min)
    for event in sorted {
      if event.end > deviceEnd {
        device += event.end - max(event.start, deviceEnd)
        deviceEnd = event.end
      }
      if event.isKernel, event.end > kernelEnd {
        kernel += event.end - max(event.start, kernelEnd)
        kernelEnd = event.end
      }
    }
    return Outcome(span: max(1, deviceEnd - (sorted.first?.start ?? 0)), gpuBusy: kernel, deviceBusy: device)
  }
}
