import TimeBase
public import Trace

/// Which part of a trace a summary covers. An event belongs to a window when it starts in it.
public struct SummaryFilter: Sendable, Hashable {
  /// Global process id (see `GlobalID`); nil for all.
  public var process: Int64?
  /// CUDA ordinal of device work; nil for all. Host-side events have no device and stay.
  public var device: Int64?
  /// Windows in nanoseconds, in order and apart; nil for the whole trace.
  public private(set) var windows: [Range<Int64>]?

  /// A part of a trace; windows may come in any order and overlap.
  public init(process: Int64? = nil, device: Int64? = nil, windows: [Range<Int64>]? = nil) {
    self.process = process
    self.device = device
    self.windows = windows.map { DisjointRanges(merging: $0).ranges }
  }

  /// The windows in which a range of that text was open, and how many such ranges there are; none where there is none. A text that no range
  /// has stands for those that add a number to it: "ProfilerStep" for "ProfilerStep#12", "batch" for "batch 250", "aten::mm" for "aten::mm, op_id = 7". Ranges that never closed, and annotations projected
  /// onto a GPU, are left out.
  public static func windows(ofRange text: String, in trace: Trace) -> [Range<Int64>] { ranges(named: text, in: trace).windows }

  /// As `windows(ofRange:in:)`, with the number of ranges.
  public static func ranges(named text: String, in trace: Trace) -> (windows: [Range<Int64>], count: Int) {
    let ranges = trace.ranges
    func find(_ isMeant: (NameID) -> Bool) -> [Range<Int64>] {
      ranges.indices.compactMap { row in
        guard ranges.type[row] != 1000, ranges.end[row] > ranges.start[row], isMeant(ranges.text[row]) else { return nil }
        return ranges.start[row]..<ranges.end[row]
      }
    }
    var found: [Range<Int64>] = []
    if let name = trace.names.id(of: text) { found = find { $0 == name } }
    if found.isEmpty {
      var isNumbered: [NameID: Bool] = [:]
      found = find { id in
        if let known = isNumbered[id] { return known }
        let result = trace.names[id].map { RangeEvent.nameWithoutNumber($0, behind: separators) == text } ?? false
        isNumbered[id] = result
        return result
      }
    }
    return (DisjointRanges(merging: found).ranges, found.count)
  }

  /// What a number may stand behind: "batch 250" is a batch too.
  private static let separators: Set<Character> = ["#", " "]

  /// Names of a trace's ranges, numbers cut off, by the time that they were open.
  public static func rangeNames(in trace: Trace) -> [String] {
    var totals: [NameID: Double] = [:]
    let ranges = trace.ranges
    for row in ranges.indices where ranges.type[row] != 1000 && ranges.end[row] > ranges.start[row] {
      totals[ranges.text[row], default: 0] += Double(ranges.end[row]) - Double(ranges.start[row])
    }
    var byName: [String: Double] = [:]
    for (id, total) in totals {
      if let name = trace.names[id] { byName[RangeEvent.nameWithoutNumber(name, behind: separators), default: 0] += total }
    }
    return byName.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
  }

  /// Processes that a trace has work or calls of, as numbers of the operating system, with their global ids.
  public static func processes(in trace: Trace) -> [Int64: Int64] {
    var found: [Int64: Int64] = [:]
    func add(_ process: Int64) { if process != Trace.unknown { found[GlobalID.processNumber(process)] = process } }
    for stream in trace.streams { add(stream.process) }
    for threads in [trace.apiCalls.thread, trace.osCalls.thread, trace.ranges.thread] {
      var last = Trace.unknown
      for thread in threads where thread != Trace.unknown {
        let process = GlobalID.process(ofThread: thread)
        if process != last { add(process) }
        last = process
      }
    }
    return found
  }

  /// Whether an event that starts then belongs to it.
  public func contains(_ start: Int64) -> Bool {
    guard let windows else { return true }
    var (low, high) = (0, windows.count)
    while low < high {
      let middle = (low + high) / 2
      if windows[middle].upperBound <= start { low = middle + 1 } else { high = middle }
    }
    return low < windows.count && windows[low].contains(start)
  }

  func contains(stream: StreamDescription) -> Bool {
    (device == nil || stream.device == device) && (process == nil || stream.process == process || stream.process == Trace.unknown)
  }

  func contains(thread: Int64) -> Bool { process == nil || thread == Trace.unknown || GlobalID.process(ofThread: thread) == process }
}
