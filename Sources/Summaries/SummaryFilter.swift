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
    self.windows = windows.map(Self.merged)
  }

  /// The windows in which a range of that text was open; empty where there is none. Ranges that never closed, and annotations projected
  /// onto a GPU, are left out.
  public static func windows(ofRange text: String, in trace: Trace) -> [Range<Int64>] {
    guard let name = trace.names.id(of: text) else { return [] }
    let ranges = trace.ranges
    return merged(
      ranges.indices.compactMap { row in
        guard ranges.text[row] == name, ranges.type[row] != 1000, ranges.end[row] > ranges.start[row] else { return nil }
        return ranges.start[row]..<ranges.end[row]
      })
  }

  /// The same in order, overlapping ones joined.
  private static func merged(_ windows: [Range<Int64>]) -> [Range<Int64>] {
    var result: [Range<Int64>] = []
    for window in windows.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, window.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound..<max(last.upperBound, window.upperBound)
      } else {
        result.append(window)
      }
    }
    return result
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
