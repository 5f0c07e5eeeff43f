import CheckedNumbers
public import Trace

/// Something that occupied a device: a kernel, a copy or a fill.
public struct DeviceEvent: Sendable, Hashable {
  /// Which table it is a row of.
  public enum Kind: UInt8, Sendable, Hashable {
    case kernel, copy, fill
    /// A whole graph recorded as one event: its nodes are hidden.
    case graph
  }

  /// Start, nanoseconds on the run's clock.
  public var start: Int64
  /// End, nanoseconds; at or after `start`.
  public var end: Int64
  /// Row of its table.
  public var row: Int32
  /// Which table.
  public var kind: Kind

  /// An event.
  public init(start: Int64, end: Int64, row: Int32, kind: Kind) {
    self.start = start
    self.end = end
    self.row = row
    self.kind = kind
  }
}

/// What ran on one device, in order of starting. Work without a launch row counts: it occupied the device all the same.
public struct DeviceActivity: Sendable {
  /// Times beyond this are no times of a trace (73 years in nanoseconds): such rows are counted and left out.
  static let largestTime: Int64 = 1 << 61

  /// The device's ordinal as its processes count it; `Trace.unknown` where not recorded.
  public var ordinal: Int64
  /// The device, where the trace describes it.
  public var gpu: GPUDescription?
  /// Events in order of start.
  public var events: [DeviceEvent]
  /// From the first event's start to the last one's end, or from the first window's start to the last one's end; nanoseconds.
  public var span: Range<Int64>
  /// The parts of the span that were asked for, in order and apart; nil for all of it.
  public var windows: [Range<Int64>]?
  /// By window: what the device did next after it, uncut. Nil where it did nothing more.
  private var following: [DeviceEvent?] = []
  /// Rows whose end lies before their start, or whose times no clock shows.
  public var discarded: Int
  /// Streams with work, by position in `Trace.streams`.
  public var streams: Set<Int32>

  /// Length of the span, or of the windows; nanoseconds, at least 1.
  public var wall: Int64 {
    guard let windows else { return max(1, span.upperBound - span.lowerBound) }
    return max(1, windows.reduce(0) { $0.addingSaturated($1.upperBound - $1.lowerBound) })
  }

  /// As printed: "GPU 0, NVIDIA H200".
  public var name: String {
    let number = ordinal == Trace.unknown ? "" : " \(ordinal)"
    let model = gpu?.name ?? ""
    return "GPU" + number + (model.isEmpty ? "" : ", " + model)
  }

  /// Every device of a trace that did something, by ordinal. Devices are told apart by the GPU behind a process's ordinal where the trace
  /// says it, else by the ordinal.
  ///
  /// - Parameters:
  ///   - windows: events are cut to them (nanoseconds); in order and apart. Nil for all.
  ///   - process: global id of the only process whose work counts; nil for all.
  public static func all(of trace: Trace, windows: [Range<Int64>]? = nil, process: Int64? = nil) -> [DeviceActivity] {
    if let windows, windows.isEmpty { return [] }
    // One pass per table; a stream's device is looked up once.
    var keys: [Int64: Int] = [:]
    var devices: [DeviceActivity] = []
    let deviceOfStream: [Int] = trace.streams.map { stream in
      if let process, stream.process != process { return -1 }
      let gpu = trace.gpu(of: stream)
      // Ordinals are not GPU ids: two number spaces.
      let key = gpu.map { $0.id &* 2 } ?? (stream.device &* 2 &+ 1)
      if let known = keys[key] { return known }
      keys[key] = devices.count
      devices.append(
        DeviceActivity(
          ordinal: gpu?.cudaDevice ?? stream.device, gpu: gpu, events: [], span: 0..<0, windows: windows,
          following: [DeviceEvent?](repeating: nil, count: windows?.count ?? 0), discarded: 0, streams: []))
      if let last = devices.indices.last, devices[last].ordinal == Trace.unknown { devices[last].ordinal = stream.device }
      return devices.count - 1
    }
    func add(_ kind: DeviceEvent.Kind, _ start: [Int64], _ end: [Int64], _ stream: [StreamID]) {
      for row in 0..<min(start.count, Int(Int32.max)) {
        let position = Int(stream[row].rawValue)
        guard deviceOfStream.indices.contains(position) else { continue }
        let device = deviceOfStream[position]
        if device < 0 { continue }
        let event = DeviceEvent(start: start[row], end: end[row], row: Int32(clamping: row), kind: kind)
        guard event.end >= event.start, event.start > -Self.largestTime, event.end < Self.largestTime else {
          devices[device].discarded += 1
          continue
        }
        if devices[device].add(event) { devices[device].streams.insert(stream[row].rawValue) }
      }
    }
    add(.kernel, trace.kernels.start, trace.kernels.end, trace.kernels.stream)
    add(.copy, trace.copies.start, trace.copies.end, trace.copies.stream)
    add(.fill, trace.memsets.start, trace.memsets.end, trace.memsets.stream)
    // Recorded whole: Nsight Systems does so unless it is asked for nodes.
    add(.graph, trace.graphExecutions.start, trace.graphExecutions.end, trace.graphExecutions.stream)
    for index in devices.indices { devices[index].sortEvents() }
    return devices.filter { !$0.events.isEmpty }.sorted { $0.ordinal < $1.ordinal }
  }

  /// Adds an event, cut to the windows. False where it lies in none.
  private mutating func add(_ event: DeviceEvent) -> Bool {
    guard let windows else {
      events.append(event)
      return true
    }
    // The first window that ends after the event's start.
    var (low, high) = (0, windows.count)
    while low < high {
      let middle = (low + high) / 2
      if windows[middle].upperBound <= event.start { low = middle + 1 } else { high = middle }
    }
    if low > 0, following[low - 1].map({ event.start < $0.start }) ?? true { following[low - 1] = event }
    var isInside = false
    while low < windows.count, windows[low].lowerBound < event.end {
      var part = event
      part.start = max(event.start, windows[low].lowerBound)
      part.end = min(event.end, windows[low].upperBound)
      if part.end > part.start {
        events.append(part)
        isInside = true
      }
      low += 1
    }
    return isInside
  }

  private mutating func sortEvents() {
    events.sort { ($0.start, $0.end, $0.kind.rawValue, $0.row) < ($1.start, $1.end, $1.kind.rawValue, $1.row) }
    guard let first = events.first else { return }
    if let windows, let low = windows.first, let high = windows.last {
      span = low.lowerBound..<high.upperBound
      for index in following.indices.reversed().dropFirst() where following[index] == nil { following[index] = following[index + 1] }
    } else {
      span = first.start..<max(events.reduce(first.end) { max($0, $1.end) }, first.start + 1)
    }
  }

  /// Every stretch of the span, or of the windows, in which the device had no work, with the work before it and the work that ended it. That
  /// may lie behind a window's end: its launch says what the device waited for all the same.
  func eachGap(_ body: (_ gap: Range<Int64>, _ before: DeviceEvent?, _ after: DeviceEvent?) -> Void) {
    var index = 0
    var latest: DeviceEvent?
    for (position, window) in (windows ?? [span]).enumerated() {
      var end = window.lowerBound
      while index < events.count, events[index].start < window.upperBound {
        let event = events[index]
        if event.start > end { body(end..<event.start, latest, event) }
        if latest.map({ event.end >= $0.end }) ?? true { latest = event }
        end = max(end, event.end)
        index += 1
      }
      if end < window.upperBound { body(end..<window.upperBound, latest, following.indices.contains(position) ? following[position] : nil) }
    }
  }
}

/// Busy time of a device as unions of intervals, nanoseconds: overlapping work counts once.
public struct BusyTime: Sendable, Hashable {
  /// At least one kernel ran.
  public var kernel: Int64 = 0
  /// A copy or a fill ran, kernels or not.
  public var copy: Int64 = 0
  /// Anything ran.
  public var device: Int64 = 0
  /// Kernels' durations summed: above `kernel` where they overlap.
  public var kernelSum: Int64 = 0
  /// Kernels that began while no kernel ran.
  public var kernelStartsFromIdle = 0
  /// Of these, the gaps before them: what lies between them and the kernel before, at most `shortGap` each, summed.
  public var shortGapSum: Int64 = 0
  /// Kernels, and CUDA graphs that are recorded as one event each.
  public var kernels = 0
  /// Of these, such graphs.
  public var graphs = 0
  /// Time of such graphs, summed, nanoseconds: of the kernels inside nothing is known.
  public var graphSum: Int64 = 0
  /// Copies and fills.
  public var copies = 0
  /// Two kernels ran at once somewhere.
  public var kernelsOverlap: Bool { kernelSum > kernel }
  /// A copy or fill ran, and no kernel.
  public var nonOverlappedMemcpy: Int64 { device - kernel }

  /// Unions of a device's events. `shortGap`, nanoseconds, is what a gap before a kernel counts at most in `shortGapSum`.
  public init(of activity: DeviceActivity, shortGap: Int64 = 0) {
    var kernelEnd = Int64.min
    var copyEnd = Int64.min
    var deviceEnd = Int64.min
    func extend(_ end: inout Int64, _ event: DeviceEvent) -> Int64 {
      let from = max(event.start, end)
      if event.end <= from { return 0 }
      end = event.end
      return event.end - from
    }
    for event in activity.events {
      device += extend(&deviceEnd, event)
      if event.kind == .kernel || event.kind == .graph {
        kernels += 1
        if event.kind == .graph {
          graphs += 1
          graphSum = graphSum.addingSaturated(event.end - event.start)
        }
        kernelSum = kernelSum.addingSaturated(event.end - event.start)
        if event.start > kernelEnd {
          kernelStartsFromIdle += 1
          shortGapSum += kernelEnd == .min ? shortGap : min(shortGap, event.start - kernelEnd)
        }
        kernel += extend(&kernelEnd, event)
      } else {
        copies += 1
        copy += extend(&copyEnd, event)
      }
    }
  }
}
